//! Words that may not stand in the code, or only in one place. Each rule names what to write instead.

use super::source::{Source, has_word};
use super::tree::{Problem, Tree};

/// Where bounds and their defaults are written down with a reason.
const LIMITS: &str = "crates/core/src/limits.rs";
/// Files that give configuration keys their defaults, by the end of their path.
const DEFAULTS: &[&str] = &["/settings.rs", "/limits.rs", "configuration/value/numbers.rs"];

/// The only files that start tasks or threads.
const SPAWNING: &[&str] = &["crates/core/src/shutdown.rs", "crates/core/src/worker.rs"];

/// Files that hold a lock, and why a lock is right there. An entry that is not needed is a problem.
const LOCKING: &[(&str, &str)] = &[
    (
        "crates/core/src/site_role/pool.rs",
        "idle connections of one worker; taken by that worker alone, held for a push or a pop",
    ),
    ("crates/gateway/src/fairness/identities.rs", "looked into once per connection, at its first judged request"),
    (
        "crates/gateway/src/fairness/addresses.rs",
        "looked into before a handshake and for a refusal, held for one entry",
    ),
    (
        "crates/gateway/src/registry/line.rs",
        "exchanges that wait because all is full; the path reads its length instead",
    ),
    ("crates/gateway/src/registry.rs", "the register of tunnels; the path of a request reads a snapshot instead"),
    ("crates/core/src/logs/queue.rs", "the threads that log and the one that writes share one buffer; held for a copy"),
    ("crates/core/src/metrics/family.rs", "series are looked up when a configuration is applied, never per request"),
    ("crates/core/src/metrics/registry.rs", "metrics are registered at start and read at a scrape"),
];

pub fn nothing_is_left_for_later(tree: &Tree) -> Vec<Problem> {
    let markers = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in file.lines() {
            if let Some(marker) = markers.iter().find(|marker| has_word(line, marker)) {
                problems.push(Problem::new(&file.path, number, format!("{marker}: finish it or open an issue")));
            }
        }
    }
    problems
}

pub fn only_documents_of_the_project_are_named(tree: &Tree) -> Vec<Problem> {
    let documents = [concat!("SP", "EC"), concat!("DES", "IGN")];
    let mut problems = Vec::new();
    for file in &tree.files {
        for (number, line) in file.lines() {
            if let Some(document) = documents.iter().find(|document| has_word(line, document)) {
                let what =
                    format!("{document} is not in the project: write the id of docs/requirements.md, or what is meant");
                problems.push(Problem::new(&file.path, number, what));
            }
        }
    }
    problems
}

pub fn tests_wait_for_events(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust() {
        for (number, line) in file.test_lines() {
            if has_word(line, "sleep") && line.contains("sleep(") {
                problems.push(Problem::new(
                    &file.path,
                    number,
                    "a test waits for an event with a deadline, never sleeps",
                ));
            }
            if line.contains("#[ignore") {
                problems.push(Problem::new(
                    &file.path,
                    number,
                    "a test that is ignored tests nothing: mend or remove it",
                ));
            }
        }
        let binds = |line: &str| line.contains("bind(") || line.contains("connect(");
        let literal_ports =
            file.lines().filter(|(number, line)| file.is_test(*number) && binds(line) && has_literal_port(line));
        problems.extend(
            literal_ports.map(|(number, _)| Problem::new(&file.path, number, "bind port 0 and ask for the address")),
        );
    }
    problems
}

/// Whether an address with a port other than 0 is written out.
fn has_literal_port(line: &str) -> bool {
    ["127.0.0.1", "0.0.0.0", "localhost", "[::1]", "[::]"].iter().any(|host| {
        line.match_indices(host).any(|(at, _)| {
            let port = line[at + host.len()..].trim_start_matches([':', '"', ',', ' ']);
            port.starts_with(|first: char| ('1'..='9').contains(&first))
        })
    })
}

pub fn nothing_is_unbounded(tree: &Tree) -> Vec<Problem> {
    let lines = tree.rust().filter(|file| !file.path.starts_with("xtask/src/tidy"));
    found(lines.flat_map(|file| code_with(file, "unbounded")), "every queue has a bound in limits.rs")
}

pub fn bounds_stand_in_limits(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let files = tree.programs().filter(|file| !DEFAULTS.iter().any(|end| file.path.ends_with(end)));
    for file in files {
        for (number, line) in file.program_lines() {
            if has_bare_duration(line) {
                problems.push(Problem::new(
                    &file.path,
                    number,
                    format!("name this duration in {LIMITS}, with its reason"),
                ));
            }
            if has_bare_size(line) {
                problems.push(Problem::new(
                    &file.path,
                    number,
                    format!("name this bound in {LIMITS}, with its reason"),
                ));
            }
        }
    }
    problems
}

fn has_bare_duration(line: &str) -> bool {
    line.match_indices("Duration::from_").any(|(at, _)| {
        let argument = line[at..].split_once('(').map_or("", |(_, argument)| argument);
        // 1 of a unit is the unit itself, not a bound.
        let digits: String = argument.chars().take_while(|c| c.is_ascii_digit() || *c == '_').collect();
        !digits.is_empty() && digits != "1" && digits != "0"
    })
}

/// Decimal numbers of a line of code, without those that are part of a name.
fn numbers(line: &str) -> impl Iterator<Item = u64> {
    let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).filter_map(|word| {
        let digits: String = word.chars().filter(|c| *c != '_').take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

/// Whole KiB are sizes of something; other numbers are data, and 1024 by itself is a unit.
fn has_bare_size(line: &str) -> bool {
    let is_size = |number: u64| number >= 1024 && number.is_multiple_of(1024);
    numbers(line).any(is_size) && numbers(line).any(|number| number != 1024)
}

pub fn tasks_are_spawned_in_one_place(tree: &Tree) -> Vec<Problem> {
    let spawning = ["tokio::spawn", "task::spawn", "spawn_blocking", "spawn_local", "thread::spawn", "thread::Builder"];
    let files = tree.rust().filter(|file| !SPAWNING.contains(&file.path.as_str()) && !file.path.starts_with("xtask/"));
    let mut problems = Vec::new();
    for file in files {
        let lines = file.program_lines().filter(|(_, line)| spawning.iter().any(|word| line.contains(word)));
        problems.extend(lines.map(|(number, _)| {
            Problem::new(&file.path, number, "every task belongs to someone: use cmg_core::shutdown::Tasks")
        }));
    }
    problems
}

pub fn locks_have_a_reason(tree: &Tree) -> Vec<Problem> {
    locks_against(tree, LOCKING)
}

fn locks_against(tree: &Tree, allowed: &[(&str, &str)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.programs() {
        let locks: Vec<_> =
            file.program_lines().filter(|(_, line)| has_word(line, "Mutex") || has_word(line, "RwLock")).collect();
        let is_allowed = allowed.iter().any(|(path, _)| *path == file.path);
        match locks.first() {
            Some((number, _)) if !is_allowed => {
                let what = "a lock: use an ArcSwap, a watch or the registry, or put it on the list with its reason";
                problems.push(Problem::new(&file.path, *number, what));
            }
            None if is_allowed => problems.push(Problem::new(&file.path, 0, "holds no lock: take it off the list")),
            _ => {}
        }
    }
    let gone = allowed.iter().filter(|(path, _)| tree.get(path).is_none());
    problems.extend(gone.map(|(path, _)| Problem::new(path, 0, "is gone: take it off the list of locks")));
    problems
}

pub fn names_say_what_things_are(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust() {
        if let Some(word) = empty_word(file.stem()) {
            problems.push(Problem::new(&file.path, 0, format!("`{word}` says nothing: name the thing")));
        }
        for (number, line) in file.code_lines() {
            if let Some(word) = defined_name(line).and_then(empty_word) {
                problems.push(Problem::new(&file.path, number, format!("`{word}` says nothing: name the thing")));
            }
        }
    }
    problems
}

/// The name that a line of code gives to a type, module or function.
fn defined_name(line: &str) -> Option<&str> {
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    words.find(|word| ["struct", "enum", "trait", "type", "mod", "fn"].contains(word))?;
    words.next()
}

/// The word without meaning that is part of a name, if there is one.
fn empty_word(name: &str) -> Option<&'static str> {
    let words = ["utils", "util", "helper", "helpers", "common", "manager", "misc"];
    let mut parts = String::new();
    for character in name.chars() {
        if character.is_uppercase() {
            parts.push('_');
        }
        parts.extend(character.to_lowercase());
    }
    words.into_iter().find(|word| parts.split('_').any(|part| part == *word))
}

fn code_with<'a>(file: &'a Source, word: &'a str) -> impl Iterator<Item = (&'a str, usize)> {
    file.code_lines().filter(move |(_, line)| line.contains(word)).map(|(number, _)| (file.path.as_str(), number))
}

fn found<'a>(places: impl Iterator<Item = (&'a str, usize)>, what: &str) -> Vec<Problem> {
    places.map(|(path, number)| Problem::new(path, number, what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &str) -> Tree {
        Tree::of(&[("crates/gateway/src/a.rs", text)])
    }

    fn test(text: &str) -> Tree {
        Tree::of(&[("crates/gateway/tests/a.rs", text)])
    }

    #[test]
    fn unfinished_work_is_found_in_any_file() {
        let tree = Tree::of(&[("README.md", concat!("a\nTO", "DO: b\n")), ("b.rs", concat!("// FIX", "ME\n"))]);
        assert_eq!(nothing_is_left_for_later(&tree).len(), 2);
    }

    #[test]
    fn a_document_from_elsewhere_is_found() {
        let tree = Tree::of(&[("a.rs", concat!("//! A (SP", "EC G-13).\n//! B (G-13), UNSPECIFIED.\n"))]);
        assert_eq!(only_documents_of_the_project_are_named(&tree).len(), 1);
    }

    #[test]
    fn a_test_that_sleeps_or_is_ignored_is_found() {
        assert_eq!(tests_wait_for_events(&test("tokio::time::sleep(a).await;\n")).len(), 1);
        assert_eq!(tests_wait_for_events(&test(concat!("#[ign", "ore]\nfn a() {}\n"))).len(), 1);
        assert_eq!(tests_wait_for_events(&program("tokio::time::sleep(a).await;\n")).len(), 0);
    }

    #[test]
    fn a_literal_port_is_found() {
        let (port_0, port_8080) = ("bind(\"127.0.0.1:0\")", format!("bind(\"127.0.0.1:{}\")", 8080));
        assert_eq!(tests_wait_for_events(&test(port_0)).len(), 0);
        assert_eq!(tests_wait_for_events(&test(&port_8080)).len(), 1);
    }

    #[test]
    fn an_endless_queue_is_found() {
        assert_eq!(nothing_is_unbounded(&program("let a = mpsc::unbounded_channel();\n")).len(), 1);
        assert_eq!(nothing_is_unbounded(&program("// unbounded\n")).len(), 0);
    }

    #[test]
    fn bounds_outside_of_limits_are_found() {
        assert_eq!(bounds_stand_in_limits(&program("Duration::from_secs(30)\n")).len(), 1);
        assert_eq!(bounds_stand_in_limits(&program("vec![0; 64 * 1024]\n")).len(), 1);
        assert_eq!(bounds_stand_in_limits(&program("vec![0; 65_536]\n")).len(), 1);
        assert_eq!(bounds_stand_in_limits(&program("let kib = 1024;\n")).len(), 0);
        assert_eq!(bounds_stand_in_limits(&program("Duration::from_millis(u64::from(a))\n")).len(), 0);
        assert_eq!(bounds_stand_in_limits(&Tree::of(&[(LIMITS, "Duration::from_secs(30)\n")])).len(), 0);
    }

    #[test]
    fn a_stray_task_is_found() {
        assert_eq!(tasks_are_spawned_in_one_place(&program("tokio::spawn(a);\n")).len(), 1);
        assert_eq!(tasks_are_spawned_in_one_place(&Tree::of(&[(SPAWNING[0], "tokio::spawn(a);\n")])).len(), 0);
    }

    #[test]
    fn a_lock_without_reason_and_a_reason_without_lock_are_found() {
        let path = "crates/gateway/src/a.rs";
        assert_eq!(locks_against(&program("a: Mutex<u8>,\n"), &[]).len(), 1);
        assert_eq!(locks_against(&program("a: Mutex<u8>,\n"), &[(path, "because")]).len(), 0);
        assert_eq!(locks_against(&program("a: u8,\n"), &[(path, "because")]).len(), 1);
        assert_eq!(locks_against(&program("a: u8,\n"), &[("gone.rs", "because")]).len(), 1);
    }

    #[test]
    fn names_without_meaning_are_found() {
        for bad in ["pub struct TunnelManager {", "mod utils;", "fn common_part() {", "pub(crate) enum Helper {"] {
            assert_eq!(names_say_what_things_are(&program(bad)).len(), 1, "{bad}");
        }
        assert_eq!(names_say_what_things_are(&Tree::of(&[("a/util.rs", "")])).len(), 1);
        assert_eq!(names_say_what_things_are(&program("fn management_point() {}")).len(), 0);
    }
}
