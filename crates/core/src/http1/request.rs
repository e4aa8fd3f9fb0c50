//! The head of a client's request: raw bytes in, a head with one reading out, or the fault that says which
//! rule it broke. Never repairs anything; a request that is not plainly right does not pass (G-13).

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;

use super::head::{BARE_LF, Framing, HeadFault, HeadFaultKind, HttpVersion, malformed, parse_fields, section_end};
use super::syntax::{is_space_or_control, is_token};
use crate::fields::Fields;
use crate::limits;

/// A request head whose syntax and framing are right. Method and target are as the client wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    pub method: Bytes,
    pub target: Bytes,
    pub version: HttpVersion,
    pub host: Option<Bytes>,
    /// All fields as they came, framing and hop-by-hop ones included.
    pub fields: Fields,
    pub body: BodyLength,
    pub keep_alive: bool,
    /// The client waits for 100 before it sends its body.
    pub expects_continue: bool,
}

/// How the end of a request's body is found. `Known(0)` is an explicit `Content-Length: 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    None,
    Known(u64),
    Chunked,
}

const TARGET_TOO_LONG: HeadFault = HeadFault {
    kind: HeadFaultKind::TargetTooLong,
    detail: "the request target is longer than 8192 bytes; send a shorter one",
};
const METHOD_TOO_LONG: HeadFault = malformed("the method is longer than 32 bytes");
const HEAD_TOO_LARGE: HeadFault = HeadFault {
    kind: HeadFaultKind::HeadTooLarge,
    detail: "the request head is longer than 32768 bytes; send fewer or shorter fields",
};
const VERSION: HeadFault = HeadFault {
    kind: HeadFaultKind::VersionNotSupported,
    detail: "the request is not HTTP/1.1; write HTTP/1.1 in the request line, or speak HTTP/2",
};

/// Takes a head out of the buffer when all of it is there. The head is copied, so that an exchange that waits
/// for minutes does not hold the connection's read buffer. A call costs a search for line ends, so calling it
/// after every byte is cheap compared with receiving the byte.
pub fn take_request_head(buffer: &mut BytesMut) -> Result<Option<RequestHead>, HeadFault> {
    let Some(line) = request_line(buffer)? else { return Ok(None) };
    let Some(end) = section_end(buffer, line.end, limits::REQUEST_HEAD, HEAD_TOO_LARGE)? else { return Ok(None) };
    let head = Bytes::copy_from_slice(buffer.get(..end).unwrap_or_default());
    let judged = judge(&head, &line)?;
    buffer.advance(end);
    Ok(Some(judged))
}

fn judge(head: &Bytes, line: &RequestLine) -> Result<RequestHead, HeadFault> {
    let fields = parse_fields(head, head.get(line.end..).unwrap_or_default())?;
    let framing = Framing::of_request(&fields)?;
    let body = match framing.content_length {
        Some(length) => BodyLength::Known(length),
        None if framing.chunked => BodyLength::Chunked,
        None => BodyLength::None,
    };
    Ok(RequestHead {
        method: head.slice(line.method.0..line.method.1),
        target: head.slice(line.target.0..line.target.1),
        version: HttpVersion::Http11,
        host: framing.host,
        fields,
        body,
        keep_alive: !framing.close,
        expects_continue: framing.expects_continue && !matches!(body, BodyLength::None | BodyLength::Known(0)),
    })
}

/// Where the parts of a request line are, as offsets into the buffer.
struct RequestLine {
    method: (usize, usize),
    target: (usize, usize),
    /// Behind its CRLF.
    end: usize,
}

/// Judges the request line as far as it is there, byte by byte in order.
fn request_line(bytes: &[u8]) -> Result<Option<RequestLine>, HeadFault> {
    let Some(start) = skip_empty_line(bytes)? else { return Ok(None) };
    let after = |at: usize| bytes.get(at..).unwrap_or_default();
    let Some(method) = method_length(after(start))? else { return Ok(None) };
    let target_at = start + method + 1;
    let Some(target) = target_length(after(target_at))? else { return Ok(None) };
    let version_at = target_at + target + 1;
    if !version_is_whole(after(version_at))? {
        return Ok(None);
    }
    Ok(Some(RequestLine {
        method: (start, start + method),
        target: (target_at, target_at + target),
        end: version_at + VERSION_AND_END,
    }))
}

/// One empty line before a request is tolerated (RFC 9112 section 2.2): old clients send it after a body.
fn skip_empty_line(bytes: &[u8]) -> Result<Option<usize>, HeadFault> {
    match bytes {
        [] | [b'\r'] => Ok(None),
        [b'\n', ..] => Err(BARE_LF),
        [b'\r', b'\n', b'\r' | b'\n', ..] => Err(malformed("the request begins with empty lines; send none")),
        [b'\r', b'\n', ..] => Ok(Some(2)),
        _ => Ok(Some(0)),
    }
}

fn method_length(bytes: &[u8]) -> Result<Option<usize>, HeadFault> {
    let Some(length) = bytes.iter().take(limits::METHOD + 1).position(|byte| !is_token(*byte)) else {
        return if bytes.len() > limits::METHOD { Err(METHOD_TOO_LONG) } else { Ok(None) };
    };
    match bytes.get(length) {
        Some(b' ') if length > 0 => Ok(Some(length)),
        _ => Err(malformed("the request does not begin with a method and one space")),
    }
}

fn target_length(bytes: &[u8]) -> Result<Option<usize>, HeadFault> {
    let within = bytes.get(..=limits::REQUEST_TARGET).unwrap_or(bytes);
    let Some(length) = memchr2(b' ', b'\n', within) else {
        return if bytes.len() > limits::REQUEST_TARGET { Err(TARGET_TOO_LONG) } else { Ok(None) };
    };
    if bytes.get(length) == Some(&b'\n') {
        return Err(malformed("the request line has no version; write method, target and HTTP/1.1"));
    }
    let target = bytes.get(..length).unwrap_or_default();
    if target.is_empty() {
        return Err(malformed("two spaces follow the method; write method, one space, target"));
    }
    if target.iter().any(|byte| is_space_or_control(*byte)) {
        return Err(malformed("the request target holds a control byte; encode or remove it"));
    }
    Ok(Some(length))
}

const VERSION_AND_END: usize = b"HTTP/1.1\r\n".len();

/// Whether the version and the end of the line are there. Judged byte by byte: the first wrong one decides.
fn version_is_whole(bytes: &[u8]) -> Result<bool, HeadFault> {
    let form = b"HTTP/d.d\r\n";
    for (byte, expected) in bytes.iter().zip(form) {
        let fits = if *expected == b'd' { byte.is_ascii_digit() } else { byte == expected };
        if !fits {
            return Err(if *byte == b'\n' {
                BARE_LF
            } else {
                malformed("the request line does not end with one space, HTTP/1.1, carriage return and line feed")
            });
        }
    }
    match bytes.get(..VERSION_AND_END) {
        None => Ok(false),
        Some(b"HTTP/1.1\r\n") => Ok(true),
        Some(_) => Err(VERSION),
    }
}

#[cfg(test)]
mod tests;
