//! What happens to good requests when something stops, is gone or is full.

use std::fs;

use anyhow::{Result, ensure};
use cmg_client::Request;
use cmg_core::limits;
use cmg_core::refusal::RefusalKind;
use cmg_e2e::admin::PATIENCE;
use cmg_e2e::fault_proxy::Fault;
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::stack::CUSTOM_PREFIX;
use cmg_e2e::{Stack, mp, until};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::expect::{ask, echoed, refused, request};

#[tokio::test]
async fn no_connection_point_is_connected() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.connection_points.remove(0).kill();
    stack.wait_for_no_tunnel().await?;
    let answer = ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?;
    refused(&stack, &answer, RefusalKind::NoConnectionPoint).await?;
    stack.finish().await
}

#[tokio::test]
async fn the_tunnel_dies_under_a_request() -> Result<()> {
    let mut stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("POST", &mp("CCM_System/_/never"), &["Content-Length: 0"])).await?;
    stack.wait_at_role("never", "begun", 1).await?;
    stack.connection_points.remove(0).kill();
    let answer = connection.answer("POST").await?;
    refused(&stack, &answer, RefusalKind::TunnelLost).await?;
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn the_drain_ends_what_does_not_end() -> Result<()> {
    let stack = Stack::builder().gateway_setting("DRAIN__DEADLINE", "1s").start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("POST", &mp("CCM_System/_/never"), &["Content-Length: 0"])).await?;
    stack.wait_at_role("never", "begun", 1).await?;
    stack.gateways[0].signal("TERM")?;
    let answer = connection.answer("POST").await?;
    assert_eq!((answer.status, answer.reason.as_str()), (502, RefusalKind::EndedByDrain.code()));
    let line = stack.exchange_line(answer.field("x-cmg-request-id").unwrap()).await?;
    assert_eq!(line["code"], RefusalKind::EndedByDrain.code());
    Ok(())
}

/// A connection that is open goes on being read, and what comes on it is served.
#[tokio::test]
async fn a_draining_gateway_serves_what_comes_on_open_connections() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut busy = RawConnection::open(&stack.client()?).await?;
    busy.write(request("GET", &mp("SMS_MP/_/poll?key=drain"), &[])).await?;
    let mut open = RawConnection::open(&stack.client()?).await?;
    echoed(&open.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    stack.wait_at_role("poll", "begun", 1).await?;
    stack.gateways[0].signal("TERM")?;
    stack.wait_unready().await?;
    let answer = open.exchange(request("GET", &mp("SMS_MP/y"), &[])).await?;
    echoed(&answer)?;
    assert_eq!(answer.field("connection"), Some("close"));
    open.expect_end().await?;
    stack.release("drain", 1).await?;
    assert_eq!(busy.answer("GET").await?.status, 200);
    Ok(())
}

/// Who has the address of another instance tries that one, instead of being told that nobody is there.
#[tokio::test]
async fn a_gateway_lets_clients_in_when_it_can_serve_them() -> Result<()> {
    let mut stack = Stack::builder().connection_points(0).start_unready().await?;
    let address = stack.client_address(0)?;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let (status, reasons) = stack.gateway_admin()?.get("/readyz").await?;
    assert!(status == 503 && reasons.contains("listening"), "{status} {reasons}");
    stack.start_connection_point().await?;
    stack.gateway_admin()?.wait_ready().await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.finish().await
}

/// At its deadline a connection point ends what still runs: told as that, a cut where the answer had begun, and what
/// only reads goes to the other one.
#[tokio::test]
async fn the_drain_of_a_connection_point_ends_what_does_not_end() -> Result<()> {
    let builder = Stack::builder().workers(1).connection_points(2).connection_point_setting("DRAIN__DEADLINE", "1s");
    let mut stack = builder.start().await?;
    stack.wait_for_tunnels(4).await?;
    let ask = [
        ("POST", mp("CCM_System/_/never")),
        ("POST", mp("CCM_System/_/slow?hold=cut")),
        ("GET", mp("SMS_MP/_/poll?key=other")),
    ];
    let mut asked = Vec::new();
    // Twice, so that each connection point has each.
    for (method, target) in ask.iter().flat_map(|one| [one, one]) {
        let mut connection = RawConnection::open(&stack.client()?).await?;
        connection.write(request(method, target, &["Content-Length: 0"])).await?;
        asked.push(connection);
        let behind = target.rsplit('/').next().unwrap_or_default().split('?').next().unwrap_or_default();
        stack.wait_at_role(behind, "begun", 1 + (asked.len() - 1) % 2).await?;
    }
    for begun in &mut asked[2..4] {
        assert_eq!(begun.head().await?.status, 200);
    }
    stack.connection_points[1].signal("TERM")?;
    let leaving = stack.connection_points[1].wait(PATIENCE).await?;
    assert!(leaving.success(), "{leaving}");
    stack.wait_at_role("poll", "begun", 3).await?;
    stack.release("other", 3).await?;
    for poll in &mut asked[4..] {
        assert_eq!(poll.answer("GET").await?.status, 200);
    }
    let code = RefusalKind::EndedByDrain.code();
    let gateway = stack.gateway_admin()?;
    let metrics = gateway.wait_for_metrics("both ends", |metrics| {
        metrics.sum("cmg_refusals_total", &[&format!("code=\"{code}\"")]) == 2.0
    });
    let metrics = metrics.await?;
    assert_eq!(metrics.sum("cmg_exchanges_total", &["outcome=\"cut\""]), 1.0);
    assert_eq!(metrics.sum("cmg_exchanges_total", &["outcome=\"refused\"", "status=\"5xx\""]), 1.0);
    assert_eq!(metrics.sum("cmg_requests_sent_again_total", &["reason=\"repeatable\""]), 1.0);
    drop(asked);
    stack.connection_points.remove(1);
    stack.finish().await
}

/// A signal is on its way to the threads for a moment.
fn stands_still(pid: u32) -> Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        if !fs::read_to_string(thread?.path().join("status"))?.contains("State:\tT") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The gateway is held while the connection point says that it leaves, and reads a request before it reads that.
/// What runs keeps the tunnel open meanwhile.
#[tokio::test]
async fn a_connection_point_that_left_starts_nothing() -> Result<()> {
    let mut stack = Stack::builder().workers(1).start().await?;
    let mut busy = RawConnection::open(&stack.client()?).await?;
    busy.write(request("GET", &mp("SMS_MP/_/poll?key=left"), &[])).await?;
    let mut late = RawConnection::open(&stack.client()?).await?;
    echoed(&late.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    stack.wait_at_role("poll", "begun", 1).await?;
    let gateway = &stack.gateways[0];
    gateway.signal("STOP")?;
    until(async || stands_still(gateway.pid())).await?;
    late.write(request("POST", &mp("CCM_System/late"), &["Content-Length: 0"])).await?;
    let inside = &stack.connection_points[0];
    inside.signal("TERM")?;
    inside.wait_for_line(&["a tunnel takes no new exchanges", "\"lane\":\"interactive\""]).await?;
    gateway.signal("CONT")?;
    let answer = late.answer("POST").await?;
    refused(&stack, &answer, RefusalKind::Draining).await?;
    assert_eq!(stack.seen_at_role("CCM_System/late").await?.len(), 0, "it was started all the same");
    stack.release("left", 1).await?;
    assert_eq!(busy.answer("GET").await?.status, 200);
    drop((busy, late));
    assert!(stack.connection_points.remove(0).wait(PATIENCE).await?.success());
    stack.finish().await
}

/// What the role has answered is still on its way down a slow link when the connection point is told to stop.
#[tokio::test]
async fn answers_that_a_stop_overtakes_arrive_whole() -> Result<()> {
    const ANSWERS: usize = 32;
    // As much as the tunnel takes of an answer that nobody reads: more than the systems keep, in all.
    const BYTES: u64 = 250_000;
    let mut stack = Stack::builder().workers(1).faulty_tunnels().start().await?;
    stack.wait_for_tunnels(2).await?;
    stack.tunnel_proxies[0].set(Fault::Slow(1_500_000));
    let mut arriving = JoinSet::new();
    for _ in 0..ANSWERS {
        let mut connection = stack.client()?.connect().await?;
        arriving.spawn(async move {
            let ask = Request::get(&mp(&format!("SMS_MP/_/huge?bytes={BYTES}")));
            connection.send(ask).await?.count().await
        });
    }
    stack.wait_at_role("huge", "complete", ANSWERS).await?;
    let inside = stack.connection_point_admin()?;
    inside.wait_for_metrics("nothing runs", |metrics| metrics.sum("cmg_exchanges_running", &[]) == 0.0).await?;
    ensure!(arriving.try_join_next().is_none(), "the link is not slow");
    stack.connection_points[0].signal("TERM")?;
    while let Some(arrived) = arriving.join_next().await {
        assert_eq!(arrived??, BYTES);
    }
    ensure!(stack.connection_points.remove(0).wait(PATIENCE).await?.success(), "not drained in time");
    stack.finish().await
}

/// Every place of the one connection point is taken, on its interactive tunnel and on the one for bulk.
#[tokio::test]
async fn every_connection_point_is_full() -> Result<()> {
    let stack = Stack::builder().workers(1).gateway_setting("LIMITS__QUEUE", "0").start().await?;
    let client = stack.http2_client()?;
    let places = limits::ACTIVE_EXCHANGES + limits::BULK_EXCHANGES;
    let mut waiting = JoinSet::new();
    let mut connection = client.connect().await?;
    for number in 1..=places {
        let mut hand = connection.another().unwrap();
        let poll = Request::get(&format!("{CUSTOM_PREFIX}/_/poll?key=full&within=600000"));
        waiting.spawn(async move { anyhow::Ok(hand.send(poll).await?.whole().await?.status) });
        if number % 90 == 0 {
            connection = client.connect().await?;
        }
    }
    let all = stack.wait_at_gate("full", places);
    tokio::select! {
        waited = all => waited?,
        early = waiting.join_next() => panic!("one did not wait: {early:?}"),
    }
    let answer = ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?;
    refused(&stack, &answer, RefusalKind::Overloaded).await?;
    stack.release("full", places).await?;
    while let Some(status) = waiting.join_next().await {
        assert_eq!(status??, 200);
    }
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    drop(connection);
    stack.finish().await
}
