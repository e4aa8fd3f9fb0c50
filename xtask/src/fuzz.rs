//! `cargo xtask fuzz`: coverage-guided fuzzing with libFuzzer, on the stable toolchain and without another tool. Every
//! target starts from its kept corpus; what it finds beside that stays under `target/fuzz` unless `--keep` is given.

mod build;
mod corpus;
mod libfuzzer;

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::run::Steps;
use build::Fuzzer;
use libfuzzer::{Outcome, Status};

#[derive(clap::Args)]
pub struct Arguments {
    /// For how long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Only this target; may be given several times
    #[arg(long, value_name = "TARGET")]
    only: Vec<String>,
    /// Print the targets and do nothing else
    #[arg(long)]
    list: bool,
    /// Add to fuzz/corpus the fewest of the found inputs that reach what was reached
    #[arg(long)]
    keep: bool,
    /// Run this one input through the target of --only instead, for example one that ended a run before
    #[arg(long, value_name = "FILE", requires = "only")]
    input: Option<PathBuf>,
}

impl Arguments {
    /// What a change must pass: the kept corpus, and a few seconds of looking further.
    pub fn short() -> Self {
        Self { seconds: 4, only: Vec::new(), list: false, keep: false, input: None }
    }
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let targets = corpus::targets(&arguments.only)?;
    if arguments.list {
        targets.iter().for_each(|target| println!("{target}"));
        return Ok(());
    }
    let steps = Steps::begin();
    steps.say("building the fuzz targets; the first time takes some minutes");
    let fuzzer = Fuzzer::build()?;
    fuzzer.knows_exactly(&corpus::targets(&[])?)?;
    if let Some(input) = &arguments.input {
        return reproduce(&fuzzer, &targets, input);
    }
    let mut summary = Vec::new();
    let mut failed = Vec::new();
    for target in &targets {
        steps.say(&format!("{target}: {} s", arguments.seconds));
        let outcome = libfuzzer::run(&fuzzer, target, arguments.seconds, &steps)?;
        if let Some(failure) = &outcome.failure {
            println!("{failure}\nto see it again: cargo xtask fuzz --only {target} --input FILE");
            failed.push(target.as_str());
        } else if arguments.keep {
            let kept = corpus::keep(&fuzzer, target)?;
            steps.say(&format!("{target}: {kept} inputs are kept"));
        }
        summary.push((target, outcome));
    }
    print_summary(&summary);
    ensure!(failed.is_empty(), "found by fuzzing: {}; the inputs are named above", failed.join(", "));
    Ok(())
}

fn reproduce(fuzzer: &Fuzzer, targets: &[String], input: &PathBuf) -> Result<()> {
    let [target] = targets else { bail!("--input needs exactly one --only") };
    let status = fuzzer.command(target)?.arg(input).status()?;
    ensure!(status.success(), "{target} fails on {} ({status})", input.display());
    println!("{target} takes {} without a fault", input.display());
    Ok(())
}

fn print_summary(summary: &[(&String, Outcome)]) {
    println!("{:<24} {:>12} {:>8} {:>8} {:>8}  ", "target", "executions", "edges", "corpus", "seconds");
    for (target, Outcome { status, seconds, failure }) in summary {
        let Status { executions, edges, corpus } = status;
        let verdict = if failure.is_some() { "FAILED" } else { "" };
        println!("{target:<24} {executions:>12} {edges:>8} {corpus:>8} {seconds:>8}  {verdict}");
    }
}
