//! Connection points that get nothing new, because they stop or are full, and requests that notice nothing of it.

use anyhow::{Result, ensure};
use cmg_client::Request;
use cmg_core::limits;
use cmg_e2e::stack::lines_with;
use cmg_e2e::{PATIENCE, Stack, mp, until};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{answered, tunnels};
use crate::expect::{ask, echoed};
use crate::tunnels::hold;

/// How many exchanges of the gateway this connection point was chosen for, of those that are over.
fn chosen(stack: &Stack, name: &str) -> usize {
    lines_with(&stack.gateways[0], "connection_point", name).len()
}

/// It finishes what it has, is given nothing new, and ends.
#[tokio::test]
async fn a_draining_connection_point_is_passed_over() -> Result<()> {
    let mut stack = Stack::builder().connection_points(2).start().await?;
    let polls = hold(&stack, "drain", 8).await?;
    stack.connection_points[1].signal("TERM")?;
    until(async || {
        let tunnels = tunnels(&stack).await?;
        let mut of_second = tunnels.iter().filter(|tunnel| tunnel["connection_point"].to_string().contains("cp2"));
        Ok(of_second.all(|tunnel| tunnel["draining"] == true))
    })
    .await?;
    for _ in 0..100 {
        echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    }
    // Before the polls end, of which each has four.
    until(async || Ok(chosen(&stack, "cp1") + chosen(&stack, "cp2") == 100)).await?;
    assert_eq!(chosen(&stack, "cp2"), 0);
    stack.release("drain", 8).await?;
    assert!(polls.join_all().await.into_iter().all(|status| status.is_ok_and(|status| status == 200)));
    let ended = stack.connection_points[1].wait(PATIENCE).await?;
    assert!(ended.success(), "{ended}");
    stack.connection_points.remove(1);
    stack.finish().await
}

/// One of two leaves while sixteen clients ask without a pause, and comes back: no request fails.
#[tokio::test]
async fn a_connection_point_that_stops_under_load_costs_no_request() -> Result<()> {
    let mut stack = Stack::builder().connection_points(2).start().await?;
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for number in 0..16 {
        let (client, stopped) = (stack.client()?, stopped.clone());
        clients.spawn(async move {
            let mut connection = client.connect().await?;
            let mut count = 0;
            while !*stopped.borrow() {
                let method = if number % 2 == 0 { "GET" } else { "POST" };
                let reply = connection.send(Request::new(method, &mp("CCM_System/x"))).await?;
                let answer = reply.whole().await?;
                ensure!(answer.status == 200, "{answer:?}");
                count += 1;
            }
            Ok(count)
        });
    }
    until(async || Ok(answered(&stack).await?[1] > 200.0)).await?;
    stack.connection_points[1].signal("TERM")?;
    assert!(stack.connection_points[1].wait(PATIENCE).await?.success());
    stack.connection_points.remove(1);
    let before = answered(&stack).await?[0];
    until(async || Ok(answered(&stack).await?[0] > before + 200.0)).await?;
    stop.send(true)?;
    let mut asked = 0;
    for count in clients.join_all().await {
        asked += count?;
    }
    let seen = stack.role_admin()?.json("/_ledger/totals").await?;
    assert_eq!(seen["requests"], asked, "lost or doubled: {seen}");
    stack.finish().await
}

/// Every place on the first is taken when the second comes: it gets everything, and nobody is refused.
#[tokio::test]
async fn a_full_connection_point_is_passed_over() -> Result<()> {
    let one_tunnel = Stack::builder().workers(1).gateway_setting("TUNNEL__BULK_CONNECTIONS", "0");
    let mut stack = one_tunnel.start().await?;
    let polls = hold(&stack, "full", limits::ACTIVE_EXCHANGES).await?;
    stack.start_connection_point().await?;
    stack.wait_for_tunnels(2).await?;
    for _ in 0..50 {
        echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    }
    until(async || Ok(chosen(&stack, "cp1") + chosen(&stack, "cp2") == 50)).await?;
    assert_eq!(chosen(&stack, "cp1"), 0);
    stack.release("full", limits::ACTIVE_EXCHANGES).await?;
    assert!(polls.join_all().await.into_iter().all(|status| status.is_ok_and(|status| status == 200)));
    stack.finish().await
}
