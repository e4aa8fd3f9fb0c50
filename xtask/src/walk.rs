//! A client's walk through something that runs: each step a request or two that show one thing, printed with its
//! result, and what steps expect of the answers that they get.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cmg_client::Answer;
use serde_json::Value;

use crate::testing::Counts;

#[derive(Default)]
pub struct Walk {
    counts: Counts,
    begin: Option<Instant>,
}

impl Walk {
    /// Prints how a step went, and the time since the step before it.
    pub fn record(&mut self, what: &str, result: Result<String>) {
        let took = self
            .begin
            .replace(Instant::now())
            .map_or_else(String::new, |begin| format!(" ({} ms)", begin.elapsed().as_millis()));
        let number = self.counts.passed + self.counts.failed + 1;
        match result {
            Ok(said) => {
                self.counts.passed += 1;
                println!("  ok {number:>2}  {what}: {said}{took}");
            }
            Err(error) => {
                self.counts.failed += 1;
                println!("  FAILED {number:>2}  {what}: {error:#}");
            }
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }
}

/// What the role says that it saw.
pub fn echoed(answer: &Answer) -> Result<Value> {
    ensure!(answer.status == 200, "{} {}: {}", answer.status, answer.reason, answer.text());
    serde_json::from_slice(&answer.body).context("the role's echo is no JSON")
}

/// That the gateway refused, and with which code.
pub fn refused(answer: &Answer, status: u16, code: &str) -> Result<String> {
    let said = answer.field("x-cmg-error").unwrap_or("no code");
    ensure!(answer.status == status && said == code, "{} {said}: {}", answer.status, answer.text());
    Ok(format!("{status} {code}"))
}
