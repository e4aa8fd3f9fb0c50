//! What a client can do wrong.

use anyhow::Result;
use cmg_core::refusal::RefusalKind;
use cmg_e2e::pki::{Authority, Identity, Leaf};
use cmg_e2e::raw_client::RawConnection;
use cmg_e2e::stack::DISTRIBUTION_POINT;
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, echoed, refused, request};

/// One request by a device that shows what the test says.
async fn by_device(shown: impl FnOnce(&Stack) -> Result<Option<Identity>>, kind: RefusalKind) -> Result<()> {
    let stack = Stack::builder().start().await?;
    let shown = shown(&stack)?;
    let mut connection = RawConnection::open(&stack.client_of(0, shown.as_ref())?).await?;
    let answer = connection.exchange(request("GET", &mp("SMS_MP/.sms_aut?MPLIST"), &[])).await?;
    refused(&stack, &answer, kind).await?;
    // Whether it is published or not, nobody without a good certificate can tell.
    let unpublished = connection.exchange(request("GET", &mp("Secrets/"), &[])).await?;
    if kind == RefusalKind::ClientCertificateRequired {
        refused(&stack, &unpublished, kind).await?;
    }
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn no_certificate() -> Result<()> {
    by_device(|_| Ok(None), RefusalKind::ClientCertificateRequired).await
}

#[tokio::test]
async fn a_certificate_of_another_authority() -> Result<()> {
    let strange = |stack: &Stack| {
        Authority::root(&stack.pki.folder, "other-client-ca")?.issue(Leaf::client("other-client")).map(Some)
    };
    by_device(strange, RefusalKind::ClientCertificateUntrusted).await
}

#[tokio::test]
async fn a_certificate_of_an_authority_with_the_same_name() -> Result<()> {
    let forged = |stack: &Stack| {
        let folder = stack.folder().join("forged");
        std::fs::create_dir_all(&folder)?;
        Authority::root(&folder, "client-ca")?.issue(Leaf::client("client-1")).map(Some)
    };
    by_device(forged, RefusalKind::ClientCertificateUntrusted).await
}

#[tokio::test]
async fn a_certificate_for_another_purpose() -> Result<()> {
    let email = |stack: &Stack| stack.pki.client_ca.issue(Leaf::client("mailer").for_email_only()).map(Some);
    by_device(email, RefusalKind::ClientCertificateUntrusted).await
}

#[tokio::test]
async fn an_expired_certificate() -> Result<()> {
    let expired = |stack: &Stack| stack.pki.client_ca.issue(Leaf::client("late").expired()).map(Some);
    by_device(expired, RefusalKind::ClientCertificateExpired).await
}

#[tokio::test]
async fn a_leaf_alone_under_an_uploaded_intermediate_is_let_in() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let leaf = stack.pki.client_intermediate.issue(Leaf::client("deep"))?;
    let with_chain = leaf.with_issuer(&stack.pki.client_intermediate)?;
    for shown in [leaf, with_chain] {
        let mut connection = RawConnection::open(&stack.client_of(0, Some(&shown))?).await?;
        echoed(&connection.exchange(request("GET", &mp("SMS_MP/x"), &[])).await?)?;
    }
    stack.finish().await
}

/// One request of a good device.
async fn by_request(method: &str, target: &str, lines: &[&str], kind: RefusalKind) -> Result<()> {
    let stack = Stack::builder().start().await?;
    let answer = ask(&stack, method, target, lines).await?;
    refused(&stack, &answer, kind).await?;
    stack.finish().await
}

#[tokio::test]
async fn targets_that_nobody_may_send() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for rest in [
        "../x", "%2e%2e/x", "a%2fb", "a%5cb", "a\\b", "a%00b", "a%zz", "a%252e", "a;/../b", "%c0%ae/", "a./b",
        "a::$DATA",
    ] {
        let answer = ask(&stack, "GET", &mp(&format!("SMS_MP/{rest}")), &[]).await?;
        let line = refused(&stack, &answer, RefusalKind::BadRequest).await?;
        assert!(line["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{line}");
    }
    stack.finish().await
}

#[tokio::test]
async fn a_path_that_is_not_published() -> Result<()> {
    by_request("GET", &mp("Secrets/"), &[], RefusalKind::NotPublished).await
}

#[tokio::test]
async fn a_verb_that_the_endpoint_does_not_take() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let answer = ask(&stack, "DELETE", &mp("SMS_MP/x"), &[]).await?;
    assert_eq!(answer.field("allow"), Some("HEAD, CCM_POST, BITS_POST, GET, PROPFIND, POST"));
    refused(&stack, &answer, RefusalKind::MethodNotAllowed).await?;
    for never in ["TRACE", "CONNECT"] {
        let answer = ask(&stack, never, "/open/x", &[]).await?;
        assert!([400, 405].contains(&answer.status), "{never}: {answer:?}");
    }
    stack.finish().await
}

fn distribution_point(rest: &str) -> String {
    format!("/CCM_Proxy_MutualAuth/{DISTRIBUTION_POINT}/SMS_DP_SMSPKG$/{rest}")
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long() -> Result<()> {
    let lines = ["Content-Length: 65537", "Expect: 100-continue"];
    by_request("PROPFIND", &distribution_point("x"), &lines, RefusalKind::ContentTooLarge).await
}

#[tokio::test]
async fn a_chunked_body_that_becomes_too_long() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("PROPFIND", &distribution_point("x"), &["Transfer-Encoding: chunked"])).await?;
    for _ in 0..5 {
        connection.write(format!("4000\r\n{}\r\n", "x".repeat(0x4000))).await?;
    }
    let answer = connection.answer("PROPFIND").await?;
    refused(&stack, &answer, RefusalKind::ContentTooLarge).await?;
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn a_target_that_is_too_long() -> Result<()> {
    by_request("GET", &mp(&format!("SMS_MP/{}", "x".repeat(8200))), &[], RefusalKind::UriTooLong).await
}

#[tokio::test]
async fn a_head_that_is_too_large() -> Result<()> {
    let field = format!("X-Test-Long: {}", "x".repeat(33_000));
    by_request("GET", &mp("SMS_MP/x"), &[&field], RefusalKind::HeaderTooLarge).await
}

#[tokio::test]
async fn too_many_fields() -> Result<()> {
    let fields: Vec<String> = (0..101).map(|number| format!("X-Test-{number}: x")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    by_request("GET", &mp("SMS_MP/x"), &fields, RefusalKind::HeaderTooLarge).await
}

/// Sends these bytes and expects one refusal and the end of the connection.
async fn by_bytes(bytes: &str, kind: RefusalKind) -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    let answer = connection.exchange(bytes).await?;
    refused(&stack, &answer, kind).await?;
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn a_host_that_is_not_ours() -> Result<()> {
    by_bytes(&format!("GET {} HTTP/1.1\r\nHost: bank.example\r\n\r\n", mp("SMS_MP/x")), RefusalKind::MisdirectedRequest)
        .await
}

#[tokio::test]
async fn an_older_version_of_http() -> Result<()> {
    by_bytes(&format!("GET {} HTTP/1.0\r\n\r\n", mp("SMS_MP/x")), RefusalKind::VersionNotSupported).await
}

#[tokio::test]
async fn a_head_that_never_ends() -> Result<()> {
    by_bytes(&format!("GET {} HTTP/1.1\r\nHost: ", mp("SMS_MP/x")), RefusalKind::RequestTimeout).await
}

/// Heads and bodies that two readers could understand differently: 400, and never a second answer.
#[tokio::test]
async fn ambiguous_framing_ends_the_connection() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let (target, smuggled) = (mp("SMS_MP/x"), request("GET", &mp("SMS_MP/smuggled"), &[]));
    let host = "Host: gateway.example.net\r\n";
    let cases = [
        format!("POST {target} HTTP/1.1\r\n{host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc{smuggled}"),
        format!("POST {target} HTTP/1.1\r\n{host}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc{smuggled}"),
        format!(
            "POST {target} HTTP/1.1\r\n{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!("POST {target} HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!(
            "POST {target} HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!("POST {target} HTTP/1.1\r\n{host}Content-Length: +3\r\n\r\nabc{smuggled}"),
        format!("POST {target} HTTP/1.1\r\n{host}Content-Length : 3\r\n\r\nabc{smuggled}"),
        format!("GET {target} HTTP/1.1\n{host}\n{smuggled}"),
        format!("GET {target} HTTP/1.1\r\n{host}X-Test: a\r\n b\r\n\r\n{smuggled}"),
        format!("GET {target} HTTP/1.1\r\n{host}{host}\r\n{smuggled}"),
        format!("GET {target} HTTP/1.1\r\n\r\n{smuggled}"),
        format!("GET {target} HTTP/1.1\r\n{host}X-Test: a\rb\r\n\r\n{smuggled}"),
        format!("GET {target} HTTP/1.1\r\n{host}X Test: a\r\n\r\n{smuggled}"),
    ];
    for case in cases {
        let mut connection = RawConnection::open(&stack.client()?).await?;
        let answer = connection.exchange(&case).await?;
        refused(&stack, &answer, RefusalKind::BadRequest).await.map_err(|error| error.context(case.clone()))?;
        connection.expect_end().await.map_err(|error| error.context(case.clone()))?;
    }
    assert!(stack.seen_at_role("smuggled").await?.is_empty());
    stack.finish().await
}

#[tokio::test]
async fn malformed_chunks_end_the_connection() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for chunks in
        ["zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\nabc\n0\n\n", "-1\r\n\r\n", "fffffffffffffffff\r\n"]
    {
        let mut connection = RawConnection::open(&stack.client()?).await?;
        connection.write(request("POST", "/open/x", &["Transfer-Encoding: chunked"])).await?;
        let answer = connection.exchange(chunks).await?;
        refused(&stack, &answer, RefusalKind::BadRequest).await.map_err(|error| error.context(chunks))?;
        connection.expect_end().await?;
    }
    stack.finish().await
}
