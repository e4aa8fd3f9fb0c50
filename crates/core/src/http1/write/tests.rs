//! What is written, byte for byte.

use bytes::BytesMut;

use super::*;
use crate::fields::Field;

fn fields(list: &[(&'static str, &'static str)]) -> Fields {
    list.iter().map(|(name, value)| Field::new(*name, *value)).collect()
}

#[test]
fn requests() {
    let some = fields(&[("Host", "mp1"), ("X_a", ""), ("te", "trailers")]);
    let cases = [
        (Fields::new(), BodyLength::None, "BITS_POST /a?b HTTP/1.1\r\n\r\n"),
        (
            fields(&[("Host", "mp1")]),
            BodyLength::Known(0),
            "BITS_POST /a?b HTTP/1.1\r\nHost: mp1\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            some,
            BodyLength::Chunked,
            "BITS_POST /a?b HTTP/1.1\r\nHost: mp1\r\nX_a: \r\nte: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
    ];
    for (fields, body, expected) in cases {
        let mut out = BytesMut::new();
        write_request_head(&mut out, b"BITS_POST", b"/a?b", &fields, body);
        assert_eq!(out, expected);
    }
}

#[test]
fn answers() {
    let cases = [
        (
            200,
            "OK",
            AnswerFraming::Known(u64::MAX),
            true,
            "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 18446744073709551615\r\n\r\n",
        ),
        (500, "", AnswerFraming::Chunked, true, "HTTP/1.1 500 \r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (
            304,
            "Not Modified",
            AnswerFraming::None,
            false,
            "HTTP/1.1 304 Not Modified\r\nA: b\r\nConnection: close\r\n\r\n",
        ),
    ];
    for (status, reason, framing, keep_alive, expected) in cases {
        let mut out = BytesMut::new();
        write_answer_head(&mut out, status, reason.as_bytes(), &fields(&[("A", "b")]), framing, keep_alive);
        assert_eq!(out, expected);
    }
    let mut out = BytesMut::new();
    write_continue(&mut out);
    assert_eq!(out, "HTTP/1.1 100 Continue\r\n\r\n");
}

#[test]
fn chunks() {
    let cases = [
        (1, "1\r\n"),
        (9, "9\r\n"),
        (10, "a\r\n"),
        (15, "f\r\n"),
        (16, "10\r\n"),
        (65536, "10000\r\n"),
        (usize::MAX, "ffffffffffffffff\r\n"),
    ];
    for (length, expected) in cases {
        let mut out = BytesMut::new();
        write_chunk_prefix(&mut out, length);
        assert_eq!(out, expected);
    }
    let mut out = BytesMut::new();
    write_chunk_suffix(&mut out);
    write_last_chunk(&mut out, &Fields::new());
    write_last_chunk(&mut out, &fields(&[("X", "y")]));
    assert_eq!(out, "\r\n0\r\n\r\n0\r\nX: y\r\n\r\n");
}
