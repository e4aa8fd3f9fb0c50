//! The pages over real sockets.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::*;
use crate::admin::{Admin, Readiness, reload_channel};
use crate::metrics::Registry;
use crate::metrics::checker::Samples;

fn admin(readiness: &Readiness) -> Admin {
    Admin::new(readiness.clone(), Registry::new("cmg-test"), || json!({ "links": [] }))
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (u16, String, String) {
    let request = format!("{request} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

async fn get(listener: &AdminListener, path: &str) -> (u16, String, String) {
    ask(TcpStream::connect(listener.address.unwrap()).await.unwrap(), &format!("GET {path}")).await
}

#[tokio::test]
async fn pages_say_how_the_program_is() {
    let readiness = Readiness::new();
    readiness.block("tunnel", "no tunnel for site PS1");
    let listener = admin(&readiness).listen("127.0.0.1:0".parse().unwrap()).await.unwrap();

    assert_eq!(get(&listener, "/healthz").await.0, 200);
    let (status, _, body) = get(&listener, "/readyz").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["reasons"]["tunnel"]), (503, &json!("no tunnel for site PS1")));

    readiness.clear("tunnel");
    assert_eq!(get(&listener, "/readyz").await.0, 200);
    let (_, _, body) = get(&listener, "/status").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["links"], &body["ready"]), (&json!([]), &json!(true)));

    let (status, head, body) = get(&listener, "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    Samples::check(&body);
}

#[tokio::test]
async fn tcp_changes_nothing() {
    let listener = admin(&Readiness::new()).listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    for (request, expected) in [("POST /status", 405), ("DELETE /metrics", 405), ("POST /reload", 404), ("GET /", 404)]
    {
        let stream = TcpStream::connect(listener.address.unwrap()).await.unwrap();
        let (status, head, _) = ask(stream, request).await;
        assert_eq!(status, expected, "{request}");
        assert_eq!(head.contains("allow: get,head"), expected == 405, "{head}");
    }
}

#[tokio::test]
async fn only_loopback_shows_all_and_health_shows_two_pages() {
    let admin = admin(&Readiness::new());
    let refused = admin.listen("0.0.0.0:0".parse().unwrap()).await.unwrap_err().to_string();
    assert!(refused.contains("health.listen") && refused.contains("0.0.0.0:0"), "{refused}");

    let health = admin.listen_health("127.0.0.1:0".parse().unwrap()).await.unwrap();
    assert_eq!(get(&health, "/healthz").await.0, 200);
    assert_eq!(get(&health, "/readyz").await.0, 200);
    assert_eq!(get(&health, "/metrics").await.0, 404);
    assert_eq!(get(&health, "/status").await.0, 404);
}

#[tokio::test]
async fn the_unix_socket_reloads_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    std::fs::write(&path, "left by a predecessor").unwrap();
    let (trigger, mut requests) = reload_channel();
    let listener = admin(&Readiness::new()).listen_unix(&path, trigger, None).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    for (result, expected) in [(Ok("version 7".to_owned()), 200), (Err("site.toml:3: no".to_owned()), 422)] {
        let stream = UnixStream::connect(&path).await.unwrap();
        let run_loop = async { requests.next().await.answer(result.clone()) };
        let ((status, _, body), ()) = tokio::join!(ask(stream, "POST /reload"), run_loop);
        assert_eq!(status, expected);
        assert!(body.contains(result.as_ref().unwrap_or_else(|problem| problem)), "{body}");
    }
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_dropped_listener_closes_its_connections() {
    let listener = Arc::new(admin(&Readiness::new()).listen("127.0.0.1:0".parse().unwrap()).await.unwrap());
    let mut stream = TcpStream::connect(listener.address.unwrap()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: admin\r\n\r\n").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'H');
    drop(listener);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}
