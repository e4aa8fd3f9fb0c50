//! One scenario from beginning to end: an installation, a load to warm it up, the load with the fault beside it, a load
//! after it that must be clean, and a look at what is left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cmg_e2e::Stack;
use cmg_e2e::cable::{Cable, Quality};
use cmg_load::{Allowed, Counts, Plan, Site, Verdict, check, hold, role_position};
use tokio::sync::watch;

use super::BESIDE;
use super::footprint::Footprints;
use super::report::Played;
use super::scenario::{Scenario, Scene};
use crate::root;

/// Where a scenario is played, and how much of it.
pub struct Ground {
    pub folder: PathBuf,
    pub requests: u64,
    pub full: bool,
}

/// Requests a second beside a fault, so that two busy processors bear it.
const RATE: u64 = 150;
const CLIENTS: usize = 32;
const WAITERS: usize = 2;
/// Requests before the fault, and after it.
const WARM_UP: u64 = 500;
const AFTER: u64 = 200;
/// A scenario that lasts longer has failed.
const PATIENCE: Duration = Duration::from_secs(600);

pub fn play(scenario: &Scenario, ground: &Ground, played: &mut Played) -> Result<()> {
    let cable = scenario.over_cable.then(|| Cable::lay(Quality::GOOD)).transpose()?;
    if let Some(cable) = &cable {
        cable.near.enter()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            ended = tokio::time::timeout(PATIENCE, on(scenario, ground, cable, played)) => {
                ended.with_context(|| format!("it did not end within {} s", PATIENCE.as_secs()))?
            }
        }
    })
}

async fn on(scenario: &Scenario, ground: &Ground, cable: Option<Cable>, played: &mut Played) -> Result<()> {
    let mut usual =
        Stack::builder().binaries(&root::programs(false)).folder(&ground.folder).gateways(2).connection_points(2);
    if let Some(cable) = &cable {
        usual = usual.through(cable);
    }
    let stack = (scenario.installation)(usual, &ground.folder).start().await?;
    let mut scene = Scene::of(stack, cable, ground.full);
    clean_load(&scene, &quiet_plan("before", WARM_UP)).await.context("before the fault")?;
    let before = Footprints::of(&scene.stack).await?;
    played.verdict = Some(with_fault(scenario, ground, &mut scene, &mut played.problems).await?);
    played.notes = std::mem::take(&mut scene.notes);
    scene.stack.wait_ready().await.context("after the fault not everything came back")?;
    if let Err(error) = clean_load(&scene, &quiet_plan("after", AFTER)).await {
        played.problems.push(format!("after the fault: {error:#}"));
    }
    match before.settled(&scene.stack).await {
        Ok(now) => played.notes.extend(now),
        Err(error) => played.problems.push(format!("{error:#}")),
    }
    let Scene { stack, cable, .. } = scene;
    let finished = stack.finish().await.context("something is left behind");
    // Laid until every program that runs over it has ended.
    drop(cable);
    finished
}

fn quiet_plan(run: &str, requests: u64) -> Plan {
    Plan { clients: CLIENTS, waiters: 0, ..Plan::new(run, requests) }
}

/// The usual load's account while the fault is done to the installation. What the fault finds is a problem of the
/// scenario, and its load is accounted for all the same.
async fn with_fault(
    scenario: &Scenario,
    ground: &Ground,
    scene: &mut Scene,
    problems: &mut Vec<String>,
) -> Result<Verdict> {
    let mut plan = Plan {
        requests: None,
        rate: Some(RATE),
        clients: CLIENTS,
        waiters: WAITERS,
        record: Some(ground.folder.join("record.jsonl")),
        ..Plan::new("fault", 0)
    };
    (scenario.load)(&mut plan);
    // Where the load is lighter, so much less is enough.
    let enough = ground.requests * plan.rate.unwrap_or(RATE) / RATE;
    let site = site(&scene.stack)?;
    let (holding, held) = hold(&plan.run, &site);
    plan.held = Some(held);
    (scene.clock, scene.holding) = (plan.begun, Some(holding));
    let since = role_position(site.role_admin).await?;
    let (stop, stopped) = watch::channel(false);
    let (told, mut sent) = watch::channel(0);
    let sending = cmg_load::run(&plan, &site, stopped, move |progress| {
        told.send_replace(progress.requests);
    });
    let harming = async {
        let begin = Instant::now();
        let harmed = (scenario.fault)(scene).await;
        scene.note(format!("the fault lasted {:.1} s", begin.elapsed().as_secs_f64()));
        let _ = sent.wait_for(|sent| *sent >= enough).await;
        let _ = stop.send(true);
        harmed
    };
    let (record, harmed) = tokio::join!(sending, harming);
    if let Err(error) = harmed {
        problems.push(format!("{error:#}"));
    }
    let stops = std::mem::take(&mut scene.stops);
    let mut counts = Counts { stops, ..scene.stack.load_counts(record?, since).await? };
    counts.role.seen.retain(|seen| !seen.target.contains(BESIDE));
    let verdict = check(&counts, scenario.allowed);
    problems.extend(verdict.faults.iter().map(|(fault, found)| format!("{} x {fault}", found.count)));
    Ok(verdict)
}

/// A load to which nothing may happen.
async fn clean_load(scene: &Scene, plan: &Plan) -> Result<()> {
    let site = site(&scene.stack)?;
    let since = role_position(site.role_admin).await?;
    let (_stop, never) = watch::channel(false);
    let record = cmg_load::run(plan, &site, never, |_| ()).await?;
    let verdict = check(&scene.stack.load_counts(record, since).await?, Allowed::NOTHING);
    if !verdict.is_clean() {
        bail!("{verdict}");
    }
    Ok(())
}

/// Where the load goes. The other device's identity is left to faults.
fn site(stack: &Stack) -> Result<Site> {
    let mut site = stack.load_site()?;
    site.identities.truncate(1);
    Ok(site)
}
