//! The verdict as people read it.

use std::collections::BTreeSet;
use std::fmt;

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
            "\n{} requests; {} at the role, {} of them a second time ({} counted by the programs); {} lines in the logs",
            self.requests, self.at_role, self.second_times, self.sent_again, self.gateway_lines
        )?;
        writeln!(f, "{} bytes of bodies went out, {} bytes of answers came", self.body_bytes, self.answer_bytes)?;
        for (count, what) in [
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
