//! Strict round robin, skipping, lanes and workers (G-15, T-04, S-10).

mod passed_over;
mod sites;

use anyhow::{Context, Result, ensure};
use cmg_client::Request;
use cmg_core::limits;
use cmg_e2e::admin::Admin;
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::stack::DISTRIBUTION_POINT;
use cmg_e2e::{Stack, mp};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::expect::{ask, echoed, request};

const WORKERS: usize = 2;

/// Exchanges that each connection point has answered.
async fn answered(stack: &Stack) -> Result<Vec<f64>> {
    let mut counts = Vec::new();
    for program in &stack.connection_points {
        let metrics = Admin::of(program)?.metrics().await?;
        counts.push(metrics.sum("cmg_exchanges_total", &["outcome=\"answered\""]));
    }
    Ok(counts)
}

/// Requests over so many connections at once.
async fn send(stack: &Stack, connections: usize, requests: usize) -> Result<()> {
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let client = stack.client()?;
        clients.spawn(async move {
            let mut connection = client.connect().await?;
            for number in 0..requests {
                let answer = connection.send(Request::get(&mp("SMS_MP/turn"))).await?.whole().await?;
                ensure!(answer.status == 200, "request {number}: {} {}", answer.status, answer.text());
            }
            Ok(())
        });
    }
    while let Some(sent) = clients.join_next().await {
        sent??;
    }
    Ok(())
}

#[tokio::test]
async fn three_connection_points_take_strict_turns() -> Result<()> {
    let stack = Stack::builder().connection_points(3).workers(WORKERS).start().await?;
    let before = answered(&stack).await?;
    send(&stack, 10, 300).await?;
    let after = answered(&stack).await?;
    let served: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    // Each worker has its own turn, so that each may be one ahead.
    assert!(served.iter().all(|count| (count - 1000.0).abs() <= WORKERS as f64), "{served:?}");
    stack.finish().await
}

#[tokio::test]
async fn a_connection_point_that_is_gone_is_skipped_and_one_that_comes_takes_its_turn() -> Result<()> {
    let mut stack = Stack::builder().connection_points(3).workers(1).start().await?;
    stack.connection_points.remove(1).kill();
    stack.wait_for_tunnel_count(4).await?;
    let before = answered(&stack).await?;
    send(&stack, 1, 100).await?;
    let after = answered(&stack).await?;
    let served: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(served, [50.0, 50.0]);
    stack.start_connection_point_number(2).await?;
    stack.wait_ready().await?;
    let before = answered(&stack).await?;
    send(&stack, 1, 99).await?;
    let after = answered(&stack).await?;
    let served: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(served, [33.0, 33.0, 33.0]);
    stack.finish().await
}

#[tokio::test]
async fn every_connection_point_has_tunnels_to_every_instance() -> Result<()> {
    let stack = Stack::builder().gateways(2).connection_points(2).workers(WORKERS).start().await?;
    for (number, gateway) in stack.gateways.iter().enumerate() {
        let tunnels = Admin::of(gateway)?.metrics().await?.sum("cmg_tunnels", &[]);
        assert_eq!(tunnels, 2.0 * (WORKERS as f64 + 1.0), "{}", gateway.name);
        let client = stack.client_of(number, Some(&stack.pki.clients[1]))?;
        let mut connection = client.connect().await?;
        for _ in 0..4 {
            assert_eq!(connection.send(Request::get(&mp("SMS_MP/x"))).await?.whole().await?.status, 200);
        }
    }
    assert!(answered(&stack).await?.iter().all(|count| *count > 0.0));
    stack.finish().await
}

/// The lane of the exchange that asked for this target.
async fn lane(stack: &Stack, target: &str) -> Result<String> {
    let answer = ask(stack, "GET", target, &[]).await?;
    echoed(&answer)?;
    let line = stack.connection_point_line(answer.field("x-cmg-request-id").context("no id")?).await?;
    Ok(line["lane"].as_str().unwrap_or_default().to_owned())
}

/// How many exchanges are active on the bulk lane.
async fn active_in_bulk(stack: &Stack) -> Result<u64> {
    let tunnels = tunnels(stack).await?;
    let bulk = tunnels.iter().filter(|tunnel| tunnel["lane"] == "bulk");
    Ok(bulk.filter_map(|tunnel| tunnel["active"].as_u64()).sum())
}

/// The tunnels in the gateway's status.
async fn tunnels(stack: &Stack) -> Result<Vec<Value>> {
    let status = stack.gateway_admin()?.json("/status").await?;
    status["tunnels"].as_array().cloned().context("a status without tunnels")
}

#[tokio::test]
async fn an_upload_that_is_declared_large_travels_on_the_bulk_lane() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for (length, on_bulk) in [(limits::BULK_FROM - 1, 0), (limits::BULK_FROM, 1)] {
        let mut connection = RawConnection::open(&stack.client()?).await?;
        let declared = format!("Content-Length: {length}");
        connection.write(request("POST", "/open/_/mirror", &[&declared]) + "a").await?;
        assert_eq!(connection.head().await?.status, 200);
        assert_eq!(active_in_bulk(&stack).await?, on_bulk, "{length} bytes");
    }
    stack.finish().await
}

#[tokio::test]
async fn files_travel_on_the_bulk_lane_and_on_the_other_where_there_is_none() -> Result<()> {
    let file = format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}/SMS_DP_SMSPKG$/a.cab");
    let stack = Stack::builder().start().await?;
    assert_eq!(lane(&stack, &file).await?, "bulk");
    assert_eq!(lane(&stack, &mp("SMS_MP/x")).await?, "interactive");
    stack.finish().await?;
    let stack = Stack::builder().gateway_setting("TUNNEL__BULK_CONNECTIONS", "0").start().await?;
    assert_eq!(lane(&stack, &file).await?, "interactive");
    stack.finish().await
}
