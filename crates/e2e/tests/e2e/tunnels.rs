//! The tunnel under abuse: aborts, load, stream limits, lost connections, strangers (T-03, T-08, T-11, T-12).

mod coverage;
mod egress;
mod ghosts;
mod long_lives;
mod losses;
mod ports;
mod silences;
mod strangers;

use anyhow::{Result, ensure};
use cmg_e2e::Stack;
use cmg_e2e::admin::Admin;

pub use long_lives::hold;

/// Tunnels of a stack with one gateway and one connection point of two workers: one for each, and one for bulk.
const ALL: usize = 3;

/// The tunnels of a stack as they are now.
struct Tunnels {
    dialled: Vec<f64>,
}

impl Tunnels {
    /// Waits until so many are up.
    async fn of(stack: &Stack, count: usize) -> Result<Self> {
        stack.wait_for_tunnels(count).await?;
        Ok(Self { dialled: dialled(stack).await? })
    }

    /// Asserts that no tunnel has ended since and none was dialled anew.
    async fn are_the_same(&self, stack: &Stack) -> Result<()> {
        let now = dialled(stack).await?;
        ensure!(now == self.dialled, "dialled and ended: {:?} before, {now:?} now", self.dialled);
        Ok(())
    }
}

/// How many tunnels each connection point has dialled, and how many of them have ended.
async fn dialled(stack: &Stack) -> Result<Vec<f64>> {
    let mut counts = Vec::new();
    for point in &stack.connection_points {
        let metrics = Admin::of(point)?.metrics().await?;
        counts.extend(["cmg_dials_total", "cmg_tunnels_ended_total"].map(|name| metrics.sum(name, &[])));
    }
    Ok(counts)
}
