//! Links to every instance, counted as they are, and checked (T-04, T-05).

use anyhow::{Result, ensure};
use cmg_e2e::metrics::Metrics;
use cmg_e2e::{Stack, until};

/// Waits until status and metrics both say so many healthy links of three.
async fn covers(stack: &Stack, count: usize) -> Result<()> {
    let inside = stack.connection_point_admin()?;
    let words = format!("{count} of 3");
    until(async || Ok(inside.json("/status").await?["coverage"] == words)).await?;
    let said = |metrics: &Metrics| {
        let healthy = metrics.sum("cmg_links", &["state=\"healthy\""]);
        (healthy, metrics.sum("cmg_links", &[])) == (count as f64, 3.0)
    };
    let metrics = inside.wait_for_metrics(&format!("that {words} links are healthy"), said).await?;
    ensure!(metrics.sum("cmg_link_tunnels_wanted", &[]) == 9.0, "each has two workers and one for bulk");
    Ok(())
}

#[tokio::test]
async fn every_instance_is_covered_and_a_lost_one_is_missed() -> Result<()> {
    let mut stack = Stack::builder().gateways(3).start().await?;
    covers(&stack, 3).await?;
    let inside = stack.connection_point_admin()?;
    let whole = inside.metrics().await?;
    ensure!(whole.sum("cmg_link_tunnels", &[]) == 9.0 && whole.sum("cmg_link_without_tunnel_seconds", &[]) == 0.0);
    stack.gateways[1].kill();
    covers(&stack, 2).await?;
    stack.connection_points[0].signal("HUP")?;
    let line = stack.connection_points[0].wait_for_line(&["the link is not whole", "gateway-2"]).await?;
    ensure!(line.contains("2 of 2 interactive tunnels and 1 of 1 bulk tunnels"), "{line}");
    let lost = |metrics: &Metrics| metrics.sum("cmg_link_without_tunnel_seconds", &["gateway-2"]) > 0.0;
    inside.wait_for_metrics("that one link has no tunnel", lost).await?;
    stack.restart_gateway(1).await?;
    covers(&stack, 3).await?;
    stack.connection_points[0].signal("HUP")?;
    stack.connection_points[0].wait_for_line(&["the link is whole again", "gateway-2"]).await?;
    let log = stack.connection_points[0].log_text();
    ensure!(log.matches("the link is not whole").count() == 1, "said more than once");
    let check = inside.json("/status").await?["gateways"][1]["last_check"].clone();
    ensure!(check["at"].is_number() && check["missing"].is_null(), "{check}");
    stack.finish().await
}
