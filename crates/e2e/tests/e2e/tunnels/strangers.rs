//! Who may not attach, and how both ends say which certificate is wrong and why (T-03).

use anyhow::Result;
use cmg_e2e::pki::{Authority, Leaf, TUNNEL_NAME};
use cmg_e2e::stack::{SITE, connection_point};
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, echoed};

#[tokio::test]
async fn a_connection_point_with_a_certificate_of_strangers() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let (name, id) = connection_point(2);
    let uri = format!("cmg:{SITE}/{name}/{id}");
    let shown = Authority::root(&stack.pki.folder, "other-tunnel-ca")?.issue(Leaf::connection_point(&name, &uri))?;
    let stranger = stack.connection_point(&name, &shown).await?;
    let why = "it was not issued under a root that is trusted here";
    stack.gateways[0].wait_for_line(&["the connection point has a certificate that cannot be accepted", why]).await?;
    stranger.wait_for_line(&["refused our certificate: unknown_ca"]).await?;
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.finish().await
}

#[tokio::test]
async fn a_connection_point_with_a_certificate_for_something_else() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let (name, id) = connection_point(2);
    let leaf = Leaf::connection_point(&name, &format!("cmg:{SITE}/{name}/{id}")).for_email_only();
    let stranger = stack.connection_point(&name, &stack.pki.tunnel_ca.issue(leaf)?).await?;
    let why = "its extended key usage allows email protection, but client authentication is needed";
    stack.gateways[0].wait_for_line(&["the connection point has a certificate that cannot be accepted", why]).await?;
    stranger.wait_for_line(&["refused our certificate: "]).await?;
    stack.finish().await
}

/// The gateway comes back with this certificate instead of its own.
async fn with_gateway_certificate(shown_by: &str, name: &str) -> Result<Stack> {
    let mut stack = Stack::builder().start().await?;
    let leaf = Leaf::server("gateway-tunnel", &[name]);
    match shown_by {
        "" => stack.pki.tunnel_ca.issue(leaf)?,
        stranger => Authority::root(&stack.pki.folder, stranger)?.issue(leaf)?,
    };
    stack.restart_gateway(0).await?;
    Ok(stack)
}

#[tokio::test]
async fn a_gateway_with_a_certificate_of_strangers() -> Result<()> {
    let stack = with_gateway_certificate("other-tunnel-ca", TUNNEL_NAME).await?;
    let which = "gateway gateway instance gateway-1 at 127.0.0.1:";
    let why = "it was not issued under a root that is trusted here";
    let bad = "has a certificate that cannot be accepted";
    stack.connection_points[0].wait_for_line(&[which, bad, why]).await?;
    stack.gateways[0].wait_for_line(&["the connection point refused our certificate: unknown_ca"]).await?;
    stack.finish().await
}

#[tokio::test]
async fn a_gateway_with_a_certificate_for_another_name() -> Result<()> {
    let stack = with_gateway_certificate("", "elsewhere.example").await?;
    let why = format!("it is not for `{TUNNEL_NAME}` but for elsewhere.example");
    stack.connection_points[0].wait_for_line(&["has a certificate that cannot be accepted", &why]).await?;
    stack.gateways[0].wait_for_line(&["the connection point refused our certificate: bad_certificate"]).await?;
    stack.finish().await
}

/// A certificate of the right authority is not enough: the gateway's file says who may attach.
#[tokio::test]
async fn a_connection_point_that_is_not_on_the_list() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for (site, name, id, why) in [
        (SITE, "cp99", 99, "may not attach to this gateway; add its name and id"),
        (SITE, "cp2", 1, "may not attach to this gateway; add its name and id"),
    ] {
        let shown = stack.pki.connection_point(site, name, &format!("{id:032x}"))?;
        let stranger = stack.connection_point(name, &shown).await?;
        stack.gateways[0].wait_for_line(&[&format!("cmg:{site}/{name}/"), why]).await?;
        stranger.wait_for_line(&["gateway said: ", &format!("cmg:{site}/{name}/"), why]).await?;
    }
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    stack.finish().await
}
