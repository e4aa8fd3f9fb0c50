//! Ours: the stack that `cargo xtask demo --release` starts, with the backend published as `/bench/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Contestant, Ground, Name};
use crate::bench::job::Target;
use crate::bench::process::{Farewell, Owned};

/// The first start builds the programs with all optimisation.
const BUILT_AND_READY_WITHIN: Duration = Duration::from_secs(30 * 60);

/// What the demo writes when everything is ready; more is in it than is needed here.
#[derive(Deserialize)]
struct Demo {
    service_name: String,
    client_addresses: Vec<SocketAddr>,
    service_ca: PathBuf,
    client_cert: PathBuf,
    client_key: PathBuf,
    pids: Processes,
}

#[derive(Deserialize)]
struct Processes {
    gateway: Vec<u32>,
    connection_point: Vec<u32>,
}

pub fn start(ground: &Ground) -> Result<Contestant> {
    let folder = tempfile::Builder::new().prefix("ours-").tempdir_in(&ground.folder)?.keep();
    let log = folder.with_extension("log");
    let output = std::fs::File::create(&log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["demo", "--release", "--instances", "1", "--connection-points", "1", "--dir"]).arg(&folder);
    command.args(["--internal-url", &format!("https://{}", ground.backend), "--internal-ca"]);
    command.arg(ground.keys.certificate("internal-ca"));
    for key in ["CMG_GATEWAY__INSTANCE__WORKERS", "CMG_CONNECTION_POINT__CONNECTION_POINT__WORKERS"] {
        command.env(key, ground.workers.to_string());
    }
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut owned = Owned::start("the demo", &mut command, Farewell::Interrupt)?;
    let demo = super::with_end_of_log(ready(&mut owned, &folder.join("demo.json")), &log)?;
    contestant(demo, &folder, owned)
}

fn ready(owned: &mut Owned, path: &Path) -> Result<Demo> {
    let text = owned.wait_until(BUILT_AND_READY_WITHIN, || {
        std::fs::read_to_string(path).ok().filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok())
    })?;
    serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
}

fn contestant(demo: Demo, folder: &Path, owned: Owned) -> Result<Contestant> {
    let address = *demo.client_addresses.first().context("the demo names no client address")?;
    ensure!(!demo.pids.gateway.is_empty() && !demo.pids.connection_point.is_empty(), "the demo names no processes");
    let target = Target {
        address,
        server_name: demo.service_name,
        prefix: "/bench/".to_owned(),
        authority: folder.join(demo.service_ca),
        certificate: Some(folder.join(demo.client_cert)),
        key: Some(folder.join(demo.client_key)),
    };
    let Processes { gateway, connection_point } = demo.pids;
    Ok(Contestant { name: Name::Ours, target, edge: gateway, inner: connection_point, _owned: vec![owned] })
}
