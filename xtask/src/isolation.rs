//! `cargo xtask isolation`: what one slow, dead, greedy or numerous party costs everybody else. For each disturbance an
//! installation of its own; the 99th percentile of eight well-behaved clients without and with it, in turns; and what
//! an installation costs while nothing happens. Figures are printed, never judged.

mod disturbance;
mod idle;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result};
use cmg_e2e::Stack;
use cmg_e2e::full_queue::FullQueue;
use cmg_e2e::stack::{Builder, SERVICE_NAME};
use tokio::task::spawn_blocking;

use crate::bench::job::{Target, Work};
use crate::bench::keys::Keys;
use crate::bench::measurement::Load;
use crate::bench::process::Owned;
use crate::bench::session::start_backend;
use crate::run::Steps;
use crate::{bench, root};
use disturbance::Disturbance;
use table::Row;

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these; may be given more than once
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Disturbance>,
    /// Pairs of runs, without and with
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// For each run
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Leave out what an idle installation costs
    #[arg(long)]
    no_idle: bool,
    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The clients whose answers are timed: as many requests as give a percentile, far from what the programs can bear.
const CLIENTS: usize = 8;
const REQUESTS_PER_SECOND: f64 = 800.0;

pub fn run(arguments: &Arguments) -> Result<()> {
    if cfg!(debug_assertions) {
        return bench::again_in_release();
    }
    bench::process::watch_for_interrupts()?;
    let steps = Steps::begin();
    steps.say("building the programs");
    steps.run(&mut root::build_programs(true))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure_all(arguments, &steps))
}

async fn measure_all(arguments: &Arguments, steps: &Steps) -> Result<()> {
    let (ground, deaf) = (Ground::new()?, FullQueue::fill()?);
    let mut rows = Vec::new();
    for disturbance in
        Disturbance::ALL.into_iter().filter(|one| arguments.only.is_empty() || arguments.only.contains(one))
    {
        steps.say(disturbance.name());
        let stack = disturbance.prepare(ground.builder(), &deaf).start().await?;
        let row = measure(arguments, disturbance, &stack).await.with_context(|| disturbance.name())?;
        println!("{row}");
        rows.push(row);
    }
    let idle = match arguments.no_idle {
        true => None,
        false => {
            steps.say("idle");
            Some(idle::measure(ground.builder()).await?)
        }
    };
    println!("\n{}", table::text(&rows, idle.as_ref()));
    if let Some(path) = &arguments.json {
        let text = serde_json::to_vec_pretty(&table::json(&rows, idle.as_ref()))?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Without and with, in turns, so that a noisy moment of the machine meets both.
async fn measure(arguments: &Arguments, disturbance: Disturbance, stack: &Stack) -> Result<Row> {
    let target = target(stack)?;
    let mut row = Row::new(disturbance);
    for _ in 0..arguments.rounds {
        let without = percentile(&target, arguments.seconds).await?;
        let disturbing = disturbance.begin(stack).await.context("the disturbance could not begin")?;
        let with = percentile(&target, arguments.seconds).await?;
        disturbing.end().await?;
        row.add(without, with);
    }
    Ok(row)
}

/// Microseconds within which 99 of 100 requests were answered. A single one that was not makes the run void.
async fn percentile(target: &Target, seconds: f64) -> Result<f64> {
    let (connections, per_second) = (CLIENTS, REQUESTS_PER_SECOND);
    let (target, work) = (target.clone(), Work::Paced { connections, per_second, seconds, stalled: 0 });
    // Apart: waiting for the generator, which is another process, would hold up those who disturb.
    let measured = spawn_blocking(move || Load::prepare(&target, work)?.go());
    Ok(measured.await??.p99_microseconds)
}

/// The first device's way to the backend.
fn target(stack: &Stack) -> Result<Target> {
    let device = &stack.pki.clients[0];
    Ok(Target {
        address: stack.client_address(0)?,
        server_name: SERVICE_NAME.to_owned(),
        prefix: "/bench/".to_owned(),
        authority: stack.pki.service_ca.certificate.clone(),
        certificate: Some(device.certificate.clone()),
        key: Some(device.key.clone()),
    })
}

/// What every installation has: the backend of those that are timed.
struct Ground {
    backend: String,
    keys: Keys,
    _backend: Owned,
    _folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cmg-isolation-").tempdir()?;
        let keys = Keys::make(&folder.path().join("keys"))?;
        let (backend, address) = start_backend(&keys)?;
        Ok(Self { backend: format!("https://{address}"), keys, _backend: backend, _folder: folder })
    }

    fn builder(&self) -> Builder {
        let authority = self.keys.certificate("internal-ca");
        Stack::builder().binaries(&root::programs(true)).internal(&self.backend, Some(&authority))
    }
}
