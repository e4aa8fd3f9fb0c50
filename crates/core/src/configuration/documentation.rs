//! Reads the reference tables of docs/configuration.md, so that a test of each program can compare them with
//! the keys its code knows. Used by tests only.

use super::record::{KnownKey, Reading};
use std::collections::BTreeMap;

/// The keys of one file's reference: the tables under `## <heading>` whose rows begin with a key in code
/// marks. Columns: key, type, default, meaning.
pub fn documented_keys(markdown: &str, heading: &str) -> BTreeMap<String, KnownKey> {
    let wanted = format!("## {heading}");
    let mut inside = false;
    let mut keys = BTreeMap::new();
    for line in markdown.lines() {
        if line.starts_with("## ") {
            inside = line.trim_end() == wanted;
        }
        let Some(row) = line.strip_prefix("| `").filter(|_| inside) else { continue };
        let mut columns = row.split(" | ").map(|column| column.trim().trim_matches('`').replace("\\|", "|"));
        let mut next = || columns.next().unwrap_or_default();
        let key = KnownKey { key: next(), kind: next(), default: next() };
        keys.insert(key.key.clone(), key);
    }
    keys
}

/// What the documentation and the code disagree about, in words; empty when they agree.
pub fn disagreements(documented: &BTreeMap<String, KnownKey>, reading: &Reading) -> Vec<String> {
    let mut found = Vec::new();
    for known in reading.known_keys() {
        match documented.get(&known.key) {
            None => found.push(format!("not documented: | `{}` | {} | `{}` |", known.key, known.kind, known.default)),
            Some(documented) if documented != known => {
                found.push(format!("documented as {documented:?}, in the code {known:?}"));
            }
            Some(_) => {}
        }
    }
    let known: Vec<&str> = reading.known_keys().map(|known| known.key.as_str()).collect();
    let unknown = documented.keys().filter(|key| !known.contains(&key.as_str()));
    found.extend(unknown.map(|key| format!("documented but unknown to the code: {key}")));
    found
}
