//! Settings from outside the file: environment variables and flags. Merged into the tree before it is read,
//! so that they are judged like the file's own and blamed by their own names. Flag before environment
//! before file.

use super::problem::{Place, Problem, ProblemKind, Problems};
use super::tree::{self, Branch, Content, Entry, Node};

/// One setting from outside the file.
#[derive(Clone, Debug)]
pub struct Override {
    /// Key segments from the top: `["limits", "connections"]`.
    key: Vec<String>,
    text: String,
    place: Place,
}

/// Settings from outside the file, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<Override>);

/// Reads one `key=value` of a command line.
pub fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write key=value, such as limits.connections=1000")?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() {
        return Err("the key in front of = is missing".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

impl Overrides {
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes every variable of this process that begins with the prefix, such as `CMG_GATEWAY__`:
    /// `CMG_GATEWAY__LIMITS__CONNECTIONS` sets `limits.connections`.
    pub fn from_environment(prefix: &str) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            name.starts_with(prefix).then(|| (name, value.to_string_lossy().into_owned()))
        });
        Self::none().variables(prefix, variables)
    }

    /// The same for variables given by the caller.
    pub fn variables<N: Into<String>, V: Into<String>>(
        mut self,
        prefix: &str,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut found: Vec<(String, String)> =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        found.sort();
        for (name, text) in found {
            let Some(path) = name.strip_prefix(prefix) else { continue };
            let key = path.split("__").map(str::to_ascii_lowercase).collect();
            self.0.push(Override { key, text, place: Place::Variable { name } });
        }
        self
    }

    /// One `key = value` of the command line; `flag` is its name as typed.
    pub fn flag(mut self, flag: impl Into<String>, key: &str, value: impl Into<String>) -> Self {
        let key = key.split('.').map(str::to_owned).collect();
        self.0.push(Override { key, text: value.into(), place: Place::Flag { name: flag.into() } });
        self
    }

    /// The `--set key=value` of a command line, in their order.
    pub fn sets(self, pairs: &[(String, String)]) -> Self {
        pairs.iter().fold(self, |overrides, (key, value)| overrides.flag(format!("--set {key}"), key, value))
    }

    /// Puts each into the tree, later ones over earlier ones.
    pub(super) fn merge_into(self, root: &mut Branch) -> Problems {
        let mut problems = Problems::default();
        for one in self.0 {
            let key = one.key.join(".");
            let place = one.place.clone();
            if let Err(message) = merge(root, one) {
                problems.push(Problem {
                    place,
                    key,
                    message,
                    instead: "name a single setting, or give a whole list as TOML".to_owned(),
                    kind: ProblemKind::Configuration,
                });
            }
        }
        problems
    }
}

fn merge(root: &mut Branch, one: Override) -> Result<(), String> {
    let Override { mut key, text, place } = one;
    let last = key.pop().unwrap_or_default();
    if last.is_empty() || key.iter().any(String::is_empty) {
        return Err("a part of the key is empty".to_owned());
    }
    let mut branch = root;
    for segment in key {
        let entry = branch.entry(segment.clone()).or_insert_with(|| Entry {
            key_place: place.clone(),
            node: Node { place: place.clone(), content: Content::Table(Branch::new()) },
        });
        match &mut entry.node.content {
            Content::Table(inner) => branch = inner,
            other => return Err(format!("{segment:?} is {} in the file and has no keys of its own", other.kind())),
        }
    }
    // Lists and tables are written as TOML; everything else is text whose setting knows how to read it.
    let structured = text.trim_start().starts_with(['[', '{']).then(|| tree::parse_value(text.trim(), &place));
    let raw = || Node { place: place.clone(), content: Content::Raw(text.clone()) };
    let node = structured.flatten().unwrap_or_else(raw);
    branch.insert(last, Entry { key_place: place, node });
    Ok(())
}
