//! The way between gateways and connection points goes wrong: a proxy of ours stands in it, one for each gateway.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cmg_e2e::admin::Admin;
use cmg_e2e::fault_proxy::{Direction, Fault, FaultProxy};
use cmg_e2e::metrics::Metrics;
use cmg_e2e::stack::{Builder, TUNNEL_DOMAIN};
use cmg_e2e::until;
use cmg_load::{Allowed, Stopped};

use super::scenario::{ALL_TUNNELS_LOST, Scenario, Scene, ms};
use super::{ECHO, stops};

const BEHIND_PROXIES: Scenario =
    Scenario { installation: |usual, _| usual.faulty_tunnels(), allowed: ALL_TUNNELS_LOST, ..Scenario::USUAL };

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "blackhole-tunnels",
        injected: "nothing passes between one gateway and its connection points, until both have noticed",
        promised: "both ends notice; requests there fail over or end with 502 or 504; all redial",
        in_ci: true,
        fault: |scene| Box::pin(dead_until_noticed(scene, Fault::Stall)),
        ..BEHIND_PROXIES
    },
    Scenario {
        name: "blackhole-5s",
        injected: "nothing passes between one gateway and its connection points for 5 s",
        promised: "nothing is doubled or stuck, and nothing fails",
        allowed: Allowed::NOTHING,
        in_ci: true,
        fault: |scene| Box::pin(silent_for_five_seconds(scene)),
        ..BEHIND_PROXIES
    },
    Scenario {
        name: "one-way-up",
        injected: "nothing passes from the connection points to one gateway, until both ends have noticed",
        promised: "both ends close and the connection points redial",
        fault: |scene| Box::pin(dead_until_noticed(scene, Fault::SilentUp)),
        ..BEHIND_PROXIES
    },
    Scenario {
        name: "one-way-down",
        injected: "nothing passes from one gateway to its connection points, until both ends have noticed",
        promised: "both ends close and the connection points redial",
        fault: |scene| Box::pin(dead_until_noticed(scene, Fault::SilentDown)),
        ..BEHIND_PROXIES
    },
    Scenario {
        name: "half-open",
        injected: "one gateway's tunnels are closed and the connection points are not told, until they have noticed",
        promised: "the connection points notice by themselves and redial",
        fault: |scene| Box::pin(dead_until_noticed(scene, Fault::HalfOpen)),
        ..BEHIND_PROXIES
    },
    Scenario {
        name: "cut-every-2s",
        injected: "all tunnels are reset every 2 s for 10 s (--full: 20 s)",
        promised: "the ledger holds, and memory is back where it was",
        in_ci: true,
        fault: |scene| Box::pin(cut_again_and_again(scene, Duration::from_secs(2), (5, 10), ALL)),
        ..BEHIND_PROXIES
    },
    Scenario {
        name: "cut-every-60s",
        injected: "all tunnels are reset every 6 s, 3 times (--full: every 60 s)",
        promised: "what only reads goes to a tunnel that is left or is refused with its code; nothing is lost or doubled",
        fault: |scene| {
            let pause = Duration::from_secs(scene.seconds(6, 60));
            Box::pin(cut_again_and_again(scene, pause, (3, 3), ALL))
        },
        ..BEHIND_PROXIES
    },
    Scenario {
        name: "cut-100-times",
        injected: "all tunnels are reset, 100 times, each time as soon as every gateway has one again",
        promised: "the connection points come back each time, and with every tunnel after the last",
        fault: |scene| Box::pin(cut_again_and_again(scene, Duration::ZERO, (100, 100), 1)),
        ..BEHIND_PROXIES
    },
    Scenario {
        name: "bit-flips",
        injected: "one bit is wrong in every 100th piece, up for 5 s and then down for 5 s, on one gateway's tunnels",
        promised: "TLS notices: the tunnel ends and is dialled again, and no wrong byte is delivered",
        in_ci: true,
        fault: |scene| Box::pin(flip(scene)),
        ..BEHIND_PROXIES
    },
    Scenario {
        name: "address-changes",
        injected: "a gateway dies and is started at another address, which its name leads to from then on",
        promised: "the connection points ask for the name again and find it",
        in_ci: true,
        installation: dialled_by_name,
        fault: |scene| Box::pin(change_address(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "slow-drain",
        injected: "800 bytes a second leave one gateway's tunnels, so that every buffer before fills, for 10 s",
        promised: "nothing is lost or doubled, and nothing is left behind",
        fault: |scene| Box::pin(drain_slowly(scene)),
        ..BEHIND_PROXIES
    },
];

/// Waits until everything is connected, and notes how long that takes.
pub async fn note_return(scene: &mut Scene) -> Result<()> {
    let begin = Instant::now();
    scene.stack.wait_ready().await?;
    scene.note(format!("every tunnel was up after {} ms", begin.elapsed().as_millis()));
    Ok(())
}

/// Waits until every gateway has the tunnels of so many connection points, and no more.
pub async fn wait_for_tunnels_of(scene: &Scene, connection_points: usize) -> Result<()> {
    let most = connection_points * TUNNELS;
    for gateway in &scene.stack.gateways {
        let are_left = |metrics: &Metrics| metrics.sum("cmg_tunnels", &[]) <= most as f64;
        Admin::of(gateway)?.wait_for_metrics(&format!("that at most {most} tunnels are left"), are_left).await?;
    }
    Ok(())
}

/// Waits until every connection point has given up its tunnels to one of the gateways.
pub async fn wait_for_lost_gateway(scene: &Scene) -> Result<()> {
    let most = (scene.stack.gateways.len() - 1) * TUNNELS;
    for connection_point in &scene.stack.connection_points {
        let are_left = |metrics: &Metrics| metrics.sum("cmg_tunnels", &[]) <= most as f64;
        let admin = Admin::of(connection_point)?;
        admin.wait_for_metrics(&format!("that at most {most} tunnels are left"), are_left).await?;
    }
    Ok(())
}

/// Of one connection point at one gateway: one for each of two workers, and one for bulk.
const TUNNELS: usize = 3;

fn first(scene: &Scene) -> Result<&FaultProxy> {
    scene.stack.tunnel_proxies.first().context("no proxy")
}

async fn dead_until_noticed(scene: &mut Scene, fault: Fault) -> Result<()> {
    scene.pause(1).await;
    let begin = Instant::now();
    first(scene)?.set(fault);
    let gateway = Admin::of(&scene.stack.gateways[0])?;
    let none_left = |metrics: &Metrics| metrics.sum("cmg_tunnels", &[]) == 0.0;
    let by_gateway = gateway.wait_for_metrics("that its tunnels have been given up", none_left).await;
    scene.note(format!("the gateway has noticed after {} ms", begin.elapsed().as_millis()));
    let by_inside = wait_for_lost_gateway(scene).await;
    scene.note(format!("the connection points have noticed after {} ms", begin.elapsed().as_millis()));
    if by_gateway.is_ok() {
        scene.ask_often(5, ECHO, 503, "CMGService_NoConnectionPoint").await?;
    }
    first(scene)?.set(Fault::None);
    by_gateway?;
    by_inside?;
    note_return(scene).await
}

async fn silent_for_five_seconds(scene: &mut Scene) -> Result<()> {
    scene.pause(1).await;
    let before = first(scene)?.connections();
    first(scene)?.set(Fault::Stall);
    // What a relay had in hand may have passed by then.
    scene.pause(1).await;
    let passed = first(scene)?.bytes();
    scene.pause(4).await;
    ensure!(first(scene)?.bytes() == passed, "bytes passed in spite of it");
    first(scene)?.set(Fault::None);
    scene.ask_often(5, ECHO, 200, "").await?;
    let dialled = first(scene)?.connections() - before;
    ensure!(dialled == 0, "{dialled} tunnels were dialled anew, which so short a silence is no reason for");
    Ok(())
}

/// Each time waits until every gateway has lost so many tunnels and has so many again: who loses them all the time
/// waits for longer and longer before it dials.
async fn cut_again_and_again(scene: &mut Scene, pause: Duration, times: (u64, u64), wanted: usize) -> Result<()> {
    let times = scene.seconds(times.0, times.1);
    let mut longest = Duration::ZERO;
    for time in 1..=times {
        tokio::time::sleep(pause).await;
        let mut ended = Vec::new();
        for gateway in &scene.stack.gateways {
            ended.push(Admin::of(gateway)?.metrics().await?.sum(ENDED, &[]) + wanted as f64);
        }
        let begin = Instant::now();
        scene.stack.tunnel_proxies.iter().for_each(FaultProxy::cut_once);
        for (gateway, ended) in scene.stack.gateways.iter().zip(ended) {
            let are_back = |metrics: &Metrics| {
                metrics.sum(ENDED, &[]) >= ended && metrics.sum("cmg_tunnels", &[]) >= wanted as f64
            };
            let waited = Admin::of(gateway)?.wait_for_metrics("that tunnels ended and are back", are_back).await;
            waited.with_context(|| format!("at cut {time} of {times}"))?;
        }
        longest = longest.max(begin.elapsed());
    }
    let took = ms(Some(&longest));
    scene.note(format!(
        "after each of {times} cuts each gateway had {wanted} tunnels again, at the latest after {took}"
    ));
    note_return(scene).await
}

/// Of two connection points at one gateway.
const ALL: usize = 2 * TUNNELS;

const ENDED: &str = "cmg_tunnels_ended_total";

async fn flip(scene: &mut Scene) -> Result<()> {
    for direction in [Direction::Up, Direction::Down] {
        let before = first(scene)?.connections();
        first(scene)?.set(Fault::Flip(direction, 100));
        scene.pause(5).await;
        let dialled = first(scene)?.connections() - before;
        ensure!(dialled > 0, "{direction:?}: no tunnel was dialled anew: nothing was wrong, or nobody noticed");
        scene.note(format!("{direction:?}: {dialled} tunnels were dialled anew"));
    }
    first(scene)?.set(Fault::None);
    note_return(scene).await
}

/// Connection points that see a hosts file of ours, which leads to both gateways.
fn dialled_by_name(usual: Builder, folder: &Path) -> Builder {
    let hosts = folder.join(HOSTS).display().to_string();
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    // What cannot be written is missed by those who start with it.
    let _ = lead_to(folder, Ipv4Addr::LOCALHOST);
    usual.tunnels_by_name().connection_points_started_by(&["unshare", "--mount", "sh", "-c", script, &hosts])
}

const HOSTS: &str = "hosts";

/// Has the first gateway's name lead to this address from now on.
fn lead_to(folder: &Path, first: Ipv4Addr) -> std::io::Result<()> {
    let home = Ipv4Addr::LOCALHOST;
    let hosts = format!("{home} localhost\n{first} gateway-1.{TUNNEL_DOMAIN}\n{home} gateway-2.{TUNNEL_DOMAIN}\n");
    std::fs::write(folder.join(HOSTS), hosts)
}

async fn change_address(scene: &mut Scene) -> Result<()> {
    scene.pause(1).await;
    let port = scene.stack.gateways[0].address("tunnel")?.port();
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let moving = async |scene: &mut Scene| {
        scene.stack.move_tunnels(0, (other, port).into());
        Ok(lead_to(scene.stack.folder(), other)?)
    };
    stops::kill(scene, Stopped::Gateway(0), moving).await
}

async fn drain_slowly(scene: &mut Scene) -> Result<()> {
    for direction in [Direction::Up, Direction::Down] {
        let passed = |proxy: &FaultProxy| if direction == Direction::Up { proxy.bytes().0 } else { proxy.bytes().1 };
        first(scene)?.set(Fault::SlowDrain(direction));
        // What a relay had in hand may have passed by then.
        scene.pause(1).await;
        let (begin, before) = (Instant::now(), passed(first(scene)?));
        scene.pause(4).await;
        let drained = passed(first(scene)?) - before;
        scene.note(format!("{direction:?}: {drained} bytes left the tunnels in {} ms", begin.elapsed().as_millis()));
        ensure!(drained < DRAINED, "{direction:?}: {drained} bytes are no slow drain");
    }
    first(scene)?.set(Fault::None);
    until(async || Ok(scene.ask(0, ECHO).await.is_ok_and(|asked| asked.status == 200))).await?;
    note_return(scene).await
}

/// Far more than leaves a handful of tunnels in 4 s at 800 bytes a second, far less than the load would bring.
const DRAINED: u64 = 200_000;
