//! Roles that are dead beside those that live (C-03, T-09), and roles that ask for a certificate too late
//! (C-02).

use std::path::Path;

use anyhow::{Context, Result};
use cmg_client::{Protocol, Request};
use cmg_core::refusal::RefusalKind;
use cmg_e2e::program::{Program, Start};
use cmg_e2e::raw_client::RawAnswer;
use cmg_e2e::{Stack, mp};
use serde_json::Value;
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
        dead.spawn(async move { anyhow::Ok((target, client.get(target).await?)) });
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
        let (target, answer) = asked??;
        // The inside gives a silent role up; the gateway's own patience would end in 504 too.
        let expected = if target.contains("nobody") { RefusalKind::RoleUnreachable } else { RefusalKind::RoleTimeout };
        assert_eq!(
            (answer.status, answer.field("x-cmg-error")),
            (expected.status(), Some(expected.code())),
            "{target}"
        );
    }
    stack.finish().await.context("after dead roles")
}

/// A stack with a role that asks for a certificate only after the request, and what a request to it is answered.
struct AskedTooLate {
    stack: Stack,
    role: Program,
    answer: RawAnswer,
}

impl AskedTooLate {
    async fn begin(version: &str, behaviour: &str) -> Result<Self> {
        let mut stack = Stack::builder().start().await?;
        let script = stack.folder().join("late_certificate.py");
        std::fs::write(&script, LATE_CERTIFICATE)?;
        let files = [&stack.pki.role.certificate, &stack.pki.role.key, &stack.pki.internal_ca.certificate];
        let files = files.map(|file| file.display().to_string());
        let script = script.display().to_string();
        let arguments = [&script, version, behaviour, &files[0], &files[1], &files[2]];
        let role_program = Program::start(Start {
            name: "late-role",
            before: &[],
            binary: Path::new("python3"),
            arguments: &arguments,
            environment: &[],
            folder: stack.folder(),
        });
        let role_program = role_program.await.context("install it with: sudo apt-get install python3 openssl")?;
        let url = format!("https://localhost:{}", role_program.address("role")?.port());
        stack.publish(&role(20, "/extra/", &url)).await?;
        stack.gateways[0].wait_for_line(&["a site configuration is in force", "\"version\":2"]).await?;
        let answer = ask(&stack, "GET", "/extra/x", &[]).await?;
        Ok(Self { stack, role: role_program, answer })
    }

    /// What the connection point's log says of it.
    async fn said_inside(&self) -> Result<Value> {
        let id = self.answer.field("x-cmg-request-id").context("no id")?;
        self.stack.connection_point_line(id).await
    }

    async fn finish(self) -> Result<()> {
        drop(self.role);
        self.stack.finish().await
    }
}

const LATE_CERTIFICATE: &str = include_str!("roles/late_certificate.py");
const REMEDY: &str = "on IIS set clientcertnegotiation=enable";

/// In TLS 1.2 it asks for another handshake: that is seen, and refused so that it does not wait.
#[tokio::test]
async fn renegotiation_for_a_certificate_is_recognised() -> Result<()> {
    let asked = AskedTooLate::begin("1.2", "close").await?;
    refused(&asked.stack, &asked.answer, RefusalKind::RoleTlsFailed).await?;
    let line = asked.said_inside().await?;
    let detail = line["detail"].as_str().context("no detail")?;
    assert!(detail.contains(REMEDY) && !detail.contains("if this happens"), "{detail}");
    asked.role.wait_for_line(&["no renegotiation"]).await?;
    asked.finish().await
}

/// In TLS 1.3 it cannot even ask: all that is seen is a connection that ends before its answer.
#[tokio::test]
async fn post_handshake_authentication_is_explained() -> Result<()> {
    let asked = AskedTooLate::begin("1.3", "close").await?;
    refused(&asked.stack, &asked.answer, RefusalKind::RoleAborted).await?;
    let line = asked.said_inside().await?;
    let detail = line["detail"].as_str().context("no detail")?;
    assert!(detail.contains(REMEDY) && detail.contains("if this happens to every request"), "{detail}");
    asked.role.wait_for_line(&["EXTENSION_NOT_RECEIVED"]).await?;
    asked.finish().await
}

/// A role that answers such a client itself is passed on, as every answer of a role.
#[tokio::test]
async fn a_role_that_refuses_for_want_of_a_certificate_is_heard() -> Result<()> {
    let asked = AskedTooLate::begin("1.3", "refuse").await?;
    assert_eq!((asked.answer.status, asked.answer.reason.as_str()), (403, "CMGConnector_Forbidden"));
    assert_eq!(asked.answer.field("x-cmg-error"), None);
    asked.finish().await
}
