//! nginx to nginx: an edge with client certificates, mutual TLS with keep-alive to an inner one, HTTPS to the backend.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Contestant, Ground, Name};
use crate::bench::process::{Farewell, Owned};
use crate::bench::usage;

pub fn start(ground: &Ground) -> Result<Contestant> {
    let (edge_port, inner_port) = (super::free_port()?, super::free_port()?);
    let ports = [("edge_port", edge_port.to_string()), ("inner_port", inner_port.to_string())];
    let inner = hop(ground, "inner", inner_port, &ports)?;
    let edge = hop(ground, "edge", edge_port, &ports)?;
    Ok(Contestant {
        name: Name::Nginx,
        target: super::peer_target(ground, edge_port),
        edge: usage::with_descendants(edge.id()),
        inner: usage::with_descendants(inner.id()),
        _owned: vec![edge, inner],
    })
}

fn hop(ground: &Ground, which: &str, port: u16, ports: &[(&str, String)]) -> Result<Owned> {
    let folder = ground.folder.join(format!("nginx-{which}"));
    let mut values = super::shared_values(ground, &folder);
    values.extend_from_slice(ports);
    let file = super::configuration(ground, &folder, &format!("nginx-{which}.conf"), &values)?;
    let program = super::program_path("nginx").context("nginx is not installed")?;
    let log = folder.join("error.log");
    let mut command = Command::new(program);
    command.arg("-p").arg(&folder).arg("-c").arg(&file).arg("-e").arg(&log).args(["-g", "daemon off;"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut owned = Owned::start(&format!("nginx ({which})"), &mut command, Farewell::Terminate)?;
    super::with_end_of_log(ready(&mut owned, port, ground.workers), Path::new(&log))?;
    Ok(owned)
}

/// The master listens before its workers are there.
fn ready(owned: &mut Owned, port: u16, workers: usize) -> Result<()> {
    super::wait_for_listener(owned, port)?;
    let master = owned.id();
    owned.wait_until(super::READY_WITHIN, || (usage::with_descendants(master).len() > workers).then_some(()))
}
