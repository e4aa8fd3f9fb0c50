//! Every way in which a role can fail has its own error.

use super::*;
use crate::limits;
use crate::site_role::RoleFault;
use rustls::server::WebPkiClientVerifier;
use tokio::time::Instant;

#[tokio::test]
async fn nobody_listens() {
    let stage = Stage::new().await;
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let role = Arc::new(role_like(&stage.role, |role| role.port = gone.port()));
    let failure = whole(&mut RoleExchange::begin(&stage.pool, &role, get(), PATIENT), vec![]).await.unwrap_err();
    assert_eq!((failure.fault(), failure.is_before_request()), (RoleFault::Unreachable, true));
    assert!(failure.to_string().contains(&gone.to_string()), "{failure}");
    assert!(!failure.outside().contains("127.0.0.1"));
    assert_eq!(stage.counters.connect_failed.get(), 1);
}

#[tokio::test]
async fn the_name_does_not_resolve() {
    let stage = Stage::new().await;
    let role = Arc::new(role_like(&stage.role, |role| role.host = "no such host".into()));
    let failure = whole(&mut RoleExchange::begin(&stage.pool, &role, get(), PATIENT), vec![]).await.unwrap_err();
    assert!(matches!(failure, RoleError::Resolve { .. }), "{failure}");
    assert_eq!((failure.fault(), failure.is_before_request()), (RoleFault::Unreachable, true));
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let stage = Stage::new().await;
    // `localhost` is ::1 first on most machines; the stage listens on 127.0.0.1 only.
    let role = Arc::new(role_like(&stage.role, |role| role.host = "localhost".into()));
    let server = async {
        let mut stream = stage.accept().await;
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    };
    let mut exchange = RoleExchange::begin(&stage.pool, &role, get(), PATIENT);
    let (answer, ()) = tokio::join!(whole(&mut exchange, vec![]), server);
    assert_eq!(answer.unwrap().0.status, 200);
}

#[tokio::test]
async fn the_certificate_is_for_another_name() {
    let stage = Stage::new().await;
    let role = role_like(&stage.role, |role| role.server_name = ServerName::try_from("mp2.test").unwrap());
    let role = Arc::new(role);
    let server = async {
        let (tcp, _) = stage.listener.accept().await.unwrap();
        assert!(stage.acceptor.accept(tcp).await.is_err());
    };
    let mut exchange = RoleExchange::begin(&stage.pool, &role, get(), PATIENT);
    let (answer, ()) = tokio::join!(whole(&mut exchange, vec![]), server);
    let failure = answer.unwrap_err();
    assert_eq!((failure.fault(), failure.is_before_request()), (RoleFault::TlsFailed, true));
    assert!(failure.to_string().contains("role 7 at 127.0.0.1"), "{failure}");
}

#[tokio::test]
async fn the_role_wants_a_client_certificate() {
    let made = rcgen::generate_simple_self_signed(vec!["ca.test".into()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    let stage = Stage::with(|server| server.with_client_cert_verifier(verifier)).await;
    let server = async {
        let (tcp, _) = stage.listener.accept().await.unwrap();
        assert!(stage.acceptor.accept(tcp).await.is_err());
    };
    let (answer, ()) = tokio::join!(stage.get(get()), server);
    let failure = answer.unwrap_err();
    assert_eq!((failure.fault(), failure.is_before_request()), (RoleFault::TlsFailed, false), "{failure}");
}

#[tokio::test]
async fn the_role_breaks_off_before_or_in_its_head() {
    let stage = Stage::new().await;
    let server = async {
        for begun in ["", "HTTP/1.1 200 OK\r\nContent-"] {
            let mut stream = stage.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, begun).await;
            stream.shutdown().await.unwrap();
        }
    };
    let client = async {
        for _ in 0..2 {
            let failure = stage.get(get()).await.unwrap_err();
            assert_eq!((failure.fault(), failure.is_before_request()), (RoleFault::Aborted, false), "{failure}");
        }
    };
    tokio::join!(client, server);
    assert_eq!(stage.counters.sent_again.get(), 0, "a fresh connection is no excuse");
}

#[tokio::test]
async fn the_role_does_not_speak_http() {
    let stage = Stage::new().await;
    for nonsense in [
        "220 mp1.test ESMTP\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    ] {
        let server = async {
            let mut stream = stage.accept().await;
            write(&mut stream, nonsense).await;
            stream
        };
        let (answer, _stream) = tokio::join!(stage.get(get()), server);
        let failure = answer.unwrap_err();
        assert_eq!(failure.fault(), RoleFault::AnswerInvalid, "{failure}");
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_bounded() {
    let stage = Stage::new().await;
    let server = async {
        let mut stream = stage.accept().await;
        let field = format!("X-Long: {}\r\n", "a".repeat(1000));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(field.as_bytes()).await.is_ok() {}
    };
    let (answer, ()) = tokio::join!(stage.get(get()), server);
    assert_eq!(answer.unwrap_err().fault(), RoleFault::AnswerInvalid);
}

#[tokio::test]
async fn the_role_says_nothing() {
    let stage = Stage::new().await;
    let mut exchange = stage.begin(get(), IMPATIENT);
    let (answer, _stream) = tokio::join!(whole(&mut exchange, vec![]), stage.accept());
    let failure = answer.unwrap_err();
    assert!(matches!(failure, RoleError::AnswerTimeout { .. }), "{failure}");
    assert_eq!((failure.fault(), failure.is_before_request()), (RoleFault::Timeout, false));
}

/// Whoever waits for us counts from the same moment.
#[tokio::test]
async fn the_time_to_connect_is_part_of_the_answers() {
    let stage = Stage::new().await;
    let (begun, slow) = (Instant::now(), limits::ROLE_CONNECT / 2);
    let server = async {
        let (tcp, _) = stage.listener.accept().await.unwrap();
        tokio::time::pause();
        tokio::time::advance(slow).await;
        tokio::time::resume();
        let mut stream = stage.acceptor.accept(tcp).await.unwrap();
        read_head(&mut stream).await;
        tokio::time::pause();
        stream
    };
    let (answer, _stream) = tokio::join!(stage.get(get()), server);
    let failure = answer.unwrap_err();
    assert!(matches!(failure, RoleError::AnswerTimeout { .. }), "{failure}");
    assert!(begun.elapsed() < PATIENT.answer + slow / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_answer_or_the_request_stops_moving() {
    let stage = Stage::new().await;
    let patience = Patience { idle: IMPATIENT.idle, ..PATIENT };
    let server = async {
        let mut stream = stage.accept().await;
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
        stream
    };
    let mut exchange = stage.begin(get(), patience);
    let (answer, _stream) = tokio::join!(whole(&mut exchange, vec![]), server);
    assert!(matches!(answer.unwrap_err(), RoleError::AnswerStalled { .. }));

    let mut exchange = stage.begin(request("POST", BodyLength::Known(9)), patience);
    let client = poll_fn(|cx| exchange.poll_head(cx));
    let (answer, _stream) = tokio::join!(client, stage.accept());
    let failure = answer.unwrap_err();
    assert!(matches!(failure, RoleError::RequestStalled { .. }), "{failure}");
    assert_eq!(failure.fault(), RoleFault::RequestTimeout);
}

/// Each byte is read before the next part of the time passes; the clock stands still meanwhile.
#[tokio::test]
async fn an_answer_that_keeps_moving_may_last_longer_than_its_idle_time() {
    let stage = Stage::new().await;
    let patience = Patience { idle: Duration::from_secs(20), ..PATIENT };
    let mut exchange = stage.begin(get(), patience);
    let server = async {
        let mut stream = stage.accept().await;
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await;
        stream
    };
    let mut no_parts = Vec::new();
    let (answer, mut stream) = tokio::join!(head(&mut exchange, &mut no_parts), server);
    answer.unwrap();
    tokio::time::pause();
    for byte in ["s", "l", "o", "w"] {
        tokio::time::advance(patience.idle * 3 / 4).await;
        write(&mut stream, byte).await;
        assert_eq!(poll_fn(|cx| exchange.poll_body(cx)).await.unwrap(), RolePiece::Data(byte.into()));
    }
    assert_eq!(poll_fn(|cx| exchange.poll_body(cx)).await.unwrap(), RolePiece::End(Fields::new()));
}

#[tokio::test]
async fn the_role_takes_the_connection_and_says_nothing_in_tls() {
    let stage = Stage::new().await;
    let server = async {
        let (mut tcp, _) = stage.listener.accept().await.unwrap();
        // Its hello has come: from here on the client waits for nothing but us.
        tcp.read_u8().await.unwrap();
        tokio::time::pause();
        (tcp, Instant::now())
    };
    let (answer, (_tcp, paused)) = tokio::join!(stage.get(get()), server);
    let failure = answer.unwrap_err();
    assert!(matches!(failure, RoleError::TlsTimeout { .. }), "{failure}");
    assert_eq!((failure.fault(), failure.is_before_request()), (RoleFault::Timeout, true));
    assert!(paused.elapsed() < limits::ROLE_CONNECT * 2, "by the clock that was stopped: {:?}", paused.elapsed());
    assert_eq!(stage.counters.connect_failed.get(), 1);
}

#[tokio::test]
async fn a_body_that_is_too_short_is_never_taken_for_whole() {
    let stage = Stage::new().await;
    for short in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let server = async {
            let mut stream = stage.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, short).await;
            stream.shutdown().await.unwrap();
        };
        let (answer, ()) = tokio::join!(stage.get(get()), server);
        let failure = answer.unwrap_err();
        assert!(matches!(failure, RoleError::AnswerBroken { .. }), "{failure}");
    }
    assert_eq!(stage.pool.idle(), 0);
}

fn role_like(role: &Role, change: impl FnOnce(&mut Role)) -> Role {
    let (server_name, tls) = (role.server_name.clone(), role.tls.clone());
    let mut role = Role { id: role.id, host: role.host.clone(), port: role.port, server_name, tls };
    change(&mut role);
    role
}
