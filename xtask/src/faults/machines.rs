//! What a machine runs out of: descriptors, memory. (Of its disk, see `sites`.)

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cmg_client::Request;
use cmg_e2e::admin::Admin;
use cmg_e2e::{mp, until};
use cmg_load::Allowed;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::ECHO;
use super::scenario::{Scenario, Scene};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "descriptors-exhausted",
        injected: "gateways may have 256 descriptors, and 400 idle connections come to one of them for 5 s",
        promised: "accepting pauses without a busy loop or a panic, what is connected is served, and it recovers",
        in_ci: true,
        installation: |usual, _| usual.gateways_started_by(&["prlimit", "--nofile=256:256"]),
        fault: |scene| Box::pin(exhaust_descriptors(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "memory-limit",
        injected: "gateways may have 512 MiB and 400 connections, and 5,000 clients come to one that read nothing",
        promised: "connections beyond the limit are closed at once and it lives; what is connected is served",
        // Nobody comes in while all places are taken.
        allowed: Allowed { unconnected: true, ..Allowed::NOTHING },
        in_ci: true,
        installation: |usual, _| {
            let limited = usual.gateway_setting("LIMITS__CONNECTIONS", &MOST_CONNECTIONS.to_string());
            limited.gateways_started_by(&["prlimit", "--data=536870912"])
        },
        fault: |scene| Box::pin(exhaust_memory(scene)),
        ..Scenario::USUAL
    },
];

async fn exhaust_descriptors(scene: &mut Scene) -> Result<()> {
    const IDLE: usize = 400;
    scene.pause(1).await;
    let mut open = scene.stack.client()?.connect().await?;
    ensure!(open.send(Request::get(ECHO)).await?.whole().await?.status == 200, "refused before the fault");
    let address = scene.stack.client_address(0)?;
    let mut idle = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(address).await.context("the kernel's queue took no more")?);
    }
    let gateway = &scene.stack.gateways[0];
    until(async || Ok(gateway.descriptors()? >= 250)).await.context("the descriptors are not used up")?;
    let (begin, used) = (Instant::now(), gateway.processor_seconds()?);
    for _ in 0..5 {
        scene.pause(1).await;
        let status = open.send(Request::get(ECHO)).await?.whole().await?.status;
        ensure!(status == 200, "a request on an open connection was answered {status}");
    }
    let (lasted, used) = (begin.elapsed().as_secs_f64(), scene.stack.gateways[0].processor_seconds()? - used);
    scene.note(format!("{used:.1} s of processor in {lasted:.1} s without descriptors"));
    ensure!(used < lasted / 2.0, "accepting keeps a processor busy");
    drop((idle, open));
    until(async || Ok(scene.ask(0, ECHO).await.is_ok_and(|asked| asked.status == 200))).await?;
    let metrics = Admin::of(&scene.stack.gateways[0])?.metrics().await?;
    let errors = metrics.sum("cmg_accept_errors_total", &[]);
    ensure!(errors > 0.0, "accepting never failed: the descriptors did not run out");
    ensure!(errors < HURRIED, "accepting failed {errors} times: it does not wait for longer and longer");
    scene.note(format!("accepting failed {errors} times"));
    Ok(())
}

/// Failures to accept of two workers that wait for up to a second after each are some dozen.
const HURRIED: f64 = 500.0;

const MOST_CONNECTIONS: usize = 400;

/// Each that gets in asks for more than all buffers on the way hold, and reads none of it.
async fn exhaust_memory(scene: &mut Scene) -> Result<()> {
    const CLIENTS: usize = 5_000;
    /// Handshakes under way at a time.
    const AT_ONCE: usize = 32;
    scene.pause(1).await;
    let mut open = scene.stack.client()?.connect().await?;
    ensure!(open.send(Request::get(ECHO)).await?.whole().await?.status == 200, "refused before the fault");
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut coming = JoinSet::new();
    for _ in 0..CLIENTS {
        // Not the load's identity: whoever has so many connections loses those that ask nothing.
        let client = scene.stack.client_of(0, Some(&scene.stack.pki.clients[1]))?;
        let turns = turns.clone();
        coming.spawn(async move {
            let _turn = turns.acquire().await.ok()?;
            let mut connection = client.connect().await.ok()?;
            let answer = connection.send(Request::get(&mp("SMS_MP/beside/_/huge?bytes=100000000"))).await.ok()?;
            Some((answer, connection))
        });
    }
    let held: Vec<_> = coming.join_all().await.into_iter().flatten().collect();
    let gateway = &scene.stack.gateways[0];
    let refused = Admin::of(gateway)?.metrics().await?.sum("cmg_connections_refused_total", &[]);
    let (memory, peak) = (gateway.memory()? >> 20, gateway.peak_memory()? >> 20);
    scene.note(format!("{} clients got in, {refused} connections were refused", held.len()));
    scene.note(format!("the gateway has {memory} MiB in memory, at most {peak}"));
    ensure!(!held.is_empty() && held.len() <= MOST_CONNECTIONS, "{} clients got in", held.len());
    ensure!(refused >= (CLIENTS - MOST_CONNECTIONS) as f64, "only {refused} connections were refused");
    let status = open.send(Request::get(ECHO)).await?.whole().await?.status;
    ensure!(status == 200, "a request on an open connection was answered {status}");
    drop((held, open));
    until(async || Ok(scene.ask(0, ECHO).await.is_ok_and(|asked| asked.status == 200))).await
}
