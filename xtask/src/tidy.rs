//! `cargo xtask tidy`: the rules of this code base that no compiler checks, each a function from the tree to
//! the problems it finds. Changes nothing; names file, line and what to do instead.

mod commits;
mod dependencies;
mod documents;
mod machine;
mod purity;
mod shape;
mod source;
mod tree;
mod words;

use anyhow::{Result, bail};

use crate::root;
use tree::{Problem, Tree};

type Check = fn(&Tree) -> Vec<Problem>;

/// Every check of the files, with the name that its problems carry.
const CHECKS: &[(&str, Check)] = &[
    ("heading", shape::every_file_opens_with_a_heading),
    ("module-file", shape::module_files_stand_beside_their_folder),
    ("file-length", shape::files_are_short),
    ("function-length", shape::functions_are_short),
    ("unfinished", words::nothing_is_left_for_later),
    ("documents", words::only_documents_of_the_project_are_named),
    ("test-discipline", words::tests_wait_for_events),
    ("unbounded", words::nothing_is_unbounded),
    ("limits", words::bounds_stand_in_limits),
    ("spawn", words::tasks_are_spawned_in_one_place),
    ("locks", words::locks_have_a_reason),
    ("names", words::names_say_what_things_are),
    ("pure", purity::pure_files_stay_pure),
    ("wire-types", purity::wire_types_stop_at_the_door),
    ("unknown-keys", purity::unknown_keys_are_refused),
    ("anyhow", dependencies::typed_errors_inside),
    ("dependency-rule", dependencies::programs_see_core_and_never_each_other),
    ("dependencies", dependencies::dependencies_are_used),
    ("independent-witness", dependencies::the_mock_role_is_an_independent_witness),
    ("code-map", documents::the_code_map_is_complete),
    ("coverage", documents::every_requirement_has_a_test),
    ("protocol-hash", documents::the_protocol_document_is_current),
    ("machine", machine::nothing_of_one_machine_is_kept),
    ("lock-file", machine::packages_come_from_the_public_registry),
];

pub fn run() -> Result<()> {
    let root = root::work_tree();
    let tree = Tree::read(&root)?;
    let mut problems = 0;
    for (name, check) in CHECKS {
        problems += report(name, &check(&tree));
    }
    problems += report("commit-subject", &commits::subjects_are_short_and_imperative(&commits::subjects(&root)?));
    if problems > 0 {
        bail!("tidy found {problems} problem(s)");
    }
    println!("tidy: {} files, {} checks, nothing to say", tree.files.len(), CHECKS.len() + 1);
    Ok(())
}

fn report(name: &str, problems: &[Problem]) -> usize {
    for problem in problems {
        println!("{problem} [{name}]");
    }
    problems.len()
}
