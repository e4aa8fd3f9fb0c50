//! Runs libFuzzer on one target and reads from its own words how far it is and how it ended.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::build::{self, Fuzzer};
use super::corpus;
use crate::root;
use crate::run::Steps;

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);
/// So many of its last lines are shown when it failed.
const LAST_WORDS: usize = 60;
/// An input that takes longer than this many seconds is a fault.
const SLOWEST: u32 = 10;
/// Memory in MiB that a target may take: nothing of ours holds much.
const MEMORY: u32 = 1024;

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub executions: u64,
    pub edges: u64,
    /// Inputs that each reach something that the others do not.
    pub corpus: u64,
}

#[derive(Debug)]
pub struct Outcome {
    pub status: Status,
    pub seconds: u64,
    /// The last words of a run that found something, the input's path among them.
    pub failure: Option<String>,
}

pub fn run(fuzzer: &Fuzzer, target: &str, seconds: u64, steps: &Steps) -> Result<Outcome> {
    let mut command = fuzzer.command(target)?;
    command.arg(format!("-max_total_time={seconds}"));
    command.args([format!("-timeout={SLOWEST}"), format!("-rss_limit_mb={MEMORY}")]);
    command.arg(format!("-artifact_prefix={}", build::failures(target).display()));
    let dictionary = root::work_tree().join("fuzz").join("dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command.args([build::found(target), corpus::kept(target)]);
    let begin = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot start the fuzz targets")?;
    let stderr = child.stderr.take().context("a fuzzer without output")?;
    let (mut status, mut shown, mut last) = (Status::default(), begin, VecDeque::new());
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(now) = read_status(&line) {
            status = now;
            if shown.elapsed() > PROGRESS {
                shown = Instant::now();
                let Status { executions, edges, corpus } = status;
                steps.say(&format!("{target}: {executions} executions, {edges} edges, {corpus} inputs"));
            }
            continue;
        }
        last.push_back(line);
        if last.len() > LAST_WORDS {
            last.pop_front();
        }
    }
    let ended = child.wait()?;
    let failure = (!ended.success()).then(|| Vec::from(last).join("\n"));
    Ok(Outcome { status, seconds: begin.elapsed().as_secs(), failure })
}

/// Reads `#4096 pulse  cov: 345 ft: 612 corp: 87/2345b lim: 43 exec/s: 2048 rss: 39Mb`.
fn read_status(line: &str) -> Option<Status> {
    let mut words = line.strip_prefix('#')?.split_whitespace();
    let executions = words.next()?.parse().ok()?;
    let words: Vec<&str> = words.collect();
    let after = |name: &str| words.iter().skip_while(|word| **word != name).nth(1).copied();
    let corpus = after("corp:").and_then(|corpus| corpus.split('/').next()).and_then(|number| number.parse().ok());
    Some(Status { executions, edges: after("cov:")?.parse().ok()?, corpus: corpus.unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_progress_is_read_and_no_other() {
        let line = "#4096\tpulse  cov: 345 ft: 612 corp: 87/2345b lim: 43 exec/s: 2048 rss: 39Mb";
        assert_eq!(read_status(line), Some(Status { executions: 4096, edges: 345, corpus: 87 }));
        let done = "#5\tDONE   cov: 3 ft: 4 exec/s: 0 rss: 30Mb";
        assert_eq!(read_status(done), Some(Status { executions: 5, edges: 3, corpus: 0 }));
        for other in ["INFO: Seed: 1", "    #0 0x55 in main", "#x cov: 1", "==1== ERROR: libFuzzer: deadly signal", ""]
        {
            assert_eq!(read_status(other), None, "{other}");
        }
    }
}
