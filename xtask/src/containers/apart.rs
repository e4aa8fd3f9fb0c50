//! Steps that show that the networks are apart: the inside is reached through tunnels that connection points dial, and
//! in no other way. Every look has a control that sees something, so that a blind look does not pass.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::probe::{Seen, seen_in};
use super::project::{CLIENT_PORT, CONNECTION_POINTS, GATEWAYS, INSIDE, OUTSIDE, Project, SITE_ROLE, TUNNELS};
use crate::docker::said;

/// Listened on inside: the site role, the site, and on loopback the admin pages of a connection point.
const ROLE_PORT: u16 = 8443;
const SITE_PORT: u16 = 8444;
const ADMIN_PORT: u16 = 8441;
/// The first tunnel port of the second instance.
const TUNNEL_PORT: u16 = 10141;

/// The network of devices: gateways answer, nothing of the inside has a name or an address there.
pub fn devices_see_gateways_only(project: &Project) -> Result<String> {
    let gateways = GATEWAYS.map(|gateway| format!("{gateway}:{CLIENT_PORT}"));
    let hidden = hidden(project)?;
    let looked = look(&gateways, &hidden, |words| project.probe_in(OUTSIDE, words))?;
    Ok(format!("both gateways answer, {looked}"))
}

/// A gateway that has fallen into wrong hands has no other way in than the tunnels.
pub fn a_gateway_sees_no_inside(project: &Project) -> Result<String> {
    let control = [format!("{}:{TUNNEL_PORT}", GATEWAYS[1])];
    let looked = look(&control, &hidden(project)?, |words| project.probe_at(GATEWAYS[0], words))?;
    Ok(format!("the other gateway's tunnel port answers, {looked}"))
}

/// Names and addresses that must not answer outside.
fn hidden(project: &Project) -> Result<Vec<String>> {
    let role = project.address(SITE_ROLE, INSIDE)?;
    let mut hidden = vec![
        format!("mp1.corp.example:{ROLE_PORT}"),
        format!("{SITE_ROLE}:{ROLE_PORT}"),
        format!("{role}:{ROLE_PORT}"),
        format!("{role}:{SITE_PORT}"),
    ];
    for point in CONNECTION_POINTS {
        hidden.push(format!("{}:{ADMIN_PORT}", project.address(point, INSIDE)?));
        hidden.push(format!("{}:{ADMIN_PORT}", project.address(point, TUNNELS)?));
    }
    Ok(hidden)
}

fn look(open: &[String], closed: &[String], probe: impl Fn(&[&str]) -> Result<String>) -> Result<String> {
    let mut words = vec!["reach"];
    words.extend(open.iter().chain(closed).map(String::as_str));
    let told = probe(&words)?;
    let seen = seen_in(&told);
    ensure!(seen.len() == words.len() - 1, "the probe said: {told}");
    for (target, seen) in &seen {
        let should_answer = open.contains(target);
        ensure!((*seen == Seen::Open) == should_answer, "{target} was {seen}");
    }
    Ok(format!("{} names and addresses of the inside do not", closed.len()))
}

/// By the kernel's list of what listens, and by trying every TCP port from where gateways are.
pub fn connection_points_listen_on_nothing(project: &Project) -> Result<String> {
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT));
    for point in CONNECTION_POINTS {
        let told = project.probe_at(point, &["listening"])?;
        let listening = told.lines().map(str::parse).collect::<Result<Vec<SocketAddr>, _>>()?;
        // The control: its admin pages are in the list.
        ensure!(listening.contains(&admin), "{point} listens at {listening:?}, its admin pages are missing");
        ensure!(listening.iter().all(|address| address.ip().is_loopback()), "{point} listens at {listening:?}");
        let address = project.address(point, TUNNELS)?;
        let told = project.probe_at(GATEWAYS[0], &["scan", &address])?;
        ensure!(told == format!("{address} none"), "{point} has open ports: {told}");
    }
    Ok("only on loopback; all 65535 TCP ports refuse a gateway".to_owned())
}

/// Whether such rules can be set here; the error says what that needs.
pub fn can_drop(project: &Project) -> Result<()> {
    let process = project.inspected(CONNECTION_POINTS[0], "{{.State.Pid}}")?;
    let mut tables = in_namespace(&process, "iptables");
    said(tables.args(["--wait", "--list", "INPUT"])).map(drop).context("needs root, nsenter and iptables")
}

/// Drops whatever comes in to the connection points, by a rule in each one's own network namespace.
pub fn drop_inbound(project: &Project) -> Result<()> {
    for point in CONNECTION_POINTS {
        let process = project.inspected(point, "{{.State.Pid}}")?;
        let mut tables = in_namespace(&process, "iptables");
        tables.args(["--wait", "--insert", "INPUT", "!", "--in-interface", "lo"]);
        said(tables.args(["--protocol", "tcp", "--syn", "--jump", "DROP"]))?;
    }
    Ok(())
}

fn in_namespace(process: &str, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", process, "--net", program]);
    command
}

/// That the rules are in force: what was refused is silent now.
pub fn inbound_is_dropped(project: &Project) -> Result<()> {
    for point in CONNECTION_POINTS {
        let target = format!("{}:{ADMIN_PORT}", project.address(point, TUNNELS)?);
        let told = project.probe_at(GATEWAYS[0], &["reach", &target])?;
        ensure!(seen_in(&told) == [(target, Seen::Silent)], "with inbound connections dropped: {told}");
    }
    Ok(())
}
