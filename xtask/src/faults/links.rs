//! What a link between gateways and connection points carries: small requests beside a download on a slow one, and one
//! large download over a far one. Over the cable, since a proxy has buffers of its own before what is slow.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use cmg_client::{Client, Request};
use cmg_e2e::cable::{Door, FAR, Quality};
use cmg_e2e::mp;
use cmg_e2e::stack::DISTRIBUTION_POINT;
use cmg_load::Stopped;

use super::ECHO;
use super::networks::{OVER_CABLE, cable, rate, tunnels_ended};
use super::scenario::{Scenario, Scene, ms};
use super::stops::{DRAIN, written};

/// Its tunnels are dialled anew over another cable.
const REDIALLED: Scenario = Scenario {
    installation: |usual, _| usual.connection_point_setting("DRAIN__DEADLINE", &written(DRAIN)),
    ..OVER_CABLE
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "slow-tunnel",
        injected: "100 kB/s and 20 ms each way, and a download of 24 MB in either lane",
        promised: "small requests go on, nothing fails, and no tunnel is taken for dead",
        load: |plan| {
            plan.rate = Some(5);
            plan.waiters = 0;
            plan.mix = SMALL.parse().unwrap_or_default();
        },
        fault: |scene| Box::pin(download_slowly(scene)),
        ..REDIALLED
    },
    Scenario {
        name: "far-download",
        injected: "40 ms each way at 25 MB/s, and a download of 100 MB, through the tunnel and by plain TLS over the same cable",
        promised: "it comes whole both ways; what either carries is told, not judged",
        load: |plan| {
            plan.rate = Some(5);
            plan.waiters = 0;
        },
        fault: |scene| Box::pin(download_far(scene)),
        ..REDIALLED
    },
];

/// The link of threat 11. Its queue is long enough that nothing is dropped: what TCP needs for finding a lost packet of a
/// small answer is not ours to mend.
const SLOW: Quality = Quality {
    delay: Duration::from_millis(20),
    bytes_a_second: Some(100_000),
    queue: Duration::from_millis(800),
    ..Quality::GOOD
};
/// Requests that fit into it.
const SMALL: &str = "get=60,ccm-post=20,propfind=10,poll=10";
const LARGE: &str = "/beside/_/huge?bytes=24000000";
const ASKED: usize = 100;
/// The network of Q-08.
const FAR_AWAY: Quality =
    Quality { delay: Duration::from_millis(40), bytes_a_second: Some(25_000_000), ..Quality::GOOD };
const DOWNLOAD: u64 = 100_000_000;

/// Changes the cable and dials every tunnel anew: what TCP has learned of a better network it believes for a while (BBR
/// the shortest way of the last ten seconds), and nobody's network gets 80 ms longer in mid-connection.
async fn dial_over(scene: &mut Scene, quality: Quality) -> Result<()> {
    cable(scene)?.set(quality);
    let names: Vec<_> = scene.stack.connection_points.iter().map(|one| one.name.clone()).collect();
    for name in names {
        let mut stop = scene.stack.stop(Stopped::ConnectionPoint(name), DRAIN, scene.clock).await?;
        scene.stack.bring_back(&mut stop, scene.clock).await?;
        scene.stops.push(stop);
    }
    Ok(())
}

/// What is on the bulk lane from its first byte.
fn content(target: &str) -> String {
    format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}/SMS_DP_SMSPKG${target}")
}

async fn download_slowly(scene: &mut Scene) -> Result<()> {
    dial_over(scene, SLOW).await?;
    let before = tunnels_ended(scene).await?;
    let interactive = mp(&format!("SMS_MP{LARGE}"));
    for (lane, target) in [("no", None), ("an interactive", Some(interactive)), ("a bulk", Some(content(LARGE)))] {
        ask_beside(scene, lane, target.as_deref()).await?;
    }
    let packets = cable(scene)?.packets();
    cable(scene)?.set(Quality::GOOD);
    let ended = tunnels_ended(scene).await? - before;
    ensure!(ended == 0.0, "{ended} tunnels ended");
    scene.note(format!("{} packets were carried, {} were lost", packets.carried, packets.lost));
    Ok(())
}

/// How long small requests take while a download runs; nobody waits for the download's end.
async fn ask_beside(scene: &mut Scene, lane: &str, target: Option<&str>) -> Result<()> {
    let mut connection = scene.stack.client()?.connect().await?;
    let mut took = Vec::with_capacity(ASKED);
    let mut came = 0;
    let asking = async {
        for _ in 0..ASKED {
            let asked = scene.ask(0, ECHO).await?;
            ensure!(asked.is(200, ""), "a small request was answered {} {}", asked.status, asked.code);
            took.push(asked.took);
        }
        Ok(())
    };
    let downloading = async {
        let Some(target) = target else { return std::future::pending().await };
        let mut download = connection.send(Request::get(target)).await?;
        while let Some(data) = download.next().await? {
            came += data.len();
        }
        bail!("the download was over before the small requests were")
    };
    tokio::select! {
        asked = asking => asked?,
        ended = downloading => return ended,
    }
    took.sort_unstable();
    let at = |percent: usize| ms(took.get((ASKED * percent).div_ceil(100) - 1));
    let [median, p90, p99] = [50, 90, 99].map(at);
    scene.note(format!("beside {lane} download ({came} bytes of it came): median {median}, p90 {p90}, p99 {p99}"));
    ensure!(target.is_none() || came > 0, "nothing of the download came");
    Ok(())
}

async fn download_far(scene: &mut Scene) -> Result<()> {
    let role = scene.stack.site_role.listener("roles")?;
    let (_door, address) = Door::outward(cable(scene)?.far.clone(), FAR, role)?;
    let plain = Client::new(address, "localhost", &scene.stack.pki.internal_ca.certificate, None)?;
    compare(scene, "without delay", &plain, Quality::GOOD).await?;
    dial_over(scene, FAR_AWAY).await?;
    compare(scene, "80 ms there and back at 25 MB/s, over new connections", &plain, FAR_AWAY).await?;
    compare(scene, "the same over tunnels that know the way", &plain, FAR_AWAY).await?;
    cable(scene)?.set(Quality::GOOD);
    Ok(())
}

/// Notes what a download brings by plain TLS, on a connection of its own, and through the tunnel.
async fn compare(scene: &mut Scene, when: &str, plain: &Client, quality: Quality) -> Result<()> {
    let target = format!("/beside/_/huge?bytes={DOWNLOAD}");
    let plain = rate(plain, &target, DOWNLOAD).await?;
    let tunnelled = rate(&scene.stack.client()?, &content(&target), DOWNLOAD).await?;
    let most = quality.bytes_a_second.map_or(f64::INFINITY, |bytes| bytes as f64 / 1e6);
    ensure!(plain.max(tunnelled) <= most, "{plain:.1} and {tunnelled:.1} MB/s over a cable that carries {most}");
    let percent = 100.0 * tunnelled / plain;
    scene.note(format!("{when}: {plain:.1} MB/s by plain TLS, {tunnelled:.1} MB/s through the tunnel, {percent:.0} %"));
    Ok(())
}
