//! What request and answer heads share: where a head ends, its fields, and what the fields say about framing.
//! Looks only at the bytes up to its limit and in their order, so that the verdict on a head does not depend
//! on how it was cut into packets.

use bytes::Bytes;
use memchr::memchr;

use super::syntax::{decimal, list_elements, valid_host, valid_name, valid_reason};
use crate::fields::{Field, Fields};
use crate::limits;

/// Version of HTTP/1 in a start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    Http10,
    Http11,
}

/// Why a head was refused. The detail speaks only of what the sender wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct HeadFault {
    pub kind: HeadFaultKind,
    pub detail: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFaultKind {
    Malformed,
    TargetTooLong,
    HeadTooLarge,
    VersionNotSupported,
}

pub(super) const fn malformed(detail: &'static str) -> HeadFault {
    HeadFault { kind: HeadFaultKind::Malformed, detail }
}

pub(super) const TOO_MANY_FIELDS: HeadFault =
    HeadFault { kind: HeadFaultKind::HeadTooLarge, detail: "the head holds more than 100 fields; send fewer" };

pub(super) const BARE_LF: HeadFault =
    malformed("a line of the head ends with a line feed alone; end every line with carriage return and line feed");

/// Where the field section that begins at `from` ends, behind its empty line; `None`: not yet there.
pub(super) fn section_end(
    bytes: &[u8],
    from: usize,
    limit: usize,
    over: HeadFault,
) -> Result<Option<usize>, HeadFault> {
    let within = bytes.get(..limit).unwrap_or(bytes);
    let mut line = from;
    for _ in 0..=limits::HEAD_FIELDS {
        let rest = within.get(line..).unwrap_or_default();
        let Some(length) = memchr(b'\n', rest) else {
            return if bytes.len() >= limit { Err(over) } else { Ok(None) };
        };
        match rest.get(..length) {
            Some(b"\r") => return Ok(Some(line + 2)),
            Some([.., b'\r']) => line += length + 1,
            _ => return Err(BARE_LF),
        }
    }
    Err(TOO_MANY_FIELDS)
}

/// The fields of a whole section, empty line included; `section` must be a part of `head`.
pub(super) fn parse_fields(head: &Bytes, section: &[u8]) -> Result<Fields, HeadFault> {
    let mut slots = [httparse::EMPTY_HEADER; limits::HEAD_FIELDS];
    let parsed = match httparse::parse_headers(section, &mut slots) {
        Ok(httparse::Status::Complete((length, parsed))) if length == section.len() => parsed,
        Err(httparse::Error::TooManyHeaders) => return Err(TOO_MANY_FIELDS),
        _ => return Err(malformed(first_bad_line(section))),
    };
    let mut fields = Fields::with_capacity(parsed.len() + limits::FIELDS_ADDED);
    for field in parsed {
        fields.push(Field { name: head.slice_ref(field.name.as_bytes()), value: head.slice_ref(field.value) });
    }
    Ok(fields)
}

/// Says what is wrong with a section that the tokeniser did not take.
fn first_bad_line(section: &[u8]) -> &'static str {
    for line in section.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return "a field line begins with white space (obsolete folding); write the field in one line";
        }
        let Some((name, value)) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) else {
            return "a field line has no colon; write name, colon, value";
        };
        if matches!(name.last(), Some(b' ' | b'\t')) {
            return "white space stands between a field name and its colon; remove it";
        }
        if !valid_name(name) {
            return "a field name is empty or holds a byte that names must not hold; use letters, digits and hyphens";
        }
        if memchr(b'\r', value).is_some() {
            return "a carriage return stands alone in a field value; remove it";
        }
        if !valid_reason(value) {
            return "a field value holds a control byte; remove it";
        }
    }
    "the fields of the head are malformed"
}

/// What the fields of a head say about framing and connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    pub host: Option<Bytes>,
    pub content_length: Option<u64>,
    pub chunked: bool,
    pub close: bool,
    pub keep_alive: bool,
    pub expects_continue: bool,
    connection_options: usize,
}

impl Framing {
    /// Reads the fields that decide, and refuses whatever could be read in two ways.
    pub fn of_request(fields: &Fields) -> Result<Self, HeadFault> {
        let framing = Self::read(fields, true)?;
        match &framing.host {
            None => Err(malformed("Host is missing; send the name of the service in it")),
            Some(host) if !valid_host(host) => {
                Err(malformed("Host is not one host name or address with an optional port; write only that"))
            }
            Some(_) => Ok(framing),
        }
    }

    /// The same for an answer, where `Host` and `Expect` mean nothing.
    pub fn of_answer(fields: &Fields) -> Result<Self, HeadFault> {
        Self::read(fields, false)
    }

    fn read(fields: &Fields, of_request: bool) -> Result<Self, HeadFault> {
        let mut framing = Self::default();
        for field in fields {
            match field.name.len() {
                4 if of_request && field.is("host") => framing.host(&field.value)?,
                6 if of_request && field.is("expect") => framing.expect(&field.value)?,
                10 if field.is("connection") => framing.connection(&field.value)?,
                14 if field.is("content-length") => framing.content_length(&field.value)?,
                17 if field.is("transfer-encoding") => framing.transfer_encoding(&field.value)?,
                _ => {}
            }
        }
        if framing.chunked && framing.content_length.is_some() {
            return Err(malformed("both Content-Length and Transfer-Encoding are present; send one of them"));
        }
        Ok(framing)
    }

    fn host(&mut self, value: &Bytes) -> Result<(), HeadFault> {
        if self.host.replace(value.clone()).is_some() {
            return Err(malformed("Host is present more than once; send it once"));
        }
        Ok(())
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if self.expects_continue || !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(malformed("Expect is something other than one 100-continue; nothing else can be expected"));
        }
        self.expects_continue = true;
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        for option in list_elements(value) {
            self.connection_options += 1;
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
        if self.connection_options > limits::CONNECTION_OPTIONS {
            return Err(malformed("Connection lists more than 32 options; list fewer"));
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        let Some(length) = decimal(value) else {
            return Err(malformed("Content-Length is not one number of at most 19 digits; write digits only"));
        };
        if self.content_length.replace(length).is_some() {
            return Err(malformed("Content-Length is present more than once; send it once"));
        }
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(malformed(
                "Transfer-Encoding is something other than one chunked; no other coding and no repetition is taken",
            ));
        }
        self.chunked = true;
        Ok(())
    }
}
