//! Reads from a test runner's own output how many tests passed and failed, while passing the output on.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a test runner. A runner that fails without a failed test (it does not compile, say) is an error.
pub fn counted(runner: &mut Command) -> Result<Counts> {
    counted_by(runner, in_line)
}

/// Runs `cargo xtask test` and takes its closing line.
pub fn counted_by_xtask(runner: &mut Command) -> Result<Counts> {
    counted_by(runner, in_closing_line)
}

fn counted_by(runner: &mut Command, reading: fn(&str) -> Counts) -> Result<Counts> {
    let mut child =
        runner.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot start cargo for the tests")?;
    let stdout = child.stdout.take().context("a runner without output")?;
    let stderr = child.stderr.take().context("a runner without output")?;
    let reader = thread::spawn(move || passed_on(stderr, io::stderr(), reading));
    let mut counts = passed_on(stdout, io::stdout(), reading);
    counts += reader.join().unwrap_or_default();
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        bail!("the tests could not be run ({status}); the reason is above");
    }
    Ok(counts)
}

fn passed_on(from: impl Read, mut to: impl Write, reading: fn(&str) -> Counts) -> Counts {
    let mut counts = Counts::default();
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        counts += reading(&line);
        let _ = writeln!(to, "{line}");
    }
    counts
}

/// What a closing line of cargo test or nextest says; nothing for any other line.
fn in_line(line: &str) -> Counts {
    let line = without_colours(line);
    let line = line.trim();
    let is_cargo = line.starts_with("test result:");
    let is_nextest = line.starts_with("Summary [");
    if !is_cargo && !is_nextest {
        return Counts::default();
    }
    let number_before = |word: &str| -> u64 {
        let mut words = line.split([' ', ',', ';']).filter(|word| !word.is_empty()).peekable();
        let mut count = 0;
        while let Some(number) = words.next() {
            if words.peek() == Some(&word) {
                count += number.parse::<u64>().unwrap_or(0);
            }
        }
        count
    };
    // nextest tells tests that ran too long or died by a signal apart from those that failed.
    let failed = number_before("failed") + number_before("timed") + number_before("exec");
    Counts { passed: number_before("passed"), failed }
}

/// What `N passed, N failed`, alone on a line, says.
fn in_closing_line(line: &str) -> Counts {
    let numbers = line.strip_suffix(" failed").and_then(|rest| rest.split_once(" passed, "));
    let counts = numbers.and_then(|(passed, failed)| Some((passed.parse().ok()?, failed.parse().ok()?)));
    counts.map_or_else(Counts::default, |(passed, failed)| Counts { passed, failed })
}

fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_both_runners_are_understood() {
        let cargo = "test result: FAILED. 30 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(in_line(cargo), Counts { passed: 30, failed: 2 });
        let nextest = "     Summary [   1.234s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 3 skipped";
        assert_eq!(in_line(nextest), Counts { passed: 10, failed: 2 });
        let coloured =
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m4\u{1b}[0m tests run: \u{1b}[1m4\u{1b}[0m passed";
        assert_eq!(in_line(coloured), Counts { passed: 4, failed: 0 });
        assert_eq!(in_line("30 passed"), Counts::default());
        assert_eq!(in_closing_line("30 passed, 1 failed"), Counts { passed: 30, failed: 1 });
        assert_eq!(in_closing_line(cargo), Counts::default());
    }

    #[test]
    fn a_runner_that_cannot_run_is_an_error() {
        assert!(counted(Command::new("sh").args(["-c", "exit 101"])).is_err());
        let counts = counted(Command::new("sh").args(["-c", "echo 'test result: ok. 3 passed; 0 failed;'"]));
        assert_eq!(counts.unwrap(), Counts { passed: 3, failed: 0 });
    }
}
