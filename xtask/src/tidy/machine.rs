//! Nothing of the machine on which something was written may stay in the tree: no path, no registry of its own.

use super::tree::{Problem, Tree};

/// Folders that exist on somebody's machine only.
const PLACES: [&str; 4] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Use", "rs/")];
/// Settings that point an ordinary client at another registry.
const REGISTRIES: [&str; 6] = [
    concat!("replace-", "with"),
    concat!("index-", "url"),
    concat!("source.", "crates-io"),
    concat!("GO", "PROXY"),
    concat!("CARGO_", "REGISTRIES_"),
    concat!("npm_config_", "registry"),
];
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub fn nothing_of_one_machine_is_kept(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in &tree.files {
        for (number, line) in file.lines() {
            if let Some(place) = PLACES.iter().find(|place| begins_a_path(line, place)) {
                problems.push(Problem::new(&file.path, number, format!("{place} is a place on one machine")));
            }
            if let Some(setting) = REGISTRIES.iter().find(|setting| line.contains(*setting)) {
                problems.push(Problem::new(
                    &file.path,
                    number,
                    format!("{setting} belongs to a machine, not to the project"),
                ));
            }
        }
    }
    problems
}

/// Whether the place stands where an absolute path begins, not inside a longer relative one.
fn begins_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || "._-}/".contains(before))
    })
}

pub fn packages_come_from_the_public_registry(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with("Cargo.lock")) {
        let sources = file.lines().filter_map(|(number, line)| Some((number, line.strip_prefix("source = ")?)));
        for (number, source) in sources.filter(|(_, source)| source.trim_matches('"') != CRATES_IO) {
            problems.push(Problem::new(&file.path, number, format!("{source} is not the public registry")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found() {
        let bad = format!("see {}somebody/notes", PLACES[2]);
        assert_eq!(nothing_of_one_machine_is_kept(&Tree::of(&[("a.md", &bad)])).len(), 1);
        assert_eq!(nothing_of_one_machine_is_kept(&Tree::of(&[("a.md", &format!("net{}x", PLACES[0]))])).len(), 0);
    }

    #[test]
    fn a_registry_of_one_machine_is_found() {
        let bad = format!("{} = \"elsewhere\"", REGISTRIES[0]);
        assert_eq!(nothing_of_one_machine_is_kept(&Tree::of(&[(".cargo/config.toml", &bad)])).len(), 1);
    }

    #[test]
    fn a_package_from_elsewhere_is_found() {
        let lock = format!("source = \"{CRATES_IO}\"\nsource = \"git+https://example.net/a\"\n");
        assert_eq!(packages_come_from_the_public_registry(&Tree::of(&[("Cargo.lock", &lock)])).len(), 1);
    }
}
