//! That one of many takes no more than its share: identities of exchanges, addresses of handshakes and refusals (G-16).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use cmg_client::{Client, Protocol, Request};
use cmg_core::refusal::RefusalKind;
use cmg_e2e::metrics::Metrics;
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::{Stack, mp, until};
use tokio::task::JoinSet;

use crate::expect::{ask, echoed, refused, request};

/// Connections of the one who floods, half of them HTTP/2.
const FLOODING: usize = 8;
const BURST: usize = 40;

async fn flood(client: Client, ends: Arc<AtomicBool>) -> Result<usize> {
    let mut connection = client.connect().await?;
    let mut too_many = 0;
    while !ends.load(Ordering::Relaxed) {
        let answer = connection.send(Request::get(&mp("SMS_MP/flood"))).await?.whole().await?;
        if answer.status == 429 {
            ensure!(answer.field("x-cmg-error") == Some(RefusalKind::TooManyRequests.code()), "{answer:?}");
            ensure!(answer.field("retry-after").is_some(), "{answer:?}");
            too_many += 1;
        } else {
            ensure!(answer.status == 200, "{answer:?}");
        }
    }
    Ok(too_many)
}

#[tokio::test]
async fn a_flood_of_one_certificate_is_refused_and_nobody_elses_request() -> Result<()> {
    let stack = Stack::builder()
        .gateway_setting("LIMITS__IDENTITY_REQUESTS_PER_SECOND", "2")
        .gateway_setting("LIMITS__IDENTITY_BURST", &BURST.to_string())
        .start()
        .await?;
    let ends = Arc::new(AtomicBool::new(false));
    let mut flooding = JoinSet::new();
    for number in 0..FLOODING {
        let client = stack.client()?.speaking(if number % 2 == 0 { Protocol::Http1 } else { Protocol::Http2 });
        flooding.spawn(flood(client, Arc::clone(&ends)));
    }
    let seen = |metrics: &Metrics| metrics.sum("cmg_refusals_total", &["TooManyRequests"]) > 1000.0;
    stack.gateway_admin()?.wait_for_metrics("a flood of refusals", seen).await?;
    let mut flooder = RawConnection::open(&stack.client()?).await?;
    let mut refusal = flooder.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?;
    for _ in 0..BURST {
        if refusal.status != 429 {
            refusal = flooder.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?;
        }
    }
    refused(&stack, &refusal, RefusalKind::TooManyRequests).await?;
    let other = stack.client_of(0, Some(&stack.pki.clients[1]))?;
    let mut other = other.connect().await?;
    for _ in 0..BURST {
        let answer = other.send(Request::get(&mp("SMS_MP/other"))).await?.whole().await?;
        ensure!(answer.status == 200, "another certificate was refused: {answer:?}");
    }
    ends.store(true, Ordering::Relaxed);
    while let Some(too_many) = flooding.join_next().await {
        ensure!(too_many?? > 0, "a connection of the flood was never refused");
    }
    until(async || Ok(flooder.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?.status == 200))
        .await
        .context("it is never served again")?;
    drop((flooder, other));
    stack.finish().await
}

/// Waiting exchanges count, on whatever connection they are.
#[tokio::test]
async fn an_identity_has_64_exchanges_at_a_time() -> Result<()> {
    let stack = Stack::builder().gateway_setting("LIMITS__IDENTITY_EXCHANGES", "64").start().await?;
    let [first, second] = [stack.http2_client()?.connect().await?, stack.http2_client()?.connect().await?];
    let mut polls = JoinSet::new();
    for number in 0..64 {
        let mut hand = if number % 2 == 0 { first.another() } else { second.another() }.context("HTTP/2")?;
        let poll = Request::get(&mp("BGB/_/poll?key=share&within=600000"));
        polls.spawn(async move { anyhow::Ok(hand.send(poll).await?.whole().await?.status) });
    }
    stack.wait_at_gate("share", 64).await?;
    refused(&stack, &ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?, RefusalKind::TooManyRequests).await?;
    let other = stack.client_of(0, Some(&stack.pki.clients[1]))?;
    let answer = other.connect().await?.send(Request::get(&mp("SMS_MP/other"))).await?.whole().await?;
    assert_eq!(answer.status, 200);
    // The other one's connection is gone, and this one's two count once.
    let one = |metrics: &Metrics| metrics.sum("cmg_clients", &[]) == 1.0;
    stack.gateway_admin()?.wait_for_metrics("that one identity is connected", one).await?;
    stack.release("share", 64).await?;
    while let Some(status) = polls.join_next().await {
        assert_eq!(status??, 200);
    }
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    drop((first, second));
    stack.finish().await
}

/// Two refusals at once, and one a second; ten times as many are told at all.
fn impatient() -> cmg_e2e::stack::Builder {
    let builder = Stack::builder().gateway_setting("LIMITS__ADDRESS_REFUSALS_PER_SECOND", "1");
    builder.gateway_setting("LIMITS__ADDRESS_REFUSAL_BURST", "2")
}

#[tokio::test]
async fn refusals_of_strangers_end_their_connections_and_no_believed_clients() -> Result<()> {
    let stack = impatient().start().await?;
    let mut neighbour = RawConnection::open(&stack.client()?).await?;
    echoed(&neighbour.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    let stranger = stack.client_without_certificate()?;
    let asked = request("GET", &mp("SMS_MP/x"), &[]);
    let mut connection = RawConnection::open(&stranger).await?;
    let mut kept = 0;
    let last = loop {
        let answer = connection.exchange(&asked).await?;
        assert_eq!(answer.reason, "CMGService_ClientCertificateRequired", "each is told what is wrong");
        if answer.field("connection") == Some("close") {
            break answer;
        }
        kept += 1;
        ensure!(kept < 100, "no connection was ended");
    };
    assert!(kept >= 2, "{last:?} came too early");
    connection.expect_end().await?;
    let mut over_http2 = stranger.speaking(Protocol::Http2).connect().await?;
    let answer = over_http2.send(Request::get(&mp("SMS_MP/x"))).await?.whole().await?;
    assert_eq!(answer.status, 403);
    until(async || Ok(over_http2.is_closed())).await.context("an HTTP/2 connection goes on")?;
    // Far beyond, nobody is told anything.
    let silent = async || {
        let mut connection = RawConnection::open(&stack.client_without_certificate()?).await?;
        Ok(connection.exchange(&asked).await.is_err())
    };
    until(silent).await.context("every refusal is told")?;
    for _ in 0..50 {
        let answer = neighbour.exchange(request("GET", &mp("NoSuchEndpoint/x"), &[])).await?;
        assert_eq!((answer.status, answer.field("connection")), (404, None), "a believed client pays for a stranger");
        echoed(&neighbour.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    }
    let metrics = stack.gateway_admin()?.metrics().await?;
    assert!(metrics.sum("cmg_refusals_closing_total", &[]) >= 2.0);
    assert!(metrics.sum("cmg_refusals_unanswered_total", &[]) >= 1.0);
    drop(neighbour);
    stack.finish().await
}

/// Open connections go on, and so do tunnels; the address is let in again after a while.
#[tokio::test]
async fn an_address_begins_so_many_handshakes() -> Result<()> {
    let stack = Stack::builder()
        .gateway_setting("LIMITS__ADDRESS_HANDSHAKES_PER_SECOND", "1")
        .gateway_setting("LIMITS__ADDRESS_HANDSHAKE_BURST", "5")
        .start()
        .await?;
    let mut open = RawConnection::open(&stack.client()?).await?;
    let turned_away = async || {
        // Whoever is turned away sees his connection close.
        Ok(RawConnection::open(&stack.client_without_certificate()?).await.is_err())
    };
    until(turned_away).await.context("nobody was turned away")?;
    let counted = |metrics: &Metrics| metrics.sum("cmg_handshakes_turned_away_total", &[]) >= 1.0;
    stack.gateway_admin()?.wait_for_metrics("that it is counted", counted).await?;
    stack.gateways[0].wait_for_line(&["too many handshakes from one address"]).await?;
    echoed(&open.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    until(async || Ok(RawConnection::open(&stack.client()?).await.is_ok()))
        .await
        .context("it is never let in again")?;
    drop(open);
    stack.finish().await
}
