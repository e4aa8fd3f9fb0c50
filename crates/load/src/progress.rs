//! How far a run has come, for a line a second.

use std::collections::BTreeMap;
use std::fmt;

use crate::outcome::Outcome;
use crate::record::Sent;

#[derive(Clone, Debug, Default)]
pub struct Progress {
    pub seconds: u64,
    pub requests: u64,
    /// Of the last second.
    pub per_second: u64,
    pub outcomes: BTreeMap<Outcome, u64>,
}

impl Progress {
    pub(crate) fn count(&mut self, sent: &Sent) {
        self.requests += 1;
        self.per_second += 1;
        *self.outcomes.entry(sent.outcome).or_default() += 1;
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4} s {:>8} requests {:>6}/s ", self.seconds, self.requests, self.per_second)?;
        self.outcomes.iter().try_for_each(|(outcome, count)| write!(f, " {} {count}", outcome.name()))
    }
}
