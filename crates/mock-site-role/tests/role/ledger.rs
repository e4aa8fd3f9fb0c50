//! What the ledger and the gauges say.

use crate::stack::Stack;

#[tokio::test]
async fn a_cut_upload_is_told_from_a_whole_one() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    client.send("POST /up HTTP/1.1\r\nHost: r\r\nX-CMG-Request-Id: cut\r\nContent-Length: 10\r\n\r\nhello").await;
    let (status, page) = stack.admin("GET /_ledger/wait?id=cut&body=5").await;
    assert_eq!((status, &page["entries"][0]["body_complete"]), (200, &false.into()));
    drop(client);
    let entry = stack.entry("cut", "cut").await;
    assert_eq!((&entry["body_length"], &entry["status"]), (&5.into(), &serde_json::Value::Null));

    let mut client = stack.client().await;
    client.ask("POST", "/up", "X-CMG-Request-Id: whole\r\nContent-Length: 0\r\n").await;
    let entry = stack.entry("whole", "complete").await;
    assert_eq!(
        (&entry["status"], &entry["body_complete"], &entry["target"]),
        (&200.into(), &true.into(), &"/up".into())
    );
    assert_eq!(entry["fields"][1], serde_json::json!(["X-CMG-Request-Id", "whole"]));
}

#[tokio::test]
async fn a_reader_that_leaves_cuts_the_answer() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    client.send("GET /_/huge?bytes=1000000000 HTTP/1.1\r\nHost: r\r\nX-CMG-Request-Id: left\r\n\r\n").await;
    client.head().await;
    drop(client);
    assert!(stack.entry("left", "cut").await["answer_bytes"].as_u64().unwrap() < 1_000_000_000);
    let mut waiting = stack.client().await;
    waiting.send("GET /_/poll HTTP/1.1\r\nHost: r\r\nX-CMG-Request-Id: poll\r\n\r\n").await;
    stack.admin("GET /_gates/wait?key=poll").await;
    drop(waiting);
    stack.entry("poll", "cut").await;
    assert_eq!(stack.admin("GET /_gates").await.1["waiting"], serde_json::json!({}));
}

#[tokio::test]
async fn totals_outlive_the_entries() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    for _ in 0..3 {
        client.get("/x").await;
    }
    stack.admin("GET /_ledger/wait?until=complete&count=3").await;
    assert_eq!(stack.admin("POST /_ledger/clear").await.0, 200);
    assert_eq!(stack.admin("GET /_ledger").await.1["entries"], serde_json::json!([]));
    let totals = stack.admin("GET /_ledger/totals").await.1;
    assert_eq!((&totals["requests"], &totals["answered"], &totals["open_requests"]), (&3.into(), &3.into(), &0.into()));
    assert_eq!(totals["open_connections"], 1);
    assert_eq!(stack.admin("GET /status").await.1["ledger"]["requests"], 3);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_explained() {
    let stack = Stack::start("").await;
    let (status, page) = stack.admin("GET /_ledger?until=soon").await;
    assert_eq!(status, 400);
    assert!(page["problem"].as_str().unwrap().contains("begun, body"));
    assert_eq!(stack.admin("GET /_ledger/wait?id=nobody&within=1").await.0, 504);
}
