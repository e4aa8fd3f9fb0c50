//! How long files and functions may be, and how files begin and where modules stand.

use super::source::{Source, end_of_block, line_of};
use super::tree::{Problem, Tree};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
/// Of a test: a table of cases is looked up, not followed.
const TEST_LINES: usize = 100;
const HEADING_LINES: usize = 5;

/// Files that are longer for a reason, with the length that they may not pass. The list only shrinks: an
/// entry that is no longer needed, or that a file has left far behind, is a problem itself.
const LONG_FILES: &[(&str, usize, &str)] = &[];

/// Functions that are longer for a reason, by file and name; the same rules.
const LONG_FUNCTIONS: &[(&str, &str, &str)] =
    &[("crates/core/src/refusal.rs", "entry", "the closed list of codes: one match, one arm for each")];

/// How far a long file may fall below its entry before the entry must follow.
const SLACK: usize = 40;

pub fn every_file_opens_with_a_heading(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".rs")) {
        // Its first paragraph; a diagram may follow after an empty line.
        let heading = file.text.lines().take_while(|line| line.starts_with("//!") && *line != "//!").count();
        if heading == 0 {
            let what = "opens without `//!`: say which stage it is, what it promises, what it never does";
            problems.push(Problem::new(&file.path, 1, what));
        } else if heading > HEADING_LINES {
            let what = format!("its heading has {heading} lines; say it in {HEADING_LINES}, the rest beside the items");
            problems.push(Problem::new(&file.path, 1, what));
        }
    }
    problems
}

pub fn module_files_stand_beside_their_folder(tree: &Tree) -> Vec<Problem> {
    let misplaced = tree.files.iter().filter(|file| file.stem() == "mod" && file.path.ends_with(".rs"));
    misplaced.map(|file| Problem::new(&file.path, 0, "name the file like its folder and put it beside it")).collect()
}

pub fn files_are_short(tree: &Tree) -> Vec<Problem> {
    files_against(tree, LONG_FILES)
}

fn files_against(tree: &Tree, long_files: &[(&str, usize, &str)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust() {
        let lines = file.text.lines().count();
        let allowed = long_files.iter().find(|(path, ..)| *path == file.path).map(|(_, allowed, _)| *allowed);
        match allowed {
            None if lines > FILE_LINES => {
                problems.push(Problem::new(&file.path, 0, format!("{lines} lines; split it, {FILE_LINES} are enough")));
            }
            Some(_) if lines <= FILE_LINES => {
                problems.push(Problem::new(&file.path, 0, "is short now: take it off the list of long files"));
            }
            Some(allowed) if lines > allowed => {
                problems.push(Problem::new(&file.path, 0, format!("{lines} lines; its exception ends at {allowed}")));
            }
            Some(allowed) if lines + SLACK < allowed => {
                let what = format!("{lines} lines: lower its exception of {allowed} to that");
                problems.push(Problem::new(&file.path, 0, what));
            }
            _ => {}
        }
    }
    let gone = long_files.iter().filter(|(path, ..)| tree.get(path).is_none());
    problems.extend(gone.map(|(path, ..)| Problem::new(path, 0, "is gone: take it off the list of long files")));
    problems
}

pub fn functions_are_short(tree: &Tree) -> Vec<Problem> {
    functions_against(tree, LONG_FUNCTIONS)
}

fn functions_against(tree: &Tree, long_functions: &[(&str, &str, &str)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut needed = Vec::new();
    for file in tree.rust() {
        let most = |line: usize| if file.is_test(line) { TEST_LINES } else { FUNCTION_LINES };
        for (name, line, lines) in functions(file).filter(|(_, line, lines)| *lines > most(*line)) {
            if long_functions.iter().any(|(path, long, _)| *path == file.path && *long == name) {
                needed.push((file.path.as_str(), name));
            } else {
                let what = format!("`{name}` has {lines} lines; {} at most", most(line));
                problems.push(Problem::new(&file.path, line, what));
            }
        }
    }
    for (path, name, _) in long_functions.iter().filter(|(path, name, _)| !needed.contains(&(*path, *name))) {
        problems.push(Problem::new(
            path,
            0,
            format!("`{name}` is short or gone: take it off the list of long functions"),
        ));
    }
    problems
}

/// Name, first line and number of lines of every function with a body.
fn functions(file: &Source) -> impl Iterator<Item = (&str, usize, usize)> {
    let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    file.code.match_indices("fn ").filter_map(move |(at, _)| {
        let after = &file.code[at + 3..];
        let name = &after[..after.find(|c: char| !part_of_a_word(c)).unwrap_or(after.len())];
        let is_function = !file.code[..at].chars().next_back().is_some_and(part_of_a_word) && !name.is_empty();
        let end = end_of_block(&file.code, at).filter(|_| is_function)?;
        let (first, last) = (line_of(&file.code, at), line_of(&file.code, end));
        Some((name, first, last - first + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_heading_is_found() {
        let tree = Tree::of(&[("a.rs", "fn a() {}\n"), ("b.rs", "//! What it is.\nfn b() {}\n")]);
        let problems = every_file_opens_with_a_heading(&tree);
        assert_eq!(problems.len(), 1, "{problems:?}");
    }

    #[test]
    fn a_long_heading_is_found() {
        let tree = Tree::of(&[("a.rs", &"//! More.\n".repeat(6))]);
        assert_eq!(every_file_opens_with_a_heading(&tree).len(), 1);
    }

    #[test]
    fn a_mod_rs_is_found() {
        let tree = Tree::of(&[("crates/core/src/a/mod.rs", "//! A.\n"), ("crates/core/src/a.rs", "//! A.\n")]);
        assert_eq!(module_files_stand_beside_their_folder(&tree).len(), 1);
    }

    #[test]
    fn a_long_file_is_found_and_exceptions_expire() {
        let (long, short) = ("//! L.\n".repeat(500), "//! S.\n".repeat(10));
        let tree = Tree::of(&[("long.rs", &long), ("short.rs", &short)]);
        assert_eq!(files_against(&tree, &[]).len(), 1);
        assert_eq!(files_against(&tree, &[("long.rs", 500, "")]).len(), 0);
        assert_eq!(files_against(&tree, &[("long.rs", 499, "")]).len(), 1);
        assert_eq!(files_against(&tree, &[("long.rs", 600, "")]).len(), 1);
        assert_eq!(files_against(&tree, &[("long.rs", 500, ""), ("short.rs", 10, "")]).len(), 1);
        assert_eq!(files_against(&tree, &[("long.rs", 500, ""), ("gone.rs", 500, "")]).len(), 1);
    }

    #[test]
    fn a_long_function_is_found() {
        let long = format!("fn short() {{}}\npub async fn long(a: [u8; 4]) {{\n{}}}\n", "    step();\n".repeat(70));
        let tree = Tree::of(&[("a.rs", &long)]);
        let problem = Problem::new("a.rs", 2, "`long` has 72 lines; 70 at most");
        assert_eq!(functions_against(&tree, &[]), [problem]);
        assert_eq!(functions_against(&tree, &[("a.rs", "long", "")]), []);
        assert_eq!(functions_against(&tree, &[("a.rs", "long", ""), ("a.rs", "short", "")]).len(), 1);
    }
}
