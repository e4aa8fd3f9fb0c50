//! Who may take places that others need, and who may not (T-08, T-09).

use anyhow::{Context, Result};
use cmg_client::{Client, Protocol, Request};
use cmg_e2e::metrics::Metrics;
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::stack::SERVICE_NAME;
use cmg_e2e::{Stack, mp, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::expect::{ask, echoed, request};

/// The first flight of a client, as anyone may record it who has no certificate.
async fn recorded_hello(stack: &Stack) -> Result<Vec<u8>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Client::new(listener.local_addr()?, SERVICE_NAME, &stack.pki.service_ca.certificate, None)?;
    let recorded = async {
        let (mut socket, _) = listener.accept().await?;
        let mut hello = vec![0; 5];
        socket.read_exact(&mut hello).await?;
        let length = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
        hello.resize(5 + length, 0);
        socket.read_exact(&mut hello[5..]).await?;
        anyhow::Ok(hello)
    };
    tokio::select! {
        hello = recorded => hello,
        connected = client.connect_tls() => connected.map(|_| Vec::new()).context("nobody answered it"),
    }
}

#[tokio::test]
async fn silent_handshakes_keep_nobody_out() -> Result<()> {
    const PLACES: usize = 2;
    let stack = Stack::builder().gateway_setting("LIMITS__HANDSHAKES", &PLACES.to_string()).start().await?;
    let hello = recorded_hello(&stack).await?;
    let mut silent = Vec::new();
    for _ in 0..PLACES {
        let mut socket = TcpStream::connect(stack.client_address(0)?).await?;
        socket.write_all(&hello).await?;
        // The gateway's part came; now it waits for what never comes.
        socket.read_exact(&mut [0; 5]).await?;
        silent.push(socket);
    }
    echoed(&ask(&stack, "GET", &mp("SMS_MP/x"), &[]).await?)?;
    let metrics = stack.gateway_admin()?.metrics().await?;
    assert_eq!(metrics.sum("cmg_handshakes_running", &[]), PLACES as f64, "the silent ones were ended meanwhile");
    drop(silent);
    stack.finish().await
}

#[tokio::test]
async fn clients_that_hold_every_connection_keep_no_tunnel_out() -> Result<()> {
    let mut stack = Stack::builder().gateway_setting("LIMITS__CONNECTIONS", "1").start().await?;
    let mut first = RawConnection::open(&stack.client()?).await?;
    echoed(&first.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    assert!(RawConnection::open(&stack.client()?).await.is_err(), "a second client");
    let refused = |metrics: &Metrics| metrics.sum("cmg_connections_refused_total", &[]) == 1.0;
    stack.gateway_admin()?.wait_for_metrics("that it is counted", refused).await?;
    stack.connection_points.remove(0).kill();
    stack.share_the_clients_port()?;
    stack.start_connection_point_number(1).await?;
    stack.wait_ready().await?;
    echoed(&first.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    drop(first);
    until(async || Ok(RawConnection::open(&stack.client()?).await.is_ok())).await.context("its place stays taken")?;
    stack.finish().await
}

/// They ask for what anybody may have, and then for nothing.
#[tokio::test]
async fn strangers_make_room_when_places_are_scarce() -> Result<()> {
    const DEVICES: usize = 8;
    let stack = Stack::builder().gateway_setting("LIMITS__CONNECTIONS", "10").start().await?;
    let mut devices = Vec::new();
    for _ in 0..DEVICES {
        let mut device = RawConnection::open(&stack.client()?).await?;
        echoed(&device.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
        devices.push(device);
    }
    const FOR_ANYBODY: &str = "/CCM_Proxy_ServerAuth/ServiceMetadata";
    let stranger = stack.client_without_certificate()?;
    let mut over_http1 = RawConnection::open(&stranger).await?;
    assert_eq!(over_http1.exchange(request("GET", FOR_ANYBODY, &[])).await?.status, 200);
    let mut over_http2 = stranger.speaking(Protocol::Http2).connect().await?;
    assert_eq!(over_http2.send(Request::get(FOR_ANYBODY)).await?.whole().await?.status, 200);
    over_http1.expect_end().await?;
    until(async || Ok(over_http2.is_closed())).await.context("an HTTP/2 connection goes on")?;
    for device in &mut devices {
        echoed(&device.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    }
    drop(devices);
    stack.finish().await
}
