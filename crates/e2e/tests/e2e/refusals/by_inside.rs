//! What can go wrong between the gateway and the role. The request was good.

use anyhow::Result;
use cmg_core::refusal::RefusalKind;
use cmg_e2e::fault_proxy::Fault;
use cmg_e2e::stack::Builder;
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, echoed, refused};

/// A custom role at this address, under `/extra/`, that must answer within a second.
fn extra(internal_url: &str, methods: &str) -> String {
    format!(
        "\n[[roles]]\nid = 20\nkind = \"custom\"\ninternal_url = \"{internal_url}\"\n\n\
         [[roles.custom]]\nname = \"extra\"\nexternal_prefix = \"/extra/\"\nmethods = [{methods}]\nanswer_timeout = \"1s\"\n"
    )
}

/// One request to a role that goes wrong.
async fn by_role(builder: Builder, target: &str, kind: RefusalKind) -> Result<()> {
    let stack = builder.start().await?;
    let answer = ask(&stack, "GET", target, &[]).await?;
    let line = refused(&stack, &answer, kind).await?;
    assert_eq!(line["connection_point"], "cp1", "{line}");
    // A role that is broken harms no other.
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.finish().await
}

#[tokio::test]
async fn a_role_that_nothing_listens_for() -> Result<()> {
    // Port 1 belongs to a service that no machine runs.
    let builder = Stack::builder().site(&extra("https://localhost:1", "\"GET\""));
    by_role(builder, "/extra/x", RefusalKind::RoleUnreachable).await
}

#[tokio::test]
async fn a_role_with_a_certificate_of_strangers() -> Result<()> {
    by_role(Stack::builder().site(&extra("{stranger}", "\"GET\"")), "/extra/x", RefusalKind::RoleTlsFailed).await
}

#[tokio::test]
async fn a_role_that_speaks_no_tls() -> Result<()> {
    by_role(Stack::builder().site(&extra("{plain}", "\"GET\"")), "/extra/x", RefusalKind::RoleTlsFailed).await
}

#[tokio::test]
async fn a_role_that_wants_a_certificate_that_nobody_has() -> Result<()> {
    by_role(Stack::builder().site(&extra("{mutual}", "\"GET\"")), "/extra/x", RefusalKind::RoleTlsFailed).await
}

#[tokio::test]
async fn a_role_that_breaks_off_before_its_answer() -> Result<()> {
    by_role(Stack::builder(), &mp("SMS_MP/_/abort?at=before"), RefusalKind::RoleAborted).await
}

#[tokio::test]
async fn a_role_that_breaks_off_within_its_head() -> Result<()> {
    by_role(Stack::builder(), &mp("SMS_MP/_/abort?at=head"), RefusalKind::RoleAborted).await
}

#[tokio::test]
async fn a_role_that_does_not_speak_http() -> Result<()> {
    by_role(Stack::builder(), &mp("SMS_MP/_/garbage?kind=text"), RefusalKind::RoleAnswerInvalid).await
}

#[tokio::test]
async fn answers_that_break_the_rules_of_http() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let kinds = [
        "garbage?kind=binary",
        "garbage?kind=status",
        "garbage?kind=http2",
        "lengths?kind=conflicting",
        "lengths?kind=negative",
        "lengths?kind=unknown-coding",
        "fields?kind=folded",
        "fields?kind=space",
        "fields?kind=no-colon",
        "fields?kind=nul",
    ];
    for kind in kinds {
        let answer = ask(&stack, "GET", &mp(&format!("SMS_MP/_/{kind}")), &[]).await?;
        refused(&stack, &answer, RefusalKind::RoleAnswerInvalid).await.map_err(|error| error.context(kind))?;
    }
    stack.finish().await
}

#[tokio::test]
async fn a_role_that_does_not_answer_in_time() -> Result<()> {
    by_role(Stack::builder().site(&extra("{roles}", "\"GET\"")), "/extra/_/never", RefusalKind::RoleTimeout).await
}

#[tokio::test]
async fn a_connection_point_that_does_not_answer_in_time() -> Result<()> {
    let stack = Stack::builder().faulty_tunnels().site(&extra("{roles}", "\"GET\"")).start().await?;
    echoed(&ask(&stack, "GET", "/extra/x", &[]).await?)?;
    stack.tunnel_proxies[0].set(Fault::Stall);
    let answer = ask(&stack, "GET", "/extra/x", &[]).await?;
    refused(&stack, &answer, RefusalKind::TunnelTimeout).await?;
    stack.tunnel_proxies[0].set(Fault::None);
    stack.wait_ready().await?;
    stack.finish().await
}

/// The gateway believes a higher version of the site than the connection point has read.
async fn behind(ahead: &str, behind: &str) -> Result<Stack> {
    let mut stack = Stack::builder().start().await?;
    stack.publish(ahead).await?;
    stack.wait_for_answer("/extra/x", 200).await?;
    stack.connection_points.remove(0).kill();
    stack.publish_as(1, behind)?;
    // One that has never seen the higher version; the first one would have kept it.
    stack.start_connection_point_number(2).await?;
    stack.wait_for_tunnels(1).await?;
    Ok(stack)
}

#[tokio::test]
async fn a_path_that_the_connection_point_has_no_mapping_for() -> Result<()> {
    let stack = behind(&extra("{roles}", "\"GET\""), "").await?;
    let answer = ask(&stack, "GET", "/extra/x", &[]).await?;
    refused(&stack, &answer, RefusalKind::NotMapped).await?;
    stack.finish().await
}

#[tokio::test]
async fn a_verb_that_the_site_does_not_allow_ends_the_tunnel() -> Result<()> {
    let stack = behind(&extra("{roles}", "\"GET\", \"POST\""), &extra("{roles}", "\"GET\"")).await?;
    let answer = ask(&stack, "POST", "/extra/x", &["Content-Length: 0"]).await?;
    refused(&stack, &answer, RefusalKind::Refused).await?;
    assert_eq!(stack.seen_at_role("POST").await?.len(), 0);
    stack.finish().await
}
