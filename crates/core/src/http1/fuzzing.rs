//! Bodies of the fuzz targets for heads and framing: any bytes, and what must hold whatever they are. The
//! property tests run them too.

use bytes::{Bytes, BytesMut};

use super::{
    AnswerBody, AnswerFraming, AnswerHead, BodyDecoder, BodyFault, BodyLength, BodyPiece, HeadFault, RequestHead,
    take_answer_head, take_request_head, valid_field, valid_host, valid_method, valid_reason, write_answer_head,
    write_chunk_prefix, write_chunk_suffix, write_last_chunk, write_request_head,
};
use crate::fields::{Field, Fields};
use crate::headers;
use crate::limits;

/// A verdict on a head and how many bytes it took.
type Verdict<T> = Result<Option<(T, usize)>, HeadFault>;

fn whole<T>(data: &[u8], take: impl Fn(&mut BytesMut) -> Result<Option<T>, HeadFault>) -> Verdict<T> {
    let mut buffer = BytesMut::from(data);
    Ok(take(&mut buffer)?.map(|head| (head, data.len() - buffer.len())))
}

fn in_pieces<T>(data: &[u8], piece: usize, take: impl Fn(&mut BytesMut) -> Result<Option<T>, HeadFault>) -> Verdict<T> {
    let mut buffer = BytesMut::new();
    let mut fed = 0;
    for piece in data.chunks(piece) {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        if let Some(head) = take(&mut buffer)? {
            return Ok(Some((head, fed - buffer.len())));
        }
    }
    Ok(None)
}

/// The first byte chooses the size of the pieces in which the rest arrives.
fn piece_and_rest(data: &[u8]) -> (usize, &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    (usize::from(*first).max(rest.len() / 512).max(1), rest)
}

/// A request head reads the same however it was cut, and survives being written and read again.
pub fn fuzz_request_head(data: &[u8]) {
    let (piece, data) = piece_and_rest(data);
    let verdict = whole(data, take_request_head);
    assert_eq!(verdict, in_pieces(data, piece, take_request_head), "cut into pieces of {piece}");
    let Ok(Some((head, length))) = verdict else { return };
    assert!(length <= data.len().min(limits::REQUEST_HEAD));
    check_request(&head);
    let mut fields = head.fields.clone();
    headers::clean_request(&mut fields);
    fields.push(Field::new("Host", head.host.clone().unwrap_or_default()));
    let mut out = BytesMut::new();
    write_request_head(&mut out, &head.method, &head.target, &fields, head.body);
    let again = take_request_head(&mut out).expect("what we write is right").expect("and whole");
    assert!(out.is_empty());
    assert_eq!((&again.method, &again.target, again.body), (&head.method, &head.target, head.body));
    let mut again = again.fields;
    headers::clean_request(&mut again);
    headers::clean_request(&mut fields);
    assert_eq!(again, fields);
}

fn check_request(head: &RequestHead) {
    assert!(valid_method(&head.method));
    assert!(!head.target.is_empty() && head.target.len() <= limits::REQUEST_TARGET);
    assert!(head.target.iter().all(|byte| *byte > b' ' && *byte != 0x7f));
    assert!(head.host.as_deref().is_some_and(valid_host));
    assert!(head.fields.len() <= limits::HEAD_FIELDS);
    assert_eq!(head.fields.all("host").count(), 1);
    check_framing(&head.fields);
    assert_eq!(head.body == BodyLength::Chunked, head.fields.first("transfer-encoding").is_some());
    assert_eq!(matches!(head.body, BodyLength::Known(_)), head.fields.first("content-length").is_some());
}

fn check_framing(fields: &Fields) {
    assert!(fields.iter().all(|field| valid_field(&field.name, &field.value)));
    assert!(fields.all("content-length").count() + fields.all("transfer-encoding").count() <= 1);
}

/// The same for an answer; the second byte chooses the method that was asked with.
pub fn fuzz_answer_head(data: &[u8]) {
    let (piece, data) = piece_and_rest(data);
    let (first, data) = data.split_first().unwrap_or((&0, &[]));
    let method: &[u8] = if first.is_multiple_of(4) { b"HEAD" } else { b"GET" };
    let take = |buffer: &mut BytesMut| take_answer_head(buffer, method);
    let verdict = whole(data, take);
    assert_eq!(verdict, in_pieces(data, piece, take), "cut into pieces of {piece}");
    let Ok(Some((head, length))) = verdict else { return };
    assert!(length <= data.len().min(limits::ANSWER_HEAD));
    check_answer(&head, method);
    if head.body == AnswerBody::UntilClose {
        return;
    }
    let mut fields = head.fields.clone();
    headers::clean_answer(&mut fields);
    let framing = match (head.body, head.content_length) {
        (AnswerBody::Chunked, _) => AnswerFraming::Chunked,
        (_, Some(length)) => AnswerFraming::Known(length),
        _ => AnswerFraming::None,
    };
    let mut out = BytesMut::new();
    write_answer_head(&mut out, head.status, &head.reason, &fields, framing, head.keep_alive);
    let again = take_answer_head(&mut out, method).expect("what we write is right").expect("and whole");
    assert!(out.is_empty());
    assert_eq!((again.status, &again.reason, again.body), (head.status, &head.reason, head.body));
    assert_eq!((again.content_length, again.keep_alive), (head.content_length, head.keep_alive));
    let mut again = again.fields;
    headers::clean_answer(&mut again);
    assert_eq!(again, fields);
}

fn check_answer(head: &AnswerHead, method: &[u8]) {
    assert!((100..600).contains(&head.status) && head.status != 101);
    assert!(valid_reason(&head.reason));
    check_framing(&head.fields);
    if head.status < 200 || head.status == 204 || head.status == 304 || method == b"HEAD" {
        assert_eq!(head.body, AnswerBody::None);
    }
    assert!(head.body != AnswerBody::UntilClose || !head.keep_alive);
}

/// Data of a body and how it ended; `Err(BrokenOff)`: it did not end.
type Decoded = (Vec<u8>, Result<Fields, BodyFault>, usize);

type Take = fn(&mut BodyDecoder, &mut BytesMut, usize) -> Result<BodyPiece, BodyFault>;

fn decode(mut decoder: BodyDecoder, take: Take, data: &[u8], piece: usize, at_most: usize) -> Decoded {
    let mut body = Vec::new();
    let mut buffer = BytesMut::new();
    let mut pieces = data.chunks(piece);
    loop {
        match take(&mut decoder, &mut buffer, at_most) {
            Err(fault) => {
                assert_eq!(take(&mut decoder, &mut buffer, at_most), Err(fault), "a fault stays");
                return (body, Err(fault), 0);
            }
            Ok(BodyPiece::End(trailers)) => {
                assert!(decoder.is_done() && decoder.at_eof().is_ok());
                return (body, Ok(trailers), buffer.len() + pieces.map(<[u8]>::len).sum::<usize>());
            }
            Ok(BodyPiece::Data(data)) => {
                assert!(!data.is_empty() && data.len() <= at_most);
                body.extend_from_slice(&data);
            }
            Ok(BodyPiece::NeedMore) => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return (body, decoder.at_eof().map(|()| Fields::new()), 0),
            },
        }
    }
}

/// A body decodes the same however it was cut, and survives being written in chunks and read again.
pub fn fuzz_body(data: &[u8]) {
    let (piece, data) = piece_and_rest(data);
    let (kind, data) = data.split_first().unwrap_or((&0, &[]));
    let decoder = || match kind % 4 {
        0 => BodyDecoder::for_request(BodyLength::Known(u64::from(*kind))),
        1 => BodyDecoder::for_answer(AnswerBody::UntilClose),
        _ => BodyDecoder::for_request(BodyLength::Chunked),
    };
    let at_once = decode(decoder(), BodyDecoder::take, data, data.len().max(1), usize::MAX);
    assert_eq!(at_once, decode(decoder(), BodyDecoder::take, data, piece, piece), "cut into pieces of {piece}");
    assert_eq!(at_once, decode(decoder(), BodyDecoder::take_joined, data, data.len().max(1), usize::MAX), "joined");
    let (body, end, _) = at_once;
    assert!(body.len() <= data.len());
    let Ok(trailers) = end else { return };
    let mut out = BytesMut::new();
    for chunk in body.chunks(piece) {
        write_chunk_prefix(&mut out, chunk.len());
        out.extend_from_slice(chunk);
        write_chunk_suffix(&mut out);
    }
    write_last_chunk(&mut out, &trailers);
    let rest = Bytes::from_static(b"GET / HTTP/1.1\r\n");
    out.extend_from_slice(&rest);
    let again =
        decode(BodyDecoder::for_request(BodyLength::Chunked), BodyDecoder::take_joined, &out, piece, usize::MAX);
    assert_eq!(again, (body, Ok(trailers), rest.len()));
}
