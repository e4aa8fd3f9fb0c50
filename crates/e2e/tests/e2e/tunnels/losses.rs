//! Tunnels that are cut and gateways that come back: what was under way is told, what comes next is served.

use anyhow::{Context, Result};
use cmg_core::refusal::RefusalKind;
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::{Stack, mp, until};

use super::ALL;
use crate::expect::{ask, echoed, refused, request};

#[tokio::test]
async fn a_cut_tunnel_ends_what_is_under_way_and_is_dialled_again() -> Result<()> {
    let stack = Stack::builder().faulty_tunnels().start().await?;
    stack.wait_for_tunnels(3).await?;
    let mut waiting = RawConnection::open(&stack.client()?).await?;
    waiting.write(request("POST", &mp("CCM_System/_/never?read=no"), &["Content-Length: 0"])).await?;
    stack.wait_at_role("never", "begun", 1).await?;
    let mut begun = RawConnection::open(&stack.client()?).await?;
    begun.write(request("GET", &mp("SMS_MP/_/slow?hold=cut"), &[])).await?;
    assert_eq!(begun.head().await?.status, 200);
    let dialled = stack.tunnel_proxies[0].connections();
    stack.tunnel_proxies[0].cut_once();
    refused(&stack, &waiting.answer("POST").await?, RefusalKind::TunnelLost).await?;
    assert!(begun.take(1_000_000).await.is_err(), "an answer that had begun is cut");
    stack.wait_at_role("_", "cut", 2).await?;
    drop((waiting, begun));
    stack.wait_ready().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/after"), &[]).await?)?;
    stack.wait_for_tunnels(3).await?;
    assert!(stack.tunnel_proxies[0].connections() >= dialled + 3);
    stack.finish().await
}

/// Reset on all tunnels again and again: everything comes back each time.
#[tokio::test]
async fn tunnels_that_are_cut_ten_times_come_back() -> Result<()> {
    let stack = Stack::builder().faulty_tunnels().start().await?;
    let proxy = &stack.tunnel_proxies[0];
    for cut in 0..10 {
        stack.wait_for_tunnels(ALL).await?;
        let dialled = proxy.connections();
        proxy.cut_once();
        until(async || Ok(proxy.connections() >= dialled + ALL as u64))
            .await
            .context("not all were cut and dialled")?;
        stack.wait_for_answer(&mp(&format!("SMS_MP/after-{cut}")), 200).await?;
    }
    stack.wait_ready().await?;
    stack.finish().await
}

#[tokio::test]
async fn a_gateway_that_is_killed_is_found_again_on_its_port() -> Result<()> {
    let mut stack = Stack::builder().connection_points(2).start().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/before"), &[]).await?)?;
    stack.restart_gateway(0).await?;
    stack.wait_for_tunnels(6).await?;
    stack.wait_ready().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/after"), &[]).await?)?;
    stack.finish().await
}

/// The number of the connection point that holds the one exchange of the gateway, once it is there.
async fn holder(stack: &Stack) -> Result<usize> {
    let mut holder = None;
    until(async || {
        let status = stack.gateway_admin()?.json("/status").await?;
        let tunnels = status["tunnels"].as_array().context("a status without tunnels")?;
        let busy =
            tunnels.iter().find(|tunnel| tunnel["active"] == 1).map(|tunnel| tunnel["connection_point"].to_string());
        holder = busy.map(|name| usize::from(name.contains("cp2")));
        Ok(holder.is_some())
    })
    .await?;
    holder.context("somebody who holds it")
}

/// kill -9 of one of two connection points: what only reads is answered by the other, a POST is never run twice.
#[tokio::test]
async fn a_killed_connection_point_costs_only_what_must_not_run_twice() -> Result<()> {
    let mut stack = Stack::builder().connection_points(2).start().await?;
    for (method, times) in [("GET", 2), ("POST", 1)] {
        stack.wait_for_tunnels(6).await?;
        let mut asked = RawConnection::open(&stack.client()?).await?;
        let key = format!("killed-{method}");
        let target = mp(&format!("CCM_System/_/poll?key={key}"));
        asked.write(request(method, &target, &["Content-Length: 0"])).await?;
        stack.wait_at_gate(&key, 1).await?;
        let killed = holder(&stack).await?;
        stack.connection_points[killed].kill();
        if method == "POST" {
            refused(&stack, &asked.answer(method).await?, RefusalKind::TunnelLost).await?;
        } else {
            stack.wait_at_role(&key, "begun", times).await?;
            stack.release(&key, times).await?;
            let answer = asked.answer(method).await?;
            assert_eq!(answer.status, 200);
            let line = stack.exchange_line(answer.field("x-cmg-request-id").context("an id")?).await?;
            assert_eq!(line["sent_again"], "repeatable", "{line}");
        }
        assert_eq!(stack.seen_at_role(&key).await?.len(), times, "{method} at the role");
        stack.connection_points.remove(killed);
        let name = killed + 1;
        stack.start_connection_point_number(name).await?;
        stack.connection_points.sort_by(|one, other| one.name.cmp(&other.name));
    }
    stack.finish().await
}
