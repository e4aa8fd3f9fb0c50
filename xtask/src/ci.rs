//! `cargo xtask ci`: everything that a change must pass, in the order in which it is cheapest to fail. A step that
//! fails does not keep the later ones from being seen; the last line counts them with the tests.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{Steps, is_installed};
use crate::testing::Counts;
use crate::{codegen, containers, demo, faults, fuzz, root, testing, tidy};

type Step = fn() -> Result<Counts>;

const STEPS: &[(&str, Step)] = &[
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("tidy", || tidy::run().map(|()| ONE)),
    ("generated code", || codegen::check().map(|()| ONE)),
    ("lints", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("dependencies", dependencies),
    ("tests", testing::as_command),
    ("demo", || demo::in_ci().map(|()| ONE)),
    ("faults", faults::in_ci),
    ("containers", containers::in_ci),
    ("fuzzing", || fuzz::run(&fuzz::Arguments::short()).map(|()| ONE)),
];

const ONE: Counts = Counts { passed: 1, failed: 0 };

pub fn run() -> Result<()> {
    let steps = Steps::begin();
    let mut counts = Counts::default();
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        steps.say(&format!("== {name}"));
        match step() {
            Ok(more) => {
                if more.failed > 0 {
                    failed.push(*name);
                }
                counts += more;
            }
            Err(error) => {
                println!("{name}: {error:#}");
                failed.push(name);
                counts.failed += 1;
            }
        }
    }
    steps.say(if failed.is_empty() { "everything passed" } else { "something failed" });
    println!("{} passed, {} failed", counts.passed, counts.failed);
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<Counts> {
    Steps::begin().run(Command::new("cargo").args(arguments).current_dir(root::work_tree()))?;
    Ok(ONE)
}

/// Licences, sources and bans of deny.toml. Without cargo-deny the lock file's sources are still checked by tidy.
fn dependencies() -> Result<Counts> {
    if !is_installed("cargo-deny") {
        println!("cargo-deny is not installed; tidy has checked the sources of all packages");
        return Ok(Counts::default());
    }
    cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])
}
