//! Settings that are numbers: counts, durations, byte sizes. A number with a unit is never read without it.

use super::{Fault, Value, expected, quoted};
use crate::configuration::tree::{Content, Node};
use std::path::Path;
use std::time::Duration;

fn integer(node: &Node) -> Result<u64, Fault> {
    let (digits, radix) = match &node.content {
        Content::Integer { digits, radix } => (digits.clone(), *radix),
        Content::Raw(text) => (text.replace('_', ""), 10),
        other => return Err(expected::<u64>(other.kind())),
    };
    let digits = digits.strip_prefix('+').unwrap_or(&digits);
    if digits.starts_with('-') {
        return Err(Fault::new("must not be negative", "write 0 or more"));
    }
    u64::from_str_radix(digits, radix).map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow => Fault::new("is too large", format!("write at most {}", u64::MAX)),
        _ => expected::<u64>(&quoted(digits)),
    })
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn kind() -> String {
                "integer".to_owned()
            }
            fn example() -> String {
                "100".to_owned()
            }
            fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
                Err(expected::<Self>(&format!("a string, {}", quoted(text))))
            }
            fn print(&self) -> String {
                self.to_string()
            }
            fn from_node(node: &Node, base: Option<&Path>) -> Result<Self, Vec<Fault>> {
                if let Content::String(text) = &node.content {
                    return Self::from_text(text, base).map_err(|fault| vec![fault]);
                }
                let number = integer(node).map_err(|fault| vec![fault])?;
                Self::try_from(number)
                    .map_err(|_| vec![Fault::new("is too large", format!("write at most {}", Self::MAX))])
            }
        }
    )*};
}
integers!(u64, u32, usize);

/// Splits `15m` into number and unit.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

impl Value for Duration {
    fn kind() -> String {
        "duration".to_owned()
    }
    fn example() -> String {
        "\"30s\", \"15m\" or \"500ms\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        // Far beyond any use, and far from overflow when milliseconds travel in 32 bits.
        const LONGEST: Duration = Duration::from_secs(366 * 86_400);
        let (number, unit) = number_and_unit(text).ok_or_else(|| expected::<Self>(&quoted(text)))?;
        let milliseconds = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            "d" => number.checked_mul(86_400_000),
            _ => return Err(expected::<Self>(&quoted(text))),
        };
        let duration = milliseconds.map(Duration::from_millis).filter(|duration| *duration <= LONGEST);
        duration.ok_or_else(|| Fault::new("is too long", "write at most \"366d\""))
    }
    fn print(&self) -> String {
        let milliseconds = self.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
        let unit = units.into_iter().find(|(size, _)| milliseconds > 0 && milliseconds.is_multiple_of(*size));
        match unit {
            Some((size, unit)) => format!("\"{}{unit}\"", milliseconds / size),
            None if milliseconds == 0 => "\"0s\"".to_owned(),
            None => format!("\"{milliseconds}ms\""),
        }
    }
    fn from_node(node: &Node, base: Option<&Path>) -> Result<Self, Vec<Fault>> {
        match &node.content {
            Content::String(text) | Content::Raw(text) => Self::from_text(text, base).map_err(|fault| vec![fault]),
            Content::Integer { digits, .. } => Err(vec![Fault::new(
                "a duration needs its unit",
                format!("write \"{digits}s\" for seconds, or use ms, m, h or d"),
            )]),
            other => Err(vec![expected::<Self>(other.kind())]),
        }
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

impl Value for ByteSize {
    fn kind() -> String {
        "byte size".to_owned()
    }
    fn example() -> String {
        "\"32MiB\" or \"16kB\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        let (number, unit) = number_and_unit(text).ok_or_else(|| expected::<Self>(&quoted(text)))?;
        let known = BYTE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let (_, size) = known.ok_or_else(|| expected::<Self>(&quoted(text)))?;
        number.checked_mul(*size).map(Self).ok_or_else(|| Fault::new("is too large", "write at most \"1000TiB\""))
    }
    fn print(&self) -> String {
        let fits = |(_, size): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*size);
        // The unit that needs the fewest digits: 16000 is "16kB", 32768 is "32KiB".
        let best = BYTE_UNITS.iter().filter(fits).min_by_key(|(_, size)| self.0 / size);
        best.map_or_else(|| "\"0B\"".to_owned(), |(name, size)| format!("\"{}{name}\"", self.0 / size))
    }
    fn from_node(node: &Node, base: Option<&Path>) -> Result<Self, Vec<Fault>> {
        match &node.content {
            Content::String(text) | Content::Raw(text) => Self::from_text(text, base).map_err(|fault| vec![fault]),
            Content::Integer { digits, .. } => Err(vec![Fault::new(
                "a byte size needs its unit",
                format!("write \"{digits}B\" for bytes, or use kB, KiB, MB, MiB, GiB or TiB"),
            )]),
            other => Err(vec![expected::<Self>(other.kind())]),
        }
    }
}
