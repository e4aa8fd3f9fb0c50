//! Stops programs while the load runs, one at a time, again and again: one is asked to stop or is killed, starts again,
//! everything is ready, then the next.

use std::time::Duration;

use anyhow::Result;
use cmg_e2e::Stack;
use cmg_load::{Holding, Stop, Stopped};
use tokio::sync::watch;
use tokio::time::Instant;

/// Which programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    Gateways,
    ConnectionPoints,
    Both,
}

/// Between two stops, so that the load runs undisturbed for a while.
const PAUSE: Duration = Duration::from_secs(2);
/// Of a drain, unless the file says otherwise.
const DEADLINE: Duration = Duration::from_secs(30);

/// What is done to them.
pub enum Harm {
    /// They are asked to stop and started again.
    Restart,
    /// They are killed, with these requests under way, and started again.
    Kill(Holding),
}

/// Does harm to one program after the other until the load is over; what happened when.
pub async fn again_and_again(
    stack: &mut Stack,
    harm: Option<(Tier, Harm)>,
    clock: Instant,
    mut is_over: watch::Receiver<bool>,
) -> Result<Vec<Stop>> {
    let mut stops = Vec::new();
    let Some((tier, harm)) = harm else { return Ok(stops) };
    for program in programs(stack, tier).iter().cycle() {
        if tokio::time::timeout(PAUSE, is_over.wait_for(|is_over| *is_over)).await.is_ok() {
            break;
        }
        let mut stop = match &harm {
            Harm::Restart => stack.stop(program.clone(), DEADLINE, clock).await?,
            Harm::Kill(holding) => match kill(stack, program.clone(), holding, clock).await? {
                Some(stop) => stop,
                None => break,
            },
        };
        stack.bring_back(&mut stop, clock).await?;
        println!("         {program} is back from stop {}", stops.len() + 1);
        stops.push(stop);
    }
    Ok(stops)
}

/// None if the load is over.
async fn kill(stack: &mut Stack, program: Stopped, holding: &Holding, clock: Instant) -> Result<Option<Stop>> {
    if !holding.gather().await? {
        return Ok(None);
    }
    let stop = stack.kill(program, clock).await;
    // Whatever became of it, nobody is left waiting.
    holding.let_go().await?;
    stop.map(Some)
}

fn programs(stack: &Stack, which: Tier) -> Vec<Stopped> {
    let gateways = (0..stack.gateways.len()).map(Stopped::Gateway);
    let points = stack.connection_points.iter().map(|point| Stopped::ConnectionPoint(point.name.clone()));
    match which {
        Tier::Gateways => gateways.collect(),
        Tier::ConnectionPoints => points.collect(),
        Tier::Both => gateways.chain(points).collect(),
    }
}
