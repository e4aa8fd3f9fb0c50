//! `cargo xtask load`: sends a load through a whole installation, restarts or kills programs under it where asked for, and
//! accounts for every request by three counts: its own, the role's and the gateways'. Fails on any fault.

mod curves;
mod demo;
mod restarts;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cmg_e2e::Stack;
use cmg_load::{Allowed, Counts, Mix, Plan, Progress, Record, Site, Verdict, check, hold, role_position};
use tokio::sync::watch;

use crate::root;
use crate::run::Steps;
use curves::Curves;
use restarts::{Harm, Tier};

#[derive(clap::Args)]
pub struct Arguments {
    /// Load the installation of this running demo instead of one of its own
    #[arg(long, value_name = "demo.json", conflicts_with_all = ["gateways", "connection_points", "restart", "kill", "release", "curves"])]
    demo: Option<PathBuf>,
    /// Gateway instances
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    gateways: u16,
    /// Connection points
    #[arg(long, value_name = "M", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    connection_points: u16,
    /// At most so many requests [default: 20000, with --seconds without end]
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// For at most so long
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// At most so many requests a second
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Requests under way at a time
    #[arg(long, value_name = "C", default_value_t = 64)]
    clients: usize,
    /// Clients that only wait, each for 45 s
    #[arg(long, value_name = "W", default_value_t = 4)]
    waiters: usize,
    /// Kinds of requests with their weights, such as get=30,post=10
    #[arg(long, value_name = "MIX")]
    mix: Option<Mix>,
    /// The same seed sends the same requests
    #[arg(long, value_name = "X", default_value_t = 1)]
    seed: u64,
    /// Restart these programs in good order, one at a time, again and again until the load ends
    #[arg(long, value_enum)]
    restart: Option<Tier>,
    /// Kill these programs with requests under way and start them again, one at a time, again and again
    #[arg(long, value_enum, conflicts_with = "restart")]
    kill: Option<Tier>,
    /// Draw what the programs hold meanwhile, and write a line for each look at them here, every 10 s
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["restart", "kill"])]
    curves: Option<PathBuf>,
    /// Where keys, configuration, logs and the record of every request go and stay
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the verdict here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Build with optimisation, as for production
    #[arg(long)]
    release: bool,
}

/// What is sent if nobody says how much.
const REQUESTS: u64 = 20_000;

pub fn run(arguments: &Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let verdict = match &arguments.demo {
        Some(demo) => runtime.block_on(load_demo(arguments, demo))?,
        None => {
            let steps = Steps::begin();
            steps.say("building the programs");
            steps.run(&mut root::build_programs(arguments.release))?;
            runtime.block_on(load_own(arguments, &steps))?
        }
    };
    println!("\n{verdict}");
    if let Some(path) = &arguments.json {
        let text = serde_json::to_vec_pretty(&verdict)?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    ensure!(verdict.is_clean(), "not every request is accounted for");
    Ok(())
}

/// Against an installation that runs already.
async fn load_demo(arguments: &Arguments, demo: &Path) -> Result<Verdict> {
    let demo = demo::read(demo)?;
    let since = role_position(demo.site.role_admin).await?;
    let (_stop, never) = watch::channel(false);
    let record = send(&plan(arguments, None)?, &demo.site, never).await?;
    let counts = Counts::take(record, &demo.site, since, &demo.logs).await?;
    Ok(check(&counts, Allowed::NOTHING))
}

/// Against an installation that is started for it and stopped after it.
async fn load_own(arguments: &Arguments, steps: &Steps) -> Result<Verdict> {
    let mut builder = Stack::builder()
        .binaries(&root::programs(arguments.release))
        .gateways(arguments.gateways.into())
        .connection_points(arguments.connection_points.into());
    let kept = arguments.keep.as_ref().map(|folder| root::empty_folder(folder)).transpose()?;
    if let Some(folder) = &kept {
        builder = builder.folder(folder);
    }
    steps.say("starting an installation");
    let mut stack = builder.start().await?;
    let (site, mut plan) = (stack.load_site()?, plan(arguments, kept.as_deref())?);
    let harm = harm(arguments, &mut plan, &site);
    let is_harmed = harm.is_some();
    let since = role_position(site.role_admin).await?;
    steps.say("sending");
    let (over, is_over) = watch::channel(false);
    let (_stop, never) = watch::channel(false);
    let sending = async {
        let record = send(&plan, &site, never).await;
        // Nobody restarts anything where it is not asked for.
        let _ = over.send(true);
        record
    };
    let mut curves = arguments.curves.as_ref().map(|path| (Curves::of(&stack), path));
    let watching = async {
        match &mut curves {
            Some((curves, _)) => curves.watch(is_over.clone()).await,
            None => Ok(()),
        }
    };
    let harming = restarts::again_and_again(&mut stack, harm, plan.begun, is_over.clone());
    let (record, stops, watched) = tokio::join!(sending, harming, watching);
    watched?;
    if let Some((curves, path)) = curves {
        curves.write(path)?;
        println!("\n{}", curves.drawn());
    }
    if let Some(folder) = &kept {
        steps.say(&format!("logs and the record are in {}", folder.display()));
    }
    let stops = stops.context("a program could not be stopped and started again")?;
    ensure!(!is_harmed || !stops.is_empty(), "the load ended before anything was stopped: send more");
    steps.say("comparing the counts");
    let counts = Counts { stops, ..stack.load_counts(record?, since).await? };
    Ok(check(&counts, Allowed::NOTHING))
}

/// What is to be done to the programs, with the plan's part in it.
fn harm(arguments: &Arguments, plan: &mut Plan, site: &Site) -> Option<(Tier, Harm)> {
    if let Some(tier) = arguments.restart {
        return Some((tier, Harm::Restart));
    }
    let tier = arguments.kill?;
    let (holding, held) = hold(&plan.run, site);
    plan.held = Some(held);
    Some((tier, Harm::Kill(holding)))
}

async fn send(plan: &Plan, site: &Site, stop: watch::Receiver<bool>) -> Result<Record> {
    Ok(cmg_load::run(plan, site, stop, |progress: &Progress| println!("{progress}")).await?)
}

fn plan(arguments: &Arguments, kept: Option<&Path>) -> Result<Plan> {
    let usual = arguments.seconds.is_none().then_some(REQUESTS);
    Ok(Plan {
        seed: arguments.seed,
        mix: arguments.mix.clone().unwrap_or_default(),
        requests: arguments.requests.or(usual),
        duration: arguments.seconds.map(Duration::from_secs),
        rate: arguments.rate,
        clients: arguments.clients,
        waiters: arguments.waiters,
        record: kept.map(|folder| folder.join("record.jsonl")),
        ..Plan::new(&run_name()?, REQUESTS)
    })
}

/// One that no other run at the same installation has.
fn run_name() -> Result<String> {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(format!("{:x}", since.as_millis()))
}
