//! Two processes of one connection point: a new one beside a frozen ghost, and two that live (T-06).

use anyhow::{Result, ensure};
use cmg_e2e::{Stack, mp, until};

use super::ALL;
use crate::expect::{ask, echoed};

/// It hangs without an end, and its successor does not wait until it is given up.
#[tokio::test]
async fn a_frozen_process_is_replaced_at_once() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    stack.wait_for_tunnels(ALL).await?;
    let mut ghost = stack.connection_points.remove(0);
    ghost.signal("STOP")?;
    let successor = stack.copy_of_connection_point(1).await?;
    stack.connection_points.push(successor);
    let gateway = &stack.gateways[0];
    gateway.wait_for_line(&["another process of a connection point has taken over"]).await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    let admin = stack.gateway_admin()?;
    let gone = |metrics: &cmg_e2e::metrics::Metrics| {
        metrics.sum("cmg_tunnels_ended_total", &["why=\"replaced\""]) == ALL as f64
    };
    let metrics = admin.wait_for_metrics("that the ghost is gone", gone).await?;
    assert_eq!(metrics.sum("cmg_tunnels_ended_total", &["why=\"silent\""]), 0.0, "not by its silence");
    stack.wait_for_tunnel_count(ALL).await?;
    let status = admin.json("/status").await?;
    let tunnels = status["tunnels"].as_array().cloned().unwrap_or_default();
    let boot_id = &tunnels[0]["process"]["boot_id"];
    ensure!(tunnels.iter().all(|tunnel| tunnel["process"]["boot_id"] == *boot_id), "{status}");
    assert!(status["conflicts"].as_array().is_some_and(Vec::is_empty), "once is a restart: {status}");
    ghost.kill();
    for _ in 0..10 {
        echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    }
    stack.finish().await
}

#[tokio::test]
async fn two_that_replace_each_other_are_an_alarm_that_names_both() -> Result<()> {
    let stack = Stack::builder().start().await?;
    stack.wait_for_tunnels(ALL).await?;
    let mut copy = stack.copy_of_connection_point(1).await?;
    let (gateway, point) = (&stack.gateways[0], &stack.connection_points[0]);
    let told = ["another process took our place", "give each connection point a certificate of its own"];
    point.wait_for_line(&told).await?;
    copy.wait_for_line(&told).await?;
    let both = [
        "two processes of one connection point replace each other",
        "cmg:PS1/cp1/",
        "boot id",
        "certificate of its own",
    ];
    gateway.wait_for_line(&both).await?;
    let admin = stack.gateway_admin()?;
    let status = admin.json("/status").await?;
    let processes = status["conflicts"][0]["processes"].as_array().cloned().unwrap_or_default();
    ensure!(processes.len() == 2 && processes[0]["boot_id"] != processes[1]["boot_id"], "{status}");
    let metrics = admin.metrics().await?;
    assert!(metrics.sum("cmg_connection_points_replaced_total", &[]) >= 3.0);
    assert!(metrics.sum("cmg_connection_point_conflicts_total", &[]) >= 1.0);
    // The one that is left serves, as soon as its time away is over.
    copy.kill();
    until(async || Ok(ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?.status == 200)).await?;
    stack.finish().await
}
