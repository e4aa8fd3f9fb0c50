//! The types of settings: how each is written, read, judged and printed. A type never guesses: what it
//! cannot read it refuses with words and an example.

mod numbers;
mod places;

pub use numbers::ByteSize;
pub use places::{HostName, HostPort};

use super::problem::{Place, ProblemKind};
use super::tree::{Content, Node};
use std::path::Path;

/// Why a value was not taken. Without a place of its own it is blamed on the whole value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) place: Option<Place>,
    pub(super) message: String,
    pub(super) instead: String,
    pub(super) kind: ProblemKind,
}

impl Fault {
    pub fn new(message: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { place: None, message: message.into(), instead: instead.into(), kind: ProblemKind::Configuration }
    }

    /// A fault of a certificate or key.
    pub fn of_certificate(message: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { kind: ProblemKind::Certificate, ..Self::new(message, instead) }
    }
}

/// A type that a setting can have.
pub trait Value: Sized {
    /// How documentation and messages call it: `duration`, `list of addresses`.
    fn kind() -> String;
    /// A value as somebody could write it.
    fn example() -> String;
    /// Reads text: the inside of a TOML string, or an environment variable as it is.
    fn from_text(text: &str, base: Option<&Path>) -> Result<Self, Fault>;
    /// As `check --print` shows it, in the syntax of the file.
    fn print(&self) -> String;

    /// Reads a number that fits; none for types that are not written as numbers.
    fn from_number(_: u64) -> Option<Result<Self, Fault>> {
        None
    }

    /// Reads a node; types that are not written as strings say how themselves.
    fn from_node(node: &Node, base: Option<&Path>) -> Result<Self, Vec<Fault>> {
        match &node.content {
            Content::String(text) | Content::Raw(text) => Self::from_text(text, base).map_err(|fault| vec![fault]),
            Content::Integer { digits, radix } => {
                let number = u64::from_str_radix(digits, *radix).ok();
                let value = number.and_then(Self::from_number).unwrap_or_else(|| Err(expected::<Self>("a number")));
                value.map_err(|fault| vec![fault])
            }
            other => Err(vec![expected::<Self>(other.kind())]),
        }
    }
}

fn expected<T: Value>(found: &str) -> Fault {
    Fault::new(format!("expected {}, found {found}", T::kind()), format!("write for example {}", T::example()))
}

fn quoted(text: &str) -> String {
    // A TOML basic string is a JSON string, but for the escape of DEL; good enough to show.
    format!("{text:?}")
}

impl Value for String {
    fn kind() -> String {
        "string".to_owned()
    }
    fn example() -> String {
        "\"text\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::new("is empty", "write a text or leave the key out"));
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\r') {
            return Err(Fault::new("holds control characters", "remove them"));
        }
        Ok(text.to_owned())
    }
    fn print(&self) -> String {
        quoted(self)
    }
}

impl Value for bool {
    fn kind() -> String {
        "boolean".to_owned()
    }
    fn example() -> String {
        "true".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        text.parse().map_err(|_| expected::<Self>(&quoted(text)))
    }
    fn print(&self) -> String {
        self.to_string()
    }
    fn from_node(node: &Node, base: Option<&Path>) -> Result<Self, Vec<Fault>> {
        match &node.content {
            Content::Boolean(truth) => Ok(*truth),
            Content::Raw(text) => Self::from_text(text, base).map_err(|fault| vec![fault]),
            other => Err(vec![expected::<Self>(other.kind())]),
        }
    }
}

impl<T: Value> Value for Vec<T> {
    fn kind() -> String {
        format!("list of {}", plural(&T::kind()))
    }
    fn example() -> String {
        format!("[{}]", T::example().replace(" or ", ", "))
    }
    fn from_text(text: &str, base: Option<&Path>) -> Result<Self, Fault> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let place = Place::Whole { name: String::new() };
        items
            .map(|item| T::from_node(&Node { place: place.clone(), content: Content::Raw(item.to_owned()) }, base))
            .collect::<Result<_, _>>()
            .map_err(|mut faults| faults.swap_remove(0))
    }
    fn print(&self) -> String {
        format!("[{}]", self.iter().map(Value::print).collect::<Vec<_>>().join(", "))
    }
    fn from_node(node: &Node, base: Option<&Path>) -> Result<Self, Vec<Fault>> {
        match &node.content {
            Content::List(nodes) => list(nodes, base),
            Content::Raw(text) => Self::from_text(text, base).map_err(|fault| vec![fault]),
            other => Err(vec![expected::<Self>(other.kind())]),
        }
    }
}

fn list<T: Value>(nodes: &[Node], base: Option<&Path>) -> Result<Vec<T>, Vec<Fault>> {
    let mut values = Vec::with_capacity(nodes.len());
    let mut faults = Vec::new();
    for node in nodes {
        match T::from_node(node, base) {
            Ok(value) => values.push(value),
            Err(found) => faults.extend(found.into_iter().map(|mut fault| {
                fault.place.get_or_insert_with(|| node.place.clone());
                fault
            })),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults) }
}

fn plural(kind: &str) -> String {
    match kind {
        "address" => "addresses".to_owned(),
        "host and port" => "hosts and ports".to_owned(),
        "path or PEM text" => "paths or PEM texts".to_owned(),
        "role id or range" => "role ids or ranges".to_owned(),
        kind if kind.starts_with("one of ") => kind.to_owned(),
        kind => format!("{kind}s"),
    }
}

/// Reads one of a few names; the list gives each name and what it means.
pub fn by_name<T: Copy>(text: &str, names: &[(&str, T)]) -> Result<T, Fault> {
    names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let known = names.iter().map(|(name, _)| *name);
        let instead = match super::nearest::nearest(text, known.clone()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write {}", list_names(known)),
        };
        Fault::new(format!("{} is not known", quoted(text)), instead)
    })
}

/// `"a", "b" or "c"`.
pub fn list_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Makes an enum a setting that is written by name.
#[macro_export]
macro_rules! named_setting {
    ($type:ty, $names:expr) => {
        impl $crate::configuration::Value for $type {
            fn kind() -> String {
                $crate::configuration::list_names($names.iter().map(|(name, _)| *name))
            }
            fn example() -> String {
                Self::kind()
            }
            fn from_text(text: &str, _: Option<&std::path::Path>) -> Result<Self, $crate::configuration::Fault> {
                $crate::configuration::by_name(text, &$names)
            }
            fn print(&self) -> String {
                let name = $names.iter().find(|(_, value)| value == self).map_or("", |(name, _)| *name);
                format!("\"{name}\"")
            }
        }
    };
}
