//! Frames cut anywhere, broken anywhere, and as another implementation writes them.

use std::time::Duration;

use bytes::Buf;
use proptest::prelude::*;

use super::super::message::{ClientProof, Lane, RefusedReason};
use super::super::piece::Piece;
use super::*;
use crate::fields::Field;
use crate::request_id::RequestId;

fn head() -> RequestHead {
    RequestHead {
        method: Bytes::from_static(b"CCM_POST"),
        target: Bytes::from_static(b"/CCM_Incoming/{4F2C}?MPLIST"),
        fields: [Field::new("Host", "mp1"), Field::new("X-A", &b"\x80"[..])].into_iter().collect(),
        request_id: RequestId::random(),
        role_id: 72_057_594_037_927_941,
        deadline: Some(Duration::from_secs(60)),
        lane: Lane::Bulk,
        content_length: Some(5),
        client_connection: 17,
        proof: ClientProof::Certificate,
        client_chain: vec![Bytes::from_static(&[0x30, 0])],
    }
}

fn answer() -> AnswerHead {
    AnswerHead {
        status: 207,
        reason: Bytes::from_static(b"Multi-Status"),
        fields: [Field::new("ETag", "\"1\"")].into_iter().collect(),
        content_length: None,
        role_micros: 1234,
    }
}

fn bytes_of(pieces: Vec<Piece>) -> Vec<u8> {
    let mut all = Vec::new();
    for mut piece in pieces {
        while piece.has_remaining() {
            let chunk = piece.chunk().to_vec();
            piece.advance(chunk.len());
            all.extend_from_slice(&chunk);
        }
    }
    all
}

/// Reads a stream that arrives in chunks of the given sizes, repeated. Data of one message is joined.
fn read<D: Direction>(stream: &[u8], sizes: &[usize]) -> Result<Vec<Event<D::Head>>, FrameError> {
    let mut reader = Reader::<D>::default();
    let mut events: Vec<Event<D::Head>> = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        while let Some(event) = reader.next_event()? {
            match (events.last_mut(), event) {
                (Some(Event::Data(before)), Event::Data(more)) => *before = [&before[..], &more[..]].concat().into(),
                (_, event) => events.push(event),
            }
        }
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*size).clamp(1, rest.len()));
        reader.feed(Bytes::copy_from_slice(now));
        rest = later;
    }
    reader.at_end_of_stream()?;
    Ok(events)
}

#[test]
fn a_small_request_is_one_message() {
    let end = [Field::new("T", "1")].into_iter().collect::<Fields>();
    let piece = request_piece(Some(head()), Bytes::from_static(b"hello"), Some(end.clone()));
    let events = read::<Requests>(&bytes_of(vec![piece]), &[usize::MAX]).unwrap();
    assert_eq!(events, [Event::Head(head_like(&events)), Event::Data(Bytes::from_static(b"hello")), Event::End(end)]);
}

/// The head that was read, checked against the one that was written but for its random id.
fn head_like(events: &[Event<RequestHead>]) -> RequestHead {
    let Some(Event::Head(read)) = events.first() else { panic!("a head comes first: {events:?}") };
    assert_eq!(RequestHead { request_id: read.request_id, ..head() }, *read);
    read.clone()
}

#[test]
fn an_empty_end_is_seen_without_another_byte() {
    let pieces =
        vec![answer_piece(Some(answer()), Bytes::new(), None), answer_piece(None, Bytes::new(), Some(Fields::new()))];
    let events = read::<Answers>(&bytes_of(pieces), &[1]).unwrap();
    assert_eq!(events, [Event::Head(answer()), Event::End(Fields::new())]);
}

#[test]
fn a_refusal_ends_the_exchange() {
    let refused = Refused { reason: RefusedReason::Full, detail: "no room".into(), not_started: true };
    let pieces = vec![handed_piece(), refused_piece(refused.clone())];
    let events = read::<Answers>(&bytes_of(pieces), &[3]).unwrap();
    assert_eq!(events, [Event::HandedToRole, Event::Refused(refused.clone())]);
    let after = vec![refused_piece(refused), answer_piece(Some(answer()), Bytes::new(), None)];
    assert!(matches!(read::<Answers>(&bytes_of(after), &[99]), Err(FrameError::Violation(_))));
}

/// A connection point that has fallen to others writes what it likes: little of it into a log, nothing to a client.
#[test]
fn what_is_said_about_a_refusal_is_short_and_never_for_the_client() {
    use RefusedReason as Reason;
    let said = "\u{e4}mp1.corp.example ".repeat(1000);
    for reason in [
        Reason::NotMapped,
        Reason::Refused,
        Reason::RoleUnreachable,
        Reason::RoleTlsFailed,
        Reason::RoleAborted,
        Reason::RoleAnswerInvalid,
        Reason::RoleTimeout,
        Reason::Draining,
        Reason::Full,
        Reason::RequestAborted,
    ] {
        let refused = Refused { reason, detail: said.clone(), not_started: false };
        let events = read::<Answers>(&bytes_of(vec![refused_piece(refused)]), &[4096]).unwrap();
        let [Event::Refused(read)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(read.reason, reason);
        assert!(read.detail.chars().count() <= limits::REFUSED_DETAIL);
        // The one that blames the client, who reads its detail.
        let is_public = reason == Reason::RequestAborted;
        assert_eq!(read.detail.contains("corp"), !is_public, "{reason:?}: {}", read.detail);
    }
}

#[test]
fn data_may_stand_before_other_fields_and_unknown_fields_are_ignored() {
    // data, an unknown number, an unknown fixed field, an unknown text, then the end.
    let message =
        [&[0x7a, 2, b'a', b'b', 0xa0, 0x06, 9, 0x9d, 0x06, 1, 2, 3, 4, 0x92, 0x06, 1, b'x'][..], &[0x12, 0]].concat();
    let mut stream = bytes_of(vec![answer_piece(Some(answer()), Bytes::new(), None)]);
    stream.extend_from_slice(&[0, 0, 0, 0, message.len() as u8]);
    stream.extend_from_slice(&message);
    for size in [1, 2, 7, 1000] {
        let events = read::<Answers>(&stream, &[size]).unwrap();
        let data = Event::Data(Bytes::from_static(b"ab"));
        assert_eq!(events, [Event::Head(answer()), data, Event::End(Fields::new())]);
    }
}

#[test]
fn what_is_not_allowed_is_named() {
    let wrap = |message: &[u8]| [&[0, 0, 0, 0, message.len() as u8][..], message].concat();
    let cases: [(&str, Vec<u8>, FrameError); 7] = [
        ("compressed", vec![1, 0, 0, 0, 0], FrameError::Compressed),
        ("too long", vec![0, 0, 0x20, 0, 0], FrameError::TooLong(0x20_0000)),
        ("wire type", wrap(&[0x0b]), FrameError::Malformed("wire type")),
        ("longer than its message", wrap(&[0x0a, 5]), FrameError::Malformed("a field is longer than its message")),
        ("endless number", wrap(&[0xff; 12]), FrameError::Malformed("number")),
        ("status", wrap(&[0x0a, 3, 0x08, 0xe7, 0x07]), FrameError::NotAllowed("status")),
        ("cut", vec![0, 0, 0], FrameError::Truncated),
    ];
    for (name, stream, expected) in cases {
        assert_eq!(read::<Answers>(&stream, &[99]), Err(expected), "{name}");
    }
    let forged = |field| {
        answer_piece(Some(AnswerHead { fields: [field].into_iter().collect(), ..answer() }), Bytes::new(), None)
    };
    for field in [Field::new("A\r\n", "1"), Field::new("A", "1\r\nX: 2"), Field::new("", "1")] {
        let stream = bytes_of(vec![forged(field)]);
        assert_eq!(read::<Answers>(&stream, &[99]), Err(FrameError::NotAllowed("field")));
    }
    let unproved = request_piece(Some(head()), Bytes::new(), None);
    let mut stream = bytes_of(vec![unproved]);
    let at = stream.windows(2).rposition(|pair| pair == [0x50, 0x01]).unwrap();
    stream[at + 1] = 0;
    assert_eq!(read::<Requests>(&stream, &[99]), Err(FrameError::NotAllowed("client proof")));
}

/// What somebody announces and never sends whole is kept until then.
#[test]
fn nothing_is_kept_that_nobody_needs() {
    let announce = |field: u8, length: usize| {
        let mut stream = vec![0];
        stream.extend_from_slice(&(limits::TUNNEL_MESSAGE as u32).to_be_bytes());
        stream.push((field << 3) | 2);
        prost::encoding::encode_varint(length as u64, &mut stream);
        stream
    };
    for (field, most) in [(HEAD, limits::TUNNEL_HEAD), (END, limits::TUNNEL_REST), (REFUSED, limits::TUNNEL_REST)] {
        assert_eq!(read::<Answers>(&announce(field as u8, most + 1), &[99]), Err(FrameError::TooLong(most + 1)));
        assert_eq!(read::<Answers>(&announce(field as u8, most), &[99]), Err(FrameError::Truncated));
    }
    assert_eq!(
        read::<Requests>(&announce(HEAD as u8, limits::TUNNEL_HEAD + 1), &[99]),
        Err(FrameError::TooLong(limits::TUNNEL_HEAD + 1))
    );
    // A message of a later version: half a field that nobody knows, of which nothing stays.
    let mut reader = Reader::<Requests>::default();
    reader.feed(Bytes::from(announce(9, limits::TUNNEL_MESSAGE - 5)));
    assert_eq!(reader.next_event(), Ok(None));
    reader.feed(Bytes::from(vec![0; limits::TUNNEL_MESSAGE / 2]));
    assert_eq!((reader.next_event(), reader.keeps_a_part()), (Ok(None), false));
    let mut reader = Reader::<Requests>::default();
    reader.feed(Bytes::from([announce(HEAD as u8, limits::TUNNEL_HEAD), vec![0; 100]].concat()));
    assert_eq!((reader.next_event(), reader.keeps_a_part()), (Ok(None), true));
}

#[test]
fn data_is_passed_on_before_its_message_is_complete_and_without_a_copy() {
    let mut reader = Reader::<Answers>::default();
    reader.feed(Bytes::from(bytes_of(vec![answer_piece(Some(answer()), Bytes::new(), None)])));
    assert!(matches!(reader.next_event(), Ok(Some(Event::Head(_)))));
    assert_eq!(reader.next_event(), Ok(None));
    let all = Bytes::from(bytes_of(vec![answer_piece(None, Bytes::from(vec![9; 1000]), None)]));
    reader.feed(all.slice(..100));
    let Ok(Some(Event::Data(first))) = reader.next_event() else { panic!("the first part comes at once") };
    assert_eq!(first.as_ptr(), all[8..].as_ptr(), "the same memory");
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_events(data in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..5), sizes in proptest::collection::vec(1_usize..50, 1..6)) {
        let mut pieces = vec![answer_piece(Some(answer()), Bytes::new(), None)];
        pieces.extend(data.iter().map(|data| answer_piece(None, data.clone().into(), None)));
        pieces.push(answer_piece(None, Bytes::new(), Some(Fields::new())));
        let stream = bytes_of(pieces);
        let events = read::<Answers>(&stream, &sizes).unwrap();
        let joined: Vec<u8> = events.iter().filter_map(|event| match event { Event::Data(data) => Some(data.to_vec()), _ => None }).flatten().collect();
        prop_assert_eq!(joined, data.concat());
        prop_assert_eq!(events.first(), Some(&Event::Head(answer())));
        prop_assert_eq!(events.last(), Some(&Event::End(Fields::new())));
    }

    #[test]
    fn arbitrary_bytes_never_panic(stream in proptest::collection::vec(any::<u8>(), 0..500), sizes in proptest::collection::vec(1_usize..50, 1..4)) {
        super::fuzz_frames(&stream);
        let whole = read::<Answers>(&stream, &[usize::MAX]);
        let cut = read::<Answers>(&stream, &sizes);
        prop_assert_eq!(whole, cut);
    }
}
