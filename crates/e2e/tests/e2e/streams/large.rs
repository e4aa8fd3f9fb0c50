//! Bodies far larger than any memory, and readers that do not read.

use anyhow::{Result, ensure};
use aws_lc_rs::digest::{Context, SHA256};
use cmg_client::{Reply, Request, RequestBody};
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, echoed, echoed_whole};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// The most memory that each program has ever had, MiB.
fn peaks(stack: &Stack) -> Result<Vec<u64>> {
    stack.programs().map(|program| Ok(program.peak_memory()? / MIB)).collect()
}

/// What was moved after `before` must not have grown any program by more than this.
fn grew_less_than(stack: &Stack, before: &[u64], budget: u64) -> Result<()> {
    let after = peaks(stack)?;
    println!("peak memory in MiB: {before:?} before, {after:?} after");
    ensure!(before.iter().zip(&after).all(|(before, after)| after - before < budget), "{before:?} to {after:?} MiB");
    Ok(())
}

async fn download(stack: &Stack, bytes: u64) -> Result<()> {
    let mut connection = stack.client()?.connect().await?;
    let mut reply = connection.send(Request::get(&mp(&format!("SMS_MP/_/huge?bytes={bytes}")))).await?;
    ensure!(reply.count().await? == bytes, "not the whole download");
    Ok(())
}

/// Content that the test and the role count and hash independently.
async fn upload(stack: &Stack, bytes: u64) -> Result<()> {
    let mut connection = stack.client()?.connect().await?;
    let (writer, body) = RequestBody::streamed(Some(bytes));
    let writing = async {
        let mut hash = Context::new(&SHA256);
        for piece in 0..bytes / MIB {
            let data = vec![piece as u8; MIB as usize];
            hash.update(&data);
            ensure!(writer.write(data).await, "nobody reads after {piece} MiB");
        }
        drop(writer);
        Ok(hash.finish())
    };
    let (reply, digest) = tokio::join!(connection.send(Request::new("POST", "/open/large").body(body)), writing);
    let seen = echoed_whole(&reply?.whole().await?)?;
    ensure!(seen["body_length"] == bytes, "{seen}");
    ensure!(seen["body_sha256"] == hex(digest?.as_ref()), "{seen}");
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn ten_gibibytes_down_with_flat_memory() -> Result<()> {
    let stack = Stack::builder().start().await?;
    download(&stack, 64 * MIB).await?;
    let before = peaks(&stack)?;
    download(&stack, 10 * GIB).await?;
    grew_less_than(&stack, &before, 16)?;
    stack.finish().await
}

#[tokio::test]
async fn two_gibibytes_up_with_flat_memory() -> Result<()> {
    let stack = Stack::builder().start().await?;
    upload(&stack, 64 * MIB).await?;
    let before = peaks(&stack)?;
    upload(&stack, 2 * GIB).await?;
    grew_less_than(&stack, &before, 16)?;
    stack.finish().await
}

/// Each stalled reader holds a window of memory and no more; nobody waits for it; it gets every byte in the end.
#[tokio::test]
async fn stalled_readers_cost_only_themselves() -> Result<()> {
    const READERS: usize = 64;
    const BYTES: u64 = 64 * MIB;
    let stack = Stack::builder().start().await?;
    download(&stack, BYTES).await?;
    let before = peaks(&stack)?;
    let mut readers = Vec::new();
    for number in 0..READERS {
        let client = if number % 2 == 0 { stack.client()? } else { stack.http2_client()? };
        let mut connection = client.connect().await?;
        let reply = connection.send(Request::get(&mp(&format!("SMS_MP/_/huge?bytes={BYTES}&stalled")))).await?;
        readers.push((connection, reply));
    }
    for _ in 0..200 {
        echoed(&ask(&stack, "POST", &mp("CCM_System/x"), &["Content-Length: 0"]).await?)?;
    }
    download(&stack, BYTES).await?;
    let (resumed, reply) = readers.pop().unwrap();
    let told = ask(&stack, "GET", &mp(&format!("SMS_MP/_/digest?bytes={BYTES}")), &[]).await?;
    ensure!(echoed(&told)?["sha256"] == digest_of(reply).await?, "a byte of the resumed reader is wrong");
    drop((resumed, readers));
    stack.wait_at_role("stalled", "cut", READERS - 1).await?;
    grew_less_than(&stack, &before, 2 * READERS as u64)?;
    stack.finish().await
}

async fn digest_of(mut reply: Reply) -> Result<String> {
    let mut hash = Context::new(&SHA256);
    while let Some(data) = reply.next().await? {
        hash.update(&data);
    }
    Ok(hex(hash.finish().as_ref()))
}
