//! A role's answer passes as it is: status, fields, bytes, ends and trailers (G-18 to G-21, G-24).

use anyhow::{Context, Result};
use cmg_client::{Request, RequestBody};
use cmg_core::refusal::RefusalKind;
use cmg_e2e::raw_client::{RawAnswer, RawConnection};
use cmg_e2e::{Stack, mp};

use crate::expect::{ask, request};

/// What the role sends when it is asked for something at the management point.
async fn told(stack: &Stack, method: &str, behaviour: &str, lines: &[&str]) -> Result<RawAnswer> {
    ask(stack, method, &mp(&format!("SMS_MP/_/{behaviour}")), lines).await
}

#[tokio::test]
async fn bodies_of_every_framing_are_whole() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for behaviour in ["huge?bytes=300000", "huge?bytes=300000&framing=chunked", "until-close?bytes=300000&how=clean"] {
        let answer = told(&stack, "GET", behaviour, &[]).await?;
        assert_eq!((answer.status, answer.body.len()), (200, 300_000), "{behaviour}");
        let digest = told(&stack, "GET", "digest?bytes=300000", &[]).await?;
        let digest: serde_json::Value = serde_json::from_slice(&digest.body)?;
        assert_eq!(digest["sha256"], sha256(&answer.body), "{behaviour}");
        let length = answer.field("content-length").is_some();
        assert_eq!(length, behaviour == "huge?bytes=300000", "{behaviour}: {:?}", answer.fields);
    }
    stack.finish().await
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn an_empty_200_stays_an_empty_200() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let answer = told(&stack, "GET", "status/200", &[]).await?;
    assert_eq!((answer.status, answer.reason.as_str(), answer.body.len()), (200, "OK", 0));
    assert_eq!(answer.field("content-length"), Some("0"));
    stack.finish().await
}

#[tokio::test]
async fn head_keeps_its_content_length() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let answer = told(&stack, "HEAD", "static/a?bytes=123456", &[]).await?;
    assert_eq!((answer.status, answer.field("content-length")), (200, Some("123456")));
    assert_eq!(answer.field("accept-ranges"), Some("bytes"));
    stack.finish().await
}

#[tokio::test]
async fn answers_without_a_body_end_at_their_head() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    for status in [204, 304] {
        let answer = connection.exchange(request("GET", &mp(&format!("SMS_MP/_/status/{status}")), &[])).await?;
        assert_eq!((answer.status, answer.body.len()), (status, 0));
        assert_eq!(answer.field("transfer-encoding"), None);
    }
    let tag = told(&stack, "HEAD", "static/a", &[]).await?.field("etag").unwrap().to_owned();
    let known = told(&stack, "GET", "static/a", &[&format!("If-None-Match: {tag}")]).await?;
    assert_eq!((known.status, known.field("etag")), (304, Some(tag.as_str())));
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn ranges_and_multistatus_pass() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let part = told(&stack, "GET", "static/a?bytes=5000", &["Range: bytes=100-199"]).await?;
    assert_eq!((part.status, part.body.len()), (206, 100));
    assert_eq!(part.field("content-range"), Some("bytes 100-199/5000"));
    let several = told(&stack, "GET", "static/a?bytes=5000", &["Range: bytes=0-9,20-29"]).await?;
    assert!(several.field("content-type").unwrap().starts_with("multipart/byteranges"), "{several:?}");
    let beyond = told(&stack, "GET", "static/a?bytes=5000", &["Range: bytes=6000-"]).await?;
    assert_eq!((beyond.status, beyond.field("content-range")), (416, Some("bytes */5000")));
    let multi = told(&stack, "PROPFIND", "status/207?bytes=40", &["Depth: 1"]).await?;
    assert_eq!((multi.status, multi.body.len()), (207, 40));
    stack.finish().await
}

#[tokio::test]
async fn a_failing_role_is_named_in_the_reason_phrase() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let cases = [
        ("status/404?reason=Not%20Here%20Either", 404, "CMGConnector_NotHereEither"),
        ("status/403", 403, "CMGConnector_Forbidden"),
        ("status/500?reason=", 500, "CMGConnector_InternalServerError"),
        ("status/401", 401, "CMGConnector_Unauthorized"),
        ("status/302", 302, "Found"),
        ("status/200?reason=Fine", 200, "Fine"),
    ];
    for (behaviour, status, reason) in cases {
        let answer = told(&stack, "GET", behaviour, &[]).await?;
        assert_eq!((answer.status, answer.reason.as_str()), (status, reason));
        assert_eq!(answer.field("x-cmg-error"), None, "the role decided, not we");
    }
    let body = told(&stack, "GET", "status/500?bytes=77&field=X-Role-Own:kept", &[]).await?;
    assert_eq!((body.body.len(), body.field("x-role-own")), (77, Some("kept")));
    stack.finish().await
}

#[tokio::test]
async fn a_redirect_is_passed_on_and_not_followed() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let answer = told(&stack, "GET", "redirect?to=https://elsewhere.example/a%20b&status=307", &[]).await?;
    assert_eq!((answer.status, answer.field("location")), (307, Some("https://elsewhere.example/a b")));
    stack.finish().await
}

#[tokio::test]
async fn trailers_pass_where_asked_for_and_are_counted_elsewhere() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let asked = told(&stack, "GET", "trailers?field=X-Role-Sum:42&n=0", &["TE: trailers", "Connection: TE"]).await?;
    assert!(asked.trailers.contains(&("X-Role-Sum".to_owned(), "42".to_owned())), "{asked:?}");
    let unasked = told(&stack, "GET", "trailers?field=X-Role-Sum:42&n=0", &[]).await?;
    assert_eq!(unasked.trailers, []);
    let dropped = |metrics: &cmg_e2e::metrics::Metrics| metrics.sum("cmg_trailers_dropped_total", &[]) >= 1.0;
    stack.gateway_admin()?.wait_for_metrics("that a dropped trailer is counted", dropped).await?;
    stack.finish().await
}

/// A client that asks for trailers gets those that the head had named, and no others.
#[tokio::test]
async fn a_trailer_that_the_head_did_not_name_is_dropped_and_counted() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let behaviour = "trailers?field=X-Role-Sum:42&announce=no";
    let asked = told(&stack, "GET", behaviour, &["TE: trailers", "Connection: TE"]).await?;
    assert_eq!((asked.text().as_str(), asked.trailers), ("body", Vec::new()));
    let dropped = |metrics: &cmg_e2e::metrics::Metrics| metrics.sum("cmg_trailers_dropped_total", &[]) == 1.0;
    stack.gateway_admin()?.wait_for_metrics("that the dropped trailer is counted", dropped).await?;
    stack.finish().await
}

#[tokio::test]
async fn interim_answers_of_a_role_are_dropped() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    connection.write(request("GET", &mp("SMS_MP/_/interim?status=103&status=102"), &[])).await?;
    assert_eq!(connection.head().await?.status, 200);
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn odd_fields_pass_byte_for_byte_and_ours_do_not() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let repeated = told(&stack, "GET", "fields?kind=repeated&n=3", &[]).await?;
    let cookies: Vec<_> = repeated.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).collect();
    assert_eq!(cookies.len(), 3, "{repeated:?}");
    assert!(cookies.windows(2).all(|pair| pair[0].1 < pair[1].1), "order: {cookies:?}");
    let empty = told(&stack, "GET", "fields?kind=empty", &[]).await?;
    assert_eq!(empty.field("x-empty"), Some(""));
    let many = told(&stack, "GET", "fields?kind=many&n=90", &[]).await?;
    assert_eq!(many.field("x-many-89"), Some("89"));
    let long = told(&stack, "GET", "fields?kind=long&n=20000", &[]).await?;
    assert_eq!(long.field("x-long").map(str::len), Some(20_000));
    let forged = told(&stack, "GET", "fields?kind=cmg", &[]).await?;
    assert_ne!(forged.field("x-cmg-request-id"), Some("forged"));
    assert_eq!((forged.field("x-cmg-error"), forged.field("x-hop")), (None, None));
    assert_eq!(forged.field("location"), Some("https://inside.example/"));
    stack.finish().await
}

/// What breaks before anything was passed on may still become a refusal that says whose fault it was.
fn refused(status: u16, code: Option<&str>) -> bool {
    status == 502 && code.is_some_and(|code| code.starts_with("CMGConnector_"))
}

/// However it breaks, the client cannot take the answer for complete.
#[tokio::test]
async fn an_answer_that_breaks_off_is_cut() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let broken = [
        "abort?at=body&bytes=1000",
        "abort?at=body&bytes=1000&framing=chunked",
        "abort?at=body&bytes=1000&how=reset",
        "abort?at=body&bytes=1000&how=clean",
        "until-close?bytes=1000&how=close",
        "lengths?kind=short",
        "lengths?kind=bad-chunk",
    ];
    for behaviour in broken {
        let target = mp(&format!("SMS_MP/_/{behaviour}"));
        let mut connection = RawConnection::open(&stack.client()?).await?;
        connection.write(request("GET", &target, &[])).await?;
        if let Ok(answer) = connection.answer("GET").await {
            let code = answer.field("x-cmg-error");
            assert!(refused(answer.status, code), "{behaviour} over HTTP/1.1 looks complete: {answer:?}");
        }
        let mut connection = stack.http2_client()?.connect().await?;
        let read = async { connection.send(Request::get(&target)).await?.whole().await };
        if let Ok(answer) = read.await {
            let code = answer.field("x-cmg-error");
            assert!(refused(answer.status, code), "{behaviour} over HTTP/2 looks complete: {answer:?}");
        }
    }
    stack.finish().await
}

/// Its status had left as 200: the code of what cut it stands in the log and in the metrics.
#[tokio::test]
async fn an_answer_that_is_cut_is_counted_under_its_code() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    // So much that its head has left long before the end.
    connection.write(request("GET", &mp("SMS_MP/_/abort?at=body&bytes=1000000"), &[])).await?;
    assert!(connection.answer("GET").await.is_err(), "it looks complete");
    let seen = stack.wait_at_role("abort", "ended", 1).await?;
    let code = RefusalKind::RoleAborted.code();
    let line = stack.exchange_line(seen[0]["id"].as_str().context("no id at the role")?).await?;
    assert_eq!((&line["outcome"], &line["status"], &line["code"]), (&"cut".into(), &200.into(), &code.into()));
    let label = format!("code=\"{code}\"");
    let counted = |metrics: &cmg_e2e::metrics::Metrics| metrics.sum("cmg_refusals_total", &[&label]) == 1.0;
    stack.gateway_admin()?.wait_for_metrics("that the cut answer is counted", counted).await?;
    drop(connection);
    stack.finish().await
}

/// The head of an answer waits for nothing either: the role has sent no byte of the body, because it has none.
#[tokio::test]
async fn a_head_reaches_the_client_before_the_first_byte_of_the_body() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for client in [stack.client()?, stack.http2_client()?] {
        let mut connection = client.connect().await?;
        let (writer, body) = RequestBody::streamed(Some(4));
        let reply = connection.send(Request::new("POST", "/open/_/mirror").body(body)).await?;
        assert_eq!(reply.status, 200, "{:?}", reply.fields);
        assert!(writer.write("body").await);
        drop(writer);
        assert_eq!(reply.whole().await?.text(), "body");
    }
    stack.finish().await
}

/// Nothing of a role's answer may wait for more of it.
#[tokio::test]
async fn a_byte_written_by_the_role_reaches_the_client_at_once() -> Result<()> {
    let stack = Stack::builder().start().await?;
    for client in [stack.client()?, stack.http2_client()?] {
        let mut connection = client.connect().await?;
        let mut reply = connection.send(Request::get(&mp("SMS_MP/_/slow?pieces=5&piece=1&hold=bytes"))).await?;
        for piece in 0..5 {
            if piece > 0 {
                stack.release("bytes", 1).await?;
            }
            assert_eq!(reply.next().await?.map(|data| data.len()), Some(1), "piece {piece}");
        }
        assert_eq!(reply.next().await?, None);
    }
    stack.finish().await
}

/// One connection, many requests: what follows an answer is the next answer.
#[tokio::test]
async fn a_connection_is_used_again() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    let behaviours =
        ["huge?bytes=70000", "status/204", "huge?bytes=1&framing=chunked", "chunks?count=20&size=1&writes=each"];
    for behaviour in behaviours.iter().cycle().take(40) {
        let answer = connection.exchange(request("GET", &mp(&format!("SMS_MP/_/{behaviour}")), &[])).await?;
        assert!(answer.status < 300, "{behaviour}: {answer:?}");
    }
    drop(connection);
    stack.finish().await
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() -> Result<()> {
    let stack = Stack::builder().start().await?;
    let mut connection = RawConnection::open(&stack.client()?).await?;
    let requests: String =
        (0..10).map(|number| request("GET", &mp(&format!("SMS_MP/pipelined/{number}")), &[])).collect();
    connection.write(requests).await?;
    for number in 0..10 {
        let answer = crate::expect::echoed(&connection.answer("GET").await?)?;
        assert_eq!(answer["target"], format!("/SMS_MP/pipelined/{number}"));
    }
    drop(connection);
    stack.finish().await
}
