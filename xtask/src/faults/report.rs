//! What scenarios amounted to, as people and programs read it.

use std::fmt;

use cmg_load::{Outcome, Verdict};
use serde::Serialize;

use super::scenario::Scenario;

/// A scenario that was played.
#[derive(Serialize)]
pub struct Played {
    pub name: &'static str,
    pub injected: &'static str,
    pub promised: &'static str,
    /// Why it failed; nothing if it passed.
    pub problems: Vec<String>,
    pub notes: Vec<String>,
    pub seconds: u64,
    /// None if it did not come so far.
    pub verdict: Option<Verdict>,
}

impl Played {
    pub fn of(scenario: &Scenario) -> Self {
        Self {
            name: scenario.name,
            injected: scenario.injected,
            promised: scenario.promised,
            problems: Vec::new(),
            notes: Vec::new(),
            seconds: 0,
            verdict: None,
        }
    }

    pub fn has_passed(&self) -> bool {
        self.problems.is_empty()
    }

    fn word(&self) -> &'static str {
        if self.has_passed() { "PASS" } else { "FAIL" }
    }
}

/// Outcomes that have a column of their own.
const SHOWN: [Outcome; 3] = [Outcome::Answered, Outcome::Refused, Outcome::Cut];
/// Of each fault's examples so many are shown; `--json` has them all.
const EXAMPLES: usize = 2;

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(verdict) = &self.verdict {
            let outcomes = verdict.outcomes.values().flat_map(|of_kind| of_kind.keys());
            let outcomes: std::collections::BTreeSet<_> = outcomes.copied().collect();
            let counted: Vec<_> =
                outcomes.iter().map(|outcome| format!("{} {}", verdict.outcomes(*outcome), outcome.name())).collect();
            writeln!(f, "   ledger    {} requests: {}", verdict.requests, counted.join(", "))?;
            for (code, count) in &verdict.codes {
                writeln!(f, "             {count:>6} x {code}")?;
            }
            for told in verdict.stops_told() {
                writeln!(f, "             {told}")?;
            }
            for (fault, found) in &verdict.faults {
                writeln!(f, "   FAULT     {} x {fault}", found.count)?;
                for example in found.examples.iter().take(EXAMPLES) {
                    writeln!(f, "             {}: {}", example.what, example.sender)?;
                    example.gateways.iter().try_for_each(|line| writeln!(f, "               gateway {line}"))?;
                    example.role.iter().try_for_each(|line| writeln!(f, "               role    {line}"))?;
                }
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "   seen      {note}"))?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "   PROBLEM   {problem}"))?;
        write!(f, "   {} in {} s", self.word(), self.seconds)
    }
}

/// What is about to be done.
pub fn announce(scenario: &Scenario) {
    println!("   injected  {}", scenario.injected);
    println!("   promised  {}", scenario.promised);
}

pub fn list(scenarios: &[&Scenario]) {
    for scenario in scenarios {
        println!("{}{}", scenario.name, if scenario.in_ci { "  (in CI)" } else { "" });
        announce(scenario);
    }
}

/// All of them, a line each.
pub fn table(played: &[Played]) {
    println!(
        "\n{:<28} {:>8} {:>9} {:>8} {:>6} {:>6} {:>8}",
        "", "requests", "answered", "refused", "cut", "other", "seconds"
    );
    for one in played {
        let (mut requests, mut shown) = (0, [0; SHOWN.len()]);
        if let Some(verdict) = &one.verdict {
            requests = verdict.requests;
            shown = SHOWN.map(|outcome| verdict.outcomes(outcome));
        }
        let [answered, refused, cut] = shown;
        let other = requests - answered - refused - cut;
        println!(
            "{:<28} {requests:>8} {answered:>9} {refused:>8} {cut:>6} {other:>6} {:>8}  {}",
            one.name,
            one.seconds,
            one.word()
        );
    }
}
