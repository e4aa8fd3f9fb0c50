//! Tunnels that leave through an HTTP proxy, and never beside it (T-07).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use cmg_e2e::connect_proxy::ConnectProxy;
use cmg_e2e::metrics::Metrics;
use cmg_e2e::stack::Builder;
use cmg_e2e::{Stack, mp};

use super::ALL;
use crate::expect::{ask, echoed};

/// A name that only the proxy knows.
const BEYOND: &str = "gateway.beyond.example:10140";

/// A stack whose gateway only the proxy can find; its connection point has been started.
async fn beyond(proxy: &ConnectProxy, builder: Builder) -> Result<Stack> {
    let mut stack = builder.connection_points(0).start_unready().await?;
    let gateway = stack.gateways[0].address("tunnel")?;
    proxy.knows(BEYOND, gateway);
    let file = stack.folder().join("site.toml");
    let text = fs::read_to_string(&file)?;
    ensure!(text.contains(&gateway.to_string()), "the tunnel port is not in {text}");
    fs::write(&file, text.replace(&gateway.to_string(), BEYOND))?;
    stack.start_connection_point().await?;
    Ok(stack)
}

async fn serves(stack: &Stack) -> Result<()> {
    stack.wait_ready().await?;
    echoed(&ask(stack, "GET", &mp("SMS_MP/x"), &[]).await?).map(drop)
}

#[tokio::test]
async fn a_proxy_gets_the_name_and_leads_to_the_gateway() -> Result<()> {
    let proxy = ConnectProxy::start(None).await?;
    let stack = beyond(&proxy, Stack::builder().connection_point_setting("EGRESS__PROXY", &proxy.url())).await?;
    serves(&stack).await?;
    assert_eq!((proxy.targets(), proxy.connections()), (vec![BEYOND.to_owned()], (ALL as u64, ALL as u64)));
    let status = stack.connection_point_admin()?.json("/status").await?;
    assert_eq!((&status["egress"]["proxy"], &status["egress"]["login"]), (&proxy.url().into(), &false.into()));
    assert_eq!(status["coverage"], "1 of 1");
    stack.finish().await
}

#[tokio::test]
async fn a_proxy_that_wants_a_login_gets_it_and_a_wrong_one_is_told() -> Result<()> {
    // The name "cmg" and the password "se:cret".
    let proxy = ConnectProxy::start(Some("Basic Y21nOnNlOmNyZXQ=")).await?;
    let stack = beyond(&proxy, Stack::builder().connection_point_setting("EGRESS__PROXY", &proxy.url())).await?;
    let (point, admin) = (&stack.connection_points[0], stack.connection_point_admin()?);
    let asked = format!("{BEYOND}: the proxy {} of egress.proxy wants a login (407 ", proxy.url());
    point.wait_for_line(&["no tunnel; dialing goes on", &asked, "egress.username"]).await?;
    let password = stack.folder().join("password");
    fs::write(&password, "not se:cret\n")?;
    fs::set_permissions(&password, Permissions::from_mode(0o600))?;
    let file = stack.folder().join("cp1.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, format!("{text}\n[egress]\nusername = \"cmg\"\npassword_file = \"password\"\n"))?;
    point.signal("HUP")?;
    let refused = "refused the login of cmg (407 Proxy Authentication Required); correct egress.username";
    point.wait_for_line(&[refused]).await?;
    let status = admin.json("/status").await?;
    let why = status["gateways"][0]["tunnels"][0]["last_error"].as_str().context("no last error")?.to_owned();
    ensure!(why.contains(refused), "{why}");
    fs::write(&password, "se:cret\n")?;
    point.signal("HUP")?;
    serves(&stack).await?;
    let (status, log) = (admin.json("/status").await?.to_string(), point.log_text());
    for secret in ["se:cret", "Y21nOnNlOmNyZXQ"] {
        ensure!(!status.contains(secret) && !log.contains(secret), "{secret} is shown");
    }
    stack.finish().await
}

/// The gateway could be reached without the proxy, and is not. The source of the site configuration needs none.
#[tokio::test]
async fn a_proxy_that_is_gone_for_a_while_is_never_passed_by() -> Result<()> {
    let mut proxy = ConnectProxy::start(None).await?;
    let builder = Stack::builder().faulty_tunnels().site_over_https();
    let stack = builder.connection_point_variable("HTTPS_PROXY", &proxy.url()).start().await?;
    let gateway = &stack.tunnel_proxies[0];
    serves(&stack).await?;
    assert_eq!((proxy.connections().1, proxy.targets()), (gateway.connections(), vec![gateway.address.to_string()]));
    let came = gateway.connections();
    proxy.stop().await;
    let inside = stack.connection_point_admin()?;
    let failed = inside.metrics().await?.sum("cmg_dials_failed_total", &[]);
    let more = |metrics: &Metrics| metrics.sum("cmg_dials_failed_total", &[]) >= failed + 9.0;
    inside.wait_for_metrics("that each tunnel was dialed again and again", more).await?;
    assert_eq!(gateway.connections(), came, "somebody went around the proxy");
    stack.connection_points[0].wait_for_line(&["of HTTPS_PROXY takes no connection: Connection refused"]).await?;
    proxy.start_again().await?;
    serves(&stack).await?;
    assert_eq!((proxy.connections().1, proxy.targets()), (gateway.connections(), vec![gateway.address.to_string()]));
    stack.finish().await
}
