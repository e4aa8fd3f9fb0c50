//! The three counts of one request side by side, joined by the sender's number. What no sender sent is left over.

use std::collections::HashMap;

use super::Counts;
use super::verdict::{Example, Fault};
use crate::at_gateway::AtGateway;
use crate::at_role::AtRole;
use crate::record::Sent;

/// One request in all three counts.
pub struct View<'a> {
    pub sent: &'a Sent,
    pub role: Vec<&'a AtRole>,
    pub gateway: Vec<&'a AtGateway>,
}

impl View<'_> {
    /// Whether a gateway says that this connection point had it, at the last.
    pub fn went_through(&self, connection_point: &str) -> bool {
        self.gateway.iter().any(|line| line.connection_point.as_deref() == Some(connection_point))
    }

    /// Whether a gateway says that its tunnel was lost under it and another one got it.
    pub fn was_moved(&self) -> bool {
        self.gateway.iter().any(|line| line.sent_again.as_deref() == Some(REPEATABLE))
    }

    /// The code of a gateway's line.
    pub fn logged_code(&self) -> Option<&str> {
        self.gateway.iter().find_map(|line| line.code.as_deref())
    }
}

pub struct Joined<'a> {
    pub views: Vec<View<'a>>,
    pub strange: Vec<Strange>,
}

/// Why a gateway sends what may have run a second time.
const REPEATABLE: &str = "repeatable";

/// Something that nobody sent.
pub struct Strange {
    pub fault: Fault,
    pub example: Example,
}

pub fn join(counts: &Counts) -> Joined<'_> {
    let run = counts.sender.run.as_str();
    let view = |sent| View { sent, role: Vec::new(), gateway: Vec::new() };
    let mut joined = Joined { views: counts.sender.sent.iter().map(view).collect(), strange: Vec::new() };
    let places: HashMap<u64, usize> =
        joined.views.iter().enumerate().map(|(place, view)| (view.sent.number, place)).collect();
    for seen in &counts.role.seen {
        let number = seen.test.as_deref().and_then(|test| number_of(test, run));
        match number.and_then(|number| joined.views.get_mut(*places.get(&number)?)) {
            Some(view) => view.role.push(seen),
            None => joined.strange.push(Strange {
                fault: Fault::NobodySent,
                example: Example::of_role(seen, "a role saw what no sender of this run sent"),
            }),
        }
    }
    for line in &counts.gateways.lines {
        let number = line.path.split('/').find_map(|segment| number_of(segment, run));
        match number.and_then(|number| joined.views.get_mut(*places.get(&number)?)) {
            Some(view) => view.gateway.push(line),
            None => joined.strange.push(Strange {
                fault: Fault::NobodySent,
                example: Example::of_gateway(line, "a gateway logged what no sender of this run sent"),
            }),
        }
    }
    joined
}

/// The number in `<run>-<number>`.
fn number_of(id: &str, run: &str) -> Option<u64> {
    id.strip_prefix(run)?.strip_prefix('-')?.parse().ok()
}
