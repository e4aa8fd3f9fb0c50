//! What a machine runs out of: space on a disk, descriptors.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cmg_e2e::admin::Admin;
use cmg_e2e::stack::Builder;
use cmg_e2e::until;
use tokio::net::TcpStream;

use super::ECHO;
use super::scenario::{Scenario, Scene};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "disk-full",
        injected: "the gateways' state directories are full while a site configuration is published",
        promised: "service goes on; what is published is refused with its reason, and taken when there is room again",
        in_ci: true,
        installation: on_small_disks,
        fault: |scene| Box::pin(fill_disks(scene)),
        ..Scenario::USUAL
    },
    Scenario {
        name: "descriptors-exhausted",
        injected: "gateways may have 256 descriptors, and 400 idle connections come to one of them for 5 s",
        promised: "accepting pauses without a busy loop or a panic, what is connected is served, and it recovers",
        in_ci: true,
        installation: |usual, _| usual.gateways_started_by(&["prlimit", "--nofile=256:256"]),
        fault: |scene| Box::pin(exhaust_descriptors(scene)),
        ..Scenario::USUAL
    },
];

/// Each gateway sees a small file system of its own in place of the folder of all state directories. It ends with the
/// process, because it is in a mount namespace of the process's own.
fn on_small_disks(usual: Builder, folder: &Path) -> Builder {
    let state = folder.join("state").display().to_string();
    let script = "mount -t tmpfs -o size=128k none \"$0\" && mkdir \"$0/gateway-1\" \"$0/gateway-2\" && exec \"$@\"";
    usual.gateways_started_by(&["unshare", "--mount", "sh", "-c", script, &state])
}

/// The file that takes all room of a gateway's small file system, as seen from outside.
fn filler(scene: &Scene, gateway: usize) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", scene.stack.gateways[gateway].pid()));
    let state = scene.stack.folder().join("state");
    root.join(state.strip_prefix("/").unwrap_or(&state)).join("filler")
}

async fn fill_disks(scene: &mut Scene) -> Result<()> {
    scene.pause(1).await;
    for gateway in 0..scene.stack.gateways.len() {
        let path = filler(scene, gateway);
        let mut file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        while file.write(&[0; 512]).is_ok_and(|count| count > 0) {}
    }
    scene.stack.publish("").await?;
    let refused = scene.stack.gateways[0].wait_for_line(&["No space left"]).await?;
    scene.note(format!("the gateway says: {}", refused.chars().take(300).collect::<String>()));
    scene.ask_often(5, ECHO, 200, "").await?;
    for gateway in 0..scene.stack.gateways.len() {
        fs::remove_file(filler(scene, gateway)).context("cannot make room again")?;
    }
    scene.stack.publish("").await?;
    for gateway in &scene.stack.gateways {
        let admin = Admin::of(gateway)?;
        let is_taken = |metrics: &cmg_e2e::metrics::Metrics| metrics.sum("cmg_site_configuration_version", &[]) >= 3.0;
        admin.wait_for_metrics("that version 3 is in force", is_taken).await?;
    }
    Ok(())
}

async fn exhaust_descriptors(scene: &mut Scene) -> Result<()> {
    const IDLE: usize = 400;
    scene.pause(1).await;
    let address = scene.stack.client_address(0)?;
    let mut idle = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(address).await.context("the kernel's queue took no more")?);
    }
    let gateway = &scene.stack.gateways[0];
    until(async || Ok(gateway.descriptors()? >= 250)).await.context("the descriptors are not used up")?;
    let (begin, used) = (Instant::now(), gateway.processor_seconds()?);
    scene.pause(5).await;
    let used = scene.stack.gateways[0].processor_seconds()? - used;
    scene.note(format!("{used:.1} s of processor in {:.1} s without descriptors", begin.elapsed().as_secs_f64()));
    drop(idle);
    until(async || Ok(scene.ask(0, ECHO).await.is_ok_and(|asked| asked.status == 200))).await?;
    let metrics = Admin::of(&scene.stack.gateways[0])?.metrics().await?;
    let errors = metrics.sum("cmg_accept_errors_total", &[]);
    ensure!(errors > 0.0, "accepting never failed: the descriptors did not run out");
    scene.note(format!("accepting failed {errors} times"));
    Ok(())
}
