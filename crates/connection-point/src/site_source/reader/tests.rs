//! A source over https, against a server whose every byte the test writes.

use super::*;
use std::net::Ipv4Addr;
use std::sync::Arc;

use cmg_core::tls::client_hello::ClientHello;
use cmg_core::tls::{self, FlushRule};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

struct Server {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    root: CertificateDer<'static>,
}

impl Server {
    async fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let root = made.cert.der().clone();
        let tls = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(vec![root.clone()], key).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { listener, tls: Arc::new(tls), root }
    }

    fn reader(&self, roots: Vec<CertificateDer<'static>>) -> SourceReader {
        let url = format!("https://localhost:{}/site.toml", self.listener.local_addr().unwrap().port());
        SourceReader::new(&SiteSource::Url { url, roots, certificate: None }).unwrap()
    }

    /// Answers one request; gives its head.
    async fn answer(&self, answer: &[u8]) -> String {
        let (mut tcp, _) = self.listener.accept().await.unwrap();
        let hello = ClientHello::read(&mut tcp, Instant::now() + limits::TUNNEL_ESTABLISH).await.unwrap();
        let Ok(mut stream) = tls::accept(tcp, hello, Arc::clone(&self.tls), FlushRule::AtOnce).await else {
            return String::new();
        };
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        // A reader that has seen enough hangs up.
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
        String::from_utf8(head).unwrap()
    }
}

fn ok(more: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{more}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let server = Server::new().await;
    let mut reader = server.reader(vec![server.root.clone()]);
    let first = ok("ETag: \"seven\"\r\n", "version = 7");
    let (found, asked) = tokio::join!(reader.read(), server.answer(&first));
    assert_eq!(found.unwrap(), Found::Text("version = 7".into()));
    assert!(!asked.to_ascii_lowercase().contains("if-none-match"), "{asked}");
    let same = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n";
    let (found, asked) = tokio::join!(reader.read(), server.answer(same));
    assert_eq!(found.unwrap(), Found::Same);
    assert!(asked.to_ascii_lowercase().contains("if-none-match: \"seven\"\r\n"), "{asked}");
}

#[tokio::test]
async fn anything_else_is_an_error_that_says_what() {
    let server = Server::new().await;
    let mut reader = server.reader(vec![server.root.clone()]);
    let long = ok("", &"x".repeat(limits::SITE_CONFIGURATION + 1));
    for (answer, wanted) in [
        (&b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"[..], "answered 404"),
        (b"HTTP/1.1 302 Found\r\nLocation: /b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "answered 302"),
        (b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n", "answered 304"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nshort", "/site.toml"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n\xff", "is not UTF-8"),
        (&long, "is larger than"),
    ] {
        let (found, _) = tokio::join!(reader.read(), server.answer(answer));
        let error = found.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn only_the_root_of_the_file_is_believed() {
    let (server, other) = (Server::new().await, Server::new().await);
    let mut reader = server.reader(vec![other.root.clone()]);
    let (found, _) = tokio::join!(reader.read(), server.answer(b""));
    let error = found.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
}
