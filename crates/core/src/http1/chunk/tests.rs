//! Chunk lines and trailers, byte by byte.
#![allow(clippy::indexing_slicing)]

use super::*;
use crate::http1::fuzzing::fuzz_body;
use crate::http1::{BodyDecoder, BodyLength, BodyPiece};
use BodyFault::{
    ChunkEnd, ChunkExtension, ChunkLineTooLong, ChunkSize, ChunkTooLarge, FramingTrailer, TrailersTooLarge,
};

/// Data, trailers and what is left behind the body.
fn decode(raw: &[u8]) -> Result<Option<(Vec<u8>, Fields, usize)>, BodyFault> {
    for piece in [1, 2, 5] {
        fuzz_body(&[&[piece, 2], raw].concat());
    }
    let mut buffer = BytesMut::from(raw);
    let mut decoder = BodyDecoder::for_request(BodyLength::Chunked);
    let mut body = Vec::new();
    loop {
        match decoder.take(&mut buffer, usize::MAX)? {
            BodyPiece::Data(data) => body.extend_from_slice(&data),
            BodyPiece::End(trailers) => return Ok(Some((body, trailers, buffer.len()))),
            BodyPiece::NeedMore => return Ok(None),
        }
    }
}

#[test]
fn right_bodies() {
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(limits::CHUNK_LINE - 4));
    let cases: [(&[u8], &[u8], usize); 13] = [
        (b"0\r\n\r\n", b"", 0),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello", 0),
        (b"5\r\nhello\r\n0\r\n\r\nGET", b"hello", 3),
        (b"00000005\r\nhello\r\n000\r\n\r\n", b"hello", 0),
        (b"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", b"hello", 0),
        (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789", 0),
        (b"5;a=b\r\nhello\r\n0;c\r\n\r\n", b"hello", 0),
        (b"5;a=\"b; c\"\r\nhello\r\n0\r\n\r\n", b"hello", 0),
        (b"5;\t a \xff\r\nhello\r\n0\r\n\r\n", b"hello", 0),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", 0),
        (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n", 0),
        (b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", b"abc", 0),
        (extension.as_bytes(), b"hello", 0),
    ];
    for (raw, body, left) in cases {
        let (data, trailers, rest) = decode(raw).unwrap().unwrap();
        assert_eq!((&data[..], rest), (body, left), "{:?}", String::from_utf8_lossy(raw));
        assert!(trailers.is_empty());
        for length in 0..raw.len() - left {
            assert_eq!(decode(&raw[..length]), Ok(None), "{length} of {:?}", String::from_utf8_lossy(raw));
        }
    }
}

#[test]
fn refused_bodies() {
    let long = format!("5;{}\r\nhello", "x".repeat(limits::CHUNK_LINE - 3));
    let endless = format!("5;{}", "x".repeat(limits::CHUNK_LINE));
    let cases: [(&[u8], BodyFault); 43] = [
        (b"\r\n", ChunkSize),
        (b"\n", ChunkSize),
        (b" 5\r\nhello", ChunkSize),
        (b"5 \r\nhello", ChunkSize),
        (b"5\t\r\nhello", ChunkSize),
        (b"5 ;a\r\nhello", ChunkSize),
        (b"5\nhello", ChunkSize),
        (b"5\rhello", ChunkSize),
        (b"5\r\rhello", ChunkSize),
        (b"+5\r\nhello", ChunkSize),
        (b"-5\r\nhello", ChunkSize),
        (b"0x5\r\nhello", ChunkSize),
        (b"5,5\r\nhello", ChunkSize),
        (b"5.\r\nhello", ChunkSize),
        (b"5_0\r\nhello", ChunkSize),
        (b"g\r\n", ChunkSize),
        (b";a\r\n", ChunkSize),
        (b"\x00\r\n", ChunkSize),
        (b"\xef\xbc\x95\r\nhello", ChunkSize),
        (b"fffffffffffffffff\r\n", ChunkTooLarge),
        (b"00000000000000005\r\nhello", ChunkTooLarge),
        (b"10000000000000000\r\n", ChunkTooLarge),
        (b"5;a\nhello", ChunkExtension),
        (b"5;a\x00\r\nhello", ChunkExtension),
        (b"5;a\x7f\r\nhello", ChunkExtension),
        (b"5;a\rb\r\nhello", ChunkSize),
        (b"5;a\r\r\nhello", ChunkSize),
        (b"5\r\nhello0\r\n\r\n", ChunkEnd),
        (b"5\r\nhello\n0\r\n\r\n", ChunkEnd),
        (b"5\r\nhello\r0\r\n\r\n", ChunkEnd),
        (b"5\r\nhello!\r\n0\r\n\r\n", ChunkEnd),
        (b"5\r\nhello\r\n\r\n0\r\n\r\n", ChunkSize),
        (b"4\r\nhello\r\n0\r\n\r\n", ChunkEnd),
        (b"5\r\nhello\r\n0\r\n\n", BodyFault::Trailer("")),
        (b"0\r\nA: b\n\r\n", BodyFault::Trailer("")),
        (b"0\r\nA : b\r\n\r\n", BodyFault::Trailer("")),
        (b"0\r\n A: b\r\n\r\n", BodyFault::Trailer("")),
        (b"0\r\nno colon\r\n\r\n", BodyFault::Trailer("")),
        (b"0\r\nGET / HTTP/1.1\r\n\r\n", BodyFault::Trailer("")),
        (b"0\r\nContent-Length: 5\r\n\r\n", FramingTrailer),
        (b"0\r\nTRANSFER-Encoding: chunked\r\n\r\n", FramingTrailer),
        (long.as_bytes(), ChunkLineTooLong),
        (endless.as_bytes(), ChunkLineTooLong),
    ];
    for (raw, expected) in cases {
        let fault = decode(raw).expect_err(&String::from_utf8_lossy(raw));
        let same = match (fault, expected) {
            (BodyFault::Trailer(detail), BodyFault::Trailer(_)) => !detail.is_empty(),
            _ => fault == expected,
        };
        assert!(same, "{:?}: {fault:?}", String::from_utf8_lossy(raw));
    }
}

#[test]
fn the_largest_chunk_is_counted_without_overflow() {
    let mut buffer = BytesMut::from("ffffffffffffffff\r\nabc");
    assert_eq!(take_chunk_size(&mut buffer), Ok(Some(u64::MAX)));
    assert_eq!(buffer, "abc");
}

#[test]
fn trailers_come_out_clean() {
    let raw =
        b"1\r\na\r\n0\r\nX-Sum:  abc \r\nx-cmg-client: root\r\nX_Forwarded_For: 1\r\nHost: other\r\nContent-MD5: x\r\n\
        Authorization: y\r\nX-Sum: def\r\n\r\n";
    let (_, trailers, _) = decode(raw).unwrap().unwrap();
    let kept: Vec<_> = trailers.iter().map(|trailer| (&trailer.name[..], &trailer.value[..])).collect();
    assert_eq!(kept, [(&b"X-Sum"[..], &b"abc"[..]), (b"X-Sum", b"def")]);
}

#[test]
fn trailers_are_bounded() {
    let trailers = |length: usize| format!("0\r\nX: {}\r\n\r\n", "a".repeat(length - 7));
    assert!(decode(trailers(limits::TRAILERS).as_bytes()).unwrap().is_some());
    assert_eq!(decode(trailers(limits::TRAILERS + 1).as_bytes()), Err(TrailersTooLarge));
    let many = |count: usize| format!("0\r\n{}\r\n", "X: a\r\n".repeat(count));
    assert!(decode(many(100).as_bytes()).unwrap().is_some());
    assert_eq!(decode(many(101).as_bytes()), Err(TrailersTooLarge));
}
