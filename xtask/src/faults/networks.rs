//! Tunnels over a cable between two network namespaces: delay, loss and reordering as the kernel's own TCP meets them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cmg_client::{Client, Request, RequestBody};
use cmg_e2e::admin::Admin;
use cmg_e2e::cable::{Cable, Packets, Quality};
use cmg_e2e::{mp, until};
use tokio::task::JoinSet;

use super::ECHO;
use super::scenario::{Scenario, Scene, ms};

pub const OVER_CABLE: Scenario = Scenario { over_cable: true, ..Scenario::USUAL };

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
];

const MS: Duration = Duration::from_millis(1);

async fn carry(scene: &mut Scene, quality: Quality) -> Result<()> {
    let ended_before = tunnels_ended(scene).await?;
    let before = cable(scene)?.packets();
    cable(scene)?.set(quality);
    scene.pause(scene.seconds(10, 60)).await;
    let took = scene.time_answers(10, ECHO, 200, "").await?;
    let transfer =
        rate(&scene.stack.client()?, &mp(&format!("SMS_MP/beside/_/huge?bytes={TRANSFER}")), TRANSFER).await?;
    let now = cable(scene)?.packets();
    cable(scene)?.set(Quality::GOOD);
    let since = Packets {
        carried: now.carried - before.carried,
        lost: now.lost - before.lost,
        overtaking: now.overtaking - before.overtaking,
    };
    let Packets { carried, lost, overtaking } = since;
    scene.note(format!("{carried} packets were carried, {overtaking} of them overtook others, {lost} were lost"));
    scene.note(format!("a download of {TRANSFER} bytes came at {transfer:.1} MB/s"));
    was_felt(&quality, &since, took.first(), transfer)?;
    let ended = tunnels_ended(scene).await? - ended_before;
    ensure!(ended == 0.0, "{ended} tunnels ended");
    Ok(())
}

/// More than the queue of a narrow cable holds.
const TRANSFER: u64 = 1_000_000;

pub fn cable(scene: &Scene) -> Result<&Cable> {
    scene.cable.as_ref().context("no cable")
}

/// That what the cable did to its packets was felt by those who talked over it.
fn was_felt(quality: &Quality, packets: &Packets, fastest: Option<&Duration>, transfer: f64) -> Result<()> {
    let least = quality.delay.saturating_sub(quality.jitter) * 2;
    ensure!(fastest.is_some_and(|took| *took >= least), "an answer took {}, less than the way", ms(fastest));
    ensure!(quality.loss_per_mille == 0 || packets.lost > 0, "no packet was lost");
    ensure!(quality.late_per_mille == 0 || packets.overtaking > 0, "no packet overtook another");
    let most = quality.bytes_a_second.map_or(f64::INFINITY, |bytes| bytes as f64 / 1e6);
    ensure!(transfer <= most, "{transfer:.1} MB/s over a cable that carries {most}");
    Ok(())
}

/// Who waited behind uploads that never pause would see one end for each of its own requests; see that far fewer do.
async fn upload_beside(scene: &mut Scene) -> Result<()> {
    const SMALL: usize = 20;
    cable(scene)?.set(Quality { delay: MS * 75, ..Quality::GOOD });
    let uploaded = Arc::new(AtomicUsize::new(0));
    let mut uploads = JoinSet::new();
    for _ in 0..4 {
        uploads.spawn(upload_again_and_again(scene.stack.client()?, uploaded.clone()));
    }
    scene.stack.wait_at_role("beside/upload", "begun", 4).await?;
    let before = uploaded.load(Ordering::Relaxed);
    scene.ask_often(SMALL, ECHO, 200, "").await?;
    let meanwhile = uploaded.load(Ordering::Relaxed) - before;
    scene.note(format!("{meanwhile} uploads of {} MiB ended meanwhile", UPLOAD >> 20));
    ensure!(meanwhile < SMALL / 2, "{meanwhile} uploads ended during {SMALL} small requests: they wait behind them");
    // Those that still run then are dropped; one that ended by itself has failed.
    tokio::select! {
        failed = uploads.join_next() => bail!("an upload failed: {:#}", failed.context("no upload")??),
        waited = until(async || Ok(uploaded.load(Ordering::Relaxed) >= 4)) => waited.context("no upload ends")?,
    }
    cable(scene)?.set(Quality::GOOD);
    Ok(())
}

const UPLOAD: usize = 8 << 20;

/// Ends with what went wrong, and never otherwise.
async fn upload_again_and_again(client: Client, uploaded: Arc<AtomicUsize>) -> anyhow::Error {
    loop {
        let upload = Request::new("POST", &mp("CCM_System/beside/upload")).body(RequestBody::whole(vec![b'u'; UPLOAD]));
        match client.send(upload).await {
            Ok(answer) if answer.status == 200 => uploaded.fetch_add(1, Ordering::Relaxed),
            Ok(answer) => return anyhow::anyhow!("it was answered {} {}", answer.status, answer.text()),
            Err(error) => return error.into(),
        };
    }
}

/// What a whole download of so many bytes brings, in megabytes a second.
pub async fn rate(client: &Client, target: &str, bytes: u64) -> Result<f64> {
    let begin = Instant::now();
    let count = client.connect().await?.send(Request::get(target)).await?.count().await?;
    ensure!(count == bytes, "{count} of {bytes} bytes came");
    Ok(bytes as f64 / begin.elapsed().as_secs_f64() / 1e6)
}

pub async fn tunnels_ended(scene: &Scene) -> Result<f64> {
    let mut ended = 0.0;
    for connection_point in &scene.stack.connection_points {
        ended += Admin::of(connection_point)?.metrics().await?.sum("cmg_tunnels_ended_total", &[]);
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_cable_does_has_to_be_felt() {
        let quality = Quality {
            delay: MS * 10,
            jitter: MS * 2,
            loss_per_mille: 1,
            late_per_mille: 1,
            bytes_a_second: Some(1_000_000),
            ..Quality::GOOD
        };
        let felt = Packets { carried: 9, lost: 1, overtaking: 1 };
        let fastest = MS * 16;
        assert!(was_felt(&quality, &felt, Some(&fastest), 1.0).is_ok());
        let (none_lost, none_overtaking) = (Packets { lost: 0, ..felt }, Packets { overtaking: 0, ..felt });
        for (packets, fastest, transfer) in [
            (felt, fastest - MS, 1.0),
            (none_lost, fastest, 1.0),
            (none_overtaking, fastest, 1.0),
            (felt, fastest, 1.1),
        ] {
            assert!(
                was_felt(&quality, &packets, Some(&fastest), transfer).is_err(),
                "{packets:?} {fastest:?} {transfer}"
            );
        }
        assert!(was_felt(&quality, &felt, None, 1.0).is_err());
    }
}
