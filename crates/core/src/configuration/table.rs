//! Reads the keys of one table. Each key is asked for by name, type and default; what nobody asked for is an
//! unknown key. Tables that a file leaves out are still walked through, silently, so that every key is known.

use super::nearest::nearest;
use super::problem::{Place, Problem, ProblemKind, Problems};
use super::record::{Reading, Setting};
use super::tree::{Branch, Content, Entry, Node};
use super::value::{Fault, Value};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// What all tables of one document share.
pub(super) struct Reader {
    base: Option<PathBuf>,
    problems: RefCell<Problems>,
    reading: RefCell<Reading>,
    unknown: RefCell<Vec<Unknown>>,
}

/// A key that nobody asked for; explained when all known keys are known.
struct Unknown {
    problem: Problem,
    name: String,
    near: Option<String>,
    siblings: Vec<&'static str>,
}

impl Reader {
    pub(super) fn new(base: Option<PathBuf>, problems: Problems) -> Self {
        Self { base, problems: RefCell::new(problems), reading: RefCell::default(), unknown: RefCell::default() }
    }

    pub(super) fn finish(self) -> (Reading, Problems) {
        let reading = self.reading.into_inner();
        let mut problems = self.problems.into_inner();
        for unknown in self.unknown.into_inner() {
            let mut problem = unknown.problem;
            let elsewhere = || {
                let ending = format!(".{}", unknown.name);
                reading.known_keys().find(|known| known.key.ends_with(&ending)).map(|known| known.key.clone())
            };
            problem.instead = match unknown.near.or_else(elsewhere) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known here: {}", unknown.siblings.join(", ")),
            };
            problems.push(problem);
        }
        (reading, problems.sorted())
    }
}

/// One table while it is read. Ask for every key first and give up (`?`) last: a key that was not asked for
/// counts as unknown.
pub struct Table<'a> {
    reader: &'a Reader,
    branch: &'a Branch,
    place: Place,
    /// With element numbers, for problems.
    key: String,
    /// With `[]`, for the documentation.
    pattern: String,
    asked: Vec<&'static str>,
    /// Keys that are asked for only to refuse them: never suggested.
    retired: Vec<&'static str>,
    /// The file does not have this table: keys become known, nothing is wrong and nothing is in force.
    silent: bool,
}

static NO_KEYS: Branch = Branch::new();

impl<'a> Table<'a> {
    pub(super) fn root(reader: &'a Reader, branch: &'a Branch, place: Place) -> Self {
        Self {
            reader,
            branch,
            place,
            key: String::new(),
            pattern: String::new(),
            asked: Vec::new(),
            retired: Vec::new(),
            silent: false,
        }
    }

    /// Reads with a function, then reports what nobody asked for.
    pub(super) fn read<T>(mut self, read: impl FnOnce(&mut Table<'a>) -> T) -> T {
        let value = read(&mut self);
        let asked = |name: &str| self.asked.contains(&name) || self.retired.contains(&name);
        for (name, entry) in self.branch.iter().filter(|(name, _)| !asked(name)) {
            let problem = self.as_problem(entry.key_place.clone(), name, Fault::new("unknown key", ""));
            let near = nearest(name, self.asked.iter().copied()).map(str::to_owned);
            let unknown = Unknown { problem, name: name.clone(), near, siblings: self.asked.clone() };
            self.reader.unknown.borrow_mut().push(unknown);
        }
        value
    }

    /// A key that must be there.
    pub fn required<T: Value>(&mut self, name: &'static str) -> Option<T> {
        self.knows::<T>(name, "required".to_owned());
        if !self.branch.contains_key(name) {
            let instead = format!("write {name} = {}", T::example());
            self.problem_with(self.place.clone(), name, Fault::new("is missing", instead));
        }
        self.value(name)
    }

    /// A key that may be left out. None too when its value is wrong: that problem is collected.
    pub fn optional<T: Value>(&mut self, name: &'static str) -> Option<T> {
        self.knows::<T>(name, "none".to_owned());
        self.value(name)
    }

    /// A key whose default depends on others; `words` say how, in the documentation.
    pub fn described<T: Value>(&mut self, name: &'static str, words: &str) -> Option<T> {
        self.knows::<T>(name, words.to_owned());
        self.value(name)
    }

    /// A value for a key that stands elsewhere, as in a variable that many programs share: judged and shown like one
    /// that the file has.
    pub fn value_from<T: Value>(&self, name: &str, text: &str, place: Place) -> Option<T> {
        match T::from_text(text, self.base()) {
            Ok(value) => {
                self.in_force(name, &value, Some(place));
                Some(value)
            }
            Err(fault) => {
                self.problem_with(place, name, fault);
                None
            }
        }
    }

    /// A key with a default.
    pub fn default<T: Value>(&mut self, name: &'static str, default: T) -> T {
        self.knows::<T>(name, default.print());
        match self.value(name) {
            Some(value) => value,
            None => {
                self.in_force(name, &default, None);
                default
            }
        }
    }

    /// A table of its own; without it in the file its defaults hold and its required keys are missing.
    pub fn table<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Table<'a>) -> T) -> T {
        let inner = self.inner(name);
        match inner {
            Some(table) => table.read(read),
            None => self.empty(name, self.silent).read(read),
        }
    }

    /// A table that may be left out.
    pub fn optional_table<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Table<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.inner(name) {
            Some(table) => table.read(read),
            None => {
                self.empty(name, true).read(read);
                None
            }
        }
    }

    /// A table whose keys are names that the file chooses; each value is a table.
    pub fn named_tables<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&str, &mut Table<'a>) -> Option<T>,
    ) -> Vec<T> {
        let inner = self.inner(name);
        let mut silent = self.empty(name, true);
        silent.pattern.push_str(".<name>");
        silent.read(|table| read("", table));
        let Some(inner) = inner else { return Vec::new() };
        let mut values = Vec::new();
        for (name, entry) in inner.branch {
            if let Some(table) =
                inner.nested(entry, format!("{}.{name}", inner.key), format!("{}.<name>", inner.pattern))
            {
                values.extend(table.read(|table| read(name, table)));
            }
        }
        values
    }

    /// A list of tables; an element whose function returns None is left out, its problems are collected.
    pub fn tables<T>(&mut self, name: &'static str, mut read: impl FnMut(&mut Table<'a>) -> Option<T>) -> Vec<T> {
        self.asked.push(name);
        let pattern = format!("{}[]", self.pattern_of(name));
        let mut silent = self.empty(name, true);
        silent.pattern.clone_from(&pattern);
        silent.read(&mut read);
        let Some(entry) = self.branch.get(name) else { return Vec::new() };
        let nodes = match &entry.node.content {
            Content::List(nodes) => nodes,
            other => {
                let message = format!("expected a list of tables, found {}", other.kind());
                let instead = format!("write [[{}]] above each", self.key_of(name));
                self.problem_with(entry.node.place.clone(), name, Fault::new(message, instead));
                return Vec::new();
            }
        };
        let mut values = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let key = format!("{}[{}]", self.key_of(name), index + 1);
            if let Some(table) = self.nested_node(node, &node.place, key, pattern.clone()) {
                values.extend(table.read(&mut read));
            }
        }
        values
    }

    /// A key that a later version will understand; refused until then, with words of its own.
    pub fn not_available(&mut self, name: &'static str, message: &str, instead: &str) {
        self.retired.push(name);
        if let Some(entry) = self.branch.get(name) {
            self.problem_with(entry.key_place.clone(), name, Fault::new(message, instead));
        }
    }

    /// Reports a problem with the value of a key, or with the table when the key is not written.
    pub fn problem(&self, name: &str, message: impl Into<String>, instead: impl Into<String>) {
        self.fault(name, Fault::new(message, instead));
    }

    /// The same for a fault that was found by somebody else.
    pub fn fault(&self, name: &str, fault: Fault) {
        let entry = self.branch.get(name);
        let place = entry.map_or_else(|| self.place.clone(), |entry| entry.node.place.clone());
        self.problem_with(place, name, fault);
    }

    /// Blames one element of a list, counted from 0.
    pub fn element_fault(&self, name: &str, index: usize, fault: Fault) {
        let node = self.branch.get(name).map(|entry| &entry.node);
        let element = node.and_then(|node| match &node.content {
            Content::List(nodes) => nodes.get(index),
            _ => Some(node),
        });
        let place = element.or(node).map_or_else(|| self.place.clone(), |node| node.place.clone());
        self.problem_with(place, name, fault);
    }

    /// Reports a problem at a place that was kept from reading: with what several tables have together.
    pub fn problem_at(&self, place: &Place, name: &str, message: impl Into<String>, instead: impl Into<String>) {
        self.problem_with(place.clone(), name, Fault::new(message, instead));
    }

    /// Where the table begins: for a problem that is found after reading.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Whether the file, the environment or a flag sets this key.
    pub fn has(&self, name: &str) -> bool {
        self.branch.contains_key(name)
    }

    /// The folder that relative paths start from; none when the source is no file.
    pub fn base(&self) -> Option<&'a Path> {
        self.reader.base.as_deref()
    }

    /// The file does not have this table and nothing that is read from it counts: do not load files.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    fn value<T: Value>(&mut self, name: &'static str) -> Option<T> {
        let entry = self.branch.get(name)?;
        match T::from_node(&entry.node, self.base()) {
            Ok(value) => {
                self.in_force(name, &value, Some(entry.node.place.clone()));
                Some(value)
            }
            Err(faults) => {
                for mut fault in faults {
                    let place = fault.place.take().unwrap_or_else(|| entry.node.place.clone());
                    self.problem_with(place, name, fault);
                }
                None
            }
        }
    }

    fn inner(&mut self, name: &'static str) -> Option<Table<'a>> {
        self.asked.push(name);
        let entry = self.branch.get(name)?;
        self.nested(entry, self.key_of(name), self.pattern_of(name))
    }

    fn nested(&self, entry: &'a Entry, key: String, pattern: String) -> Option<Table<'a>> {
        self.nested_node(&entry.node, &entry.key_place, key, pattern)
    }

    fn nested_node(&self, node: &'a Node, place: &Place, key: String, pattern: String) -> Option<Table<'a>> {
        match &node.content {
            Content::Table(branch) => Some(Table {
                reader: self.reader,
                branch,
                place: place.clone(),
                key,
                pattern,
                asked: Vec::new(),
                retired: Vec::new(),
                silent: self.silent,
            }),
            other => {
                let problem = Problem {
                    place: node.place.clone(),
                    message: format!("expected a table, found {}", other.kind()),
                    instead: format!("write [{pattern}] with its keys below"),
                    key,
                    kind: ProblemKind::Configuration,
                };
                self.reader.problems.borrow_mut().push(problem);
                None
            }
        }
    }

    fn empty(&self, name: &str, silent: bool) -> Table<'a> {
        Table {
            reader: self.reader,
            branch: &NO_KEYS,
            place: self.place.clone(),
            key: self.key_of(name),
            pattern: self.pattern_of(name),
            asked: Vec::new(),
            retired: Vec::new(),
            silent,
        }
    }

    fn knows<T: Value>(&mut self, name: &'static str, default: String) {
        self.asked.push(name);
        self.reader.reading.borrow_mut().knows(self.pattern_of(name), T::kind(), default);
    }

    fn in_force<T: Value>(&self, name: &str, value: &T, place: Option<Place>) {
        if !self.silent {
            let setting = Setting { key: self.key_of(name), value: value.print(), place };
            self.reader.reading.borrow_mut().found(setting);
        }
    }

    fn key_of(&self, name: &str) -> String {
        join(&self.key, name)
    }

    fn pattern_of(&self, name: &str) -> String {
        join(&self.pattern, name)
    }

    fn problem_with(&self, place: Place, name: &str, fault: Fault) {
        if !self.silent {
            let problem = self.as_problem(place, name, fault);
            self.reader.problems.borrow_mut().push(problem);
        }
    }

    fn as_problem(&self, place: Place, name: &str, fault: Fault) -> Problem {
        let place = fault.place.unwrap_or(place);
        let key = self.key_of(name);
        Problem { place, key, message: fault.message, instead: fault.instead, kind: fault.kind }
    }
}

/// An empty name stands for the table itself.
fn join(table: &str, name: &str) -> String {
    match (table, name) {
        ("", only) | (only, "") => only.to_owned(),
        (table, name) => format!("{table}.{name}"),
    }
}
