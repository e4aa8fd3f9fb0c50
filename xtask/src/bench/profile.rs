//! Where the CPU of ours goes in one row, by `perf` where it works. Help for whoever makes it faster; no part of the figures.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::contestants::Contestant;
use super::measurement::{self, Load, Scale};
use super::process::{Farewell, Owned};
use super::rows::Row;

/// Per program; what follows is noise.
const SYMBOLS: usize = 35;
/// Long enough for some ten thousand samples.
const SCALE: Scale = Scale { seconds: 4.0, bulk_bytes: 4 << 30, idle_connections: 0 };

/// Samples on the clock, because virtual machines rarely have the hardware counters.
pub fn print(row: Row, contestant: &Contestant, folder: &Path) -> Result<()> {
    for (part, processes) in [("gateway", &contestant.edge), ("connection point", &contestant.inner)] {
        let data = folder.join("perf.data");
        record(row, contestant, processes, &data)?;
        println!("{}, {part}: share of samples by where and what", row.name());
        report(&data, "dso", 6)?;
        report(&data, "symbol", SYMBOLS)?;
    }
    Ok(())
}

fn record(row: Row, contestant: &Contestant, processes: &[u32], data: &Path) -> Result<()> {
    let processes: Vec<String> = processes.iter().map(u32::to_string).collect();
    let mut load = Load::prepare(&contestant.target, measurement::work(row, SCALE))?;
    let mut command = Command::new("perf");
    command.args(["record", "--quiet", "-e", "cpu-clock", "-F", "4999", "-p", &processes.join(","), "-o"]).arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let recording = Owned::start("perf", &mut command, Farewell::Interrupt).context("apt-get install linux-perf")?;
    load.go()?;
    drop(recording);
    Ok(())
}

fn report(data: &Path, by: &str, lines: usize) -> Result<()> {
    let mut command = Command::new("perf");
    command.args(["report", "--stdio", "--no-children", "--percent-limit", "0.3", "--sort", by, "-i"]).arg(data);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).take(lines) {
        println!("{}", line.trim_end());
    }
    println!();
    Ok(())
}
