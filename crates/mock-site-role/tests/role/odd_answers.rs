//! Answers that are written by hand are written exactly so.

use cmg_mock_site_role::content;

use crate::client::{Client, Ended};
use crate::stack::Stack;

/// Sends a request, and gives everything that comes until the connection ends.
async fn all(stack: &Stack, target: &str) -> (String, Ended) {
    let mut client = stack.client().await;
    client.send(format!("GET {target} HTTP/1.1\r\nHost: role\r\n\r\n")).await;
    let (bytes, ended) = client.rest().await;
    (bytes.into_iter().map(char::from).collect(), ended)
}

async fn begin(stack: &Stack, request: &str) -> Client {
    let mut client = stack.client().await;
    client.send(request).await;
    client
}

#[tokio::test]
async fn any_status_with_any_phrase() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    let mut line = async |target: &str| client.get(target).await.head.lines().next().unwrap().to_owned();
    assert_eq!(line("/_/status/404").await, "HTTP/1.1 404 Not Found");
    assert_eq!(line("/_/status/503?reason=Come%20Back%20L%e4ter").await, "HTTP/1.1 503 Come Back L\u{e4}ter");
    assert_eq!(line("/_/status/500?reason=").await, "HTTP/1.1 500 ");
    assert_eq!(line("/_/status/204").await, "HTTP/1.1 204 No Content");
    let answer = client.get("/_/status/207?bytes=4&field=DAV:1&field=X-A:%20b").await;
    assert_eq!((answer.body.len(), answer.field("dav"), answer.field("x-a")), (4, "1".to_owned(), "b".to_owned()));
    let redirect = client.get("/_/redirect?to=https://inside.example/x&status=307").await;
    assert_eq!((redirect.status, redirect.field("location")), (307, "https://inside.example/x".to_owned()));
}

#[tokio::test]
async fn early_answers_come_before_the_body() {
    let stack = Stack::start("").await;
    let head = |after| {
        format!(
            "POST /_/early?status=413&after={after} HTTP/1.1\r\nHost: r\r\nX-CMG-Request-Id: {after}\r\nContent-Length: 4\r\n\r\n"
        )
    };
    let mut reads = begin(&stack, &head("read")).await;
    assert_eq!(reads.answer(false).await.status, 413);
    reads.send("bodyGET /next HTTP/1.1\r\nHost: r\r\n\r\n").await;
    assert_eq!(reads.answer(false).await.json()["target"], "/next");
    assert_eq!(stack.entry("read", "ended").await["body_length"], 4);

    let mut closes = begin(&stack, &head("close")).await;
    assert_eq!(closes.answer(false).await.status, 413);
    assert_eq!(closes.rest().await.1, Ended::Clean);

    let mut stops = begin(&stack, &head("stop")).await;
    assert_eq!(stops.answer(false).await.status, 413);
    stops.send("body").await;
    drop(stops);
    let entry = stack.entry("stop", "ended").await;
    assert_eq!((&entry["answer"], &entry["body_length"]), (&"complete".into(), &0.into()));
}

#[tokio::test]
async fn breaking_off_in_every_place() {
    let stack = Stack::start("").await;
    let (text, ended) = all(&stack, "/_/abort?at=body&bytes=7").await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.ends_with("Content-Length: 15"), "{head}");
    assert_eq!((body.chars().count(), ended), (7, Ended::Cut));
    assert_eq!(all(&stack, "/_/abort?at=before").await, (String::new(), Ended::Cut));
    assert_eq!(all(&stack, "/_/abort?at=before&how=clean").await, (String::new(), Ended::Clean));
    assert_eq!(all(&stack, "/_/abort?at=before&how=reset").await, (String::new(), Ended::Reset));
    let (text, ended) = all(&stack, "/_/abort?at=head").await;
    assert!(text.starts_with("HTTP/1.1 200 OK") && !text.contains("\r\n\r\n"));
    assert_eq!(ended, Ended::Cut);
    let (text, _) = all(&stack, "/_/abort?framing=chunked&bytes=16").await;
    assert!(text.contains("\r\n\r\n10\r\n") && !text.contains("0\r\n\r\n0"), "{text}");
}

#[tokio::test]
async fn odd_fields_are_written_as_they_are() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    let mut head = async |target: &str| client.get(target).await.head;
    assert!(head("/_/fields?kind=case").await.contains("\r\nx-MiXeD-CaSe: Kept\r\n"));
    assert_eq!(head("/_/fields?kind=many&n=90").await.matches("X-Many-").count(), 90);
    assert!(head("/_/fields?kind=long&n=9000").await.len() > 9000);
    assert!(head("/_/fields?kind=non-ascii").await.contains("X-Latin1: caf\u{e9}\r\n"));
    assert!(head("/_/fields?kind=cmg").await.contains("X-CMG-Request-Id: forged"));
    for (kind, line) in
        [("folded", "one\r\n two"), ("space", "X-Space :"), ("nul", "a\0b"), ("bare-lf", "value\nX-Other")]
    {
        assert!(head(&format!("/_/fields?kind={kind}")).await.contains(line), "{kind}");
    }
}

#[tokio::test]
async fn interim_answers_trailers_and_chunks() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    client.send("GET /_/interim?status=102&status=103&field=Link:%20x HTTP/1.1\r\nHost: role\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 102 Interim\r\nLink: x\r\n\r\n");
    assert!(client.head().await.starts_with("HTTP/1.1 103"));
    assert_eq!(client.answer(false).await.body, b"final");

    client.send("GET /_/trailers?n=2 HTTP/1.1\r\nHost: role\r\n\r\n").await;
    assert!(client.head().await.contains("Trailer: X-Trailer-0, X-Trailer-1"));
    assert!(client.head().await.ends_with("0\r\nX-Trailer-0: value 0\r\nX-Trailer-1: value 1\r\n\r\n"));

    client.send("GET /_/chunks?count=3&size=1&writes=each&extension=a HTTP/1.1\r\nHost: role\r\n\r\n").await;
    client.head().await;
    let body = client.take(3 * 8 + 5).await;
    assert!(body.starts_with(b"1;a\r\n") && body.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn bodies_that_end_with_the_connection() {
    let stack = Stack::start("").await;
    for (how, expected) in [("clean", Ended::Clean), ("close", Ended::Cut)] {
        let mut client =
            begin(&stack, &format!("GET /_/until-close?bytes=70000&how={how} HTTP/1.1\r\nHost: r\r\n\r\n")).await;
        assert!(!client.head().await.contains("Length"));
        let (body, ended) = client.rest().await;
        assert_eq!((body.as_slice(), ended), (&content::piece(0, 0, 70_000)[..], expected));
    }
}

#[tokio::test]
async fn wrong_framing_and_garbage() {
    let stack = Stack::start("").await;
    let mut client = begin(&stack, "GET /_/lengths?kind=conflicting HTTP/1.1\r\nHost: r\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n");
    let mut client = begin(&stack, "GET /_/lengths?kind=with-chunked HTTP/1.1\r\nHost: r\r\n\r\n").await;
    assert!(client.head().await.contains("Transfer-Encoding: chunked"));
    let (text, ended) = all(&stack, "/_/lengths?kind=short").await;
    assert!(text.ends_with("Content-Length: 10\r\n\r\nhello"));
    assert_eq!(ended, Ended::Clean);
    let mut client = begin(&stack, "GET /_/garbage?kind=text HTTP/1.1\r\nHost: r\r\nX-CMG-Request-Id: g\r\n\r\n").await;
    assert!(client.head().await.starts_with("SSH-2.0"));
    drop(client);
    assert_eq!(stack.entry("g", "ended").await["answer"], "cut");
}

#[tokio::test]
async fn never_is_never() {
    let stack = Stack::start("").await;
    let silent = begin(&stack, "GET /_/never HTTP/1.1\r\nHost: r\r\nX-CMG-Request-Id: n\r\n\r\n").await;
    assert_eq!(stack.entry("n", "body").await["answer"], "none");
    drop(silent);
    assert_eq!(stack.entry("n", "cut").await["answer"], "cut");
    let mut stalled = begin(&stack, "GET /_/never?after=3 HTTP/1.1\r\nHost: r\r\n\r\n").await;
    assert!(stalled.head().await.contains("Content-Length: 4"));
    assert_eq!(stalled.take(3).await.len(), 3);
}
