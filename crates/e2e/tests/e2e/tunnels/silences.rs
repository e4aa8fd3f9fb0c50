//! Links that fall silent without an end: both ends notice by themselves, others get the work meanwhile, and what was
//! lost is dialled anew (T-05, T-09, G-15).

use std::time::Instant;

use anyhow::{Result, ensure};
use cmg_client::Request;
use cmg_core::limits;
use cmg_e2e::admin::Admin;
use cmg_e2e::fault_proxy::Fault;
use cmg_e2e::stack::{DISTRIBUTION_POINT, lines_with};
use cmg_e2e::{Stack, mp, until};

use super::{ALL, Tunnels};
use crate::expect::{ask, echoed};

/// The fault lasts until both ends have said what they know of it; then everything comes back.
async fn both_ends_notice(fault: Fault, gateway_says: &str, connection_point_says: &str) -> Result<()> {
    let stack = Stack::builder().faulty_tunnels().start().await?;
    stack.wait_for_tunnels(ALL).await?;
    let (gateway, point) = (&stack.gateways[0], &stack.connection_points[0]);
    stack.tunnel_proxies[0].set(fault);
    let label = format!("why=\"{gateway_says}\"");
    let noticed = |metrics: &cmg_e2e::metrics::Metrics| metrics.sum("cmg_tunnels_ended_total", &[&label]) == ALL as f64;
    Admin::of(gateway)?.wait_for_metrics(&format!("that all tunnels have ended as {gateway_says}"), noticed).await?;
    let noticed = |metrics: &cmg_e2e::metrics::Metrics| metrics.sum("cmg_tunnels_silent_total", &[]) == ALL as f64;
    Admin::of(point)?.wait_for_metrics("that the connection point has noticed too", noticed).await?;
    point.wait_for_line(&["a tunnel ended", connection_point_says]).await?;
    stack.wait_for_no_tunnel().await?;
    stack.tunnel_proxies[0].set(Fault::None);
    stack.wait_for_tunnels(ALL).await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/after"), &[]).await?)?;
    stack.finish().await
}

const NOTHING_CAME: &str = "nothing was heard from the gateway for too long";
const NOTHING_ARRIVED: &str = "the gateway hears nothing of what is sent to it";

#[tokio::test]
async fn a_link_that_stalls_is_noticed_on_both_ends() -> Result<()> {
    both_ends_notice(Fault::Stall, "silent", NOTHING_CAME).await
}

#[tokio::test]
async fn a_link_that_is_silent_upwards_is_noticed_on_both_ends() -> Result<()> {
    both_ends_notice(Fault::SilentUp, "silent", NOTHING_ARRIVED).await
}

#[tokio::test]
async fn a_link_that_is_silent_downwards_is_noticed_on_both_ends() -> Result<()> {
    both_ends_notice(Fault::SilentDown, "unheard", NOTHING_CAME).await
}

#[tokio::test]
async fn a_link_of_which_one_end_is_gone_is_noticed_by_the_other() -> Result<()> {
    both_ends_notice(Fault::HalfOpen, "connection lost", NOTHING_CAME).await
}

/// For longer than a dead link is given, a heartbeat waits behind the transfer.
#[tokio::test]
async fn a_slow_link_under_a_long_download_lives() -> Result<()> {
    let stack = Stack::builder().faulty_tunnels().start().await?;
    let tunnels = Tunnels::of(&stack, ALL).await?;
    stack.tunnel_proxies[0].set(Fault::Slow(100_000));
    let path = format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}/SMS_DP_SMSPKG$/_/huge?bytes=2400000");
    let mut connection = stack.client()?.connect().await?;
    let begin = Instant::now();
    let answer = connection.send(Request::get(&path)).await?.whole().await?;
    ensure!((answer.status, answer.body.len()) == (200, 2_400_000), "{} {}", answer.status, answer.body.len());
    ensure!(begin.elapsed() > limits::HEARTBEAT_SILENCE, "the link was not slow");
    drop(connection);
    tunnels.are_the_same(&stack).await?;
    let silent = stack.gateway_admin()?.metrics().await?.sum("cmg_tunnels_ended_total", &[]);
    assert_eq!(silent, 0.0);
    stack.finish().await
}

/// A frozen process, or a cut cable: it says nothing, and nothing says that it is gone.
#[tokio::test]
async fn a_stopped_connection_point_gets_nothing_until_it_goes_on() -> Result<()> {
    let stack = Stack::builder().connection_points(2).start().await?;
    stack.wait_for_tunnels(2 * ALL).await?;
    let chosen = || lines_with(&stack.gateways[0], "connection_point", "cp2").len();
    let served = async |count| -> Result<()> {
        for _ in 0..count {
            echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
        }
        Ok(())
    };
    stack.connection_points[1].signal("STOP")?;
    let stalled = |metrics: &cmg_e2e::metrics::Metrics| metrics.sum("cmg_tunnels_stalled_total", &[]) >= ALL as f64;
    stack.gateway_admin()?.wait_for_metrics("that its tunnels are stalled", stalled).await?;
    served(20).await?;
    // Passed over, not tried and then sent elsewhere.
    let metrics = stack.gateway_admin()?.metrics().await?;
    assert_eq!(metrics.sum("cmg_requests_sent_again_total", &[]), 0.0, "{metrics:?}");
    stack.wait_for_tunnel_count(ALL).await?;
    served(100).await?;
    until(async || Ok(lines_with(&stack.gateways[0], "connection_point", "cp1").len() == 120)).await?;
    assert_eq!(chosen(), 0, "while it was silent, and when it was given up");
    stack.connection_points[1].signal("CONT")?;
    stack.wait_for_tunnels(2 * ALL).await?;
    until(async || {
        served(1).await?;
        Ok(chosen() > 0)
    })
    .await?;
    stack.finish().await
}

/// Tunnels beyond the pace wait for their turn, clients do not.
#[tokio::test]
async fn handshakes_of_tunnels_take_turns() -> Result<()> {
    let stack = Stack::builder().gateway_setting("LIMITS__TUNNEL_HANDSHAKES_PER_SECOND", "1").start().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.wait_for_tunnels(ALL).await?;
    let metrics = stack.gateway_admin()?.metrics().await?;
    assert!(metrics.sum("cmg_tunnel_handshakes_paced_total", &[]) >= 1.0);
    assert_eq!(metrics.sum("cmg_connections_refused_total", &[]), 0.0);
    stack.finish().await
}
