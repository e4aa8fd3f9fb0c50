//! Raw answer heads, one by one, and properties of all of them.
#![allow(clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::http1::fuzzing::fuzz_answer_head;
use AnswerBody::{Chunked, Known, None as NoBody, UntilClose};

fn take(raw: &[u8], method: &[u8]) -> Result<Option<AnswerHead>, HeadFault> {
    for piece in [1, 3, 200] {
        fuzz_answer_head(&[&[piece, u8::from(method != b"HEAD")], raw].concat());
    }
    take_answer_head(&mut BytesMut::from(raw), method)
}

#[test]
fn the_text_tells_its_bound() {
    assert!(HEAD_TOO_LARGE.detail.contains(&limits::ANSWER_HEAD.to_string()));
}

#[test]
fn bodies_and_persistence() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", Known(5), Some(5), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", Known(0), Some(0), true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", Chunked, None, true),
        ("HTTP/1.1 200 OK\r\n\r\n", "GET", UntilClose, None, false),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", "GET", UntilClose, None, false),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n", "POST", Known(5), Some(5), false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", NoBody, Some(5), true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD", NoBody, None, true),
        ("HTTP/1.1 200 OK\r\n\r\n", "HEAD", NoBody, None, true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", NoBody, Some(5), true),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", "GET", NoBody, None, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", "POST", NoBody, None, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "POST", NoBody, None, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "POST", NoBody, None, false),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "POST", NoBody, None, false),
        ("HTTP/1.1 100 Continue\r\n\r\n", "POST", NoBody, None, true),
        ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "GET", NoBody, None, true),
        ("HTTP/1.0 200 OK\r\n\r\n", "GET", UntilClose, None, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", Known(5), Some(5), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n", "GET", Known(5), Some(5), true),
        ("HTTP/1.1 206 Partial Content\r\nContent-Length: 9\r\n\r\n", "GET", Known(9), Some(9), true),
        ("HTTP/1.1 207 Multi-Status\r\nTransfer-Encoding: Chunked\r\n\r\n", "PROPFIND", Chunked, None, true),
        (
            "HTTP/1.1 200 OK\r\nHost: a\r\nHost: b\r\nExpect: x\r\nContent-Length: 1\r\n\r\n",
            "GET",
            Known(1),
            Some(1),
            true,
        ),
        ("HTTP/1.1 599 \r\nContent-Length: 1\r\n\r\n", "GET", Known(1), Some(1), true),
    ];
    for (raw, method, body, length, keep_alive) in cases {
        let head = take(raw.as_bytes(), method.as_bytes()).unwrap_or_else(|fault| panic!("{raw:?}: {fault}")).unwrap();
        assert_eq!((head.body, head.content_length, head.keep_alive), (body, length, keep_alive), "{raw:?}");
    }
}

#[test]
fn phrases_are_kept() {
    let cases: [(&[u8], &[u8]); 7] = [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"OK"),
        (b"HTTP/1.1 200 \r\n\r\n", b""),
        (b"HTTP/1.1 200\r\n\r\n", b""),
        (b"HTTP/1.1 200  two\tspaces \r\n\r\n", b" two\tspaces "),
        (b"HTTP/1.1 403 Client certificate required\r\n\r\n", b"Client certificate required"),
        (b"HTTP/1.1 200 \xff\xfe\r\n\r\n", b"\xff\xfe"),
        (b"HTTP/1.0 404 Nicht gefunden\r\n\r\n", b"Nicht gefunden"),
    ];
    for (raw, reason) in cases {
        assert_eq!(take(raw, b"GET").unwrap().unwrap().reason, reason);
    }
}

#[test]
fn refused_answers() {
    let cases: [&[u8]; 42] = [
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1\t200 OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 O\rK\r\n\r\n",
        b"HTTP/1.1 200 O\x7fK\r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 200 OK\r\nA: b\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"<html>",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ];
    for raw in cases {
        let fault = take(raw, b"GET").expect_err(&String::from_utf8_lossy(raw));
        assert!(!fault.detail.is_empty());
    }
}

#[test]
fn the_head_is_bounded() {
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(length - 24));
    assert!(take(head(limits::ANSWER_HEAD).as_bytes(), b"GET").unwrap().is_some());
    let over = take(head(limits::ANSWER_HEAD + 1).as_bytes(), b"GET").unwrap_err();
    assert_eq!(over.kind, HeadFaultKind::HeadTooLarge);
    let phrase = format!("HTTP/1.1 200 {}", "a".repeat(limits::ANSWER_HEAD));
    assert_eq!(take(phrase.as_bytes(), b"GET").unwrap_err().kind, HeadFaultKind::HeadTooLarge);
    let fields = format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(101));
    assert_eq!(take(fields.as_bytes(), b"GET").unwrap_err().kind, HeadFaultKind::HeadTooLarge);
}

#[test]
fn an_interim_answer_comes_before_the_final_one() {
    let mut buffer = BytesMut::from("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(take_answer_head(&mut buffer, b"POST").unwrap().unwrap().status, 100);
    assert_eq!(take_answer_head(&mut buffer, b"POST").unwrap().unwrap().status, 201);
    assert_eq!(buffer, "ok");
}

fn answers() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        6 => Just("HTTP/1.1 200 OK\r\n"), 1 => Just("HTTP/1.1 204 \r\n"), 1 => Just("HTTP/1.1 304\r\n"),
        1 => Just("HTTP/1.0 200 OK\r\n"), 1 => Just("HTTP/1.1 100 Continue\r\n"), 1 => Just("HTTP/1.1 500 \u{fc}\r\n"),
    ];
    let line = prop_oneof![
        Just("Content-Length: 5\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("Connection: close\r\n"),
        Just("Connection: keep-alive, x-a\r\n"),
        Just("X-CMG-Error: x\r\n"),
        Just("x-a: b\r\n"),
        Just("Location: /\r\n"),
        Just(" fold\r\n"),
        Just("\n"),
        Just("\r\n"),
    ];
    (any::<u8>(), any::<u8>(), start, prop::collection::vec(line, 0..6)).prop_map(|(piece, method, start, lines)| {
        [&[piece % 24, method], start.as_bytes(), lines.concat().as_bytes(), b"\r\n"].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz_answer_head(&data);
    }

    #[test]
    fn nearly_right_answers(data in answers()) {
        fuzz_answer_head(&data);
    }
}
