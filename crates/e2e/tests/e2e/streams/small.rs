//! Bodies in the smallest pieces: each a chunk, a record and a message of its own (G-18). h2 ends a connection on
//! which too many small frames come.

use anyhow::Result;
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, echoed, request};

#[tokio::test]
async fn chunks_of_one_byte_down() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let whole = ask(&stack, "GET", &mp("SMS_MP/_/huge?bytes=20000"), &[]).await?.body;
    for writes in ["one", "each"] {
        let target = mp(&format!("SMS_MP/_/chunks?count=20000&size=1&writes={writes}"));
        assert!(ask(&stack, "GET", &target, &[]).await?.body == whole, "other bytes: {writes}");
    }
    stack.finish().await
}

#[tokio::test]
async fn chunks_of_one_byte_up() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("POST", &mp("CCM_System/x"), &["Transfer-Encoding: chunked"])).await?;
    for _ in 0..20_000 {
        connection.write("1\r\na\r\n").await?;
    }
    connection.write("0\r\n\r\n").await?;
    let seen = echoed(&connection.answer("POST").await?)?;
    assert_eq!((&seen["body_length"], &seen["body_complete"]), (&20_000.into(), &true.into()));
    connection.write(request("POST", &mp("CCM_System/x"), &["Content-Length: 20000"])).await?;
    for _ in 0..20_000 {
        connection.write("a").await?;
    }
    assert_eq!(echoed(&connection.answer("POST").await?)?["body_sha256"], seen["body_sha256"]);
    drop(connection);
    stack.finish().await
}
