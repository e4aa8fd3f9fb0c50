//! `cargo xtask test`: every test, with one command. Sees to the third-party clients that the tests use, builds
//! the programs, runs the tests and ends with the line `N passed, N failed`.

mod counts;
mod needs;

use std::process::Command;

use anyhow::{Result, bail};

use crate::root;
use crate::run::{Steps, is_installed};
use counts::{counted, counted_by_xtask};

pub use counts::Counts;
pub use needs::see_to_programs;

#[derive(clap::Args)]
pub struct Arguments {
    /// Only tests whose name contains this
    filter: Option<String>,
    /// Only the tests of this package, such as cmg-core
    #[arg(long, short)]
    package: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let counts = all(arguments)?;
    println!("{} passed, {} failed", counts.passed, counts.failed);
    if counts.failed > 0 {
        bail!("{} test(s) failed; their output is above", counts.failed);
    }
    if counts.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// The same as a command of its own, as people run it.
pub fn as_command() -> Result<Counts> {
    counted_by_xtask(Command::new("cargo").args(["xtask", "test"]).current_dir(root::work_tree()))
}

fn all(arguments: &Arguments) -> Result<Counts> {
    let steps = Steps::begin();
    steps.say("looking for the clients that the tests use");
    needs::see_to_programs()?;
    steps.say("building the programs");
    steps.run(Command::new("cargo").args(["build", "--workspace", "--bins"]).current_dir(root::work_tree()))?;
    steps.say("running the tests");
    let mut counts = counted(&mut tests(arguments))?;
    if arguments.filter.is_none() {
        steps.say("running the examples in the documentation");
        counts += counted(&mut examples(arguments))?;
    }
    steps.say("done");
    Ok(counts)
}

fn tests(arguments: &Arguments) -> Command {
    let mut command = cargo();
    if is_installed("cargo-nextest") {
        command.args(["nextest", "run", "--no-fail-fast", "--status-level", "all", "--final-status-level", "fail"]);
        in_scope(&mut command, arguments);
        command.args(&arguments.filter);
    } else {
        command.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
        in_scope(&mut command, arguments);
        command.arg("--").args(&arguments.filter);
    }
    command
}

/// Only libraries have them, and nextest does not run them.
fn examples(arguments: &Arguments) -> Command {
    let mut command = cargo();
    command.args(["test", "--doc", "--no-fail-fast"]);
    in_scope(&mut command, arguments);
    command
}

fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root::work_tree());
    command
}

fn in_scope(command: &mut Command, arguments: &Arguments) {
    match &arguments.package {
        Some(package) => command.args(["--package", package]),
        None => command.arg("--workspace"),
    };
}
