//! CONNECT against a proxy that answers byte by byte as the test says.

use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use super::super::Login;
use super::*;

struct Stage {
    listener: TcpListener,
    proxy: Proxy,
    gateway: HostPort,
}

impl Stage {
    async fn new(login: Option<Login>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = HostPort { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        let proxy = Proxy { address, login, named_by: "egress.proxy".to_owned() };
        // A name that nobody can look up but a proxy.
        Self { listener, proxy, gateway: HostPort { host: "gateway.invalid".into(), port: 10_140 } }
    }

    /// What comes of it when the proxy writes these pieces, each in a packet of its own; and what it was asked.
    async fn answered(&self, pieces: &[&[u8]]) -> (Result<TcpStream, String>, String) {
        let play = async {
            let (mut tcp, _) = self.listener.accept().await.unwrap();
            tcp.set_nodelay(true).unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                tcp.read_buf(&mut asked).await.unwrap();
            }
            for piece in pieces {
                // The other end may have heard enough.
                let _ = tcp.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            String::from_utf8(asked).unwrap()
        };
        let dial = async {
            let tcp = reach(&self.proxy, &self.gateway).await.map_err(|fault| fault.to_string())?;
            ask(&self.proxy, &self.gateway, tcp).await.map_err(|fault| fault.to_string())
        };
        tokio::join!(dial, play)
    }

    async fn refused(&self, answer: &[u8]) -> String {
        self.answered(&[answer]).await.0.unwrap_err()
    }
}

fn login() -> Option<Login> {
    Some(Login::new("cmg".to_owned(), "se:cret".to_owned()))
}

#[tokio::test]
async fn what_is_behind_the_head_belongs_to_the_tunnel() {
    let stage = Stage::new(None).await;
    let whole = b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n\x16\x03\x01tunnel";
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\x16\x03\x01tunnel";
    for answer in [&whole[..], interim] {
        for size in [1, 7, answer.len()] {
            let pieces: Vec<_> = answer.chunks(size).collect();
            let (tcp, asked) = stage.answered(&pieces).await;
            let mut tunnel = Vec::new();
            tcp.unwrap().read_to_end(&mut tunnel).await.unwrap();
            assert_eq!(tunnel, b"\x16\x03\x01tunnel", "in pieces of {size}");
            assert!(
                asked.starts_with("CONNECT gateway.invalid:10140 HTTP/1.1\r\nHost: gateway.invalid:10140\r\n"),
                "{asked}"
            );
            assert!(!asked.contains("Proxy-Authorization"), "{asked}");
        }
    }
}

#[tokio::test]
async fn a_login_is_told_at_once() {
    let stage = Stage::new(login()).await;
    let (tcp, asked) = stage.answered(&[b"HTTP/1.1 200 OK\r\n\r\n"]).await;
    tcp.unwrap();
    assert!(asked.contains("\r\nProxy-Authorization: Basic Y21nOnNlOmNyZXQ=\r\n"), "{asked}");
}

#[tokio::test]
async fn each_refusal_says_who_and_why_and_what_to_do() {
    for (login, answer, words) in [
        (
            None,
            "407 Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"",
            "wants a login (407 Authentication Required); write egress.username",
        ),
        (
            login(),
            "407 No\r\nProxy-Authenticate: Negotiate, Basic realm=\"x\"",
            "refused the login of cmg (407 No); correct egress.username",
        ),
        (
            login(),
            "407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Digest realm=\"x\", qop=\"auth\"",
            "takes logins by NTLM, Digest only (407 No), and only Basic is supported",
        ),
        (None, "403 Forbidden", "does not allow it (403 Forbidden); have it allow CONNECT"),
        (None, "502 Bad Gateway", "does not reach the gateway (502 Bad Gateway); is the gateway running"),
        (None, "504", "does not reach the gateway (504)"),
        (None, "405 Method Not Allowed", "refused (405 Method Not Allowed); have it allow CONNECT"),
        (None, "302 Found\r\nLocation: /login", "refused (302 Found)"),
    ] {
        let stage = Stage::new(login).await;
        let why = stage.refused(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await;
        let expected = format!("gateway.invalid:10140: the proxy {} of egress.proxy {words}", stage.proxy);
        assert!(why.starts_with(&expected), "{why}\n{expected}");
        assert!(!why.contains("se:cret"), "{why}");
    }
}

#[tokio::test]
async fn what_is_no_proxy_is_told() {
    let stage = Stage::new(None).await;
    for answer in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
    ] {
        let why = stage.refused(answer).await;
        assert!(
            why.contains("does not answer as an HTTP proxy does: ") && why.contains("is it the proxy's port?"),
            "{why}"
        );
    }
    let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; limits::ANSWER_HEAD]].concat();
    let why = stage.refused(&endless).await;
    assert!(why.contains("the answer's head is longer than 65536 bytes"), "{why}");
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\n"] {
        let why = stage.refused(answer).await;
        assert!(why.contains("closed the connection without an answer"), "{why}");
    }
    let gone = Stage::new(None).await;
    drop(gone.listener);
    let why = reach(&gone.proxy, &gone.gateway).await.unwrap_err().to_string();
    assert!(why.contains("takes no connection: Connection refused"), "{why}");
}
