//! Tunnels over a cable between two network namespaces: delay, loss and reordering as the kernel's own TCP meets them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cmg_client::{Client, Request, RequestBody};
use cmg_e2e::admin::Admin;
use cmg_e2e::cable::{Door, FAR, Quality};
use cmg_e2e::mp;
use cmg_e2e::stack::DISTRIBUTION_POINT;
use tokio::task::JoinSet;

use super::ECHO;
use super::scenario::{Scenario, Scene};

const OVER_CABLE: Scenario = Scenario { over_cable: true, ..Scenario::USUAL };

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "latency-300ms",
        injected: "300 ms each way, 200 ms more or less, for 10 s (--full: 60 s)",
        promised: "nothing fails, and no tunnel is taken for dead",
        in_ci: true,
        fault: |scene| Box::pin(carry(scene, Quality { delay: MS * 300, jitter: MS * 200, ..Quality::GOOD })),
        ..OVER_CABLE
    },
    Scenario {
        name: "loss-1-percent",
        injected: "10 ms each way, and one packet in a hundred is lost, for 10 s (--full: 60 s)",
        promised: "nothing fails, and no tunnel is taken for dead",
        in_ci: true,
        fault: |scene| Box::pin(carry(scene, Quality { delay: MS * 10, loss_per_mille: 10, ..Quality::GOOD })),
        ..OVER_CABLE
    },
    Scenario {
        name: "reorder",
        injected: "10 ms each way, and five packets in a hundred are overtaken, for 10 s (--full: 60 s)",
        promised: "nothing fails, and no tunnel is taken for dead",
        fault: |scene| Box::pin(carry(scene, Quality { delay: MS * 10, late_per_mille: 50, ..Quality::GOOD })),
        ..OVER_CABLE
    },
    Scenario {
        name: "narrow",
        injected: "1 MB/s each way with a queue of 200 ms whose tail is dropped, for 10 s (--full: 60 s)",
        promised: "nothing fails, and no tunnel is taken for dead",
        load: |plan| plan.rate = Some(20),
        fault: |scene| {
            Box::pin(carry(scene, Quality { delay: MS * 20, bytes_a_second: Some(1_000_000), ..Quality::GOOD }))
        },
        ..OVER_CABLE
    },
    Scenario {
        name: "far-uploads",
        injected: "75 ms each way, and four uploads that never end",
        promised: "small requests do not wait behind them",
        load: |plan| plan.rate = Some(10),
        fault: |scene| Box::pin(upload_beside(scene)),
        ..OVER_CABLE
    },
    Scenario {
        name: "far-download",
        injected: "40 ms each way at 25 MB/s, and a download of 100 MB, through the tunnel and by plain TLS over the same cable",
        promised: "the tunnel carries about what plain TLS carries; the figures are told",
        load: |plan| plan.rate = Some(5),
        fault: |scene| Box::pin(download_far(scene)),
        ..OVER_CABLE
    },
];

const MS: Duration = Duration::from_millis(1);

async fn carry(scene: &mut Scene, quality: Quality) -> Result<()> {
    let before = tunnels_ended(scene).await?;
    scene.cable.as_ref().context("no cable")?.set(quality);
    scene.pause(scene.seconds(10, 60)).await;
    scene.ask_often(10, ECHO, 200, "").await?;
    let cable = scene.cable.as_ref().context("no cable")?;
    let (carried, lost) = cable.packets();
    cable.set(Quality::GOOD);
    scene.note(format!("{carried} packets were carried, {lost} were lost"));
    let ended = tunnels_ended(scene).await? - before;
    ensure!(ended == 0.0, "{ended} tunnels ended");
    Ok(())
}

async fn upload_beside(scene: &mut Scene) -> Result<()> {
    let quality = Quality { delay: MS * 75, ..Quality::GOOD };
    scene.cable.as_ref().context("no cable")?.set(quality);
    let mut uploads = JoinSet::new();
    for _ in 0..4 {
        let client = scene.stack.client()?;
        uploads.spawn(async move {
            loop {
                let body = RequestBody::whole(vec![b'u'; 8 << 20]);
                let upload = Request::new("POST", &mp("CCM_System/beside/_/echo")).body(body);
                if let Err(error) = client.send(upload).await {
                    return error;
                }
            }
        });
    }
    scene.pause(2).await;
    scene.ask_often(20, ECHO, 200, "").await?;
    // Those that still run are dropped; one that ended by itself has failed.
    if let Some(ended) = uploads.try_join_next() {
        bail!("an upload failed: {}", ended?);
    }
    scene.cable.as_ref().context("no cable")?.set(Quality::GOOD);
    Ok(())
}

async fn download_far(scene: &mut Scene) -> Result<()> {
    let cable = scene.cable.as_ref().context("no cable")?;
    let role = scene.stack.site_role.listener("roles")?;
    let (_door, address) = Door::outward(cable.far.clone(), FAR, role)?;
    let plain = Client::new(address, "localhost", &scene.stack.pki.internal_ca.certificate, None)?;
    let target = format!("/beside/_/huge?bytes={DOWNLOAD}");
    let tunnelled = format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}/SMS_DP_SMSPKG${target}");
    let client = scene.stack.client()?;
    let mut told = Vec::new();
    for (what, quality) in [("without delay", Quality::GOOD), ("80 ms there and back at 25 MB/s", FAR_AWAY)] {
        cable.set(quality);
        let (plain, tunnelled) = (rate(&plain, &target).await?, rate(&client, &tunnelled).await?);
        told.push(format!("{what}: {plain:.1} MB/s by plain TLS, {tunnelled:.1} MB/s through the tunnel"));
    }
    cable.set(Quality::GOOD);
    told.into_iter().for_each(|told| scene.note(told));
    Ok(())
}

/// The network of Q-08.
const FAR_AWAY: Quality =
    Quality { delay: Duration::from_millis(40), bytes_a_second: Some(25_000_000), ..Quality::GOOD };
const DOWNLOAD: u64 = 100_000_000;

/// What a whole download brings, in megabytes a second.
async fn rate(client: &Client, target: &str) -> Result<f64> {
    let begin = Instant::now();
    let count = client.connect().await?.send(Request::get(target)).await?.count().await?;
    ensure!(count == DOWNLOAD, "{count} of {DOWNLOAD} bytes came");
    Ok(DOWNLOAD as f64 / begin.elapsed().as_secs_f64() / 1e6)
}

async fn tunnels_ended(scene: &Scene) -> Result<f64> {
    let mut ended = 0.0;
    for connection_point in &scene.stack.connection_points {
        ended += Admin::of(connection_point)?.metrics().await?.sum("cmg_tunnels_ended_total", &[]);
    }
    Ok(ended)
}
