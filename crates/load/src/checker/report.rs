//! The verdict as people read it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::met::StopMet;
use super::stops::{Stop, Stopped};
use super::verdict::{Example, Verdict};
use crate::outcome::Outcome;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(f)?;
        for (code, count) in &self.codes {
            writeln!(f, "  {count:>8}  {code}")?;
        }
        writeln!(
            f,
            "\n{} requests; {} times at the role, {} of them a second time; {} lines in the logs",
            self.requests, self.at_role, self.second_times, self.gateway_lines
        )?;
        writeln!(f, "{} bytes of bodies went out, {} bytes of answers came", self.body_bytes, self.answer_bytes)?;
        for (count, what) in [
            (self.sent_again, "were sent to a second connection point, as the gateways' lines say of each"),
            (self.sent_again_to_role, "were sent to a role a second time, as the connection points' lines say of each"),
            (self.not_connected, "connections did not come about: no request existed"),
            (self.ended_by_drain, "outlasted the deadline of a planned stop and were ended with that code"),
            (
                self.left_after_the_end,
                "came whole to clients that left at once; the logs say of them that the client has gone",
            ),
            (self.partial_lines, "logs end in half a line"),
            (self.dropped_lines, "log lines were dropped, as the logs say themselves"),
            (self.without_line, "requests have no line in a log for that reason"),
        ] {
            if count > 0 {
                writeln!(f, "{count} {what}")?;
            }
        }
        self.stops_told().iter().try_for_each(|told| writeln!(f, "{told}"))?;
        if self.is_clean() {
            return writeln!(f, "every request is accounted for");
        }
        for (fault, found) in &self.faults {
            writeln!(f, "\nFAULT {fault}: {}", found.count)?;
            found.examples.iter().try_for_each(|example| write_example(f, example))?;
        }
        Ok(())
    }
}

impl Verdict {
    /// What was done to programs and what it met, in a line for each sort of stop.
    pub fn stops_told(&self) -> Vec<String> {
        let mut told = Vec::new();
        for (sort, is_gateway) in [("gateways", true), ("connection points", false)] {
            for is_kill in [false, true] {
                let is_meant = |met: &&StopMet| {
                    matches!(met.stop.program, Stopped::Gateway(_)) == is_gateway && met.stop.is_kill() == is_kill
                };
                let stops: Vec<_> = self.stops.iter().filter(is_meant).collect();
                match (stops.is_empty(), is_kill) {
                    (true, _) => {}
                    (false, false) => told.push(format!("{sort} were restarted in good order: {}", stops.len())),
                    (false, true) => told.push(told_of_kills(sort, &stops)),
                }
            }
        }
        told
    }

    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: BTreeSet<Outcome> = self.outcomes.values().flat_map(|outcomes| outcomes.keys().copied()).collect();
        write!(f, "{:<14}", "kind")?;
        columns.iter().try_for_each(|outcome| write!(f, " {:>13}", outcome.name()))?;
        writeln!(f)?;
        for (kind, outcomes) in &self.outcomes {
            write!(f, "{kind:<14}")?;
            columns.iter().try_for_each(|outcome| match outcomes.get(outcome) {
                Some(count) => write!(f, " {count:>13}"),
                None => write!(f, " {:>13}", ""),
            })?;
            writeln!(f)?;
        }
        write!(f, "{:<14}", "all")?;
        columns.iter().try_for_each(|outcome| write!(f, " {:>13}", self.outcomes(*outcome)))?;
        writeln!(f)
    }
}

fn told_of_kills(sort: &str, kills: &[&StopMet]) -> String {
    let least = |of: fn(&StopMet) -> u64| kills.iter().map(|kill| of(kill)).min().unwrap_or_default();
    let sum = |of: fn(&StopMet) -> u64| kills.iter().map(|kill| of(kill)).sum::<u64>();
    let longest = |of: fn(&Stop) -> Duration| kills.iter().map(|kill| of(&kill.stop)).max().unwrap_or_default();
    format!(
        "{sort} killed: {}, with {} requests under way there in all, each time at least {} that only read and {} others; \
         {} were refused and {} cut; {} were sent there when it was gone and reached nobody; noticed after {:.3} s and \
         back after {:.1} s at most",
        kills.len(),
        sum(|kill| kill.reads + kill.others),
        least(|kill| kill.reads),
        least(|kill| kill.others),
        sum(|kill| kill.refused),
        sum(|kill| kill.cut),
        sum(|kill| kill.late),
        longest(|stop| stop.noticed.saturating_sub(stop.gone)).as_secs_f64(),
        longest(|stop| stop.back.saturating_sub(stop.gone)).as_secs_f64(),
    )
}

fn write_example(f: &mut fmt::Formatter<'_>, example: &Example) -> fmt::Result {
    writeln!(f, "  - {}", example.what)?;
    if !example.sender.is_empty() {
        writeln!(f, "    sender  {}", example.sender)?;
    }
    for line in &example.gateways {
        writeln!(f, "    gateway {line}")?;
    }
    for line in &example.role {
        writeln!(f, "    role    {line}")?;
    }
    Ok(())
}
