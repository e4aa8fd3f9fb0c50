//! Restarts programs in good order while the load runs: one stops, ends by itself, starts again, everything is ready,
//! then the next.

use std::time::Duration;

use anyhow::Result;
use cmg_e2e::Stack;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Restart {
    Gateways,
    ConnectionPoints,
    Both,
}

/// Between two restarts, so that the load runs undisturbed for a while.
const PAUSE: Duration = Duration::from_secs(2);

/// Restarts until the load is over; how often.
pub async fn roll(stack: &mut Stack, which: Option<Restart>, mut is_over: watch::Receiver<bool>) -> Result<u64> {
    let mut count = 0;
    let Some(which) = which else { return Ok(count) };
    loop {
        let gateways = if which == Restart::ConnectionPoints { 0 } else { stack.gateways.len() };
        let connection_points = if which == Restart::Gateways { 0 } else { stack.connection_points.len() };
        for at in 0..gateways + connection_points {
            if tokio::time::timeout(PAUSE, is_over.wait_for(|is_over| *is_over)).await.is_ok() {
                return Ok(count);
            }
            match at.checked_sub(gateways) {
                None => stack.roll_gateway(at).await?,
                Some(at) => stack.roll_connection_point(at).await?,
            }
            stack.wait_ready().await?;
            count += 1;
            println!("         restart {count} is done");
        }
    }
}
