//! What a test asks the ledger: which entries, and how far they must have come.

use super::Entry;
use crate::limits;

/// How far a request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Its head was read.
    #[default]
    Begun,
    /// Its body was read to the end.
    Body,
    /// The head of its answer was chosen.
    Answering,
    /// It is over, one way or the other.
    Ended,
    /// It is over and its answer was complete.
    Complete,
    /// It is over and its answer was not complete.
    Cut,
}

impl State {
    pub const NAMES: [(&'static str, State); 6] = [
        ("begun", State::Begun),
        ("body", State::Body),
        ("answering", State::Answering),
        ("ended", State::Ended),
        ("complete", State::Complete),
        ("cut", State::Cut),
    ];
}

#[derive(Clone, Debug)]
pub struct Question {
    /// The value of X-CMG-Request-Id.
    pub id: Option<String>,
    /// Text that the target holds.
    pub target: Option<String>,
    /// Entries from this number on.
    pub since: u64,
    pub until: State,
    /// At least so many bytes of the body have come.
    pub body: u64,
    pub limit: usize,
    /// A wait ends when so many entries fit.
    pub count: usize,
}

impl Default for Question {
    fn default() -> Self {
        let limit = limits::LEDGER_PAGE;
        Self { id: None, target: None, since: 0, until: State::Begun, body: 0, limit, count: 1 }
    }
}

impl Question {
    pub(super) fn fits(&self, entry: &Entry) -> bool {
        let is_there = match self.until {
            State::Begun => true,
            State::Body => entry.body_complete,
            State::Answering => entry.status.is_some(),
            State::Ended => entry.ended.is_some(),
            State::Complete => entry.ended.is_some() && entry.answered,
            State::Cut => entry.ended.is_some() && !entry.answered,
        };
        is_there
            && entry.sequence >= self.since
            && entry.body_length >= self.body
            && self.id.as_ref().is_none_or(|id| entry.id.as_deref() == Some(id))
            && self.target.as_ref().is_none_or(|part| entry.target.contains(part.as_str()))
    }
}
