//! Accounts for every request of a run: joins the sender's, the roles' and the gateways' counts by the sender's number
//! and holds each request against the rules. Pure: three lists in, a verdict out; no clock, no file, no socket.

mod joined;
mod met;
mod report;
mod rules;
mod stops;
#[cfg(test)]
mod tests;
mod verdict;

use crate::at_connection_point::SentAgainToRole;
use crate::at_gateway::GatewayCount;
use crate::at_role::RoleCount;
use crate::record::Record;

pub use stops::{How, Stop, Stopped};
pub use verdict::{Example, Fault, Found, Verdict};

/// The three counts, what only connection points can count, and what was done to the programs.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub sender: Record,
    pub role: RoleCount,
    pub gateways: GatewayCount,
    pub sent_again_to_role: SentAgainToRole,
    /// Programs that were stopped, in the order in which that happened.
    pub stops: Vec<Stop>,
}

/// What a scenario brings about itself, apart from stopping programs: those are told with their times, and each excuses
/// what it met and nothing else. Lost, doubled and corrupted requests are faults in every scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Codes of refusals of requests that should have been served, and of answers that had begun and broke off.
    pub codes: &'static [&'static str],
    /// Whether they may befall what only reads, too, because nobody else could have served it.
    pub reads: bool,
    /// Connections of clients that break under their requests.
    pub breaks: bool,
    /// Connections of clients that do not come about.
    pub unconnected: bool,
}

impl Allowed {
    /// Nothing happens that is not told.
    pub const NOTHING: Self = Self { codes: &[], reads: false, breaks: false, unconnected: false };
}

/// The verdict on a run.
pub fn check(counts: &Counts, allowed: Allowed) -> Verdict {
    let joined = joined::join(counts);
    let mut verdict = Verdict::of(counts);
    for strange in &joined.strange {
        verdict.found(strange.fault, strange.example.clone());
    }
    for view in &joined.views {
        rules::judge(view, (counts, allowed), &mut verdict);
    }
    rules::judge_connections(counts, allowed, &mut verdict);
    rules::judge_missing_lines(counts, &mut verdict);
    met::judge_stops(&counts.stops, &joined.views, &mut verdict);
    verdict
}
