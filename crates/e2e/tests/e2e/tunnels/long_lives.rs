//! What must not end a tunnel: ten thousand clients that leave early, load, more requests than there are places.

use anyhow::Result;
use cmg_client::{Connection, Request, RequestBody};
use cmg_core::limits;
use cmg_core::refusal::RefusalKind;
use cmg_e2e::stack::CUSTOM_PREFIX;
use cmg_e2e::{Stack, mp};
use tokio::task::JoinSet;

use super::{ALL, Tunnels};
use crate::expect::{ask, echoed, refused};

const CLIENTS: usize = 32;

/// Reads this much of a download and turns away. What was not read is a reset on the tunnel.
async fn leave_after(connection: &mut Connection, bytes: usize) -> Result<()> {
    let mut reply = connection.send(Request::get(&mp("SMS_MP/_/huge?bytes=2000000"))).await?;
    let mut seen = 0;
    while seen < bytes {
        seen += reply.next().await?.map_or(bytes, |data| data.len());
    }
    Ok(())
}

/// h2's own guards count resets over the life of a connection and would end a tunnel after a thousand. Half of the
/// clients close their connection each time, the other half resets one stream after the other on one connection.
#[tokio::test]
async fn ten_thousand_aborted_downloads() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let tunnels = Tunnels::of(&stack, ALL).await?;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let keeps = number % 2 == 0;
        let client = if keeps { stack.http2_client()? } else { stack.client()? };
        clients.spawn(async move {
            let mut connection = client.connect().await?;
            for abort in (number..10_000).step_by(CLIENTS) {
                leave_after(&mut connection, [1, 2_000, 100_000, 400_000][abort / CLIENTS % 4]).await?;
                if !keeps {
                    connection = client.connect().await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    echoed(&ask(&stack, "GET", &mp("SMS_MP/after"), &[]).await?)?;
    tunnels.are_the_same(&stack).await?;
    stack.finish().await
}

/// Answers with Content-Length end before their trailers for whoever counts bytes, and POSTs end before their
/// answers: a tunnel that is careless with either dies after some thousands.
#[tokio::test]
async fn forty_thousand_answers_with_a_length_and_posts() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let tunnels = Tunnels::of(&stack, ALL).await?;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let client = stack.client()?;
        clients.spawn(async move {
            let mut connection = client.connect().await?;
            for request in (number..40_000).step_by(CLIENTS) {
                let get = Request::get(&mp("SMS_MP/_/huge?bytes=1000"));
                let post = Request::new("POST", &mp("CCM_System/_/huge?bytes=1000"))
                    .body(RequestBody::whole(vec![b'p'; 2_000]));
                let answer = connection
                    .send(if (request / CLIENTS).is_multiple_of(2) { get } else { post })
                    .await?
                    .whole()
                    .await?;
                anyhow::ensure!((answer.status, answer.body.len()) == (200, 1000), "{answer:?}");
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    tunnels.are_the_same(&stack).await?;
    stack.finish().await
}

/// A tunnel that has no place left refuses, keeps what it has, and serves on.
#[tokio::test]
async fn requests_beyond_the_limit_are_refused_and_the_tunnel_lives() -> Result<()> {
    let builder = Stack::builder().workers(1).gateway_setting("TUNNEL__BULK_CONNECTIONS", "0");
    let stack = builder.gateway_setting("LIMITS__QUEUE", "0").start().await?;
    let tunnels = Tunnels::of(&stack, 1).await?;
    let polls = hold(&stack, "beyond", limits::ACTIVE_EXCHANGES).await?;
    for _ in 0..20 {
        let answer = ask(&stack, "POST", &mp("CCM_System/x"), &["Content-Length: 0"]).await?;
        refused(&stack, &answer, RefusalKind::Overloaded).await?;
    }
    stack.release("beyond", limits::ACTIVE_EXCHANGES).await?;
    assert!(polls.join_all().await.into_iter().all(|status| status.is_ok_and(|status| status == 200)));
    echoed(&ask(&stack, "GET", &mp("SMS_MP/after"), &[]).await?)?;
    tunnels.are_the_same(&stack).await?;
    stack.finish().await
}

/// So many polls that wait at a gate of the role, in places of their tunnels where no more than a minute is usual.
pub async fn hold(stack: &Stack, key: &str, count: usize) -> Result<JoinSet<Result<u16>>> {
    let mut polls = JoinSet::new();
    let client = stack.http2_client()?;
    let mut connection = client.connect().await?;
    for number in 1..=count {
        let poll = Request::get(&format!("{CUSTOM_PREFIX}/_/poll?key={key}&within=600000"));
        let mut hand = connection.another().unwrap();
        polls.spawn(async move { Ok(hand.send(poll).await?.whole().await?.status) });
        if number % 90 == 0 {
            connection = client.connect().await?;
        }
    }
    stack.wait_at_gate(key, count).await?;
    Ok(polls)
}
