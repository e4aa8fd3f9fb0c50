//! The receiving half of an exchange, as a state machine without I/O. Both ends read with it.
//!
//! ```text
//!            head                data*            end
//!  AwaitHead ------> Body ------> Body --------------> Ended
//!      |  handed*     |
//!      | refused      +-- handed, head, refused --> Violation
//!      v
//!   Refused         (any message after Ended or Refused --> Violation)
//! ```

/// What a message said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Head,
    Data,
    End,
    HandedToRole,
    Refused,
}

/// How far an exchange has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    AwaitHead,
    Body,
    Ended,
    Refused,
}

/// The other end broke the rules of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end sent {said:?} when the exchange was at {at:?}")]
pub struct Violation {
    pub at: Received,
    pub said: Said,
}

impl Received {
    /// The state after a message, or the rule that it broke.
    pub const fn after(self, said: Said) -> Result<Received, Violation> {
        match (self, said) {
            (Received::AwaitHead, Said::Head) => Ok(Received::Body),
            (Received::AwaitHead, Said::HandedToRole) => Ok(Received::AwaitHead),
            (Received::AwaitHead, Said::Refused) => Ok(Received::Refused),
            (Received::Body, Said::Data) => Ok(Received::Body),
            (Received::Body, Said::End) => Ok(Received::Ended),
            (at @ Received::AwaitHead, said @ (Said::Data | Said::End))
            | (at @ Received::Body, said @ (Said::Head | Said::HandedToRole | Said::Refused))
            | (at @ (Received::Ended | Received::Refused), said) => Err(Violation { at, said }),
        }
    }

    /// Nothing more may come.
    pub const fn is_final(self) -> bool {
        matches!(self, Received::Ended | Received::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [Received; 4] = [Received::AwaitHead, Received::Body, Received::Ended, Received::Refused];
    const EVENTS: [Said; 5] = [Said::Head, Said::Data, Said::End, Said::HandedToRole, Said::Refused];

    #[test]
    fn every_pair_of_state_and_event_is_decided() {
        let allowed = [
            (Received::AwaitHead, Said::Head, Received::Body),
            (Received::AwaitHead, Said::HandedToRole, Received::AwaitHead),
            (Received::AwaitHead, Said::Refused, Received::Refused),
            (Received::Body, Said::Data, Received::Body),
            (Received::Body, Said::End, Received::Ended),
        ];
        let mut pairs = 0;
        for at in STATES {
            for said in EVENTS {
                let expected = allowed
                    .iter()
                    .find(|(state, event, _)| *state == at && *event == said)
                    .map_or(Err(Violation { at, said }), |(_, _, next)| Ok(*next));
                assert_eq!(at.after(said), expected, "{at:?} x {said:?}");
                pairs += 1;
            }
        }
        assert_eq!(pairs, STATES.len() * EVENTS.len());
    }
}
