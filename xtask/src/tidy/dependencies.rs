//! Which crate may see which, and which may be vague about errors.

use super::source::has_word;
use super::tree::{Problem, Tree};

const CORE: &str = "cmg-core";
const PROGRAMS: [&str; 3] = ["cmg-gateway", "cmg-connection-point", "cmg-mock-site-role"];

/// Crates whose whole code may use `anyhow`: commands and tests, where an error is only shown.
const VAGUE: &[&str] = &["xtask/", "crates/e2e/"];

pub fn typed_errors_inside(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let exempt = |path: &str| path.ends_with("/main.rs") || VAGUE.iter().any(|folder| path.starts_with(folder));
    for file in tree.rust().filter(|file| !exempt(&file.path)) {
        let lines = file.program_lines().filter(|(_, line)| has_word(line, "anyhow"));
        problems.extend(lines.map(|(number, _)| {
            Problem::new(&file.path, number, "anyhow is for main.rs: give this operation an error type of its own")
        }));
    }
    problems
}

pub fn programs_see_core_and_never_each_other(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (package, path, names) in manifests(tree) {
        let forbidden = |name: &&String| match package.as_str() {
            CORE => name.starts_with("cmg-"),
            _ if PROGRAMS.contains(&package.as_str()) => name.starts_with("cmg-") && *name != CORE,
            _ => false,
        };
        for name in names.iter().filter(forbidden) {
            let what = format!("{package} depends on {name}: programs see core, core sees no program");
            problems.push(Problem::new(&path, 0, what));
        }
    }
    problems
}

/// Package name, path of the manifest and names of the dependencies, of every crate.
fn manifests(tree: &Tree) -> Vec<(String, String, Vec<String>)> {
    let mut manifests = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let Ok(table) = file.text.parse::<toml::Table>() else { continue };
        let name = table.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str());
        let dependencies = table.get("dependencies").and_then(|dependencies| dependencies.as_table());
        let names = dependencies.map(|table| table.keys().cloned().collect()).unwrap_or_default();
        manifests.push((name.unwrap_or_default().to_owned(), file.path.clone(), names));
    }
    manifests
}

pub fn the_mock_role_is_an_independent_witness(tree: &Tree) -> Vec<Problem> {
    let banned = ["cmg_core::tunnel", "cmg_core::request_target", "cmg_core::http1", "cmg_core::headers"];
    let mut problems = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("crates/mock-site-role/")) {
        for (number, line) in file.code_lines() {
            if let Some(module) = banned.iter().find(|module| line.contains(*module)) {
                let what = format!("uses {module}: the mock role must not share what it is a witness of");
                problems.push(Problem::new(&file.path, number, what));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anyhow_outside_of_main_is_found() {
        let text = "use anyhow::Result;\n";
        let paths = ["crates/core/src/a.rs", "crates/gateway/src/main.rs", "xtask/src/a.rs", "crates/e2e/src/a.rs"];
        let tree = Tree::of(&paths.map(|path| (path, text)));
        assert_eq!(typed_errors_inside(&tree).len(), 1);
    }

    #[test]
    fn a_program_that_sees_another_is_found() {
        let manifest = |name: &str, dependency: &str| {
            format!("[package]\nname = \"{name}\"\n[dependencies]\n{dependency}.workspace = true\n")
        };
        let check = |name: &str, dependency: &str| {
            let text = manifest(name, dependency);
            programs_see_core_and_never_each_other(&Tree::of(&[("crates/a/Cargo.toml", &text)])).len()
        };
        assert_eq!(check("cmg-gateway", "cmg-core"), 0);
        assert_eq!(check("cmg-gateway", "cmg-connection-point"), 1);
        assert_eq!(check("cmg-core", "cmg-gateway"), 1);
        assert_eq!(check("cmg-e2e", "cmg-client"), 0);
    }

    #[test]
    fn a_witness_that_shares_code_is_found() {
        let tree = Tree::of(&[("crates/mock-site-role/src/a.rs", "use cmg_core::request_target::RequestTarget;\n")]);
        assert_eq!(the_mock_role_is_an_independent_witness(&tree).len(), 1);
    }
}
