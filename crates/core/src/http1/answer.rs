//! The head of a role's answer. As strict as with requests, because an answer read in two ways is an answer
//! given to the wrong client; lenient only where real roles need it: HTTP/1.0 and a missing reason phrase.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

use super::head::{BARE_LF, Framing, HeadFault, HeadFaultKind, HttpVersion, malformed, parse_fields, section_end};
use super::syntax::valid_reason;
use crate::fields::Fields;
use crate::limits;

/// The head of an answer, with the phrase and fields as the role wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    pub status: u16,
    pub reason: Bytes,
    /// All fields as they came, framing and hop-by-hop ones included.
    pub fields: Fields,
    pub body: AnswerBody,
    /// What Content-Length said; for HEAD and 304 the length that a GET would have had.
    pub content_length: Option<u64>,
    /// Whether the connection can serve another exchange after this body.
    pub keep_alive: bool,
}

/// How the end of an answer's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    None,
    Known(u64),
    Chunked,
    /// Whole only if the connection was closed properly.
    UntilClose,
}

const HEAD_TOO_LARGE: HeadFault =
    HeadFault { kind: HeadFaultKind::HeadTooLarge, detail: "the answer's head is longer than 65536 bytes" };
const VERSION: HeadFault =
    HeadFault { kind: HeadFaultKind::VersionNotSupported, detail: "the answer is neither HTTP/1.1 nor HTTP/1.0" };

/// Takes a head out of the buffer when all of it is there. An interim answer (1xx) comes out like a final one,
/// with no body; the final one follows. The head is copied, so that it does not hold the read buffer.
pub fn take_answer_head(buffer: &mut BytesMut, request_method: &[u8]) -> Result<Option<AnswerHead>, HeadFault> {
    let Some(line) = status_line(buffer)? else { return Ok(None) };
    let Some(end) = section_end(buffer, line.end, limits::ANSWER_HEAD, HEAD_TOO_LARGE)? else { return Ok(None) };
    let head = Bytes::copy_from_slice(buffer.get(..end).unwrap_or_default());
    let judged = judge(&head, &line, request_method)?;
    buffer.advance(end);
    Ok(Some(judged))
}

fn judge(head: &Bytes, line: &StatusLine, request_method: &[u8]) -> Result<AnswerHead, HeadFault> {
    let fields = parse_fields(head, head.get(line.end..).unwrap_or_default())?;
    let framing = Framing::of_answer(&fields)?;
    let declares_body = framing.chunked || framing.content_length.is_some_and(|length| length > 0);
    let interim = line.status < 200;
    if interim && declares_body {
        return Err(malformed("an interim answer declares a body"));
    }
    if framing.chunked && line.version == HttpVersion::Http10 {
        return Err(malformed("an HTTP/1.0 answer has a Transfer-Encoding"));
    }
    let body = match framing.content_length {
        _ if interim || request_method == b"HEAD" || matches!(line.status, 204 | 304) => AnswerBody::None,
        Some(length) => AnswerBody::Known(length),
        None if framing.chunked => AnswerBody::Chunked,
        None => AnswerBody::UntilClose,
    };
    let never_has_body = interim || line.status == 204;
    let persistent = match line.version {
        HttpVersion::Http11 => !framing.close,
        HttpVersion::Http10 => framing.keep_alive && !framing.close,
    };
    Ok(AnswerHead {
        status: line.status,
        reason: head.slice(line.reason.0..line.reason.1),
        fields,
        body,
        content_length: framing.content_length.filter(|_| !never_has_body),
        // What a role that declares a body for a 204 writes next is anybody's guess.
        keep_alive: persistent && body != AnswerBody::UntilClose && !(never_has_body && declares_body),
    })
}

struct StatusLine {
    version: HttpVersion,
    status: u16,
    reason: (usize, usize),
    /// Behind its CRLF.
    end: usize,
}

/// `HTTP/1.1 200 ` and then the phrase; the last space may be missing if the phrase is.
const PHRASE_AT: usize = b"HTTP/1.1 200 ".len();

/// Judges the status line as far as it is there.
fn status_line(bytes: &[u8]) -> Result<Option<StatusLine>, HeadFault> {
    starts_like_an_answer(bytes)?;
    let within = bytes.get(..limits::ANSWER_HEAD).unwrap_or(bytes);
    let Some(end) = memchr(b'\n', within) else {
        return if bytes.len() >= limits::ANSWER_HEAD { Err(HEAD_TOO_LARGE) } else { Ok(None) };
    };
    let Some(line) = within.get(..end).and_then(|line| line.strip_suffix(b"\r")) else { return Err(BARE_LF) };
    let version = match line.get(..8) {
        Some(b"HTTP/1.1") => HttpVersion::Http11,
        Some(b"HTTP/1.0") => HttpVersion::Http10,
        _ => return Err(VERSION),
    };
    let Some(status) = line.get(9..12).and_then(status_number) else {
        return Err(malformed("the status of the answer is not a number from 100 to 599"));
    };
    if status == 101 {
        return Err(malformed("the answer switches protocols, which nobody asked for"));
    }
    let phrase = line.get(PHRASE_AT..).unwrap_or_default();
    if !matches!(line.get(12), None | Some(b' ')) || !valid_reason(phrase) {
        return Err(malformed("the reason phrase of the answer is malformed"));
    }
    let reason = if phrase.is_empty() { (end, end) } else { (PHRASE_AT, PHRASE_AT + phrase.len()) };
    Ok(Some(StatusLine { version, status, reason, end: end + 1 }))
}

/// Something that is not HTTP is known as such from its first bytes, not after a time-out.
fn starts_like_an_answer(bytes: &[u8]) -> Result<(), HeadFault> {
    for (byte, expected) in bytes.iter().zip(b"HTTP/d.d ") {
        let fits = if *expected == b'd' { byte.is_ascii_digit() } else { byte == expected };
        if !fits {
            return Err(malformed("the answer does not begin with a version of HTTP and a status"));
        }
    }
    Ok(())
}

fn status_number(digits: &[u8]) -> Option<u16> {
    let [hundreds @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = digits else { return None };
    let value = |digit: &u8| u16::from(digit - b'0');
    Some(value(hundreds) * 100 + value(tens) * 10 + value(ones))
}

#[cfg(test)]
mod tests;
