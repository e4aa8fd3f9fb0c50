//! What became of a request, as its sender saw it. Exactly one of these.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The role's answer, whole and right.
    Answered,
    /// The gateway's own answer, whole, with a code.
    Refused,
    /// The connection or stream broke off visibly before the end of the answer.
    Cut,
    /// The connection was closed in good order after the request was sent, and nothing was said of it.
    Lost,
    /// The answer came to its end and is not the right one.
    Corrupted,
    /// Nothing happened for longer than anybody waits.
    TimedOut,
    /// HTTP/2 said of the stream that it was not looked at; another connection may take the request.
    HandedBack,
    /// There was no connection to send it on: no request existed.
    NotConnected,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Answered => "answered",
            Outcome::Refused => "refused",
            Outcome::Cut => "cut",
            Outcome::Lost => "lost",
            Outcome::Corrupted => "corrupted",
            Outcome::TimedOut => "timed out",
            Outcome::HandedBack => "handed back",
            Outcome::NotConnected => "not connected",
        }
    }
}
