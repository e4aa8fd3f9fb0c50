//! What the documents say about the code must be true: the code map, the coverage table, the protocol's hash.

use std::collections::BTreeSet;

use aws_lc_rs::digest;

use super::tree::{GENERATED, Problem, Tree};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const REQUIREMENTS: &str = "docs/requirements.md";
const COVERAGE: &str = "docs/coverage.md";
const PROTOCOL: &str = "docs/protocol.md";
const PROTO: &str = "proto/cmg/tunnel/v1/tunnel.proto";

/// What a coverage row says instead of a test while the requirement is not built.
const NOT_BUILT: &str = "not built";
/// What a row says for a figure, which is printed and never asserted.
const MEASURED: &str = "measured by";

/// Every file of the crates stands in the code map by its path, and every path that it names exists.
pub fn the_code_map_is_complete(tree: &Tree) -> Vec<Problem> {
    let Some(map) = tree.get(ARCHITECTURE) else { return vec![missing(ARCHITECTURE)] };
    let mut problems = Vec::new();
    let named = quoted_words(&map.text);
    for file in tree.files.iter().filter(|file| is_source(&file.path)) {
        let folder_is_named = file.path.match_indices('/').any(|(end, _)| {
            let folder = &file.path[..=end];
            folder.contains("/src/") && !folder.ends_with("/src/") && named.contains(folder)
        });
        let parent_is_named = module_files_above(&file.path).any(|parent| named.contains(parent.as_str()));
        let is_named = folder_is_named || parent_is_named || named.contains(file.path.as_str());
        if file.path != GENERATED && !is_named {
            let what = format!("does not say what `{}` is for", file.path);
            problems.push(Problem::new(ARCHITECTURE, 0, what));
        }
    }
    for word in named.iter().filter(|word| is_source(word) || (word.starts_with("crates/") && word.ends_with('/'))) {
        if !tree.files.iter().any(|file| file.path == *word || (word.ends_with('/') && file.path.starts_with(word))) {
            problems.push(Problem::new(ARCHITECTURE, 0, format!("names `{word}`, which does not exist")));
        }
    }
    problems
}

/// The module files whose folders a file lies in: a named module speaks for what is below it.
fn module_files_above(path: &str) -> impl Iterator<Item = String> {
    let ends = path.match_indices('/').map(|(end, _)| end);
    ends.filter_map(|end| path.get(..end)).map(|folder| format!("{folder}.rs"))
}

fn is_source(path: &str) -> bool {
    path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs")
}

/// What stands between back-ticks.
fn quoted_words(text: &str) -> BTreeSet<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The two documents list the same ids, and each coverage row names tests that exist.
pub fn every_requirement_has_a_test(tree: &Tree) -> Vec<Problem> {
    let (Some(requirements), Some(coverage)) = (tree.get(REQUIREMENTS), tree.get(COVERAGE)) else {
        return [REQUIREMENTS, COVERAGE].into_iter().filter(|path| tree.get(path).is_none()).map(missing).collect();
    };
    let wanted: BTreeSet<_> = requirements.lines().filter_map(|(_, line)| requirement(line)).collect();
    let rows: Vec<_> = coverage.lines().filter_map(|(number, line)| Some((number, row_id(line)?, line))).collect();
    let covered: BTreeSet<_> = rows.iter().map(|(_, id, _)| *id).collect();
    let mut problems = Vec::new();
    for id in wanted.difference(&covered) {
        problems.push(Problem::new(COVERAGE, 0, format!("has no row for {id}")));
    }
    for id in covered.difference(&wanted) {
        problems.push(Problem::new(COVERAGE, 0, format!("has a row for {id}, which {REQUIREMENTS} does not know")));
    }
    let tests = names_of_tests(tree);
    for (number, id, line) in rows {
        let named: Vec<_> = line.split('`').skip(1).step_by(2).collect();
        if named.is_empty() && ![NOT_BUILT, MEASURED].iter().any(|instead| line.contains(instead)) {
            problems.push(Problem::new(COVERAGE, number, format!("{id} names no test")));
        }
        for name in named.iter().filter(|name| !tests.contains(name.rsplit("::").next().unwrap_or(name))) {
            problems.push(Problem::new(COVERAGE, number, format!("{id} names `{name}`, which is no test")));
        }
    }
    problems
}

/// The id of a line `- **G-01** sentence`.
fn requirement(line: &str) -> Option<&str> {
    let (id, _) = line.strip_prefix("- **")?.split_once("**")?;
    is_id(id).then_some(id)
}

/// The id in the first cell of a table's row.
fn row_id(line: &str) -> Option<&str> {
    let id = line.strip_prefix('|')?.split('|').next()?.trim();
    is_id(id).then_some(id)
}

fn is_id(word: &str) -> bool {
    let Some((letter, number)) = word.split_once('-') else { return false };
    letter.len() == 1
        && letter.bytes().all(|b| b.is_ascii_uppercase())
        && number.len() == 2
        && number.parse::<u8>().is_ok()
}

/// Names of functions that carry a test attribute, or stand in a test's lines of a property.
fn names_of_tests(tree: &Tree) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for file in tree.rust() {
        let mut is_marked = false;
        for (_, line) in file.test_lines() {
            let line = line.trim_start();
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_marked = true;
            } else if is_marked && let Some((_, after)) = line.split_once("fn ") {
                names.insert(after.split(['(', '<']).next().unwrap_or(after));
                is_marked = false;
            }
        }
    }
    names
}

/// Whoever changes the wire must look at the document that explains it.
pub fn the_protocol_document_is_current(tree: &Tree) -> Vec<Problem> {
    let (Some(document), Some(proto)) = (tree.get(PROTOCOL), tree.get(PROTO)) else {
        return [PROTOCOL, PROTO].into_iter().filter(|path| tree.get(path).is_none()).map(missing).collect();
    };
    let hash = sha256(proto.text.as_bytes());
    if document.text.contains(&hash) {
        return Vec::new();
    }
    let what = format!("does not carry the SHA-256 of {PROTO}: read it against the change, then write {hash}");
    vec![Problem::new(PROTOCOL, 0, what)]
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn missing(path: &str) -> Problem {
    Problem::new(path, 0, "does not exist")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_map_with_a_gap_or_a_ghost_is_found() {
        let (a, b) = ("crates/core/src/a.rs", "crates/core/src/b/c.rs");
        let check = |map: &str| the_code_map_is_complete(&Tree::of(&[(ARCHITECTURE, map), (a, ""), (b, "")])).len();
        assert_eq!(check("`crates/core/src/a.rs` and `crates/core/src/b/`"), 0);
        assert_eq!(check("`crates/core/src/a.rs`"), 1);
        assert_eq!(check("`crates/core/src/a.rs`, `crates/core/src/b/`, `crates/core/src/d.rs`"), 1);
        assert_eq!(the_code_map_is_complete(&Tree::of(&[(a, "")])).len(), 1);
    }

    #[test]
    fn a_coverage_table_with_a_gap_or_a_ghost_is_found() {
        let requirements = "- **G-01** One.\n- **G-02** Two.\n";
        let test = "#[cfg(test)]\nmod tests {\n#[test]\nfn one_holds() {}\n}\n";
        let check = |coverage: &str| {
            let files = [(REQUIREMENTS, requirements), (COVERAGE, coverage), ("crates/core/src/a.rs", test)];
            every_requirement_has_a_test(&Tree::of(&files)).len()
        };
        assert_eq!(check("| G-01 | `core::a::one_holds` |\n| G-02 | not built |\n"), 0);
        assert_eq!(check("| G-01 | `one_holds` |\n| G-02 | measured by the bench |\n"), 0);
        assert_eq!(check("| G-01 | `one_holds` |\n"), 1, "a requirement without row");
        assert_eq!(check("| G-01 | `one_holds` |\n| G-02 | soon |\n"), 1, "a row without test");
        assert_eq!(check("| G-01 | `two_holds` |\n| G-02 | not built |\n"), 1, "a test that does not exist");
        assert_eq!(check("| G-01 | `one_holds` |\n| G-02 | not built |\n| G-03 | `one_holds` |\n"), 1, "a ghost");
    }

    #[test]
    fn a_protocol_document_of_another_proto_is_found() {
        let current = format!("SHA-256: {}", sha256(b"syntax"));
        let check =
            |proto: &str| the_protocol_document_is_current(&Tree::of(&[(PROTOCOL, &current), (PROTO, proto)])).len();
        assert_eq!(check("syntax"), 0);
        assert_eq!(check("syntax2"), 1);
    }
}
