//! What the programs of an installation hold while a load runs: memory, descriptors, threads and CPU, sampled from
//! /proc at a steady pace. A leak is a curve that goes on rising.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cmg_e2e::Stack;
use tokio::sync::watch;
use tokio::time::interval;

use crate::bench::usage::{self, CpuTime};

/// Between two looks: some hundred in half an hour.
const EVERY: Duration = Duration::from_secs(10);
/// Columns of a drawn curve.
const WIDTH: usize = 60;
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub struct Curves {
    programs: Vec<Curve>,
}

/// Of one program.
struct Curve {
    name: String,
    pid: u32,
    samples: Vec<Sample>,
}

struct Sample {
    seconds: u64,
    memory_kib: f64,
    descriptors: usize,
    threads: usize,
    cpu_seconds: f64,
}

impl Curves {
    pub fn of(stack: &Stack) -> Self {
        let curve = |program: &cmg_e2e::program::Program| Curve {
            name: program.name.clone(),
            pid: program.pid(),
            samples: Vec::new(),
        };
        Self { programs: stack.programs().map(curve).collect() }
    }

    /// Looks at every program until the load is over, and once more when they have come to rest.
    pub async fn watch(&mut self, is_over: watch::Receiver<bool>) -> Result<()> {
        let begun = Instant::now();
        let mut look = interval(EVERY);
        loop {
            look.tick().await;
            let is_last = *is_over.borrow();
            for program in &mut self.programs {
                let sample = Sample::of(program.pid, begun.elapsed().as_secs());
                program.samples.push(sample.with_context(|| format!("looking at {}", program.name))?);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// A line for each sample, for a spreadsheet.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = String::from("program,seconds,memory_kib,descriptors,threads,cpu_seconds\n");
        for Curve { name, samples, .. } in &self.programs {
            for Sample { seconds, memory_kib, descriptors, threads, cpu_seconds } in samples {
                writeln!(text, "{name},{seconds},{memory_kib:.0},{descriptors},{threads},{cpu_seconds:.2}")?;
            }
        }
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The curves as they can stand in a document.
    pub fn drawn(&self) -> String {
        let mut text = String::from("| program | what | first | last | highest | curve |\n|---|---|---|---|---|---|\n");
        for Curve { name, samples, .. } in &self.programs {
            let memory: Vec<f64> = samples.iter().map(|sample| sample.memory_kib / 1024.0).collect();
            let descriptors: Vec<f64> = samples.iter().map(|sample| sample.descriptors as f64).collect();
            let threads: Vec<f64> = samples.iter().map(|sample| sample.threads as f64).collect();
            let pairs = samples.iter().zip(samples.iter().skip(1));
            let busy = |(one, next): (&Sample, &Sample)| {
                (next.cpu_seconds - one.cpu_seconds) / (next.seconds - one.seconds).max(1) as f64 * 100.0
            };
            let cpu: Vec<f64> = pairs.map(busy).collect();
            for (what, values) in
                [("memory, MiB", memory), ("descriptors", descriptors), ("threads", threads), ("CPU, %", cpu)]
            {
                text.push_str(&row(name, what, &values));
            }
        }
        text
    }
}

fn row(name: &str, what: &str, values: &[f64]) -> String {
    let (first, last) = (values.first().copied().unwrap_or_default(), values.last().copied().unwrap_or_default());
    let highest = values.iter().copied().fold(0.0, f64::max);
    format!("| {name} | {what} | {first:.0} | {last:.0} | {highest:.0} | `{}` |\n", drawn(values, highest))
}

/// A curve from nothing to the highest value, each column the highest of its part.
fn drawn(values: &[f64], highest: f64) -> String {
    let columns = values.len().min(WIDTH);
    let part = |column: usize| column * values.len() / columns.max(1);
    let columns = (0..columns).map(|column| values.get(part(column)..part(column + 1)).unwrap_or_default());
    columns.map(|part| height(part.iter().copied().fold(0.0, f64::max), highest)).collect()
}

fn height(value: f64, highest: f64) -> char {
    let most = HEIGHTS.len() - 1;
    let at = if highest > 0.0 { (value / highest * most as f64).round() as usize } else { 0 };
    HEIGHTS.get(at.min(most)).copied().unwrap_or(' ')
}

impl Sample {
    fn of(pid: u32, seconds: u64) -> Result<Self> {
        let count = |what: &str| Ok::<_, anyhow::Error>(fs::read_dir(format!("/proc/{pid}/{what}"))?.count());
        Ok(Self {
            seconds,
            memory_kib: usage::memory_kib(&[pid])?,
            descriptors: count("fd")?,
            threads: count("task")?,
            cpu_seconds: CpuTime::of(&[pid])?.since(CpuTime::default()) as f64 / 1e9,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_shows_where_it_is_high() {
        assert_eq!(drawn(&[0.0, 50.0, 100.0], 100.0), "▁▅█");
        let long: Vec<f64> = (0..600).map(f64::from).collect();
        let curve = drawn(&long, 599.0);
        assert_eq!(curve.chars().count(), WIDTH);
        assert!(curve.starts_with('▁') && curve.ends_with('█'));
        assert_eq!(drawn(&[], 0.0), "");
    }

    #[test]
    fn a_process_can_be_looked_at() {
        let sample = Sample::of(std::process::id(), 1).unwrap();
        assert!(sample.memory_kib > 0.0 && sample.descriptors > 2 && sample.threads > 0);
    }
}
