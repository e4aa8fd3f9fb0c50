//! Bodies of every framing: pieces, ends and early ends.
#![allow(clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::http1::fuzzing::fuzz_body;

fn data(bytes: &'static [u8]) -> BodyPiece {
    BodyPiece::Data(Bytes::from_static(bytes))
}

#[test]
fn a_known_length_ends_with_its_last_byte() {
    let mut buffer = BytesMut::from("helloGET");
    let mut decoder = BodyDecoder::for_request(BodyLength::Known(5));
    assert_eq!(decoder.take(&mut buffer, 3), Ok(data(b"hel")));
    assert!(!decoder.is_done());
    assert_eq!(decoder.at_eof(), Err(BodyFault::BrokenOff));
    assert_eq!(decoder.take(&mut buffer, 100), Ok(data(b"lo")));
    assert!(decoder.is_done());
    assert_eq!(decoder.at_eof(), Ok(()));
    assert_eq!(decoder.take(&mut buffer, 100), Ok(BodyPiece::End(Fields::new())));
    assert_eq!(buffer, "GET");
}

#[test]
fn nothing_is_over_at_once() {
    for mut decoder in [
        BodyDecoder::for_request(BodyLength::None),
        BodyDecoder::for_request(BodyLength::Known(0)),
        BodyDecoder::for_answer(AnswerBody::None),
        BodyDecoder::for_answer(AnswerBody::Known(0)),
    ] {
        assert!(decoder.is_done());
        let mut buffer = BytesMut::from("GET");
        assert_eq!(decoder.take(&mut buffer, 100), Ok(BodyPiece::End(Fields::new())));
        assert_eq!(buffer, "GET");
    }
}

#[test]
fn until_close_is_whole_only_at_the_end() {
    let mut buffer = BytesMut::from("hello");
    let mut decoder = BodyDecoder::for_answer(AnswerBody::UntilClose);
    assert_eq!(decoder.take(&mut buffer, 4), Ok(data(b"hell")));
    assert_eq!(decoder.take(&mut buffer, 4), Ok(data(b"o")));
    assert_eq!(decoder.take(&mut buffer, 4), Ok(BodyPiece::NeedMore));
    assert!(!decoder.is_done());
    assert_eq!(decoder.at_eof(), Ok(()));
}

#[test]
fn chunks_that_break_off_are_not_whole() {
    let whole = b"5\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for length in 0..whole.len() {
        let mut buffer = BytesMut::from(&whole[..length]);
        let mut decoder = BodyDecoder::for_answer(AnswerBody::Chunked);
        while decoder.take(&mut buffer, 100) != Ok(BodyPiece::NeedMore) {}
        assert_eq!(decoder.at_eof(), Err(BodyFault::BrokenOff), "{length}");
    }
}

#[test]
fn the_end_can_be_looked_for_without_taking_data() {
    let mut buffer = BytesMut::from("5\r\nhello\r\n");
    let mut decoder = BodyDecoder::for_answer(AnswerBody::Chunked);
    assert_eq!(decoder.take_end(&mut buffer), Ok(None));
    assert_eq!(decoder.take(&mut buffer, 100), Ok(data(b"hello")));
    assert_eq!(decoder.take_end(&mut buffer), Ok(None));
    buffer.extend_from_slice(b"1\r\n!\r\n0\r\n\r\n");
    assert_eq!(decoder.take_end(&mut buffer), Ok(None));
    assert_eq!(decoder.take(&mut buffer, 100), Ok(data(b"!")));
    assert_eq!(decoder.take_end(&mut buffer), Ok(Some(Fields::new())));

    let mut buffer = BytesMut::from("hello");
    let mut decoder = BodyDecoder::for_request(BodyLength::Known(5));
    assert_eq!(decoder.take_end(&mut buffer), Ok(None));
    assert_eq!(decoder.take(&mut buffer, 100), Ok(data(b"hello")));
    assert_eq!(decoder.take_end(&mut buffer), Ok(Some(Fields::new())));
}

#[test]
fn data_is_not_copied() {
    let mut buffer = BytesMut::from("5\r\nhello\r\n");
    let place = buffer[3..].as_ptr();
    let Ok(BodyPiece::Data(data)) = BodyDecoder::for_request(BodyLength::Chunked).take(&mut buffer, 100) else {
        panic!("no data")
    };
    assert_eq!(data.as_ptr(), place);
}

#[test]
fn small_chunks_that_have_arrived_are_joined() {
    let mut buffer = BytesMut::from("1\r\nx\r\n".repeat(10_000).as_str());
    buffer.extend_from_slice(b"0\r\nX: y\r\n\r\n");
    let mut decoder = BodyDecoder::for_request(BodyLength::Chunked);
    let mut pieces = Vec::new();
    let trailers = loop {
        match decoder.take_joined(&mut buffer, limits::TUNNEL_CHUNK).unwrap() {
            BodyPiece::Data(data) => pieces.push(data.len()),
            BodyPiece::End(trailers) => break trailers,
            BodyPiece::NeedMore => panic!("all of it is there"),
        }
    };
    assert_eq!(pieces, [limits::SMALL_CHUNK, limits::SMALL_CHUNK, 10_000 - 2 * limits::SMALL_CHUNK]);
    assert_eq!(trailers.first("x").map(AsRef::as_ref), Some(&b"y"[..]));
}

#[test]
fn joining_waits_for_nothing_and_hides_no_fault() {
    let mut buffer = BytesMut::from("1\r\na\r\n1\r\nb\r\n1\r");
    let mut decoder = BodyDecoder::for_request(BodyLength::Chunked);
    assert_eq!(decoder.take_joined(&mut buffer, 100), Ok(data(b"ab")));
    buffer.extend_from_slice(b"\nc\r\nx\r\n");
    assert_eq!(decoder.take_joined(&mut buffer, 100), Ok(data(b"c")));
    assert_eq!(decoder.take_joined(&mut buffer, 100), Err(BodyFault::ChunkSize));
}

fn chunked() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just("5\r\nhello\r\n"), 2 => Just("1;x=y\r\n!\r\n"), 2 => Just("0\r\n\r\n"), 1 => Just("0\r\nX: y\r\n\r\n"),
        1 => Just("0\r\nX-CMG-A: y\r\n\r\n"), 1 => Just("5\nhello\r\n"), 1 => Just("5\r\nhell"), 1 => Just("\r\n"),
    ];
    (any::<u8>(), any::<u8>(), prop::collection::vec(part, 0..6))
        .prop_map(|(piece, kind, parts)| [&[piece % 12, kind], parts.concat().as_bytes()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz_body(&data);
    }

    #[test]
    fn nearly_right_chunks(data in chunked()) {
        fuzz_body(&data);
    }
}
