//! Accounts for every request of a run: joins the sender's, the roles' and the gateways' counts by the sender's number
//! and holds each request against the rules. Pure: three lists in, a verdict out; no clock, no file, no socket.

mod joined;
mod report;
mod rules;
#[cfg(test)]
mod tests;
mod verdict;

use crate::at_gateway::GatewayCount;
use crate::at_role::RoleCount;
use crate::record::Record;

pub use verdict::{Example, Fault, Found, Verdict};

/// The three counts, and what only the programs can count.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub sender: Record,
    pub role: RoleCount,
    pub gateways: GatewayCount,
    /// How often the programs say that they sent a request again.
    pub sent_again: u64,
}

/// What a scenario brings about itself. Lost, doubled and corrupted requests are faults in every one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Requests that break off visibly.
    pub cuts: bool,
    /// Refusals of requests that should have been served.
    pub refusals: bool,
    /// Ends of those that outlasted the deadline of a planned stop.
    pub ended_by_drain: bool,
    /// Lines that a killed program took with it.
    pub missing_lines: bool,
}

impl Allowed {
    /// A run in which nothing happens to the programs.
    pub const NOTHING: Self = Self { cuts: false, refusals: false, ended_by_drain: false, missing_lines: false };
    /// Planned stops, one program at a time.
    pub const RESTARTS: Self = Self { ended_by_drain: true, ..Self::NOTHING };
    /// Programs are killed and networks fail.
    pub const FAILURES: Self = Self { cuts: true, refusals: true, ended_by_drain: true, missing_lines: true };
}

/// The verdict on a run.
pub fn check(counts: &Counts, allowed: Allowed) -> Verdict {
    let joined = joined::join(counts);
    let mut verdict = Verdict::of(counts);
    for strange in &joined.strange {
        verdict.found(strange.fault, strange.example.clone());
    }
    for view in &joined.views {
        rules::judge(view, allowed, &mut verdict);
    }
    rules::judge_second_times(&joined.views, counts.sent_again, &mut verdict);
    rules::judge_missing_lines(counts, &mut verdict);
    verdict
}
