//! The example file is valid, and the reference in docs/configuration.md names the keys and the kinds of roles that
//! the code knows.

use super::*;
use crate::configuration::documentation::{disagreements, documented_keys};
use kinds::{NAMES, Needs};

const DOCUMENTATION: &str = include_str!("../../../../../docs/configuration.md");

#[test]
fn the_example_is_valid_and_every_key_is_documented() {
    let example = include_str!("../../../../../deploy/examples/site.toml");
    let (site, reading) = read(example).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(site.publication.roles.len(), 3, "the distribution point is off");
    assert_eq!(site.gateways.iter().map(|gateway| gateway.instances.len()).sum::<usize>(), 2);
    let documented = documented_keys(DOCUMENTATION, "`site.toml`");
    let found = disagreements(&documented, &reading);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(documented.len() > 30, "the reference was found");
}

#[test]
fn what_the_kinds_bring_is_documented() {
    let lines = || DOCUMENTATION.lines();
    let not_available = lines().find(|line| line.starts_with("Known to the kinds but not available yet")).unwrap();
    for (name, kind) in NAMES.into_iter().filter(|(_, kind)| *kind != RoleKind::Custom) {
        let is_available = |row: &&BuiltInEndpoint| row.needs == Needs::Nothing;
        let available = kind.built_in().iter().filter(is_available);
        let endpoints: Vec<String> = available.map(|row| format!("{}{}", row.name, marks(kind, row))).collect();
        let endpoints = if endpoints.is_empty() { "none yet".to_owned() } else { endpoints.join(", ") };
        let (methods, largest) = (kind.methods().join(", "), in_words(kind.max_request_body()));
        let row = format!("| `{name}` | {endpoints} | {methods} | {largest} |");
        assert!(lines().any(|line| line == row), "not documented: {row}");
        for row in kind.built_in().iter().filter(|row| !is_available(row)) {
            assert!(not_available.contains(row.name), "{} is not documented as not available", row.name);
        }
    }
}

fn marks(kind: RoleKind, row: &BuiltInEndpoint) -> &'static str {
    match (kind.is_anonymous(), row.waits, row.bulk) {
        (true, ..) => " (anonymous)",
        (_, true, _) => " (waits)",
        (.., true) => " (bulk)",
        _ => "",
    }
}

fn in_words(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}
