//! Connections are kept when both halves are complete, and a kept one that turns out to be dead costs no
//! request that may be sent again, and doubles none that may not.

use super::*;
use crate::site_role::RoleFault;

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn a_connection_serves_one_exchange_after_the_other() {
    let stage = Stage::new().await;
    let server = async {
        let mut stream = stage.accept().await;
        for _ in 0..3 {
            read_head(&mut stream).await;
            write(&mut stream, EMPTY).await;
        }
    };
    let client = async {
        for _ in 0..3 {
            stage.get(get()).await.unwrap();
        }
    };
    tokio::join!(client, server);
    assert_eq!((stage.counters.connected.get(), stage.counters.reused.get()), (1, 2));
    assert_eq!((stage.pool.idle(), stage.counters.open.get()), (1, 1));
}

#[tokio::test]
async fn the_role_may_ask_not_to_be_kept() {
    let stage = Stage::new().await;
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore than was asked for",
    ] {
        let server = async {
            let mut stream = stage.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, answer).await;
            until_gone(&mut stream).await;
        };
        let (answer, ()) = tokio::join!(stage.get(get()), server);
        assert_eq!(answer.unwrap().0.status, 200);
    }
    assert_eq!((stage.pool.idle(), stage.counters.open.get()), (0, 0));
}

#[tokio::test]
async fn a_connection_that_closed_or_spoke_while_idle_is_not_lent() {
    let stage = Stage::new().await;
    for last_words in ["", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        let server = async {
            let mut stream = stage.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, EMPTY).await;
            stream
        };
        let (answer, mut stream) = tokio::join!(stage.get(get()), server);
        answer.unwrap();
        write(&mut stream, last_words).await;
        stream.shutdown().await.unwrap();
        // Until the end is readable here, as it is after any moment of idleness.
        while stage.pool.idle() > 0 {
            stage.pool.sweep();
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((stage.counters.connected.get(), stage.counters.open.get()), (2, 0));
}

/// Nobody has swept since, and a POST could not be sent again.
#[tokio::test]
async fn a_post_does_not_meet_a_connection_that_ended_while_idle() {
    let stage = Stage::new().await;
    for last_words in ["", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        let server = async {
            let mut stream = stage.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, EMPTY).await;
            stream
        };
        let (answer, mut stream) = tokio::join!(stage.get(get()), server);
        answer.unwrap();
        let mut kept = stage.pool.take(&stage.role).unwrap();
        write(&mut stream, last_words).await;
        stream.shutdown().await.unwrap();
        poll_fn(|cx| if kept.is_quiet(cx) { Poll::Pending } else { Poll::Ready(()) }).await;
        stage.pool.put(&stage.role, kept, PATIENT.idle);

        let server = async {
            let mut stream = stage.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        };
        let client = async {
            let mut exchange = stage.begin(request("POST", BodyLength::Known(4)), PATIENT);
            whole(&mut exchange, vec!["body".into()]).await.unwrap()
        };
        let ((head, _), ()) = tokio::join!(client, server);
        assert_eq!(head.status, 201);
    }
    let counters = &stage.counters;
    assert_eq!((counters.connected.get(), counters.sent_again.get(), counters.open.get()), (4, 0, 0));
}

#[tokio::test]
async fn a_repeatable_request_survives_a_kept_connection_that_died() {
    let stage = Stage::new().await;
    let server = async {
        let mut stream = stage.accept().await;
        read_head(&mut stream).await;
        write(&mut stream, EMPTY).await;
        let first = read_head(&mut stream).await;
        drop(stream);
        let mut stream = stage.accept().await;
        let second = read_head(&mut stream).await;
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        write(&mut stream, "HTTP/1.1 207 Multi-Status\r\nContent-Length: 0\r\n\r\n").await;
        (first, second, body)
    };
    let client = async {
        stage.get(get()).await.unwrap();
        let mut exchange = stage.begin(request("PROPFIND", BodyLength::Known(4)), PATIENT);
        whole(&mut exchange, vec!["<a".into(), "/>".into()]).await.unwrap()
    };
    let ((head, _), (first, second, body)) = tokio::join!(client, server);
    assert_eq!((head.status, &body), (207, b"<a/>"));
    assert_eq!(first, second);
    assert_eq!(stage.counters.sent_again.get(), 1);
}

#[tokio::test]
async fn a_request_is_sent_again_once_only() {
    let stage = Stage::new().await;
    let server = async {
        let mut stream = stage.accept().await;
        read_head(&mut stream).await;
        write(&mut stream, EMPTY).await;
        read_head(&mut stream).await;
        drop(stream);
        drop(stage.accept().await);
    };
    let client = async {
        stage.get(get()).await.unwrap();
        stage.get(get()).await.unwrap_err()
    };
    let (failure, ()) = tokio::join!(client, server);
    assert_eq!(failure.fault(), RoleFault::Aborted);
    assert_eq!(stage.counters.sent_again.get(), 1);
}

/// The role reads a request and dies: that nobody listens any more does not mean that nobody has listened.
#[tokio::test]
async fn a_request_that_may_have_arrived_is_never_called_unsent() {
    let Stage { listener, acceptor, role, pool, counters } = Stage::new().await;
    let server = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(tcp).await.unwrap();
        read_head(&mut stream).await;
        write(&mut stream, EMPTY).await;
        read_head(&mut stream).await;
        drop((stream, listener));
    };
    let client = async {
        let ask = async || whole(&mut RoleExchange::begin(&pool, &role, get(), PATIENT), Vec::new()).await;
        ask().await.unwrap();
        (ask().await.unwrap_err(), ask().await.unwrap_err())
    };
    let ((lost, unsent), ()) = tokio::join!(client, server);
    assert_eq!((lost.fault(), lost.is_before_request()), (RoleFault::Aborted, false), "{lost}");
    assert!(lost.to_string().contains("cannot connect"), "{lost}");
    assert_eq!((unsent.fault(), unsent.is_before_request()), (RoleFault::Unreachable, true), "{unsent}");
    assert_eq!(counters.sent_again.get(), 1);
}

#[tokio::test]
async fn a_post_that_may_have_arrived_is_never_sent_again() {
    let stage = Stage::new().await;
    let server = async {
        let mut stream = stage.accept().await;
        read_head(&mut stream).await;
        write(&mut stream, EMPTY).await;
        read_head(&mut stream).await;
        drop(stream);
    };
    let client = async {
        stage.get(get()).await.unwrap();
        let mut exchange = stage.begin(request("CCM_POST", BodyLength::Known(4)), PATIENT);
        whole(&mut exchange, vec!["body".into()]).await.unwrap_err()
    };
    let (failure, ()) = tokio::join!(client, server);
    assert_eq!((failure.fault(), failure.is_before_request()), (RoleFault::Aborted, false));
    assert_eq!((stage.counters.sent_again.get(), stage.counters.connected.get()), (0, 1));
}

#[tokio::test]
async fn a_broken_off_head_is_not_asked_for_again() {
    let stage = Stage::new().await;
    let server = async {
        let mut stream = stage.accept().await;
        read_head(&mut stream).await;
        write(&mut stream, EMPTY).await;
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 2").await;
    };
    let client = async {
        stage.get(get()).await.unwrap();
        stage.get(get()).await.unwrap_err()
    };
    let (failure, ()) = tokio::join!(client, server);
    assert_eq!(failure.fault(), RoleFault::Aborted);
    assert_eq!(stage.counters.sent_again.get(), 0);
}

#[tokio::test]
async fn connections_of_an_old_configuration_are_not_used_for_a_new_one() {
    let stage = Stage::new().await;
    let server = async {
        for _ in 0..2 {
            let mut stream = stage.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, EMPTY).await;
        }
    };
    let client = async {
        stage.get(get()).await.unwrap();
        let (host, tls) = (stage.role.host.clone(), stage.role.tls.clone());
        let server_name = stage.role.server_name.clone();
        let reloaded = Arc::new(Role { id: stage.role.id, host, port: stage.role.port, server_name, tls });
        whole(&mut RoleExchange::begin(&stage.pool, &reloaded, get(), PATIENT), vec![]).await.unwrap();
    };
    tokio::join!(client, server);
    assert_eq!((stage.counters.connected.get(), stage.pool.idle()), (2, 1));
}

#[tokio::test]
async fn dropping_an_exchange_closes_its_connection() {
    let stage = Stage::new().await;
    let mut exchange = stage.begin(get(), PATIENT);
    let server = async {
        let mut stream = stage.accept().await;
        write(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
        stream
    };
    let mut no_parts = Vec::new();
    let (answer, mut stream) = tokio::join!(head(&mut exchange, &mut no_parts), server);
    answer.unwrap();
    drop(exchange);
    until_gone(&mut stream).await;
    assert_eq!((stage.pool.idle(), stage.counters.open.get()), (0, 0));
}
