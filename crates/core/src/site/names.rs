//! Site codes and role ids. One spelling each, so that comparing bytes compares what is meant.

use crate::configuration::{Fault, Value};
use std::fmt;
use std::path::Path;

/// The code of a site, such as `PS1`: capital letters and digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteCode(String);

impl SiteCode {
    /// Configuration Manager has three characters; other services may want some more.
    const LONGEST: usize = 8;

    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= Self::LONGEST;
        let spelled = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        (fits && spelled).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SiteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for SiteCode {
    fn kind() -> String {
        "site code".to_owned()
    }
    fn example() -> String {
        "\"PS1\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        Self::parse(text).ok_or_else(|| {
            let instead = match Self::parse(&text.to_ascii_uppercase()) {
                Some(upper) => format!("write \"{upper}\""),
                None => format!("write 1 to {} capital letters and digits, for example \"PS1\"", Self::LONGEST),
            };
            Fault::new(format!("{text:?} is not a site code"), instead)
        })
    }
    fn print(&self) -> String {
        format!("\"{self}\"")
    }
}

/// The number of a role, unique in the whole hierarchy. Its digits mean nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleId(pub u64);

impl RoleId {
    /// Reads the decimal digits of a path segment. Leading zeros are refused: one role, one spelling.
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        let (first, others) = digits.split_first()?;
        if *first == b'0' && !others.is_empty() {
            return None;
        }
        digits
            .iter()
            .try_fold(0_u64, |number, digit| {
                let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
                number.checked_mul(10)?.checked_add(digit)
            })
            .map(Self)
    }
}

impl fmt::Display for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Value for RoleId {
    fn kind() -> String {
        "role id".to_owned()
    }
    fn example() -> String {
        "72057594037927941".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        Self::from_digits(text.as_bytes()).ok_or_else(|| {
            let instead = format!("write a whole number without leading zeros, at most {}", u64::MAX);
            Fault::new(format!("{text:?} is not a role id"), instead)
        })
    }
    fn from_number(number: u64) -> Option<Result<Self, Fault>> {
        Some(Ok(Self(number)))
    }
    fn print(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_ids_have_one_spelling() {
        for id in [0, 8, 3456, 72_057_594_037_927_941, u64::MAX] {
            assert_eq!(RoleId::from_digits(id.to_string().as_bytes()), Some(RoleId(id)));
        }
        for text in ["", "00", "08", "+8", "-8", " 8", "8 ", "0x8", "8a", "18446744073709551616", "٨"] {
            assert_eq!(RoleId::from_digits(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn site_codes_are_capitals_and_digits() {
        assert!(SiteCode::parse("PS1").is_some());
        for text in ["", "ps1", "PS 1", "PS1/", "ABCDEFGHI", "Ü"] {
            assert!(SiteCode::parse(text).is_none(), "{text}");
        }
        assert_eq!(
            SiteCode::from_text("ps1", None).unwrap_err(),
            Fault::new("\"ps1\" is not a site code", "write \"PS1\"")
        );
    }
}
