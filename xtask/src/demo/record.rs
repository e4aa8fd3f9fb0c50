//! What a demo tells: `demo.json` for programs, curl lines for people.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use cmg_e2e::program::Program;
use cmg_e2e::stack::{DISTRIBUTION_POINT, SERVICE_NAME};
use cmg_e2e::{Stack, mp};
use serde_json::{Value, json};

pub const FILE: &str = "demo.json";

/// Written when everything is ready, in one step, so that whoever waits for it never reads half of it.
pub fn write(stack: &Stack, internal: bool) -> Result<()> {
    let record = record(stack, internal)?;
    let path = stack.folder().join(FILE);
    let whole = path.with_extension("json.new");
    std::fs::write(&whole, serde_json::to_vec_pretty(&record)?)
        .and_then(|()| std::fs::rename(&whole, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn record(stack: &Stack, internal: bool) -> Result<Value> {
    let clients = stack.gateways.iter().map(|gateway| gateway.address("client")).collect::<Result<Vec<_>>>()?;
    let [client, other] = &stack.pki.clients;
    let client_ca = &stack.pki.client_ca;
    let origin = origin(*clients.first().context("no gateway")?);
    let published: Vec<_> = published(internal)
        .into_iter()
        .map(|(method, path)| json!({ "method": method, "url": format!("{origin}{path}") }))
        .collect();
    let pids = |programs: &[Program]| programs.iter().map(Program::pid).collect::<Vec<_>>();
    let admin =
        |programs: &[Program]| programs.iter().map(|program| program.address("admin")).collect::<Result<Vec<_>>>();
    let site_role = std::slice::from_ref(&stack.site_role);
    Ok(json!({
        "service_name": SERVICE_NAME,
        "client_addresses": clients,
        "service_ca": stack.pki.service_ca.certificate,
        "client_cert": client.certificate,
        "client_key": client.key,
        "other_client_cert": other.certificate,
        "other_client_key": other.key,
        "client_ca": client_ca.certificate,
        "client_ca_key": client_ca.key,
        "published": published,
        "admin": {
            "gateway": admin(&stack.gateways)?,
            "connection_point": admin(&stack.connection_points)?,
            "site_role": admin(site_role)?,
        },
        "pids": {
            "gateway": pids(&stack.gateways),
            "connection_point": pids(&stack.connection_points),
            "site_role": pids(site_role),
        },
        "config": stack.configuration,
    }))
}

fn origin(address: SocketAddr) -> String {
    format!("https://{SERVICE_NAME}:{}", address.port())
}

/// Requests that answer 2xx with a client certificate.
fn published(internal: bool) -> Vec<(&'static str, String)> {
    let file = format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}/SMS_DP_SMSPKG$/_/static/a.bin?bytes=1048576");
    let mut published = vec![
        ("GET", mp("SMS_MP/.sms_aut?MPLIST")),
        ("GET", mp("SMS_MP/_/echo")),
        ("HEAD", mp("SMS_MP/_/echo")),
        ("POST", mp("CCM_System/request")),
        ("CCM_POST", mp("CCM_System/request")),
        ("GET", file.clone()),
        ("HEAD", file),
        ("GET", "/open/_/huge?bytes=1048576".to_owned()),
        ("POST", "/open/_/mirror".to_owned()),
    ];
    if internal {
        published.push(("GET", "/bench/".to_owned()));
    }
    published
}

/// Lines to copy, and where to look.
pub fn print(stack: &Stack) -> Result<()> {
    let address = stack.client_address(0)?;
    let (pki, origin) = (&stack.pki, origin(address));
    let whom = format!(
        "--cacert {} --resolve {SERVICE_NAME}:{}:127.0.0.1",
        pki.service_ca.certificate.display(),
        address.port()
    );
    let shown = format!("--cert {} --key {}", pki.clients[0].certificate.display(), pki.clients[0].key.display());
    println!("\nwith a client certificate: an answer from the inside");
    println!("  curl {whom} \\\n    {shown} \\\n    '{origin}{}'", mp("SMS_MP/_/echo"));
    println!("without one: 403 CMGService_ClientCertificateRequired");
    println!("  curl -i {whom} \\\n    '{origin}{}'", mp("SMS_MP/_/echo"));
    println!("a file of 100 MiB, streamed; interrupt it and go on with -C -");
    println!("  curl -o file.bin {whom} \\\n    {shown} \\\n    '{origin}/open/_/static/file.bin?bytes=104857600'");
    println!("health, metrics and status of every program");
    for program in stack.programs() {
        println!("  curl http://{}/status   # {}", program.address("admin")?, program.name);
    }
    println!("logs and configuration are in {}; {FILE} tells programs the same", stack.folder().display());
    Ok(())
}
