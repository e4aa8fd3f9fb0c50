//! Roles that are dead beside those that live (SPEC C-03, T-09), and roles that ask for a certificate too late
//! (SPEC C-02).

use std::path::Path;

use anyhow::{Context, Result};
use cmg_client::{Protocol, Request};
use cmg_core::refusal::RefusalKind;
use cmg_e2e::{Stack, mp};
use tokio::task::JoinSet;

use crate::expect::{ask, refused};

/// A custom role under this prefix.
fn role(id: u64, prefix: &str, internal_url: &str) -> String {
    format!(
        "\n[[roles]]\nid = {id}\nkind = \"custom\"\ninternal_url = \"{internal_url}\"\n\n\
         [[roles.custom]]\nname = \"dead\"\nexternal_prefix = \"{prefix}\"\nmethods = [\"GET\"]\n"
    )
}

/// On the one that answers nothing; fewer than a tunnel takes, more than anything else would.
const HANGING: usize = 300;
const LIVING: usize = 400;

#[tokio::test]
async fn dead_roles_cost_living_ones_nothing() -> Result<()> {
    let mute = role(20, "/extra/mute/", "{roles}");
    let silent = role(21, "/extra/silent/", "{silent}");
    let nobody = role(22, "/extra/nobody/", "https://localhost:1");
    let stack = Stack::builder().site(&(mute + &silent + &nobody)).start().await?;
    let mut hanging = JoinSet::new();
    // Each connection takes a hundred streams.
    for _ in 0..HANGING / 100 {
        let connection = stack.client()?.speaking(Protocol::Http2).connect().await?;
        for _ in 0..100 {
            let mut stream = connection.another().context("no HTTP/2")?;
            hanging.spawn(async move { stream.send(Request::get("/extra/mute/_/never")).await.map(drop) });
        }
    }
    stack.wait_at_role("mute", "begun", HANGING).await?;
    let mut dead = JoinSet::new();
    for target in ["/extra/silent/x", "/extra/nobody/x"].repeat(50) {
        let client = stack.client()?;
        dead.spawn(async move { anyhow::Ok((target, client.get(target).await?.status)) });
    }
    let mut living = JoinSet::new();
    for _ in 0..4 {
        let client = stack.client()?;
        living.spawn(async move {
            let mut connection = client.connect().await?;
            for number in 0..LIVING / 4 {
                let answer = connection.send(Request::get(&mp(&format!("SMS_MP/living/{number}")))).await?;
                assert_eq!(answer.whole().await?.status, 200, "request {number}");
            }
            anyhow::Ok(())
        });
    }
    while let Some(asked) = living.join_next().await {
        asked??;
    }
    assert_eq!(stack.seen_at_role("living").await?.len(), LIVING);
    assert_eq!(stack.role_admin()?.json("/_ledger/totals").await?["open_requests"], HANGING, "they hang still");
    refused(&stack, &ask(&stack, "GET", "/extra/nobody/x", &[]).await?, RefusalKind::RoleUnreachable).await?;
    hanging.shutdown().await;
    while let Some(asked) = dead.join_next().await {
        let (target, status) = asked??;
        let expected = if target.contains("nobody") { 502 } else { 504 };
        assert_eq!(status, expected, "{target}");
    }
    stack.finish().await.context("after dead roles")
}
