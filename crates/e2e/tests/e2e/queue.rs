//! What happens while every connection point of a site is full (G-17): requests get slower, not lost.

use anyhow::{Context, Result};
use cmg_client::Request;
use cmg_core::limits;
use cmg_core::refusal::RefusalKind;
use cmg_e2e::metrics::Metrics;
use cmg_e2e::raw_client::{RawAnswer, RawConnection};
use cmg_e2e::{Stack, mp};
use tokio::task::JoinSet;

use crate::expect::{ask, echoed, refused, request};
use crate::tunnels::hold;

/// One tunnel, every place of which is held, and what is behind each.
async fn full(settings: &[(&str, &str)]) -> Result<(Stack, JoinSet<Result<u16>>)> {
    let builder = Stack::builder().workers(1).gateway_setting("TUNNEL__BULK_CONNECTIONS", "0");
    let with = |builder: cmg_e2e::stack::Builder, (key, value): &(&str, &str)| builder.gateway_setting(key, value);
    let stack = settings.iter().fold(builder, with).start().await?;
    let polls = hold(&stack, "full", limits::ACTIVE_EXCHANGES).await?;
    Ok((stack, polls))
}

async fn waiting(stack: &Stack, count: usize) -> Result<Metrics> {
    let all = |metrics: &Metrics| metrics.sum("cmg_queue_waiting", &[]) == count as f64;
    stack.gateway_admin()?.wait_for_metrics(&format!("that {count} wait"), all).await
}

/// A request that has been sent, with its connection.
async fn sent(stack: &Stack, text: &str) -> Result<RawConnection> {
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(text).await?;
    Ok(connection)
}

async fn released(stack: &Stack, polls: JoinSet<Result<u16>>) -> Result<()> {
    stack.release("full", limits::ACTIVE_EXCHANGES).await?;
    assert!(polls.join_all().await.into_iter().all(|status| status.is_ok_and(|status| status == 200)));
    Ok(())
}

#[tokio::test]
async fn requests_wait_for_a_full_connection_point_and_are_served() -> Result<()> {
    let (stack, polls) = full(&[("LIMITS__QUEUE", "3"), ("LIMITS__QUEUE_TIMEOUT", "5m")]).await?;
    let get = request("GET", &mp("SMS_MP/queued"), &[]);
    let mut first = sent(&stack, &get).await?;
    let upload = request("POST", &mp("CCM_System/queued"), &["Content-Length: 5", "Expect: 100-continue"]);
    let mut second = sent(&stack, &upload).await?;
    let leaves = sent(&stack, &get).await?;
    waiting(&stack, 3).await?;
    // One more than may wait.
    refused(&stack, &ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?, RefusalKind::Overloaded).await?;
    drop(leaves);
    waiting(&stack, 2).await?;
    let mut third = stack.http2_client()?.connect().await?;
    let mut queued = JoinSet::new();
    queued.spawn(async move { anyhow::Ok(third.send(Request::get(&mp("SMS_MP/queued"))).await?.whole().await?) });
    waiting(&stack, 3).await?;
    assert_eq!(stack.gateway_admin()?.json("/status").await?["queued"], 3);
    assert_eq!(stack.seen_at_role("queued").await?.len(), 0);
    released(&stack, polls).await?;
    echoed(&first.answer("GET").await?)?;
    assert_eq!(second.head().await?.status, 100, "only now is the body asked for");
    second.write("hello").await?;
    echoed(&second.answer("POST").await?)?;
    assert_eq!(queued.join_next().await.context("a request")???.status, 200);
    let metrics = waiting(&stack, 0).await?;
    let counts =
        ["joined_total", "full_total", "expired_total"].map(|name| metrics.sum(&format!("cmg_queue_{name}"), &[]));
    assert_eq!(counts, [4.0, 1.0, 0.0]);
    drop((first, second));
    stack.finish().await
}

#[tokio::test]
async fn a_wait_has_an_end() -> Result<()> {
    let (stack, polls) = full(&[("LIMITS__QUEUE_TIMEOUT", "100ms")]).await?;
    let answer: RawAnswer = ask(&stack, "POST", &mp("CCM_System/late"), &["Content-Length: 0"]).await?;
    refused(&stack, &answer, RefusalKind::Overloaded).await?;
    assert_eq!(stack.gateway_admin()?.metrics().await?.sum("cmg_queue_expired_total", &[]), 1.0);
    assert_eq!(stack.seen_at_role("late").await?.len(), 0);
    stack.gateways[0].wait_for_line(&["a limit is near", "active exchanges"]).await?;
    released(&stack, polls).await?;
    stack.gateways[0].wait_for_line(&["a limit is no longer near", "active exchanges"]).await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.finish().await
}

#[tokio::test]
async fn who_waits_for_nobody_is_told_at_once() -> Result<()> {
    let (mut stack, polls) = full(&[("LIMITS__QUEUE_TIMEOUT", "5m")]).await?;
    let mut queued = sent(&stack, &request("GET", &mp("SMS_MP/queued"), &[])).await?;
    waiting(&stack, 1).await?;
    stack.connection_points.remove(0).kill();
    refused(&stack, &queued.answer("GET").await?, RefusalKind::NoConnectionPoint).await?;
    drop((queued, polls));
    stack.finish().await
}

/// A gateway that stops serves who waits already.
#[tokio::test]
async fn a_draining_gateway_serves_the_queue() -> Result<()> {
    let (stack, polls) = full(&[("LIMITS__QUEUE_TIMEOUT", "5m"), ("DRAIN__DEADLINE", "5m")]).await?;
    let mut queued = sent(&stack, &request("GET", &mp("SMS_MP/queued"), &[])).await?;
    waiting(&stack, 1).await?;
    stack.gateways[0].signal("TERM")?;
    stack.wait_unready().await?;
    released(&stack, polls).await.context("what runs is not served to its end")?;
    echoed(&queued.answer("GET").await?)?;
    Ok(())
}

/// Clients that read nothing of what their polls brought hold no place that others need (T-08, T-09).
#[tokio::test]
async fn unread_answers_of_polls_stop_nobody_elses_exchange() -> Result<()> {
    // The window of a client's connection takes some answers whole.
    const UNREAD: usize = limits::ACTIVE_EXCHANGES + 200;
    let builder = Stack::builder().workers(1).gateway_setting("TUNNEL__BULK_CONNECTIONS", "0");
    let stack = builder.gateway_setting("LIMITS__QUEUE", "0").start().await?;
    let client = stack.http2_client()?;
    let mut unread = Vec::new();
    let mut connection = client.connect().await?;
    for number in 1..=UNREAD {
        unread.push(connection.send(Request::get(&mp("BGB/_/huge?bytes=1000000"))).await?);
        if number % 90 == 0 {
            connection = client.connect().await?;
        }
    }
    for _ in 0..20 {
        echoed(&ask(&stack, "POST", &mp("CCM_System/x"), &["Content-Length: 0"]).await?)?;
    }
    let status = stack.gateway_admin()?.json("/status").await?;
    let held = status["tunnels"][0]["waiting"].as_u64();
    assert!(held > Some(limits::ACTIVE_EXCHANGES as u64), "{status}");
    drop((unread, connection));
    stack.finish().await
}
