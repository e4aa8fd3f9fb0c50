//! Several instances, each with tunnel ports of its own: the preferred one first, the other where that is refused, and
//! back when it works again (G-03, T-05).

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use cmg_client::Request;
use cmg_e2e::fault_proxy::Fault;
use cmg_e2e::{Stack, mp, until};
use serde_json::Value;
use tokio::task::JoinSet;

use super::ALL;

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

/// Instances with two ports each, a fault proxy before the preferred one, and no connection point yet; the preferred
/// addresses, and the others.
async fn with_two_ports(instances: usize) -> Result<(Stack, Vec<String>, Vec<String>)> {
    let two_ports = "[\"127.0.0.1:0\", \"127.0.0.1:0\"]";
    let builder = Stack::builder().gateways(instances).faulty_tunnels().gateway_setting("LISTEN__TUNNEL", two_ports);
    let stack = builder.connection_points(0).start_unready().await?;
    let preferred: Vec<_> = stack.tunnel_proxies.iter().map(|proxy| proxy.address.to_string()).collect();
    let fallbacks = (0..instances).map(|instance| fallback(&stack, instance)).collect::<Result<Vec<_>>>()?;
    let file = stack.folder().join("site.toml");
    let mut text = fs::read_to_string(&file)?;
    for (first, second) in preferred.iter().zip(&fallbacks) {
        text = text.replace(&format!("addresses = [\"{first}\"]"), &format!("addresses = [\"{first}\", \"{second}\"]"));
    }
    fs::write(&file, text)?;
    Ok((stack, preferred, fallbacks))
}

#[tokio::test]
async fn a_refused_port_leads_to_the_next() -> Result<()> {
    let (mut stack, preferred, fallbacks) = with_two_ports(2).await?;
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

/// Asks without a pause until it is told to stop; how many answers came. A single other answer is an error.
async fn constant_load(stack: &Stack, stop: Arc<AtomicBool>) -> Result<JoinSet<Result<usize>>> {
    let mut load = JoinSet::new();
    for _ in 0..4 {
        let (client, stop) = (stack.client()?, Arc::clone(&stop));
        load.spawn(async move {
            let (mut connection, mut count) = (client.connect().await?, 0);
            while !stop.load(Ordering::Relaxed) {
                let answer = connection.send(Request::get(&mp("SMS_MP/load"))).await?.whole().await?;
                ensure!(answer.status == 200, "after {count}: {} {}", answer.status, answer.text());
                count += 1;
            }
            Ok(count)
        });
    }
    Ok(load)
}

/// Replacement first: nothing is refused, and what was begun on the old tunnels ends on them.
#[tokio::test]
async fn tunnels_go_back_to_a_port_that_works_again() -> Result<()> {
    let (mut stack, preferred, fallbacks) = with_two_ports(1).await?;
    stack.tunnel_proxies[0].set(Fault::Cut);
    stack.start_connection_point().await?;
    stack.wait_ready().await?;
    wait_for_addresses(&stack, &fallbacks).await?;
    let mut connection = stack.client()?.connect().await?;
    let mut long = connection.send(Request::get(&mp("SMS_MP/_/slow?hold=back"))).await?;
    ensure!(long.next().await?.is_some_and(|first| first.len() == 1), "the first piece comes at once");
    let stop = Arc::new(AtomicBool::new(false));
    let load = constant_load(&stack, Arc::clone(&stop)).await?;
    stack.tunnel_proxies[0].set(Fault::None);
    // A reload looks at the links at once.
    stack.connection_points[0].signal("HUP")?;
    let inside = stack.connection_point_admin()?;
    let mut tunnels = Value::Null;
    let gone_back = until(async || {
        tunnels = inside.json("/status").await?["gateways"][0]["tunnels"].take();
        let all = tunnels.as_array().context("no tunnels")?;
        let count =
            |state: &str, at: &str| all.iter().filter(|one| one["state"] == state && one["address"] == at).count();
        let (up, leaving) = (count("up", &preferred[0]), count("draining", &fallbacks[0]));
        Ok((up, leaving, all.len()) == (ALL, 1, ALL + 1))
    });
    gone_back
        .await
        .with_context(|| format!("not gone back, or the long request's tunnel has not stayed: {tunnels}"))?;
    stop.store(true, Ordering::Relaxed);
    for answered in load.join_all().await {
        ensure!(answered? > 0, "no load");
    }
    stack.release("back", 1).await?;
    let rest = long.whole().await?;
    ensure!((rest.status, rest.body.len()) == (200, 1), "the long answer: {} {:?}", rest.status, rest.body);
    drop(connection);
    wait_for_addresses(&stack, &preferred).await?;
    all_serve(&stack).await?;
    stack.finish().await
}

/// Where only one port is open, tunnels come in by the clients' own: what a connection is stands in its ALPN.
#[tokio::test]
async fn tunnels_and_clients_share_a_port() -> Result<()> {
    let mut stack = Stack::builder().connection_points(0).start_unready().await?;
    let shared = stack.share_the_clients_port()?;
    stack.start_connection_point().await?;
    stack.wait_ready().await?;
    wait_for_addresses(&stack, &[shared]).await?;
    all_serve(&stack).await?;
    assert_eq!(stack.http2_client()?.get(&mp("SMS_MP/x")).await?.status, 200);
    stack.finish().await
}
