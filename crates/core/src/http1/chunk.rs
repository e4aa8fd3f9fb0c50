//! The line before a chunk and the trailers behind the last one (RFC 9112 section 7.1). Judged byte by byte in
//! order; white space, signs, more than 16 digits and bare line ends are all faults.

use bytes::{Buf, Bytes, BytesMut};

use super::body::BodyFault;
use super::head::{HeadFault, HeadFaultKind, parse_fields, section_end};
use super::syntax::is_text;
use crate::fields::Fields;
use crate::limits;

/// Takes a chunk's size line out of the buffer; `None`: not yet whole. Extensions are judged and thrown away.
pub(super) fn take_chunk_size(buffer: &mut BytesMut) -> Result<Option<u64>, BodyFault> {
    let mut size = 0_u64;
    let mut digits = 0;
    let mut line = buffer.iter().copied().take(limits::CHUNK_LINE);
    let behind_digits = loop {
        let Some(byte) = line.next() else { return Ok(None) };
        let Some(digit) = char::from(byte).to_digit(16) else { break byte };
        if digits == 16 {
            return Err(BodyFault::ChunkTooLarge);
        }
        size = size << 4 | u64::from(digit);
        digits += 1;
    };
    if digits == 0 {
        return Err(BodyFault::ChunkSize);
    }
    let mut length = digits + 1;
    match behind_digits {
        b'\r' => {}
        b';' => loop {
            length += 1;
            match line.next() {
                Some(b'\r') => break,
                Some(byte) if is_text(byte) => {}
                Some(_) => return Err(BodyFault::ChunkExtension),
                None if length > limits::CHUNK_LINE => return Err(BodyFault::ChunkLineTooLong),
                None => return Ok(None),
            }
        },
        _ => return Err(BodyFault::ChunkSize),
    }
    match line.next() {
        Some(b'\n') => {
            buffer.advance(length + 1);
            Ok(Some(size))
        }
        Some(_) => Err(BodyFault::ChunkSize),
        None if length >= limits::CHUNK_LINE => Err(BodyFault::ChunkLineTooLong),
        None => Ok(None),
    }
}

/// Takes the CRLF behind a chunk's data out of the buffer; false: not yet there.
pub(super) fn take_chunk_end(buffer: &mut BytesMut) -> Result<bool, BodyFault> {
    match buffer.as_ref() {
        [] | [b'\r'] => Ok(false),
        [b'\r', b'\n', ..] => {
            buffer.advance(2);
            Ok(true)
        }
        _ => Err(BodyFault::ChunkEnd),
    }
}

/// Takes the trailer section with its empty line out of the buffer; `None`: not yet whole.
pub(super) fn take_trailers(buffer: &mut BytesMut) -> Result<Option<Fields>, BodyFault> {
    const OVER: HeadFault = HeadFault { kind: HeadFaultKind::HeadTooLarge, detail: "" };
    let fault = |fault: HeadFault| match fault.kind {
        HeadFaultKind::HeadTooLarge => BodyFault::TrailersTooLarge,
        _ => BodyFault::Trailer(fault.detail),
    };
    let Some(end) = section_end(buffer, 0, limits::TRAILERS, OVER).map_err(fault)? else { return Ok(None) };
    if end == b"\r\n".len() {
        buffer.advance(end);
        return Ok(Some(Fields::new()));
    }
    let section = Bytes::copy_from_slice(buffer.get(..end).unwrap_or_default());
    let trailers = parse_fields(&section, &section).map_err(fault)?;
    if trailers.iter().any(|trailer| trailer.is("transfer-encoding") || trailer.is("content-length")) {
        return Err(BodyFault::FramingTrailer);
    }
    buffer.advance(end);
    Ok(Some(trailers))
}

#[cfg(test)]
mod tests;
