//! Where the CPU of ours goes in one row, by `perf` where it works. Help for whoever makes it faster; no part of the figures.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::contestants::Contestant;
use super::measurement::{self, Load, Scale};
use super::process::{Farewell, Owned};
use super::rows::Row;

const SYMBOLS: usize = 40;

/// Samples on the clock, because virtual machines rarely have the hardware counters.
pub fn print(row: Row, contestant: &Contestant, scale: Scale, folder: &std::path::Path) -> Result<()> {
    let data = folder.join("perf.data");
    let processes: Vec<String> = contestant.processes().iter().map(u32::to_string).collect();
    let mut load = Load::prepare(&contestant.target, measurement::work(row, scale))?;
    let mut command = Command::new("perf");
    command.args(["record", "--quiet", "-e", "cpu-clock", "-F", "997", "-o"]).arg(&data);
    command.args(["-p", &processes.join(",")]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let recording = Owned::start("perf", &mut command, Farewell::Interrupt).context("apt-get install linux-perf")?;
    load.go()?;
    drop(recording);
    let mut command = Command::new("perf");
    command.args(["report", "--stdio", "--no-children", "--sort", "comm,symbol", "-i"]).arg(&data);
    let output = command.stderr(Stdio::null()).output()?;
    println!("{row:?}, {}: share of samples, program, symbol", contestant.name);
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).take(SYMBOLS) {
        println!("{line}");
    }
    Ok(())
}
