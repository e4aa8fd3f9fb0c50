//! The site's configuration source and report sink, and who is let in.

use crate::stack::{Stack, listener};

fn site() -> String {
    let mutual = "serves = \"site\"\nclient_certificates = \"required\"\nclient_ca = \"ca.pem\"";
    format!("{}[site]\nconfiguration = \"site.toml\"\n", listener("site", mutual))
}

#[tokio::test]
async fn the_configuration_is_read_anew_and_has_a_tag() {
    let stack = Stack::start(&site()).await;
    let file = stack.folder.path().join("site.toml");
    let mut client = stack.client_of("site", &stack.tls_with_certificate).await.unwrap();
    assert_eq!(client.get("/site.toml").await.status, 500);
    std::fs::write(&file, "version = 1\n").unwrap();
    let first = client.get("/site.toml").await;
    assert_eq!((first.status, first.body.as_slice()), (200, &b"version = 1\n"[..]));
    let condition = format!("If-None-Match: {}\r\n", first.field("etag"));
    assert_eq!(client.ask("GET", "/site.toml", &condition).await.status, 304);
    std::fs::write(&file, "version = 2\n").unwrap();
    let second = client.ask("GET", "/site.toml", &condition).await;
    assert_eq!((second.status, second.body.as_slice()), (200, &b"version = 2\n"[..]));
}

#[tokio::test]
async fn reports_are_kept() {
    let stack = Stack::start(&site()).await;
    let mut client = stack.client_of("site", &stack.tls_with_certificate).await.unwrap();
    client
        .send("POST /reports/traffic HTTP/1.1\r\nHost: s\r\nContent-Type: text/xml\r\nContent-Length: 4\r\n\r\n<x/>")
        .await;
    assert_eq!(client.answer(false).await.status, 204);
    assert_eq!(client.ask("DELETE", "/reports", "").await.status, 405);
    let reports = stack.admin("GET /_reports").await.1;
    let report = &reports["reports"][0];
    assert_eq!((&report["path"], &report["body"]), (&"/reports/traffic".into(), &"<x/>".into()));
    assert_eq!(report["client_certificate_sha256"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn required_is_required_and_optional_is_not() {
    let optional = listener("optional", "client_certificates = \"optional\"\nclient_ca = \"ca.pem\"");
    let stack = Stack::start(&format!("{optional}{}", site())).await;
    let mut without = stack.client_of("optional", stack.tls()).await.unwrap();
    assert!(without.get("/x").await.json()["client_certificate_sha256"].is_null());
    let mut with = stack.client_of("optional", &stack.tls_with_certificate).await.unwrap();
    assert!(with.get("/x").await.json()["client_certificate_sha256"].is_string());
    // With TLS 1.3 the refusal comes after the client's handshake.
    let mut refused = stack.client_of("site", stack.tls()).await.unwrap();
    refused.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n").await;
    assert!(refused.fails().await.contains("CertificateRequired"));
}
