//! What a gateway asks for that the site does not allow, and what only looks like that (C-07).

use rustls::sign::SingleCertAndKey;
use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn a_violation_ends_the_tunnel_once_both_ends_have_agreed() {
    let stage = Stage::new().await;
    stage.site(3);
    let play = async {
        let mut gateway = stage.connected(&hello()).await;
        gateway.apply(3).await;
        let reached = gateway.refused(request("GET", "/open/x")).await;
        assert_eq!((reached.reason, reached.not_started), (RefusedReason::RoleUnreachable, true));
        assert!(!reached.detail.contains("127.0.0.1"), "{}", reached.detail);
        assert_eq!(gateway.refused(request("GET", "/other")).await.reason, RefusedReason::NotMapped);
        assert_eq!(gateway.refused(request("POST", "/open/x")).await.reason, RefusedReason::Refused);
        // It may have been admitted under the configuration before: the tunnel lives.
        assert_eq!(gateway.refused(request("GET", "/open/x")).await.reason, RefusedReason::RoleUnreachable);
        tokio::time::pause();
        tokio::time::advance(limits::AGREED + limits::DRAIN_NOTICE).await;
        tokio::time::resume();
        assert_eq!(gateway.refused(request("GET", "/open/../x")).await.reason, RefusedReason::Refused);
        let Ok(Said::Goodbye(why)) = gateway.said().await else { panic!("no goodbye") };
        assert!(why.contains("the target breaks the rules"), "{why}");
        drop(gateway);
        stage.connected(&hello()).await;
    };
    stage.while_kept(play).await;
    assert_eq!(stage.point.metrics.violations.get(), 2);
}

/// Another connection point has published, and what the gateway admitted by it came before its word of it.
#[tokio::test]
async fn what_was_admitted_under_another_configuration_is_no_violation() {
    let stage = Stage::new().await;
    stage.site(3);
    let play = async {
        let mut gateway = stage.connected(&hello()).await;
        gateway.apply(3).await;
        assert_eq!(gateway.refused(request("GET", "/open/x")).await.reason, RefusedReason::RoleUnreachable);
        tokio::time::pause();
        tokio::time::advance(limits::AGREED + limits::DRAIN_NOTICE).await;
        tokio::time::resume();
        assert_eq!(gateway.refused(request("POST", "/open/x")).await.reason, RefusedReason::Refused);
        let other = ConfigurationInForce { version: 4, digest: vec![4; 32] };
        gateway.control.say(Saying::InForce(other)).await;
        stage.place.instance.facts().wait_for(|facts| facts.in_force.version == 4).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(limits::VIOLATION_DOUBT * 2).await;
        tokio::time::resume();
        // A goodbye would come first.
        gateway.control.say(Saying::InForce(ConfigurationInForce::default())).await;
        gateway.apply(3).await;
    };
    stage.while_kept(play).await;
    assert_eq!(stage.point.metrics.violations.get(), 1);
}

/// A role that answers at once and reads on.
pub async fn early_answer(folder: &tempfile::TempDir, listener: &TcpListener) -> TlsStream {
    let resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::clone(&key(folder, "role"))));
    let settings = rustls::ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    let (mut tcp, _) = listener.accept().await.unwrap();
    let first = ClientHello::read(&mut tcp, Instant::now() + limits::TUNNEL_ESTABLISH).await.unwrap();
    let mut stream = tls::accept(tcp, first, Arc::new(settings), FlushRule::AtOnce).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// The head is on its way already: a refusal in a second one's place would look like a broken tunnel.
#[tokio::test]
async fn a_violation_behind_the_head_of_the_answer_breaks_it_off() {
    let stage = Stage::new().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let role = listener.local_addr().unwrap().to_string();
    stage.site_with(3, &role, "methods = [\"POST\"]\nmax_request_body = \"1KiB\"");
    let play = async {
        let mut gateway = stage.connected(&hello()).await;
        gateway.apply(3).await;
        let begun = Bytes::from_static(b"begun");
        let mut calling = gateway.caller.start(Opening::new(request("POST", "/open/x"), begun, None)).unwrap();
        let _role = early_answer(&stage.folder, &listener).await;
        assert!(matches!(poll_fn(|cx| calling.poll_event(cx)).await, Ok(Event::Head(_))));
        poll_fn(|cx| calling.poll_room(cx)).await.unwrap();
        calling.send(Bytes::from(vec![b'x'; 2048]), None).unwrap();
        let broken = loop {
            match poll_fn(|cx| calling.poll_event(cx)).await {
                Ok(Event::Data(_)) => {}
                other => break other,
            }
        };
        let Err(TunnelBroken::Status { message, .. }) = broken else { panic!("not broken off but {broken:?}") };
        assert_eq!(message, "the gateway sent what the site does not allow");
    };
    stage.while_kept(play).await;
    assert_eq!(stage.point.metrics.violations.get(), 1);
}
