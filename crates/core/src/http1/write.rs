//! Writes heads and the framing of bodies. Everything given here was judged before (`valid_field` and its
//! siblings), and the fields hold no framing fields; data between the framing is the caller's to write.

use bytes::{BufMut, BytesMut};

use super::request::BodyLength;
use crate::fields::Fields;

/// How the end of an answer's body is marked. For HEAD and 304 `Known` is only said, no body follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFraming {
    None,
    Known(u64),
    Chunked,
}

/// A request to a role. `Host` is among the fields. A `TE` among them is announced in `Connection`, as RFC 9110
/// section 10.1.4 wants it.
pub fn write_request_head(out: &mut BytesMut, method: &[u8], target: &[u8], fields: &Fields, body: BodyLength) {
    out.reserve(method.len() + target.len() + fields.wire_length() + HEAD_ROOM);
    out.put_slice(method);
    out.put_u8(b' ');
    out.put_slice(target);
    out.put_slice(b" HTTP/1.1\r\n");
    write_fields(out, fields);
    if fields.iter().any(|field| field.is("te")) {
        out.put_slice(b"Connection: TE\r\n");
    }
    match body {
        BodyLength::None => {}
        BodyLength::Known(length) => write_content_length(out, length),
        BodyLength::Chunked => out.put_slice(CHUNKED),
    }
    out.put_slice(b"\r\n");
}

/// An answer to a client. With `AnswerFraming::None` and a status that has a body, the body ends with the
/// connection, so `keep_alive` must be false then.
pub fn write_answer_head(
    out: &mut BytesMut,
    status: u16,
    reason: &[u8],
    fields: &Fields,
    body: AnswerFraming,
    keep_alive: bool,
) {
    out.reserve(reason.len() + fields.wire_length() + HEAD_ROOM);
    out.put_slice(b"HTTP/1.1 ");
    write_decimal(out, u64::from(status));
    out.put_u8(b' ');
    out.put_slice(reason);
    out.put_slice(b"\r\n");
    write_fields(out, fields);
    match body {
        AnswerFraming::None => {}
        AnswerFraming::Known(length) => write_content_length(out, length),
        AnswerFraming::Chunked => out.put_slice(CHUNKED),
    }
    if !keep_alive {
        out.put_slice(b"Connection: close\r\n");
    }
    out.put_slice(b"\r\n");
}

/// The interim answer to `Expect: 100-continue`.
pub fn write_continue(out: &mut BytesMut) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// What stands before a chunk's data, which must not be empty: an empty chunk would end the body.
pub fn write_chunk_prefix(out: &mut BytesMut, length: usize) {
    debug_assert!(length > 0, "an empty chunk ends the body");
    let mut digits = [0; 16];
    write_digits(out, &mut digits, length as u64, 16);
    out.extend_from_slice(b"\r\n");
}

/// What stands behind a chunk's data.
pub fn write_chunk_suffix(out: &mut BytesMut) {
    out.extend_from_slice(b"\r\n");
}

/// The end of a chunked body.
pub fn write_last_chunk(out: &mut BytesMut, trailers: &Fields) {
    out.reserve(trailers.wire_length() + b"0\r\n\r\n".len());
    out.put_slice(b"0\r\n");
    write_fields(out, trailers);
    out.put_slice(b"\r\n");
}

/// Start line punctuation, framing, `Connection` and the empty line.
const HEAD_ROOM: usize = 128;
const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";

fn write_fields(out: &mut BytesMut, fields: &Fields) {
    for field in fields {
        out.put_slice(&field.name);
        out.put_slice(b": ");
        out.put_slice(&field.value);
        out.put_slice(b"\r\n");
    }
}

fn write_content_length(out: &mut BytesMut, length: u64) {
    out.put_slice(b"Content-Length: ");
    write_decimal(out, length);
    out.put_slice(b"\r\n");
}

fn write_decimal(out: &mut BytesMut, number: u64) {
    let mut digits = [0; 20];
    write_digits(out, &mut digits, number, 10);
}

fn write_digits(out: &mut BytesMut, digits: &mut [u8], mut number: u64, base: u64) {
    let mut first = digits.len();
    for digit in digits.iter_mut().rev() {
        let value = u32::try_from(number % base).unwrap_or_default();
        *digit = char::from_digit(value, 16).map_or(b'0', |digit| digit as u8);
        number /= base;
        first -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

#[cfg(test)]
mod tests;
