//! Files that decide without input and output, where wire types end, and what a configuration struct must say.

use super::source::has_word;
use super::tree::{Problem, Tree};

/// Files, and folders ending in `/`, that hold no task, socket or clock: the decisions of the data path.
const PURE: &[&str] = &[
    "crates/core/src/fields.rs",
    "crates/core/src/refusal.rs",
    "crates/core/src/request_target.rs",
    "crates/core/src/headers.rs",
    "crates/core/src/routes.rs",
    "crates/core/src/url_mapping.rs",
    "crates/core/src/http1.rs",
    "crates/core/src/http1/",
    "crates/core/src/tunnel/frame.rs",
    "crates/core/src/tunnel/exchange.rs",
    "crates/gateway/src/selection.rs",
    "crates/gateway/src/filter.rs",
];

/// The files that turn wire types into the program's own and back, and those that serve or call the service.
const WIRE: &[&str] = &[
    "crates/core/src/tunnel/calling.rs",
    "crates/core/src/tunnel/control.rs",
    "crates/core/src/tunnel/grpc.rs",
    "crates/core/src/tunnel/serving.rs",
    "crates/core/src/tunnel/serving_control.rs",
];

pub fn pure_files_stay_pure(tree: &Tree) -> Vec<Problem> {
    pure_against(tree, PURE)
}

fn pure_against(tree: &Tree, pure: &[&str]) -> Vec<Problem> {
    let banned = ["async", "await", "tokio", "hyper", "Instant::now", "SystemTime::now"];
    let mut problems = Vec::new();
    for place in pure {
        let files: Vec<_> = tree.rust().filter(|file| is_in(&file.path, place)).collect();
        if files.is_empty() {
            problems.push(Problem::new(place, 0, "does not exist: correct the list of pure files"));
        }
        for file in files {
            for (number, line) in file.program_lines() {
                if let Some(word) = banned.iter().find(|word| has_word(line, word)) {
                    let what = format!("`{word}` in a file that decides without input and output: do it in the caller");
                    problems.push(Problem::new(&file.path, number, what));
                }
            }
        }
    }
    problems
}

fn is_in(path: &str, place: &str) -> bool {
    path == place || (place.ends_with('/') && path.starts_with(place))
}

pub fn wire_types_stop_at_the_door(tree: &Tree) -> Vec<Problem> {
    wire_against(tree, WIRE)
}

fn wire_against(tree: &Tree, wire: &[&str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust().filter(|file| !file.path.starts_with("xtask/") && !wire.contains(&file.path.as_str())) {
        let lines = file.program_lines().filter(|(_, line)| line.contains("generated::"));
        problems.extend(lines.map(|(number, _)| {
            Problem::new(&file.path, number, "wire types stop at the door: convert them in a file of the tunnel")
        }));
    }
    let unneeded = wire.iter().filter(|path| !tree.get(path).is_some_and(|file| file.code.contains("generated")));
    problems.extend(unneeded.map(|path| Problem::new(path, 0, "uses no wire type: take it off the list")));
    problems
}

pub fn unknown_keys_are_refused(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.programs() {
        for (at, _) in file.code.match_indices("Deserialize") {
            let before = file.code[..at].rfind('\n').map_or(0, |end| end + 1);
            let item = &file.code[before..];
            let is_derive = item.trim_start().starts_with("#[derive(");
            let attributes = item.split_once("struct ").map(|(attributes, _)| attributes);
            let number = file.code[..at].lines().count();
            let is_struct =
                attributes.is_some_and(|attributes| attributes.lines().count() < 8 && !attributes.contains('}'));
            let refuses = attributes.is_some_and(|attributes| attributes.contains("deny_unknown_fields"));
            if is_derive && is_struct && !refuses && !file.is_test(number) {
                problems.push(Problem::new(&file.path, number, "add #[serde(deny_unknown_fields)]"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_and_output_in_a_pure_file_are_found() {
        let path = "crates/core/src/routes.rs";
        let check = |text: &str| pure_against(&Tree::of(&[(path, text)]), &[path]).len();
        for bad in ["pub async fn a() {}", "use tokio::net;", "use hyper::Uri;", "let a = Instant::now();"] {
            assert_eq!(check(bad), 1, "{bad}");
        }
        assert_eq!(check("// async\nfn a() {}\n#[cfg(test)]\nmod tests {\n use tokio::net;\n}\n"), 0);
    }

    #[test]
    fn a_pure_folder_is_checked_whole_and_must_exist() {
        let tree = Tree::of(&[("crates/core/src/http1/a.rs", "async fn a() {}")]);
        assert_eq!(pure_against(&tree, &["crates/core/src/http1/"]).len(), 1);
        assert_eq!(pure_against(&tree, &["crates/core/src/gone/"]).len(), 1);
    }

    #[test]
    fn wire_types_elsewhere_are_found() {
        let tree = Tree::of(&[("crates/gateway/src/a.rs", "use cmg_core::tunnel::generated::Field;")]);
        assert_eq!(wire_against(&tree, &[]).len(), 1);
        assert_eq!(wire_against(&tree, &["crates/gateway/src/a.rs"]).len(), 0);
        assert_eq!(wire_against(&Tree::of(&[("a.rs", "fn a() {}")]), &["a.rs"]).len(), 1);
    }

    #[test]
    fn a_struct_that_takes_unknown_keys_is_found() {
        let path = "crates/gateway/src/a.rs";
        let lax = "#[derive(Debug, Deserialize)]\nstruct File {\n    a: u8,\n}\n";
        let strict = "#[derive(Debug, Deserialize)]\n#[serde(deny_unknown_fields)]\nstruct File {\n    a: u8,\n}\n";
        assert_eq!(unknown_keys_are_refused(&Tree::of(&[(path, lax)])).len(), 1);
        assert_eq!(unknown_keys_are_refused(&Tree::of(&[(path, strict)])).len(), 0);
    }
}
