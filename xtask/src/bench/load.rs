//! The load generator, a process of its own with one thread: takes one job, connects, says so, runs when told, reports.
//! It never tries anything again; every answer's status and length are checked, and an error ends its connection.

mod connection;
mod tally;
mod work;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};

use super::job::{Job, Report};
use work::Prepared;

/// A job that is not done by then has hung. The longest, a slow machine's idle connections, takes a third.
const LONGEST_STEP: Duration = Duration::from_secs(30);

pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut lines = std::io::stdin().lines();
    let line = lines.next().context("no job on the standard input")??;
    let job: Job = serde_json::from_str(&line).context("reading the job")?;
    let mut prepared = runtime.block_on(within(Prepared::for_job(&job)))?;
    say(&Report::Ready)?;
    while let Some(line) = lines.next().transpose()? {
        if line == "go" {
            let outcome = runtime.block_on(within(async { Ok(prepared.run().await) }))?;
            say(&Report::Outcome(outcome))?;
        }
    }
    Ok(())
}

async fn within<T>(step: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(LONGEST_STEP, step).await.context("requests hang: gave up after 30 s")?
}

fn say(report: &Report) -> Result<()> {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, report)?;
    output.write_all(b"\n")?;
    Ok(output.flush()?)
}
