//! The steps of the proof: requests from this machine through both gateways, and what they show. Each has a deadline
//! and waits for what happens, never for time to pass.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use cmg_client::tls::ClientCertificate;
use cmg_client::{Client, Connection, Protocol, Reply, Request};
use cmg_e2e::admin::until;
use cmg_e2e::mp;
use cmg_e2e::pki::Pki;
use cmg_e2e::stack::SERVICE_NAME;

use super::apart;
use super::project::{CLIENT_PORT, CONNECTION_POINTS, GATEWAYS, Project};
use crate::walk::{Walk, echoed, refused};

/// Requests in a row whose turns are counted: as many for each connection point.
const TURNS: usize = 8;
/// An answer that is long under way: so many single bytes, one each tenth of a second.
const LONG: &str = "SMS_MP/_/slow?pieces=20&every=100";
const LONG_BYTES: u64 = 20;

pub async fn walk(project: &Project, pki: &Pki, walk: &mut Walk) -> Result<()> {
    walk.record("every program runs alone and without rights", without_rights(project));
    for gateway in GATEWAYS {
        project.wait_ready(gateway).await?;
        walk.record(&format!("{gateway} is ready"), came_in_by_name(project, gateway).await);
        let client = client(project, gateway, Some(pki), pki)?;
        walk.record(&format!("a device reads through {gateway}"), reads(&client).await);
        let client = self::client(project, gateway, None, pki)?;
        walk.record(&format!("without certificate {gateway} refuses"), no_certificate(&client).await);
        walk.record(&format!("the connection points take turns at {gateway}"), turns(project, pki, gateway).await);
    }
    walk.record("devices see the gateways only", apart::devices_see_gateways_only(project));
    walk.record("a gateway sees nothing of the inside", apart::a_gateway_sees_no_inside(project));
    walk.record("connection points listen on nothing", apart::connection_points_listen_on_nothing(project));
    match apart::can_drop(project) {
        Ok(()) => walk.record("with all inbound connections dropped they dial again", dial_again(project, pki).await),
        Err(error) => println!("  not shown here: tunnels with all inbound connections dropped ({error:#})"),
    }
    walk.record("one connection point stops by SIGTERM and nobody notices", one_stops(project, pki).await);
    walk.record("it comes back and takes its turns", comes_back(project, pki).await);
    walk.record("no program ended by itself", project.nothing_ended().map(|()| "none of 5".to_owned()));
    Ok(())
}

/// A client from outside; one that shows a device's certificate, or none.
pub fn client(project: &Project, gateway: &str, shown: Option<&Pki>, pki: &Pki) -> Result<Client> {
    let address = project.published(gateway, CLIENT_PORT)?;
    let device = shown.map(|pki| &pki.clients[0]);
    let shown = device.map(|device| ClientCertificate { chain: &device.certificate, key: &device.key });
    Ok(Client::new(address, SERVICE_NAME, &pki.service_ca.certificate, shown)?)
}

fn device(project: &Project, gateway: &str, pki: &Pki) -> Result<Client> {
    client(project, gateway, Some(pki), pki)
}

/// As the engine itself sees them.
fn without_rights(project: &Project) -> Result<String> {
    let format = "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}";
    for service in project.services() {
        let seen = project.inspected(service, format)?;
        let wanted = "65532:65532 true [ALL] [no-new-privileges:true]";
        ensure!(seen == wanted, "{service} runs with {seen:?} instead of {wanted:?}");
    }
    Ok("no root, no capabilities, read-only, no new privileges".to_owned())
}

/// Ready is only who has a tunnel, and connection points know gateways by their Compose names alone.
async fn came_in_by_name(project: &Project, gateway: &str) -> Result<String> {
    project.wait_ready(gateway).await?;
    Ok("a connection point dialled it by its Compose name".to_owned())
}

async fn reads(client: &Client) -> Result<String> {
    let seen = echoed(&client.get(&mp("SMS_MP/.sms_aut?MPLIST")).await?)?;
    Ok(format!("200, the role saw {} {}", seen["method"], seen["target"]))
}

async fn no_certificate(client: &Client) -> Result<String> {
    let answer = client.get(&mp("SMS_MP/.sms_aut?MPLIST")).await?;
    refused(&answer, 403, "CMGService_ClientCertificateRequired")
}

async fn turns(project: &Project, pki: &Pki, gateway: &str) -> Result<String> {
    all_tunnels_are_up(project, pki, gateway).await?;
    let counts = served_by(project, pki, gateway).await?;
    let fair = TURNS / CONNECTION_POINTS.len();
    ensure!(CONNECTION_POINTS.iter().all(|point| counts.get(*point) == Some(&fair)), "of {TURNS}: {counts:?}");
    Ok(said_of(&counts))
}

fn said_of(counts: &BTreeMap<String, usize>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

/// A gateway is ready with its first tunnel; turns are fair once all are there.
async fn all_tunnels_are_up(project: &Project, pki: &Pki, gateway: &str) -> Result<()> {
    let both = until(async || {
        let counts = served_by(project, pki, gateway).await?;
        Ok(counts.len() == CONNECTION_POINTS.len())
    });
    both.await.with_context(|| format!("not every connection point serves {gateway}"))
}

/// Sends some requests on one connection; how many of them each connection point served.
async fn served_by(project: &Project, pki: &Pki, gateway: &str) -> Result<BTreeMap<String, usize>> {
    let mut connection = device(project, gateway, pki)?.connect().await?;
    let mut ids = Vec::new();
    for _ in 0..TURNS {
        ids.push(one_request(&mut connection).await?);
    }
    servers(project, gateway, &ids).await
}

/// The request id of an exchange that went well.
async fn one_request(connection: &mut Connection) -> Result<String> {
    let answer = connection.send(Request::get(&mp("SMS_MP/_/echo"))).await?.whole().await?;
    echoed(&answer)?;
    Ok(answer.field("x-cmg-request-id").context("the answer has no X-CMG-Request-Id")?.to_owned())
}

/// Which connection point served each of these exchanges, by the gateway's log.
async fn servers(project: &Project, gateway: &str, ids: &[String]) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    let logged = until(async || {
        counts.clear();
        for line in project.log(gateway)? {
            let is_one = line["request_id"].as_str().is_some_and(|id| ids.iter().any(|wanted| wanted == id));
            if is_one && let Some(point) = line["connection_point"].as_str() {
                *counts.entry(point.to_owned()).or_insert(0) += 1;
            }
        }
        Ok(counts.values().sum::<usize>() == ids.len())
    });
    logged.await.with_context(|| format!("{gateway} did not log {} exchanges", ids.len()))?;
    Ok(counts)
}

/// A restarted gateway can only be reached again by connections that the connection points make.
async fn dial_again(project: &Project, pki: &Pki) -> Result<String> {
    apart::drop_inbound(project)?;
    apart::inbound_is_dropped(project)?;
    let gateway = GATEWAYS[1];
    let mut stop = project.stop(gateway)?;
    // Connections that were let go are closed while this waits.
    until(async || Ok(stop.try_wait()?.is_some())).await.context("docker stop")?;
    project.start(gateway)?;
    project.wait_ready(gateway).await?;
    all_tunnels_are_up(project, pki, gateway).await?;
    let counts = served_by(project, pki, gateway).await?;
    Ok(format!("{gateway} restarted, then {}", said_of(&counts)))
}

/// Long answers that are under way, and short requests without a break, while one connection point stops.
async fn one_stops(project: &Project, pki: &Pki) -> Result<String> {
    let [leaving, staying] = CONNECTION_POINTS;
    let mut long = Vec::new();
    let mut connections = Vec::new();
    for gateway in GATEWAYS {
        let mut connection = device(project, gateway, pki)?.speaking(Protocol::Http2).connect().await?;
        for _ in 0..CONNECTION_POINTS.len() {
            long.push((gateway, connection.send(Request::get(&mp(LONG))).await?));
        }
        connections.push(connection);
    }
    let mut stop = project.stop(leaving)?;
    let mut sent = 0;
    let status = loop {
        for connection in &mut connections {
            one_request(connection).await.with_context(|| format!("after {sent} requests"))?;
            sent += 1;
        }
        if let Some(status) = stop.try_wait()? {
            break status;
        }
    };
    ensure!(status.success(), "docker stop: {status}");
    let finished = finished(project, long).await?;
    ensure!(finished.contains_key(leaving), "no long answer was under way at {leaving}: {finished:?}");
    let code = project.inspected(leaving, "{{.State.ExitCode}}")?;
    ensure!(code == "0", "{leaving} ended with exit code {code}");
    for gateway in GATEWAYS {
        let counts = served_by(project, pki, gateway).await?;
        ensure!(counts.get(staying) == Some(&TURNS), "afterwards at {gateway}: {counts:?}");
    }
    Ok(format!("{sent} requests meanwhile and {} long answers, none failed; exit code 0", 2 * GATEWAYS.len()))
}

/// Reads answers to their ends; how many each connection point served.
async fn finished(project: &Project, answers: Vec<(&str, Reply)>) -> Result<BTreeMap<String, usize>> {
    let mut all = BTreeMap::new();
    for (gateway, mut answer) in answers {
        ensure!(answer.status == 200, "a long answer began with {}", answer.status);
        let id = answer.fields.get("x-cmg-request-id").and_then(|id| id.to_str().ok());
        let id = id.context("the answer has no X-CMG-Request-Id")?.to_owned();
        let bytes = answer.count().await.with_context(|| format!("a long answer through {gateway}"))?;
        ensure!(bytes == LONG_BYTES, "a long answer had {bytes} of {LONG_BYTES} bytes");
        for (point, count) in servers(project, gateway, &[id]).await? {
            *all.entry(point).or_insert(0) += count;
        }
    }
    Ok(all)
}

async fn comes_back(project: &Project, pki: &Pki) -> Result<String> {
    project.start(CONNECTION_POINTS[0])?;
    for gateway in GATEWAYS {
        turns(project, pki, gateway).await?;
    }
    Ok("fair turns at both gateways again".to_owned())
}
