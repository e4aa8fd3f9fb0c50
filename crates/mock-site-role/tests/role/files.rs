//! A file with conditions and ranges.

use cmg_mock_site_role::content;

use crate::stack::Stack;

const FILE: &str = "/SMS_DP_SMSPKG$/_/static/boot.wim?bytes=1000&seed=3";

#[tokio::test]
async fn the_whole_and_its_head() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    let whole = client.get(FILE).await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, &content::piece(3, 0, 1000)[..]));
    assert_eq!(whole.field("accept-ranges"), "bytes");
    let head = client.ask("HEAD", FILE, "").await;
    assert_eq!((head.status, head.field("content-length")), (200, "1000".to_owned()));
    assert_eq!(client.ask("POST", FILE, "").await.field("allow"), "GET, HEAD");
    for condition in [
        format!("If-None-Match: {}", whole.field("etag")),
        format!("If-Modified-Since: {}", whole.field("last-modified")),
    ] {
        let known = client.ask("GET", FILE, &format!("{condition}\r\n")).await;
        assert_eq!((known.status, known.body.len()), (304, 0));
    }
}

#[tokio::test]
async fn parts() {
    let stack = Stack::start("").await;
    let mut client = stack.client().await;
    let part = client.ask("GET", FILE, "Range: bytes=10-19\r\n").await;
    assert_eq!((part.status, part.field("content-range")), (206, "bytes 10-19/1000".to_owned()));
    assert_eq!(part.body, content::piece(3, 10, 10));
    let none = client.ask("GET", FILE, "Range: bytes=1000-\r\n").await;
    assert_eq!((none.status, none.field("content-range")), (416, "bytes */1000".to_owned()));
    let changed = client.ask("GET", FILE, "Range: bytes=10-19\r\nIf-Range: \"other\"\r\n").await;
    assert_eq!((changed.status, changed.body.len()), (200, 1000));
    let same = client.ask("GET", FILE, &format!("Range: bytes=-5\r\nIf-Range: {}\r\n", part.field("etag"))).await;
    assert_eq!((same.status, same.body), (206, content::piece(3, 995, 5).to_vec()));
}

#[tokio::test]
async fn several_parts_in_one_answer() {
    let stack = Stack::start("").await;
    let answer = stack.client().await.ask("GET", FILE, "Range: bytes=0-1,998-\r\n").await;
    assert_eq!(answer.status, 206);
    let boundary = answer.field("content-type").split_once("boundary=").unwrap().1.to_owned();
    let part = |range: &str, from, length| {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {range}/1000\r\n\r\n"
        );
        [head.as_bytes(), &content::piece(3, from, length)].concat()
    };
    let end = format!("\r\n--{boundary}--\r\n");
    assert_eq!(answer.body, [part("0-1", 0, 2), part("998-999", 998, 2), end.into_bytes()].concat());
}
