//! Several instances, each with tunnel ports of its own: the preferred one first, the other where that is refused
//! (G-03).

use std::fs;

use anyhow::{Context, Result, ensure};
use cmg_e2e::{Stack, mp, until};
use serde_json::Value;

/// The second tunnel port of an instance.
fn fallback(stack: &Stack, instance: usize) -> Result<String> {
    let port = stack.gateways[instance].ready["tunnel"][1].as_str();
    port.map(str::to_owned).context("an instance with one tunnel port")
}

/// Waits until every tunnel to every instance is up, at the address that it should have.
async fn wait_for_addresses(stack: &Stack, expected: &[String]) -> Result<()> {
    let inside = stack.connection_point_admin()?;
    let mut last = Value::Null;
    let waited = until(async || {
        last = inside.json("/status").await?["gateways"].take();
        let links = last.as_array().context("no links")?;
        let is_right = |(link, expected): (&Value, &String)| {
            let tunnels = link["tunnels"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_up = |tunnel: &Value| tunnel["state"] == "up" && tunnel["address"] == *expected;
            link["state"] == "healthy" && tunnels.iter().all(is_up)
        };
        Ok(links.len() == expected.len() && links.iter().zip(expected).all(is_right))
    });
    waited.await.with_context(|| format!("not at {expected:?}: {last}"))
}

/// One request through each instance.
async fn all_serve(stack: &Stack) -> Result<()> {
    for instance in 0..stack.gateways.len() {
        let client = stack.client_of(instance, Some(&stack.pki.clients[0]))?;
        let answer = client.get(&mp("SMS_MP/x")).await?;
        ensure!(answer.status == 200, "instance {instance}: {} {}", answer.status, answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_port_leads_to_the_next() -> Result<()> {
    let two_ports = "[\"127.0.0.1:0\", \"127.0.0.1:0\"]";
    let builder = Stack::builder().gateways(2).faulty_tunnels().gateway_setting("LISTEN__TUNNEL", two_ports);
    let mut stack = builder.connection_points(0).start_unready().await?;
    let preferred: Vec<_> = stack.tunnel_proxies.iter().map(|proxy| proxy.address.to_string()).collect();
    let fallbacks = [fallback(&stack, 0)?, fallback(&stack, 1)?];
    let file = stack.folder().join("site.toml");
    let mut text = fs::read_to_string(&file)?;
    for (first, second) in preferred.iter().zip(&fallbacks) {
        text = text.replace(&format!("addresses = [\"{first}\"]"), &format!("addresses = [\"{first}\", \"{second}\"]"));
    }
    fs::write(&file, text)?;
    stack.start_connection_point().await?;
    stack.wait_ready().await?;
    wait_for_addresses(&stack, &preferred).await?;
    all_serve(&stack).await?;
    // Nobody listens on the first instance's preferred port any more; the second's is none of its business.
    drop(stack.tunnel_proxies.remove(0));
    wait_for_addresses(&stack, &[fallbacks[0].clone(), preferred[1].clone()]).await?;
    all_serve(&stack).await?;
    // Whoever comes now reaches both at once.
    stack.start_connection_point().await?;
    stack.wait_ready().await?;
    all_serve(&stack).await?;
    stack.finish().await
}

/// Where only one port is open, tunnels come in by the clients' own: what a connection is stands in its ALPN.
#[tokio::test]
async fn tunnels_and_clients_share_a_port() -> Result<()> {
    let mut stack = Stack::builder().connection_points(0).start_unready().await?;
    let shared = stack.client_address(0)?.to_string();
    let file = stack.folder().join("site.toml");
    let text = fs::read_to_string(&file)?;
    let own = format!("addresses = [\"{}\"]", stack.gateways[0].address("tunnel")?);
    ensure!(text.contains(&own), "the tunnel port is not in {text}");
    fs::write(&file, text.replace(&own, &format!("addresses = [\"{shared}\"]")))?;
    stack.start_connection_point().await?;
    stack.wait_ready().await?;
    wait_for_addresses(&stack, &[shared]).await?;
    all_serve(&stack).await?;
    assert_eq!(stack.http2_client()?.get(&mp("SMS_MP/x")).await?.status, 200);
    stack.finish().await
}
