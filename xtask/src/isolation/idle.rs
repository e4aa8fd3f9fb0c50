//! What nothing costs: CPU of a gateway with a hundred tunnels and ten thousand clients that say nothing, and of the
//! connection points at the other ends.

use std::time::Duration;

use anyhow::{Context, Result};
use cmg_e2e::stack::Builder;
use serde::Serialize;

use crate::bench::job::Work;
use crate::bench::measurement::Load;
use crate::bench::usage::CpuTime;

const CONNECTION_POINTS: usize = 10;
/// Beside one for each of two workers.
const BULK_CONNECTIONS: usize = 8;
const CLIENTS: usize = 10_000;
/// For the log and the records of what was asked to be written.
const SETTLING: Duration = Duration::from_secs(2);
const WATCHED: Duration = Duration::from_secs(30);

/// Shares of one processor, in percent.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Idle {
    pub tunnels: usize,
    pub clients: usize,
    pub gateway_percent: f64,
    /// Of all of them together.
    pub connection_points_percent: f64,
}

pub async fn measure(builder: Builder) -> Result<Idle> {
    let builder = builder.connection_points(CONNECTION_POINTS).workers(2);
    let builder = builder.gateway_setting("TUNNEL__BULK_CONNECTIONS", &BULK_CONNECTIONS.to_string());
    let stack = builder.start().await?;
    let mut clients = Load::prepare(&super::target(&stack)?, Work::Idle { connections: CLIENTS })?;
    // One that never asks anything is shown the door before long.
    clients.go().context("the first request of each client")?;
    std::thread::sleep(SETTLING);
    let gateway = [stack.gateways.first().context("no gateway")?.pid()];
    let connection_points: Vec<u32> = stack.connection_points.iter().map(|program| program.pid()).collect();
    let (outside, inside) = (CpuTime::of(&gateway)?, CpuTime::of(&connection_points)?);
    std::thread::sleep(WATCHED);
    let percent = |nanoseconds: u64| nanoseconds as f64 / WATCHED.as_nanos() as f64 * 100.0;
    let idle = Idle {
        tunnels: CONNECTION_POINTS * (2 + BULK_CONNECTIONS),
        clients: CLIENTS,
        gateway_percent: percent(CpuTime::of(&gateway)?.since(outside)),
        connection_points_percent: percent(CpuTime::of(&connection_points)?.since(inside)),
    };
    clients.go().context("not every client was still connected")?;
    Ok(idle)
}
