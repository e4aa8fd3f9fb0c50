//! Kinds of requests, and how often each comes.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::LoadError;
use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Get,
    Head,
    Propfind,
    CcmPost,
    /// POST whose body comes back.
    Post,
    /// A large body, chunked or with its length.
    BitsPost,
    Put,
    Download,
    /// A part of a file.
    Range,
    /// An answer that comes in pieces.
    Slow,
    /// A wait that ends within a second, released or not.
    Poll,
    /// A wait that may outlast a drain: of the clients that only wait.
    Wait,
    /// Held at a gate while harm is done.
    HeldGet,
    HeldPost,
    /// The role's own error.
    RoleError,
    /// Something that is not published, which the gateway must refuse.
    Unpublished,
}

impl Kind {
    pub const ALL: [(Kind, &'static str, &'static str); 16] = [
        (Kind::Get, "get", "GET"),
        (Kind::Head, "head", "HEAD"),
        (Kind::Propfind, "propfind", "PROPFIND"),
        (Kind::CcmPost, "ccm-post", "CCM_POST"),
        (Kind::Post, "post", "POST"),
        (Kind::BitsPost, "bits-post", "BITS_POST"),
        (Kind::Put, "put", "PUT"),
        (Kind::Download, "download", "GET"),
        (Kind::Range, "range", "GET"),
        (Kind::Slow, "slow", "GET"),
        (Kind::Poll, "poll", "GET"),
        (Kind::Wait, "wait", "GET"),
        (Kind::HeldGet, "held-get", "GET"),
        (Kind::HeldPost, "held-post", "POST"),
        (Kind::RoleError, "role-error", "GET"),
        (Kind::Unpublished, "unpublished", "GET"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    pub fn method(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(.., method)| method)
    }

    /// Whether the product may send it to a role a second time.
    pub fn is_repeatable(self) -> bool {
        matches!(self.method(), "GET" | "HEAD" | "PROPFIND" | "OPTIONS")
    }

    /// Whether it is sent only where harm is done.
    pub fn is_held(self) -> bool {
        matches!(self, Kind::HeldGet | Kind::HeldPost)
    }

    /// Whether no role may ever see it.
    pub fn must_be_refused(self) -> bool {
        self == Kind::Unpublished
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Kinds with their weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(Vec<(Kind, u64)>);

impl Default for Mix {
    /// Mostly small, as clients of the products are, and some of everything.
    fn default() -> Self {
        Self(vec![
            (Kind::Get, 34),
            (Kind::Head, 8),
            (Kind::Propfind, 8),
            (Kind::CcmPost, 18),
            (Kind::Post, 12),
            (Kind::BitsPost, 1),
            (Kind::Put, 1),
            (Kind::Download, 2),
            (Kind::Range, 6),
            (Kind::Slow, 2),
            (Kind::Poll, 2),
            (Kind::RoleError, 3),
            (Kind::Unpublished, 3),
        ])
    }
}

impl Mix {
    pub fn only(kind: Kind) -> Self {
        Self(vec![(kind, 1)])
    }

    pub(crate) fn pick(&self, random: &mut Random) -> Kind {
        let total: u64 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut left = random.between(1, total.max(1));
        for (kind, weight) in &self.0 {
            if left <= *weight {
                return *kind;
            }
            left -= weight;
        }
        Kind::Get
    }
}

impl FromStr for Mix {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, LoadError> {
        let wrong = || {
            let kinds = Kind::ALL.map(|(_, name, _)| name).join(", ");
            LoadError::Mix { text: text.to_owned(), kinds }
        };
        let mut mix = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let (kind, ..) = Kind::ALL.iter().find(|(_, known, _)| *known == name).ok_or_else(wrong)?;
            mix.push((*kind, weight.parse().map_err(|_| wrong())?));
        }
        if mix.iter().all(|(_, weight)| *weight == 0) { Err(wrong()) } else { Ok(Self(mix)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_and_picked_from() {
        let mix: Mix = "get=3, post=1".parse().unwrap();
        let mut random = Random::new(1, 1);
        let picked: Vec<Kind> = (0..1000).map(|_| mix.pick(&mut random)).collect();
        let gets = picked.iter().filter(|kind| **kind == Kind::Get).count();
        assert!((650..850).contains(&gets) && picked.contains(&Kind::Post), "{gets}");
        assert_eq!("head".parse::<Mix>().unwrap(), Mix::only(Kind::Head));
        for wrong in ["", "fetch=1", "get=x", "get=0"] {
            assert!(wrong.parse::<Mix>().unwrap_err().to_string().contains("ccm-post"), "{wrong}");
        }
    }

    #[test]
    fn what_may_be_repeated_is_what_the_requirements_name() {
        let repeatable: Vec<&str> =
            Kind::ALL.iter().filter(|(kind, ..)| !kind.is_repeatable()).map(|(.., method)| *method).collect();
        assert_eq!(repeatable, ["CCM_POST", "POST", "BITS_POST", "PUT", "POST"]);
    }
}
