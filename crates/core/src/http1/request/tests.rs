//! Raw heads, one by one, and properties of all heads.
#![allow(clippy::indexing_slicing)]

use proptest::prelude::*;

use super::super::head::TOO_MANY_FIELDS;
use super::*;
use crate::http1::fuzzing::fuzz_request_head;
use HeadFaultKind::{HeadTooLarge, Malformed, TargetTooLong, VersionNotSupported};

fn take(raw: &[u8]) -> Result<Option<RequestHead>, HeadFault> {
    // Every case is also tried in pieces: the fuzz body asserts that it makes no difference.
    for piece in [1, 2, 7] {
        fuzz_request_head(&[&[piece], raw].concat());
    }
    take_request_head(&mut BytesMut::from(raw))
}

#[test]
fn texts_tell_their_bounds() {
    let bounds = [
        (TARGET_TOO_LONG, limits::REQUEST_TARGET),
        (METHOD_TOO_LONG, limits::METHOD),
        (HEAD_TOO_LARGE, limits::REQUEST_HEAD),
        (TOO_MANY_FIELDS, limits::HEAD_FIELDS),
    ];
    for (fault, bound) in bounds {
        assert!(fault.detail.contains(&bound.to_string()), "{fault}");
    }
}

fn good(raw: &str) -> RequestHead {
    take(raw.as_bytes())
        .unwrap_or_else(|fault| panic!("{raw:?}: {fault}"))
        .unwrap_or_else(|| panic!("{raw:?}: not whole"))
}

/// A POST with these field lines beside Host.
fn with(lines: &str) -> Result<Option<RequestHead>, HeadFault> {
    take(format!("POST / HTTP/1.1\r\nHost: gw\r\n{lines}\r\n").as_bytes())
}

#[test]
fn a_head_is_taken_as_it_is() {
    let raw = "CCM_POST /CCM_Proxy_MutualAuth/72/sccm?/file HTTP/1.1\r\nHost: gw.example.net\r\n\
        SOAPAction:  \"x y\" \t\r\nbits-packet-type: Create-Session\r\nX_A: \u{e4}\r\nEmpty:\r\nContent-Length: 5\r\n\r\nhello";
    let mut buffer = BytesMut::from(raw);
    let head = take_request_head(&mut buffer).unwrap().unwrap();
    assert_eq!(head.method, "CCM_POST");
    assert_eq!(head.target, "/CCM_Proxy_MutualAuth/72/sccm?/file");
    assert_eq!(head.version, HttpVersion::Http11);
    assert_eq!(head.host.unwrap(), "gw.example.net");
    assert_eq!(head.body, BodyLength::Known(5));
    assert!(head.keep_alive && !head.expects_continue);
    let fields: Vec<_> = head.fields.iter().map(|field| (&field.name[..], &field.value[..])).collect();
    let expected: [(&[u8], &[u8]); 6] = [
        (b"Host", b"gw.example.net"),
        (b"SOAPAction", b"\"x y\""),
        (b"bits-packet-type", b"Create-Session"),
        (b"X_A", "\u{e4}".as_bytes()),
        (b"Empty", b""),
        (b"Content-Length", b"5"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(buffer, "hello");
}

#[test]
fn what_the_fields_say() {
    assert_eq!(good("GET / HTTP/1.1\r\nHost: gw\r\n\r\n").body, BodyLength::None);
    assert_eq!(good("\r\nGET / HTTP/1.1\r\nHost: gw\r\n\r\n").method, "GET");
    assert_eq!(good("GET * HTTP/1.1\r\nhost:gw:443\r\n\r\n").target, "*");
    assert_eq!(good("GET /\u{e4} HTTP/1.1\r\nHost: [::1]\r\n\r\n").target, "/\u{e4}");
    let cases = [
        ("Content-Length: 0\r\n", BodyLength::Known(0), true, false),
        ("content-length:007\r\n", BodyLength::Known(7), true, false),
        ("Transfer-Encoding: chunked\r\n", BodyLength::Chunked, true, false),
        ("TRANSFER-ENCODING: \t CHUNKED \r\n", BodyLength::Chunked, true, false),
        ("Connection: close\r\n", BodyLength::None, false, false),
        ("Connection: Keep-Alive, CLOSE\r\n", BodyLength::None, false, false),
        ("Connection: ,, upgrade\r\nConnection: close\r\n", BodyLength::None, false, false),
        ("Connection: closed, not-close\r\n", BodyLength::None, true, false),
        ("Expect: 100-Continue\r\nContent-Length: 5\r\n", BodyLength::Known(5), true, true),
        ("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", BodyLength::Chunked, true, true),
        ("Expect: 100-continue\r\n", BodyLength::None, true, false),
        ("Expect: 100-continue\r\nContent-Length: 0\r\n", BodyLength::Known(0), true, false),
        ("Content_Length: 5\r\nTransfer_Encoding: x\r\n", BodyLength::None, true, false),
        ("Upgrade: websocket\r\nConnection: upgrade\r\n", BodyLength::None, true, false),
    ];
    for (lines, body, keep_alive, expects_continue) in cases {
        let head = with(lines).unwrap().unwrap();
        assert_eq!(
            (head.body, head.keep_alive, head.expects_continue),
            (body, keep_alive, expects_continue),
            "{lines:?}"
        );
    }
}

#[test]
fn refused_start_lines() {
    let long_method = format!("{} / HTTP/1.1\r\n", "A".repeat(33));
    let cases: [(&[u8], HeadFaultKind, &str); 39] = [
        (b"GET / HTTP/1.0\r\n\r\n", VersionNotSupported, "HTTP/1.1"),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", VersionNotSupported, "HTTP/1.1"),
        (b"GET / HTTP/1.2\r\n", VersionNotSupported, "HTTP/1.1"),
        (b"GET / HTTP/0.9\r\n", VersionNotSupported, "HTTP/1.1"),
        (b"GET / HTTP/2.0\r\n", VersionNotSupported, "HTTP/1.1"),
        (b"GET / HTTP/3.0\r\n", VersionNotSupported, "HTTP/1.1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VersionNotSupported, "HTTP/1.1"),
        (b"GET / http/1.1\r\n", Malformed, "HTTP/1.1"),
        (b"GET / HTTP/1.1 \r\n", Malformed, "HTTP/1.1"),
        (b"GET / HTTP/1.10\r\n", Malformed, "HTTP/1.1"),
        (b"GET / HTTP/11\r\n", Malformed, "HTTP/1.1"),
        (b"GET / HTTP/1.\r\n", Malformed, "HTTP/1.1"),
        (b"GET / HTTP/1.x\r\n", Malformed, "HTTP/1.1"),
        (b"GET / HTTPS/1.1\r\n", Malformed, "HTTP/1.1"),
        (b"GET / HTTP/1.1\n", Malformed, "line feed alone"),
        (b"GET / HTTP/1.1\nHost: gw\n\n", Malformed, "line feed alone"),
        (b"GET / HTTP/1.1\r\r\n", Malformed, "HTTP/1.1"),
        (b"GET / HTTP/1.1\rHost: gw\r\n\r\n", Malformed, "HTTP/1.1"),
        (b"GET /a b HTTP/1.1\r\n", Malformed, "HTTP/1.1"),
        (b"GET  / HTTP/1.1\r\n", Malformed, "two spaces"),
        (b"GET /  HTTP/1.1\r\n", Malformed, "HTTP/1.1"),
        (b"GET\t/ HTTP/1.1\r\n", Malformed, "method and one space"),
        (b"GET /\tHTTP/1.1\r\n", Malformed, "no version"),
        (b"GET /\r\n", Malformed, "no version"),
        (b"GET / \r\n", Malformed, "HTTP/1.1"),
        (b"GET\r\n", Malformed, "method"),
        (b"GET /\0 HTTP/1.1\r\n", Malformed, "control byte"),
        (b"GET /\x7f HTTP/1.1\r\n", Malformed, "control byte"),
        (b"GET /\r HTTP/1.1\r\n", Malformed, "control byte"),
        (b"GET /a\rb HTTP/1.1\r\n", Malformed, "control byte"),
        (b" GET / HTTP/1.1\r\n", Malformed, "method"),
        (b"G(T / HTTP/1.1\r\n", Malformed, "method"),
        (b"\xffGET / HTTP/1.1\r\n", Malformed, "method"),
        (b"\r\n\r\nGET / HTTP/1.1\r\n", Malformed, "empty lines"),
        (b"\nGET / HTTP/1.1\r\n", Malformed, "line feed alone"),
        (b"\r\n\nGET / HTTP/1.1\r\n", Malformed, "empty lines"),
        (b"\rGET / HTTP/1.1\r\n", Malformed, "method"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Malformed, "method"),
        (long_method.as_bytes(), Malformed, "32 bytes"),
    ];
    for (raw, kind, says) in cases {
        let fault = take(raw).expect_err(&String::from_utf8_lossy(raw));
        assert_eq!(fault.kind, kind, "{:?}: {fault}", String::from_utf8_lossy(raw));
        assert!(fault.detail.contains(says), "{:?}: {fault}", String::from_utf8_lossy(raw));
    }
}

/// Field lines and what the fault says.
fn refused(cases: &[(&str, &str)]) {
    for (lines, says) in cases {
        let fault = with(lines).expect_err(lines);
        assert_eq!(fault.kind, Malformed, "{lines:?}: {fault}");
        assert!(fault.detail.contains(says), "{lines:?}: {fault}");
    }
}

#[test]
fn refused_lengths() {
    refused(&[
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "both"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "both"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "more than once"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "more than once"),
        ("Content-Length: 5\r\ncontent-length: 5\r\n", "more than once"),
        ("Content-Length: +5\r\n", "digits"),
        ("Content-Length: -5\r\n", "digits"),
        ("Content-Length: 5, 5\r\n", "digits"),
        ("Content-Length: 5,5\r\n", "digits"),
        ("Content-Length:  5 5\r\n", "digits"),
        ("Content-Length: 0x5\r\n", "digits"),
        ("Content-Length: 5.0\r\n", "digits"),
        ("Content-Length: 5;\r\n", "digits"),
        ("Content-Length: \"5\"\r\n", "digits"),
        ("Content-Length:\r\n", "digits"),
        ("Content-Length: \r\n", "digits"),
        ("Content-Length: five\r\n", "digits"),
        ("Content-Length: \u{0665}\r\n", "digits"),
        ("Content-Length: 18446744073709551616\r\n", "digits"),
        ("Content-Length: 99999999999999999999999\r\n", "digits"),
        ("Content-Length: 00000000000000000005\r\n", "digits"),
    ]);
}

#[test]
fn refused_codings() {
    refused(&[
        ("Transfer-Encoding: gzip, chunked\r\n", "chunked"),
        ("Transfer-Encoding: chunked, gzip\r\n", "chunked"),
        ("Transfer-Encoding: chunked, chunked\r\n", "chunked"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "chunked"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "chunked"),
        ("Transfer-Encoding: identity\r\n", "chunked"),
        ("Transfer-Encoding: gzip\r\n", "chunked"),
        ("Transfer-Encoding: xchunked\r\n", "chunked"),
        ("Transfer-Encoding: chunked;q=1\r\n", "chunked"),
        ("Transfer-Encoding: \"chunked\"\r\n", "chunked"),
        ("Transfer-Encoding: ,chunked\r\n", "chunked"),
        ("Transfer-Encoding: chunked,\r\n", "chunked"),
        ("Transfer-Encoding: ch\u{fc}nked\r\n", "chunked"),
        ("Transfer-Encoding:\r\n", "chunked"),
    ]);
}

#[test]
fn refused_lines() {
    refused(&[
        ("Transfer-Encoding: \x0bchunked\r\n", "control byte"),
        ("Transfer-Encoding : chunked\r\n", "colon"),
        ("Transfer-Encoding\t: chunked\r\n", "colon"),
        ("Content-Length : 5\r\n", "colon"),
        ("X: a\r\n b\r\n", "folding"),
        ("X: a\r\n\tb\r\n", "folding"),
        ("X:\r\n b\r\n", "folding"),
        ("Transfer-Encoding:\r\n chunked\r\n", "folding"),
        ("X\r\n", "no colon"),
        (": a\r\n", "name"),
        ("X Y: a\r\n", "name"),
        ("X(: a\r\n", "name"),
        ("\u{e4}: a\r\n", "name"),
        ("X\0: a\r\n", "name"),
        ("X\rY: a\r\n", "name"),
        ("X: a\0b\r\n", "control byte"),
        ("X: a\x01b\r\n", "control byte"),
        ("X: a\x7fb\r\n", "control byte"),
        ("X: a\rb\r\n", "carriage return"),
        ("X: a\r\r\n", "carriage return"),
        ("X: a\nY: b\r\n", "line feed alone"),
        ("X: a\n", "line feed alone"),
        ("X: a\n\r\n", "line feed alone"),
        ("\n", "line feed alone"),
        ("Host: gw\r\n", "more than once"),
        ("host: other\r\n", "more than once"),
        ("Expect: 200-ok\r\n", "100-continue"),
        ("Expect: 100-continue, x\r\n", "100-continue"),
        ("Expect: 100-continue\r\nExpect: 100-continue\r\n", "100-continue"),
        ("Expect:\r\n", "100-continue"),
    ]);
}

#[test]
fn refused_numbers_of_connection_options() {
    assert!(with(&format!("Connection: {}\r\n", "x, ".repeat(32))).unwrap().is_some());
    refused(&[(&format!("Connection: {}\r\n", "x, ".repeat(33)), "32 options")]);
}

#[test]
fn refused_hosts() {
    let cases = [
        "",
        "Host:\r\n",
        "Host: \r\n",
        "Host: a b\r\n",
        "Host: a, b\r\n",
        "Host: user@gw\r\n",
        "Host: gw/\r\n",
        "Host: http://gw\r\n",
        "Host: gw:port\r\n",
        "Host: gw:\r\n",
        "Host: gw:1:2\r\n",
        "Host: [::1\r\n",
        "Host: gw%2e\r\n",
        "Host: gw?\r\n",
        "Host: gw#\r\n",
        "Host: \\gw\r\n",
        "Host: g\u{fc}\r\n",
        "Host: gw;x\r\n",
        "Hosts: gw\r\n",
    ];
    for lines in cases {
        let fault = take(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()).expect_err(lines);
        assert_eq!(fault.kind, Malformed, "{lines:?}");
        assert!(fault.detail.contains("Host"), "{lines:?}: {fault}");
    }
}

#[test]
fn limits_are_exact_and_decided_early() {
    let target = |length: usize| format!("GET /{}", "a".repeat(length - 1));
    let line = |length| format!("{} HTTP/1.1\r\nHost: gw\r\n\r\n", target(length));
    assert_eq!(good(&line(limits::REQUEST_TARGET)).target.len(), limits::REQUEST_TARGET);
    assert_eq!(take(line(limits::REQUEST_TARGET + 1).as_bytes()).unwrap_err().kind, TargetTooLong);
    assert_eq!(take(target(limits::REQUEST_TARGET).as_bytes()), Ok(None));
    assert_eq!(take(target(limits::REQUEST_TARGET + 1).as_bytes()).unwrap_err().kind, TargetTooLong, "before its end");

    let start = "GET / HTTP/1.1\r\nHost: gw\r\nX: ";
    let head = |length: usize| format!("{start}{}\r\n\r\n", "a".repeat(length - start.len() - 4));
    assert!(take(head(limits::REQUEST_HEAD).as_bytes()).unwrap().is_some());
    assert_eq!(take(head(limits::REQUEST_HEAD + 1).as_bytes()).unwrap_err().kind, HeadTooLarge);
    let unfinished = |length: usize| format!("{start}{}", "a".repeat(length - start.len()));
    assert_eq!(take(unfinished(limits::REQUEST_HEAD - 1).as_bytes()), Ok(None));
    assert_eq!(take(unfinished(limits::REQUEST_HEAD).as_bytes()).unwrap_err().kind, HeadTooLarge, "before its end");

    assert_eq!(with(&"X: a\r\n".repeat(99)).unwrap().unwrap().fields.len(), limits::HEAD_FIELDS);
    assert_eq!(with(&"X: a\r\n".repeat(100)).unwrap_err().kind, HeadTooLarge);
    let unfinished = format!("GET / HTTP/1.1\r\n{}", "X: a\r\n".repeat(101));
    assert_eq!(take(unfinished.as_bytes()).unwrap_err().kind, HeadTooLarge, "before its end");
    let bare = format!("GET / HTTP/1.1\r\n{}X: a\n", "X: a\r\n".repeat(50));
    assert_eq!(take(bare.as_bytes()).unwrap_err().kind, Malformed, "before its end");
}

#[test]
fn an_unfinished_head_is_waited_for() {
    let whole = "\r\nBITS_POST /CCM_Incoming/{4F2C-1} HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\n\r\n";
    for length in 0..whole.len() {
        assert_eq!(take(&whole.as_bytes()[..length]), Ok(None), "{:?}", &whole[..length]);
    }
    assert!(take(whole.as_bytes()).unwrap().is_some());
}

#[test]
fn a_refused_head_is_refused_again() {
    let mut buffer = BytesMut::from("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let fault = take_request_head(&mut buffer).unwrap_err();
    assert_eq!(take_request_head(&mut buffer), Err(fault));
}

#[test]
fn pipelined_heads_come_out_one_by_one() {
    let mut buffer = BytesMut::from("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET");
    assert_eq!(take_request_head(&mut buffer).unwrap().unwrap().target, "/1");
    assert_eq!(take_request_head(&mut buffer).unwrap().unwrap().target, "/2");
    assert_eq!(take_request_head(&mut buffer), Ok(None));
    assert_eq!(buffer, "GET");
}

#[test]
fn a_head_does_not_hold_the_read_buffer() {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    buffer.extend_from_slice(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = take_request_head(&mut buffer).unwrap().unwrap();
    assert!(buffer.try_reclaim(60 * 1024), "the buffer is not shared");
    assert_eq!(head.target, "/");
}

/// Heads that are nearly right: lines from a list of good and bad ones.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        8 => Just("GET / HTTP/1.1\r\n"), 1 => Just("POST /a?b HTTP/1.1\r\n"), 1 => Just("GET / HTTP/1.0\r\n"),
        1 => Just("GET / HTTP/1.1\n"), 1 => Just("\r\nGET / HTTP/1.1\r\n"), 1 => Just("G"),
    ];
    let line = prop_oneof![
        4 => Just("Host: gw\r\n"), 2 => Just("Content-Length: 5\r\n"), 2 => Just("Transfer-Encoding: chunked\r\n"),
        2 => Just("X-A: b\r\n"), 2 => Just("Connection: close, x-a\r\n"), 1 => Just("Expect: 100-continue\r\n"),
        1 => Just("TE: trailers\r\n"), 1 => Just("X-CMG-Client: root\r\n"), 1 => Just(" fold\r\n"), 1 => Just("X : b\r\n"),
        1 => Just("X: b\n"), 1 => Just("\r"), 2 => Just("\r\n"),
    ];
    (any::<u8>(), start, prop::collection::vec(line, 0..8), "\\PC{0,20}", prop::bool::weighted(0.8)).prop_map(
        |(piece, start, lines, rest, end)| {
            let end = if end { "\r\n" } else { "" };
            let text = [start, &lines.concat(), end, &rest].concat();
            [&[piece % 24], text.as_bytes()].concat()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz_request_head(&data);
    }

    #[test]
    fn nearly_right_heads(data in heads()) {
        fuzz_request_head(&data);
    }

    #[test]
    fn right_heads_pass(
        method in "[A-Z_]{1,32}", target in "/[!-~]{0,60}",
        fields in prop::collection::vec(("[A-Za-z][A-Za-z0-9_-]{0,20}", "[!-~]{0,3}( [!-~]{1,10}){0,3}"), 0..20),
    ) {
        let mut raw = format!("{method} {target} HTTP/1.1\r\nHost: gw\r\n");
        let is_framing = |name: &str| ["host", "content-length", "transfer-encoding", "expect", "connection"]
            .contains(&name.to_ascii_lowercase().as_str());
        let fields: Vec<_> = fields.into_iter().filter(|(name, _)| !is_framing(name)).collect();
        for (name, value) in &fields {
            raw += &format!("{name}: {value}\r\n");
        }
        let head = good(&(raw + "\r\n"));
        prop_assert_eq!(&head.method[..], method.as_bytes());
        prop_assert_eq!(&head.target[..], target.as_bytes());
        for (field, (name, value)) in head.fields.iter().skip(1).zip(&fields) {
            prop_assert_eq!(&field.name[..], name.as_bytes());
            prop_assert_eq!(&field.value[..], value.trim_matches(' ').as_bytes());
        }
        prop_assert_eq!(head.fields.len(), fields.len() + 1);
    }
}
