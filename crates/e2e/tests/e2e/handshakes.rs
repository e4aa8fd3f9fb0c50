//! Clients that are refused before a request: `unauthenticated = "abort"` (G-05), and rules of HTTP/2 that are broken (G-20).

use std::fs;

use anyhow::{Context, Result, ensure};
use cmg_client::Protocol;
use cmg_e2e::pki::{Authority, Identity, Leaf};
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::{Stack, mp};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::expect::{ask, echoed, request};

/// A stack whose gateway aborts. What anyone may use cannot be published there, and is taken out.
async fn aborting() -> Result<Stack> {
    let mut stack = Stack::builder()
        .gateway_setting("UNAUTHENTICATED", "abort")
        .gateway_setting("LISTEN__WAIT_FOR_TUNNEL", "0s")
        .connection_points(0)
        .start_unready()
        .await?;
    stack.start_connection_point().await?;
    let why = "is anonymous, but the gateway has unauthenticated";
    stack.gateways[0].wait_for_line(&["a site configuration was refused", why]).await?;
    let file = stack.folder().join("site.toml");
    let text = fs::read_to_string(&file)?;
    let for_anyone = "authentication = \"anonymous\"\nallow_anonymous = true\n";
    ensure!(text.contains(for_anyone), "nothing is for anyone in {text}");
    fs::write(&file, text.replace("version = 1\n", "version = 2\n").replace(for_anyone, ""))?;
    stack.wait_ready().await?;
    Ok(stack)
}

/// How the handshake of this device ends: in TLS 1.3 the client learns of it with its first read.
async fn alert_for(stack: &Stack, shown: Option<&Identity>) -> Result<String> {
    let client = stack.client_of(0, shown)?;
    let mut connection = match RawConnection::open(&client).await {
        Ok(connection) => connection,
        Err(error) => return Ok(format!("{error:#}")),
    };
    // The gateway may have closed before it is written.
    let written = connection.write(request("GET", &mp("SMS_MP/x"), &[])).await;
    let answer = connection.answer("GET").await;
    let error = answer.err().context("a device that nobody believes was answered")?;
    Ok(format!("{written:?} {error:#}"))
}

#[tokio::test]
async fn whom_nobody_believes_gets_no_handshake_in_abort_mode() -> Result<()> {
    let stack = aborting().await?;
    let strange = Authority::root(&stack.pki.folder, "other-client-ca")?.issue(Leaf::client("stranger"))?;
    let expired = stack.pki.client_ca.issue(Leaf::client("late").expired())?;
    let devices =
        [(None, "CertificateRequired"), (Some(&strange), "CertificateUnknown"), (Some(&expired), "CertificateUnknown")];
    for (number, (shown, alert)) in devices.into_iter().enumerate() {
        let said = alert_for(&stack, shown).await?;
        ensure!(said.contains(alert), "{alert} is not in {said}");
        let failed = |metrics: &cmg_e2e::metrics::Metrics| {
            metrics.sum("cmg_handshake_faults_total", &["listener=\"client\""]) == number as f64 + 1.0
        };
        stack.gateway_admin()?.wait_for_metrics("that the handshake is counted as failed", failed).await?;
    }
    let log = &stack.gateways[0];
    log.wait_for_line(&["TLS handshake with a client failed", "sent no certificate"]).await?;
    log.wait_for_line(&["TLS handshake with a client failed", "CN=stranger"]).await?;
    log.wait_for_line(&["TLS handshake with a client failed", "CN=late", "expired"]).await?;
    // The alert has no room for the code, the log and the metrics have.
    let metrics = stack.gateway_admin()?.metrics().await?;
    for (who, code) in [
        ("sent no certificate", "CMGService_ClientCertificateRequired"),
        ("CN=stranger", "CMGService_ClientCertificateUntrusted"),
        ("CN=late", "CMGService_ClientCertificateExpired"),
    ] {
        log.wait_for_line(&["TLS handshake with a client failed", who, code]).await?;
        assert_eq!(metrics.sum("cmg_refusals_total", &[&format!("code=\"{code}\"")]), 1.0, "{code}");
    }
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    assert_eq!(stack.client()?.speaking(Protocol::Http2).get(&mp("SMS_MP/y")).await?.status, 200);
    let metrics = stack.gateway_admin()?.metrics().await?;
    assert_eq!(metrics.sum("cmg_handshakes_total", &[]), 2.0, "only good devices are through");
    assert_eq!(metrics.sum("cmg_exchanges_total", &[]), 2.0, "and nobody else has asked for anything");
    stack.finish().await
}

/// GOAWAY has no room for a code, the log and the metrics have.
#[tokio::test]
async fn an_http2_connection_that_breaks_the_rules_is_counted() -> Result<()> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const NO_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const DATA_OF_NO_STREAM: &[u8] = &[0, 0, 1, 0, 0, 0, 0, 0, 0, b'x'];
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.http2_client()?).await?;
    connection.write([PREFACE, NO_SETTINGS, DATA_OF_NO_STREAM].concat()).await?;
    let code = "CMGService_BadRequest";
    stack.gateways[0].wait_for_line(&["an HTTP/2 connection was refused", code]).await?;
    let metrics = stack.gateway_admin()?.metrics().await?;
    assert_eq!(metrics.sum("cmg_refusals_total", &[&format!("code=\"{code}\"")]), 1.0);
    drop(connection);
    stack.finish().await
}

/// Whoever knocks at the tunnel port is counted there, and not among the clients.
#[tokio::test]
async fn what_is_no_tunnel_is_counted_at_the_port_where_it_came() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut socket = TcpStream::connect(stack.gateways[0].address("tunnel")?).await?;
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    let told = |metrics: &cmg_e2e::metrics::Metrics| {
        metrics.sum("cmg_handshake_faults_total", &["listener=\"tunnel\""]) == 1.0
    };
    stack.gateway_admin()?.wait_for_metrics("that the handshake is counted as failed", told).await?;
    let metrics = stack.gateway_admin()?.metrics().await?;
    assert_eq!(metrics.sum("cmg_handshake_faults_total", &["listener=\"client\""]), 0.0);
    drop(socket);
    stack.finish().await
}
