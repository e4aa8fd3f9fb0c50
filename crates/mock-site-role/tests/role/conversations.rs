//! Well-formed exchanges: what came is told exactly, and what is sent is streamed.

use cmg_mock_site_role::content;

use crate::client::Ended;
use crate::stack::Stack;

#[tokio::test]
async fn echo_tells_every_byte() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    client
        .send(
            b"CCM_POST /CCM_Incoming/{4F2C}/a%2Fb?MPLIST&x={y} HTTP/1.1\r\nhOST: role\r\nX-B: 2\r\nx-a: caf\xe9\r\nX-B: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        )
        .await;
    let answer = client.answer(false).await;
    let told = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(told["method"], "CCM_POST");
    assert_eq!(told["target"], "/CCM_Incoming/{4F2C}/a%2Fb?MPLIST&x={y}");
    assert_eq!(
        told["fields"],
        serde_json::json!([
            ["hOST", "role"],
            ["X-B", "2"],
            ["x-a", "caf\u{e9}"],
            ["X-B", "1"],
            ["Transfer-Encoding", "chunked"]
        ])
    );
    assert_eq!((&told["body_length"], &told["body_complete"]), (&5.into(), &true.into()));
    assert_eq!(told["body_sha256"], "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    for method in ["PROPFIND", "BITS_POST", "GET"] {
        assert_eq!(client.ask(method, "/x", "").await.json()["method"], method);
    }
}

#[tokio::test]
async fn a_mirror_answers_while_the_body_comes() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    client.send("POST /_/mirror HTTP/1.1\r\nHost: role\r\nContent-Length: 10\r\n\r\nfirst").await;
    assert!(client.head().await.contains("content-length: 10"));
    assert_eq!(client.take(5).await, b"first");
    client.send("later").await;
    assert_eq!(client.take(5).await, b"later");
}

#[tokio::test]
async fn a_mirror_sends_trailers_back() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    let head =
        "POST /_/mirror HTTP/1.1\r\nHost: role\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}2\r\nhi\r\n0\r\nX-Sum: 7\r\nX-CMG-Request-Id: late\r\n\r\n")).await;
    assert!(client.head().await.contains("transfer-encoding: chunked"));
    let expected = "2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n";
    assert_eq!(String::from_utf8(client.take(expected.len()).await).unwrap().to_lowercase(), expected);
    let page = stack.admin("GET /_ledger?until=ended&target=mirror").await.1;
    assert_eq!(page["entries"][0]["trailers"][0], "X-Sum: 7");
}

#[tokio::test]
async fn huge_is_what_its_digest_says() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    let answer = client.get("/x/_/huge?bytes=300001&seed=5").await;
    assert_eq!(answer.body, content::piece(5, 0, 300_001));
    let told = client.get("/_/digest?bytes=300001&seed=5").await.json();
    let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &answer.body);
    let hex: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told["sha256"], hex);
    client.send("GET /_/huge?bytes=3&framing=chunked HTTP/1.1\r\nHost: role\r\n\r\n").await;
    assert!(client.head().await.contains("transfer-encoding: chunked"));
    assert_eq!(client.take(13).await[..3], *b"3\r\n");
}

#[tokio::test]
async fn slow_sends_a_piece_each_time_it_is_let() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    client.send("GET /_/slow?pieces=3&piece=2&hold=gate&framing=length HTTP/1.1\r\nHost: role\r\n\r\n").await;
    assert!(client.head().await.contains("content-length: 6"));
    assert_eq!(client.take(2).await, content::piece(0, 0, 2));
    assert_eq!(stack.admin("GET /_gates/wait?key=gate").await.0, 200);
    assert_eq!(stack.client().await.get("/_/release?key=gate").await.status, 200);
    assert_eq!(client.take(2).await, content::piece(0, 2, 2));
    assert_eq!(stack.admin("POST /_release?key=gate").await.0, 200);
    assert_eq!(client.take(2).await, content::piece(0, 4, 2));
}

#[tokio::test]
async fn a_poll_waits_for_its_release() {
    let stack = Stack::start("").await;
    let (mut waiting, mut other) = (stack.client().await, stack.client().await);
    waiting.send("GET /_/poll?key=k HTTP/1.1\r\nHost: role\r\n\r\n").await;
    assert_eq!(stack.admin("GET /_gates/wait?key=k").await.1["waiting"]["k"], 1);
    other.get("/_/release?key=k").await;
    assert_eq!(waiting.answer(false).await.json()["released"], "k");
    assert_eq!(waiting.get("/_/poll?key=k&within=1").await.status, 204);
}

#[tokio::test]
async fn a_continue_is_sent_when_the_body_is_wanted() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    client.send("POST /x HTTP/1.1\r\nHost: role\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hi").await;
    assert_eq!(client.answer(false).await.json()["body_length"], 2);
}

#[tokio::test]
async fn a_wrong_wish_is_explained() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    let unknown = client.get("/_/hug").await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.json()["problem"].as_str().unwrap().contains("huge"));
    for target in ["/_/huge?bytes=many", "/_/abort?at=once", "/_/status/teapot"] {
        let wrong = client.get(target).await;
        assert_eq!(wrong.status, 400, "{target}");
        assert!(wrong.json()["problem"].as_str().unwrap().contains("write"), "{target}");
    }
    assert!(String::from_utf8(client.get("/_/help").await.body).unwrap().contains("until-close"));
}

#[tokio::test]
async fn what_hyper_refuses_is_refused() {
    let stack = Stack::start("").await;
    for bad in [
        "GET /x HTTP/1.1\r\nHost : role\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut client = stack.client().await;
        client.send(bad).await;
        let (rest, ended) = client.rest().await;
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{:?}", String::from_utf8_lossy(&rest));
        assert_ne!(ended, Ended::Reset);
    }
}
