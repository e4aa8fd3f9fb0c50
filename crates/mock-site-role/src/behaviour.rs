//! How a request says what it wants to happen: by the header `X-Role-Behaviour: name?parameters`, or by a
//! path segment `_` followed by the name, with the query as parameters. Anything else is an echo.

mod known;
mod parameters;

pub use known::{Behaviour, KNOWN};
pub use parameters::{BadParameter, Parameters};

use crate::wire::{RawHead, latin1};

/// What a request wants.
#[derive(Clone, Debug)]
pub struct Wish {
    pub behaviour: Behaviour,
    /// The path after the name.
    pub rest: String,
    pub parameters: Parameters,
}

/// A name that is no behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl Wish {
    pub fn of(head: &RawHead) -> Result<Self, Unknown> {
        let text = match head.field("x-role-behaviour") {
            Some(value) => latin1(value),
            None => match after_mark(&latin1(&head.target)) {
                Some(text) => text,
                None => return Ok(Self::echo()),
            },
        };
        let (path, query) = text.split_once('?').unwrap_or((&text, ""));
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        let behaviour = KNOWN.iter().find(|known| known.name == name).ok_or_else(|| Unknown(name.to_owned()))?;
        Ok(Self { behaviour: behaviour.behaviour, rest: rest.to_owned(), parameters: Parameters::parse(query) })
    }

    fn echo() -> Self {
        Self { behaviour: Behaviour::Echo, rest: String::new(), parameters: Parameters::parse("") }
    }
}

/// What follows the first segment `_` of the path.
fn after_mark(target: &str) -> Option<String> {
    let path_end = target.find('?').unwrap_or(target.len());
    let at = target.get(..path_end)?.find("/_/")?;
    target.get(at + 3..).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn wish(target: &str, fields: &str) -> Result<Wish, Unknown> {
        Wish::of(&RawHead::parse(Bytes::from(format!("GET {target} HTTP/1.1\r\n{fields}\r\n"))))
    }

    #[test]
    fn path_and_header_say_what_happens() {
        let by_path = wish("/SMS_MP/_/status/404?reason=Not%20Here&empty=", "").unwrap();
        assert_eq!((by_path.behaviour, by_path.rest.as_str()), (Behaviour::Status, "404"));
        assert_eq!(by_path.parameters.text("reason"), Some("Not Here"));
        assert_eq!(by_path.parameters.text("empty"), Some(""));
        let by_header = wish("/CCM_Incoming/{4F2C}", "X-Role-Behaviour: huge?bytes=10\r\n").unwrap();
        assert_eq!((by_header.behaviour, by_header.parameters.number("bytes", 0)), (Behaviour::Huge, Ok(10)));
        assert_eq!(wish("/anything?x=/_/huge", "").unwrap().behaviour, Behaviour::Echo);
        assert_eq!(wish("/a/_/hug", "").unwrap_err(), Unknown("hug".to_owned()));
    }

    #[test]
    fn the_readme_describes_every_behaviour() {
        let readme = include_str!("../README.md");
        for known in KNOWN {
            assert!(readme.contains(&format!("`{}`", known.name)), "README.md says nothing of {}", known.name);
        }
    }
}
