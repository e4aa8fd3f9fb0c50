//! Which crate may see which, that it needs what it names, and which may be vague about errors.

use super::source::{Source, has_word};
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
    for Manifest { package, path, dependencies, .. } in manifests(tree) {
        let forbidden = |name: &&String| match package.as_str() {
            CORE => name.starts_with("cmg-"),
            _ if PROGRAMS.contains(&package.as_str()) => name.starts_with("cmg-") && *name != CORE,
            _ => false,
        };
        for name in dependencies.iter().filter(forbidden) {
            let what = format!("{package} depends on {name}: programs see core, core sees no program");
            problems.push(Problem::new(path, 0, what));
        }
    }
    problems
}

/// Sources name each dependency: the compiler's own lint looks at each target alone and would report what only the
/// library of a crate uses as unused in its program.
pub fn dependencies_are_used(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for Manifest { path, dependencies, dev_dependencies, .. } in manifests(tree) {
        let folder = path.trim_end_matches("Cargo.toml");
        let sources = format!("{folder}src/");
        let unused = dependencies.iter().filter(|name| !is_named(tree, &sources, name));
        let unused_in_tests = dev_dependencies.iter().filter(|name| !is_named(tree, folder, name));
        problems.extend(
            unused.chain(unused_in_tests).map(|name| Problem::new(path, 0, format!("{name} is not used: remove it"))),
        );
    }
    problems
}

/// Whether a Rust file below the folder begins a path with the package's name, or imports it alone.
fn is_named(tree: &Tree, folder: &str, package: &str) -> bool {
    let name = if package == "rustls-webpki" { "webpki".to_owned() } else { package.replace('-', "_") };
    let files = tree.files.iter().filter(|file| file.path.starts_with(folder) && file.path.ends_with(".rs"));
    files.flat_map(Source::code_lines).any(|(_, line)| begins_a_path(line, &name))
}

fn begins_a_path(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let follows_a_word = before.trim_end_matches("::").ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let is_alone = before.ends_with("use ") && after.starts_with([';', ' ']);
        !follows_a_word && (after.starts_with("::") || is_alone)
    })
}

struct Manifest<'a> {
    package: String,
    path: &'a str,
    dependencies: Vec<String>,
    dev_dependencies: Vec<String>,
}

/// Of every crate.
fn manifests(tree: &Tree) -> Vec<Manifest<'_>> {
    let mut manifests = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let Ok(table) = file.text.parse::<toml::Table>() else { continue };
        let name = table.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str());
        let names = |section: &str| {
            let dependencies = table.get(section).and_then(|dependencies| dependencies.as_table());
            dependencies.map(|table| table.keys().cloned().collect()).unwrap_or_default()
        };
        manifests.push(Manifest {
            package: name.unwrap_or_default().to_owned(),
            path: &file.path,
            dependencies: names("dependencies"),
            dev_dependencies: names("dev-dependencies"),
        });
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
    fn a_dependency_that_no_source_names_is_found() {
        let check = |section: &str, path: &str, text: &str| {
            let manifest = format!("[{section}]\nhttp-body.workspace = true\n");
            dependencies_are_used(&Tree::of(&[("crates/a/Cargo.toml", &manifest), (path, text)])).len()
        };
        for used in ["use http_body::Frame;\n", "a: ::http_body::Frame,\n", "use http_body as body;\n"] {
            assert_eq!(check("dependencies", "crates/a/src/a.rs", used), 0, "{used}");
        }
        for unused in
            ["use http_body_util::Full;\n", "a::http_body::b();\n", "// http_body::a\n", "let http_body = 1;\n"]
        {
            assert_eq!(check("dependencies", "crates/a/src/a.rs", unused), 1, "{unused}");
        }
        assert_eq!(check("dependencies", "crates/a/tests/a.rs", "use http_body::Frame;\n"), 1);
        assert_eq!(check("dev-dependencies", "crates/a/tests/a.rs", "use http_body::Frame;\n"), 0);
    }

    #[test]
    fn a_witness_that_shares_code_is_found() {
        let tree = Tree::of(&[("crates/mock-site-role/src/a.rs", "use cmg_core::request_target::RequestTarget;\n")]);
        assert_eq!(the_mock_role_is_an_independent_witness(&tree).len(), 1);
    }
}
