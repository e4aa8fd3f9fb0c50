//! Programs that were stopped under the load: which requests each of them met, and what that excuses. Whoever stops
//! programs and whoever sends requests read one clock, so that no margin is needed for it. A moment is written down on
//! the side that excuses less or, where causes are in doubt, on the side of causality: nobody can know that a program
//! is gone before the news has come.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::joined::View;
use super::rules::{ENDED_BY_DRAIN, TUNNEL_LOST, has_begun};
use crate::kind::Kind;
use crate::limits;
use crate::record::Unsent;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The one at this place of the site's addresses.
    Gateway(usize),
    /// By its name in the gateways' logs.
    ConnectionPoint(String),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Gateway(at) => write!(f, "gateway {}", at + 1),
            Stopped::ConnectionPoint(name) => write!(f, "connection point {name}"),
        }
    }
}

impl Serialize for Stopped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// In good order: what outlasts this deadline is ended.
    Asked { deadline: Duration },
    /// By kill -9.
    Killed,
}

/// A program that was stopped and came back. All times are since the run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stop {
    pub program: Stopped,
    pub how: How,
    /// Just before the signal was sent.
    pub from: Duration,
    /// Its process had ended.
    pub gone: Duration,
    /// Everybody who was connected to it had noticed.
    pub noticed: Duration,
    /// It was there again, with every tunnel.
    pub back: Duration,
}

/// What a stop has to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    Not,
    /// It was under way there.
    InFlight,
    /// It was sent there when nobody was there any more, and who sent it there could not know.
    Late,
}

impl Stop {
    pub fn is_kill(&self) -> bool {
        self.how == How::Killed
    }

    pub fn met(&self, view: &View<'_>) -> Met {
        let sent = view.sent;
        let (carried, unknown_until) = match &self.program {
            // A client that kept a connection learns of its end when it looks. New ones come to nobody until it is back.
            Stopped::Gateway(at) => (sent.gateway == *at, self.back),
            Stopped::ConnectionPoint(name) => (view.went_through(name), self.noticed),
        };
        match () {
            () if !carried || sent.ended < self.from || sent.began > unknown_until => Met::Not,
            () if sent.began > self.gone => Met::Late,
            () => Met::InFlight,
        }
    }

    /// Whether a request broke off because of it.
    pub fn excuses_cut(&self, view: &View<'_>) -> bool {
        match (self.how, &self.program) {
            (How::Asked { deadline }, _) => self.outlasted(deadline, view),
            (How::Killed, Stopped::Gateway(_)) => self.met(view) != Met::Not,
            (How::Killed, Stopped::ConnectionPoint(_)) => {
                self.met(view) != Met::Not && has_begun(view) && view.logged_code() == Some(TUNNEL_LOST)
            }
        }
    }

    /// Whether the gateway had to refuse a request because of it. What only reads goes to another connection point.
    pub fn excuses_refusal(&self, view: &View<'_>) -> bool {
        match (self.how, &self.program) {
            (How::Asked { deadline }, _) => self.outlasted(deadline, view),
            (How::Killed, Stopped::Gateway(_)) => false,
            (How::Killed, Stopped::ConnectionPoint(_)) => {
                let is_lost = view.sent.code.as_deref() == Some(TUNNEL_LOST);
                self.met(view) != Met::Not && is_lost && !view.sent.kind.is_repeatable()
            }
        }
    }

    /// A wait that was there when the deadline came. Nothing else lasts so long.
    fn outlasted(&self, deadline: Duration, view: &View<'_>) -> bool {
        let code = view.sent.code.as_deref().or(view.logged_code());
        let is_wait = view.sent.kind == Kind::Wait && code == Some(ENDED_BY_DRAIN);
        is_wait && self.met(view) == Met::InFlight && view.sent.ended >= self.from + deadline
    }

    /// A gateway that leaves says of streams that it did not look at them.
    pub fn excuses_handing_back(&self, view: &View<'_>) -> bool {
        !self.is_kill() && matches!(self.program, Stopped::Gateway(_)) && self.met(view) == Met::InFlight
    }

    /// A gateway that was killed could not write down what it did last.
    pub fn excuses_missing_line(&self, view: &View<'_>) -> bool {
        let sent = view.sent;
        let is_here = self.program == Stopped::Gateway(sent.gateway);
        self.is_kill() && is_here && sent.ended + limits::UNWRITTEN_LINES >= self.from && sent.began <= self.back
    }

    /// Nobody listens while a gateway is away.
    pub fn excuses_unsent(&self, unsent: &Unsent) -> bool {
        let is_here = self.program == Stopped::Gateway(unsent.gateway);
        is_here && unsent.ended >= self.from && unsent.began <= self.back
    }

    /// Whether a request was surely under way there when it happened; what was sent again was there before.
    pub fn surely_met(&self, view: &View<'_>) -> bool {
        let sent = view.sent;
        let was_here = match &self.program {
            Stopped::Gateway(at) => sent.gateway == *at,
            Stopped::ConnectionPoint(name) => view.went_through(name) != view.was_moved(),
        };
        was_here && sent.began <= self.from && sent.ended >= self.gone
    }
}
