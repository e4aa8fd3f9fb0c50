//! HAProxy to HAProxy: an edge with client certificates, HTTP/2 over mutual TLS to an inner one, HTTPS to the backend.

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
        name: Name::Haproxy,
        target: super::peer_target(ground, edge_port),
        edge: usage::with_descendants(edge.id()),
        inner: usage::with_descendants(inner.id()),
        _owned: vec![edge, inner],
    })
}

fn hop(ground: &Ground, which: &str, port: u16, ports: &[(&str, String)]) -> Result<Owned> {
    let folder = ground.folder.join(format!("haproxy-{which}"));
    let mut values = super::shared_values(ground, &folder);
    values.extend_from_slice(ports);
    let file = super::configuration(ground, &folder, &format!("haproxy-{which}.cfg"), &values)?;
    let program = super::program_path("haproxy").context("haproxy is not installed")?;
    let log = super::log_file(&folder, "error.log")?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&file).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut owned = Owned::start(&format!("haproxy ({which})"), &mut command, Farewell::Terminate)?;
    super::with_end_of_log(super::wait_for_listener(&mut owned, port), &folder.join("error.log"))?;
    Ok(owned)
}
