//! `cargo xtask bench`: CPU time, memory and latency of ours against peers that do the same TLS hops, alternating in one
//! run. Prints the table, writes JSON, keeps docs/performance.md. Figures are printed, never asserted; a row that misses
//! its target stays and says so; a run with an error gives no figure.

mod backend;
mod contestants;
pub mod job;
pub mod keys;
mod load;
pub mod measurement;
pub mod process;
mod profile;
mod report;
mod results;
mod rows;
pub mod session;
pub mod usage;

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::root;
use contestants::Name;
use measurement::Scale;
use report::{Line, Machine, Run};
use rows::Row;
use session::{Plan, Session};

const ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 2;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,

    /// Rounds in which the contestants alternate [default: 5, quick: 2]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// Shorter and fewer rounds: shows the order of magnitude, about two minutes
    #[arg(long)]
    quick: bool,

    /// Only this row; may be given several times
    #[arg(long, value_name = "ROW")]
    only: Vec<Row>,

    /// Only these contestants
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "ours,nginx,haproxy")]
    contestants: Vec<Name>,

    /// Worker threads or processes of every program [default: processors]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,

    /// Write the figures of every round here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Print where the CPU of ours goes in each row of load, by perf
    #[arg(long)]
    profile: bool,
}

/// The other processes of a run are this program again.
#[derive(clap::Subcommand)]
enum Part {
    /// The site role of the measurement
    #[command(hide = true)]
    Backend(backend::Arguments),
    /// The load generator
    #[command(hide = true)]
    Load,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.part {
        Some(Part::Backend(arguments)) => backend::run(arguments),
        Some(Part::Load) => load::run(),
        None if cfg!(debug_assertions) => again_in_release(),
        None => measure(arguments),
    }
}

/// A load generator without optimisation would take the processors from those that are measured.
pub fn again_in_release() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--package", "xtask"]).current_dir(root::work_tree());
    ensure!(command.status().context("starting cargo")?.success(), "building xtask in release did not succeed");
    let own = std::env::current_exe()?;
    let program = own.parent().and_then(|debug| debug.parent()).context("an executable without a folder")?;
    let error = Command::new(program.join("release/xtask")).args(std::env::args_os().skip(1)).exec();
    Err(error).context("starting xtask as built in release")
}

fn measure(arguments: &Arguments) -> Result<()> {
    process::watch_for_interrupts()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { QUICK_ROUNDS } else { ROUNDS });
    ensure!(rounds > 0, "--rounds must be at least 1");
    let plan = Plan {
        rows: Row::ALL.into_iter().filter(|row| arguments.only.is_empty() || arguments.only.contains(row)).collect(),
        names: arguments.contestants.clone(),
        rounds,
        scale: if arguments.quick { Scale::QUICK } else { Scale::FULL },
        workers: arguments.workers.unwrap_or(processors),
        profile: arguments.profile,
    };
    let workers = plan.workers;
    let busy_percent = usage::busy_percent()?;
    if busy_percent > report::QUIET_PERCENT {
        eprintln!("others use {busy_percent:.0} % of the processors; figures of a quiet machine are better ones");
    }
    let results = Session::new(plan, root::work_tree())?.run()?;
    let run = Run {
        command: command_line(),
        date: report::today(),
        machine: Machine::this(),
        workers,
        rounds,
        busy_percent,
        versions: arguments.contestants.iter().filter_map(|name| Some((*name, name.version()?))).collect(),
        rows: results.into_iter().map(|(row, result)| Line::new(row, result)).collect(),
    };
    publish(arguments, &run)
}

/// The table always, JSON where asked for, the documentation only if it would show everything.
fn publish(arguments: &Arguments, run: &Run) -> Result<()> {
    println!("{}", run.text());
    if let Some(path) = &arguments.json {
        run.write_json(path)?;
    }
    let documentation = root::work_tree().join("docs/performance.md");
    if run.is_whole() && !arguments.quick {
        run.write_documentation(&documentation)?;
        println!("docs/performance.md now holds this table.");
    } else {
        println!(
            "docs/performance.md keeps its table: it takes only a run of every row and contestant without --quick."
        );
    }
    // A peer beside nginx that fails costs its own column; without ours or nginx there is nothing to judge.
    let needed = |name: &Name| *name != Name::Haproxy && arguments.contestants.contains(name);
    let without: BTreeSet<Name> = run.troubles().into_keys().map(|(name, _)| name).filter(needed).collect();
    if !without.is_empty() {
        let names: Vec<String> = without.iter().map(ToString::to_string).collect();
        bail!("{} could not be measured everywhere; the reasons are under the table", names.join(", "));
    }
    Ok(())
}

/// As a developer would type it.
fn command_line() -> String {
    std::iter::once("cargo xtask".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ")
}
