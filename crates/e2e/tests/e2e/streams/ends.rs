//! How streams end before their time: clients that go away at any point, bytes that stop coming (T-11, T-15).

use anyhow::Result;
use cmg_client::{Request, RequestBody};
use cmg_core::refusal::RefusalKind;
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, echoed, request};

/// However and whenever a client leaves, the role's socket is closed, and nothing else is harmed.
#[tokio::test]
async fn a_client_that_goes_away_is_gone_at_the_role_too() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for (protocol, client) in [("h1", stack.client()?), ("h2", stack.http2_client()?)] {
        let path = |what: &str| mp(&format!("SMS_MP/_/{what}-{protocol}"));
        let mut connection = client.connect().await?;
        let mut reply = connection.send(Request::get(&path("huge?bytes=1000000000&test=downloading"))).await?;
        reply.next().await?;
        drop((reply, connection));
        stack.wait_at_role(&format!("downloading-{protocol}"), "cut", 1).await?;

        let mut connection = client.connect().await?;
        let (writer, body) = RequestBody::streamed(None);
        writer.write(vec![b'u'; 100_000]).await;
        let sending = connection.send(Request::new("POST", &path("echo?test=uploading")).body(body));
        let role = stack.role_admin()?;
        let arrived = format!("/_ledger/wait?target=uploading-{protocol}&body=100000&within=60000");
        tokio::select! {
            reply = sending => panic!("an answer before the end of the body: {reply:?}"),
            arrived = role.json(&arrived) => drop(arrived?),
        }
        drop((writer.break_off().await, connection));
        stack.wait_at_role(&format!("uploading-{protocol}"), "cut", 1).await?;

        let mut connection = client.connect().await?;
        let target = format!("waiting-{protocol}");
        tokio::select! {
            reply = connection.send(Request::get(&path("never?test=waiting"))) => panic!("an answer from nowhere: {reply:?}"),
            waiting = stack.wait_at_role(&target, "begun", 1) => drop(waiting?),
        }
        drop(connection);
        stack.wait_at_role(&target, "cut", 1).await?;
    }
    echoed(&ask(&stack, "GET", &mp("SMS_MP/after"), &[]).await?)?;
    stack.finish().await
}

/// A role that reads nothing stops the upload; a client that then leaves is seen to, without a byte of it moving.
#[tokio::test]
async fn a_client_that_goes_away_while_its_upload_is_blocked_is_gone_at_the_role_too() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = stack.http2_client()?.connect().await?;
    let body = RequestBody::whole(vec![b'u'; 20_000_000]);
    let target = mp("SMS_MP/_/never?read=no&test=blocked");
    tokio::select! {
        reply = connection.send(Request::new("POST", &target).body(body)) => panic!("an answer from nowhere: {reply:?}"),
        blocked = until_blocked(&stack) => blocked?,
    }
    // Well before the idle limit would cut it.
    stack.role_admin()?.json("/_ledger/wait?target=blocked&until=cut&count=1&within=30000").await?;
    drop(connection);
    stack.finish().await
}

/// The role has the head, and so much has passed meanwhile that every window on the way is full.
async fn until_blocked(stack: &Stack) -> Result<()> {
    stack.wait_at_role("blocked", "begun", 1).await?;
    for _ in 0..20 {
        ask(stack, "GET", &mp("SMS_MP/meanwhile"), &[]).await?;
    }
    Ok(())
}

/// Old clients send a line end behind a body. It begins no request: who leaves after it has left.
#[tokio::test]
async fn a_line_end_behind_a_body_hides_no_goodbye() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    let upload = request("POST", &mp("SMS_MP/_/never?test=goodbye"), &["Content-Length: 5"]);
    connection.write(format!("{upload}hello\r\n")).await?;
    stack.wait_at_role("goodbye", "begun", 1).await?;
    drop(connection);
    stack.wait_at_role("goodbye", "cut", 1).await?;
    stack.finish().await
}

/// A client that resets one HTTP/2 stream keeps its connection and its other streams.
#[tokio::test]
async fn one_stream_ends_and_its_neighbours_live() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = stack.http2_client()?.connect().await?;
    let mut kept = connection.send(Request::get(&mp("SMS_MP/_/slow?hold=kept"))).await?;
    kept.next().await?;
    let mut left = connection.send(Request::get(&mp("SMS_MP/_/slow?hold=left"))).await?;
    left.next().await?;
    drop(left);
    stack.wait_at_role("left", "cut", 1).await?;
    stack.release("kept", 1).await?;
    assert_eq!(kept.next().await?.map(|data| data.len()), Some(1));
    assert_eq!(kept.next().await?, None);
    drop((kept, connection));
    stack.finish().await
}

/// A role that is published with short patience.
const IMPATIENT: &str = r#"
[[roles]]
id = 20
kind = "custom"
internal_url = "{roles}"

[[roles.custom]]
name = "impatient"
external_prefix = "/extra/"
methods = ["GET", "POST"]
idle_timeout = "1s"
answer_timeout = "1s"
"#;

/// The connection point knows first, and the client cannot take what it got for the whole.
#[tokio::test]
async fn an_answer_whose_bytes_stop_coming_is_cut() -> Result<()> {
    let stack = Stack::builder().site(IMPATIENT).start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("GET", "/extra/_/slow?hold=stopped", &[])).await?;
    let head = connection.head().await?;
    assert!(connection.take(1_000).await.is_err(), "an answer that is cut looks complete");
    let line = stack.exchange_line(head.field("x-cmg-request-id").unwrap()).await?;
    assert_eq!(line["outcome"], "cut", "{line}");
    stack.wait_at_role("stopped", "cut", 1).await?;
    drop(connection);
    stack.finish().await
}

/// The longest wait that is normal: a notification poll, released after everything else was served.
#[tokio::test]
async fn a_long_poll_waits_without_holding_a_place_and_is_answered() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("GET", &mp("BGB/_/poll?key=bell"), &[])).await?;
    stack.wait_at_gate("bell", 1).await?;
    let status = stack.gateway_admin()?.json("/status").await?;
    let places = |name: &str| -> u64 {
        let tunnels = status["tunnels"].as_array().into_iter().flatten();
        tunnels.filter_map(|tunnel| tunnel[name].as_u64()).sum()
    };
    assert_eq!((places("waiting"), places("active")), (1, 0), "{status}");
    for _ in 0..100 {
        echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    }
    stack.release("bell", 1).await?;
    assert_eq!(connection.answer("GET").await?.status, 200);
    drop(connection);
    stack.finish().await
}

/// What a device sends too slowly is its own fault, and is said in words.
#[tokio::test]
async fn an_upload_whose_bytes_stop_coming_is_refused() -> Result<()> {
    let stack = Stack::builder().site(IMPATIENT).start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("POST", "/extra/stopped", &["Content-Length: 100"]) + "some").await?;
    let answer = connection.answer("POST").await?;
    assert_eq!((answer.status, answer.reason.as_str()), (408, RefusalKind::RequestTimeout.code()));
    stack.wait_at_role("stopped", "cut", 1).await?;
    drop(connection);
    stack.finish().await
}
