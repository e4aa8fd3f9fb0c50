//! Answers before the end of the request: upload and download are independent halves (T-10).

use anyhow::{Context, Result};
use cmg_client::{Request, RequestBody};
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, echoed, request};

const PIECE: usize = 1000;

/// The role answers at once and then reads on: so does everybody on the way, and the connection lives.
#[tokio::test]
async fn an_answer_before_the_body_lets_the_upload_go_on() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for (number, client) in [stack.client()?, stack.http2_client()?].into_iter().enumerate() {
        let mut connection = client.connect().await?;
        let (writer, body) = RequestBody::streamed(None);
        writer.write(vec![b'e'; PIECE]).await;
        let target = mp(&format!("CCM_System/_/early?number={number}"));
        let reply = connection.send(Request::new("POST", &target).body(body)).await?;
        assert_eq!(reply.status, 200);
        for _ in 1..100 {
            assert!(writer.write(vec![b'e'; PIECE]).await, "nobody reads any more");
        }
        drop(writer);
        assert_eq!(reply.whole().await?.body.len(), 5);
        let seen = stack.wait_at_role(&format!("number={number}"), "body", 1).await?;
        assert_eq!(seen[0]["body_length"], 100 * PIECE);
        assert_eq!(connection.send(Request::get(&mp("SMS_MP/next"))).await?.whole().await?.status, 200);
    }
    stack.finish().await
}

/// The role answers and reads no further, or hangs up. The client gets the whole answer all the same. Over HTTP/2 it
/// sends as fast as it can meanwhile; over HTTP/1.1 TCP would take the answer back from a client that never stops.
#[tokio::test]
async fn an_answer_of_a_role_that_reads_no_further_arrives() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for (after, status) in [("stop", 200), ("close", 200), ("close", 413), ("stop", 401)] {
        for (client, pieces) in [(stack.client()?, 3), (stack.http2_client()?, usize::MAX)] {
            let mut connection = client.connect().await?;
            let (writer, body) = RequestBody::streamed(Some(1 << 40));
            let target = format!("/open/_/early?after={after}&status={status}&bytes=7000");
            let writing = async {
                let mut left = pieces;
                while left > 0 && writer.write(vec![b'e'; 64 * PIECE]).await {
                    left -= 1;
                }
                std::future::pending().await
            };
            let post = Request::new("POST", &target).body(body);
            let answer = tokio::select! {
                answer = async { connection.send(post).await?.whole().await } => answer.with_context(|| target.clone())?,
                () = writing => unreachable!("it waits for ever"),
            };
            assert_eq!((answer.status, answer.body.len()), (status, 7000), "{target}");
        }
    }
    echoed(&ask(&stack, "GET", &mp("SMS_MP/after"), &[]).await?)?;
    stack.finish().await
}

/// Bytes go out while bytes come in: each piece comes back before the next one is sent.
#[tokio::test]
async fn both_directions_at_the_same_time() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("POST", "/open/_/mirror", &["Content-Length: 300"])).await?;
    connection.write("a").await?;
    assert_eq!(connection.head().await?.status, 200);
    assert_eq!(connection.take(1).await?, b"a");
    for _ in 1..300 {
        connection.write("b").await?;
        assert_eq!(connection.take(1).await?, b"b");
    }
    drop(connection);
    let mut connection = stack.http2_client()?.connect().await?;
    let (writer, body) = RequestBody::streamed(None);
    writer.write("a").await;
    let mut reply = connection.send(Request::new("POST", "/open/_/mirror").body(body)).await?;
    for _ in 0..300 {
        assert_eq!(reply.next().await?.as_deref(), Some(&b"a"[..]));
        writer.write("a").await;
    }
    drop((writer, reply, connection));
    stack.finish().await
}
