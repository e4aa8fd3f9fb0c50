//! A parsed configuration with the place of every value. Made from TOML; overrides are merged into it
//! before anything is read.

use super::problem::{Place, Problem, ProblemKind, Problems};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it came from.
#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    String(String),
    /// Digits and base; whether it fits is judged by the one who reads it.
    Integer {
        digits: String,
        radix: u32,
    },
    Boolean(bool),
    /// A float or a date: no setting is one.
    Other {
        kind: &'static str,
    },
    List(Vec<Node>),
    Table(Branch),
    /// Text of an environment variable or flag; the setting's type decides how to read it.
    Raw(String),
}

impl Content {
    /// The kind of value in words, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Content::String(_) => "a string",
            Content::Integer { .. } => "a number",
            Content::Boolean(_) => "true or false",
            Content::Other { kind } => kind,
            Content::List(_) => "a list",
            Content::Table(_) => "a table",
            Content::Raw(_) => "text",
        }
    }
}

/// The keys of a table, each with the place where it is written.
pub type Branch = BTreeMap<String, Entry>;

#[derive(Clone, Debug)]
pub struct Entry {
    pub key_place: Place,
    pub node: Node,
}

/// Finds line and column of byte offsets.
struct Lines<'t> {
    name: &'t str,
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(name: &'t str, text: &'t str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { name, text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        // Counted once for every value of the line: in a line that no person wrote, bytes will do.
        const LINE: usize = 4000;
        let column = if before.len() > LINE { before.len() } else { before.chars().count() };
        Place::File { name: self.name.to_owned(), line, column: column + 1 }
    }
}

/// Parses a file. All faults of syntax are reported, and only those: values of a broken file are not judged.
pub fn parse(name: &str, text: &str) -> Result<Branch, Problems> {
    let lines = Lines::new(name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(branch(table.into_inner(), &lines));
    }
    let mut problems = Problems::default();
    for error in errors {
        problems.push(Problem {
            place: lines.place(error.span().map_or(0, |span| span.start)),
            key: String::new(),
            message: format!("not valid TOML: {}", error.message().replace('\n', "; ")),
            instead: String::new(),
            kind: ProblemKind::Configuration,
        });
    }
    Err(problems.sorted())
}

/// Parses one value as it would stand behind a `=`. The place of every part is `place`.
pub fn parse_value(text: &str, place: &Place) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let mut node = node(value, &Lines::new("", text));
    put(&mut node, place);
    Some(node)
}

fn put(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.content {
        Content::List(nodes) => nodes.iter_mut().for_each(|node| put(node, place)),
        Content::Table(branch) => branch.values_mut().for_each(|entry| {
            entry.key_place = place.clone();
            put(&mut entry.node, place);
        }),
        _ => {}
    }
}

fn branch(table: DeTable<'_>, lines: &Lines<'_>) -> Branch {
    let entries = table.into_iter().map(|(key, value)| {
        let entry = Entry { key_place: lines.place(key.span().start), node: node(value, lines) };
        (key.into_inner().into_owned(), entry)
    });
    entries.collect()
}

fn node(value: Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    let place = lines.place(value.span().start);
    let content = match value.into_inner() {
        DeValue::String(text) => Content::String(text.into_owned()),
        DeValue::Integer(number) => Content::Integer { digits: number.as_str().to_owned(), radix: number.radix() },
        DeValue::Float(_) => Content::Other { kind: "a decimal fraction" },
        DeValue::Boolean(truth) => Content::Boolean(truth),
        DeValue::Datetime(_) => Content::Other { kind: "a date" },
        DeValue::Array(values) => Content::List(values.into_iter().map(|value| node(value, lines)).collect()),
        DeValue::Table(table) => Content::Table(branch(table, lines)),
    };
    Node { place, content }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let branch = parse("f.toml", "a = 1\n[t]\n\"ü\" = 2\n").unwrap();
        let Content::Table(table) = &branch["t"].node.content else { panic!("a table") };
        assert_eq!(table["ü"].key_place.to_string(), "f.toml:3:1");
        assert_eq!(table["ü"].node.place.to_string(), "f.toml:3:7");
    }

    #[test]
    fn every_fault_of_syntax_is_reported() {
        let problems = parse("f.toml", "a = \nb = 1\nb = 2\n[c\n").unwrap_err();
        assert!(problems.len() >= 3, "{problems}");
        assert!(problems.to_string().starts_with("f.toml:1:"), "{problems}");
        assert!(problems.to_string().contains("\nf.toml:3:1: not valid TOML: duplicate key"), "{problems}");
    }
}
