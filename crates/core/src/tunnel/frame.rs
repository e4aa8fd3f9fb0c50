//! Messages of an exchange to bytes and back. The only place where an exchange's wire types and ours meet.
//! The reader streams `data` while its message is still arriving and believes nothing: every value that
//! leaves here has been checked.

mod values;
mod writing;

use bytes::{Buf, Bytes, BytesMut};

use super::exchange::{Received, Said, Violation};
use super::generated as wire;
use super::message::{AnswerHead, Refused, RequestHead};
use super::piece::{DATA_TAG, GRPC_PREFIX};
use crate::fields::Fields;
use crate::limits;

pub(super) use values::lane_from_wire;
use values::{answer_head, decode, fields, refused, request_head};
pub(super) use writing::lane_to_wire;
pub use writing::{answer_piece, handed_piece, refused_piece, request_piece};

/// What the other end sent cannot be understood or is not allowed. The tunnel's fault, never the client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a compressed message, which was not agreed on")]
    Compressed,
    #[error("a message of {0} bytes, more than the limit")]
    TooLong(usize),
    #[error("a message that does not parse: {0}")]
    Malformed(&'static str),
    #[error("a message with a value that is not allowed: {0}")]
    NotAllowed(&'static str),
    #[error(transparent)]
    Violation(#[from] Violation),
    #[error("the stream ended in the middle of a message or before its end")]
    Truncated,
}

/// What a reader has found. `H` is the head of the direction.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<H> {
    Head(H),
    Data(Bytes),
    End(Fields),
    HandedToRole,
    Refused(Refused),
}

impl<H> Event<H> {
    /// The fault of whoever sent this to an end that had no use for it.
    pub fn out_of_place(&self, at: Received) -> FrameError {
        Violation { at, said: self.said() }.into()
    }

    fn said(&self) -> Said {
        match self {
            Event::Head(_) => Said::Head,
            Event::Data(_) => Said::Data,
            Event::End(_) => Said::End,
            Event::HandedToRole => Said::HandedToRole,
            Event::Refused(_) => Said::Refused,
        }
    }
}

/// A direction of an exchange: how its parts are read.
pub trait Direction {
    type Head;
    /// Bytes of such a field, at most; `None`: unknown, skipped.
    fn most(number: u32) -> Option<usize>;
    /// The event of a length-delimited field other than `data` and `end`; `None`: unknown, ignored.
    fn field(number: u32, bytes: Bytes) -> Result<Option<Event<Self::Head>>, FrameError>;
    /// The event of a number; `None`: unknown, ignored.
    fn number(number: u32, value: u64) -> Option<Event<Self::Head>>;
}

/// The request's direction, read by the connection point.
#[derive(Debug)]
pub struct Requests;

/// The answer's direction, read by the gateway.
#[derive(Debug)]
pub struct Answers;

impl Direction for Requests {
    type Head = RequestHead;

    fn most(number: u32) -> Option<usize> {
        match number {
            HEAD => Some(limits::TUNNEL_HEAD),
            END => Some(limits::TUNNEL_REST),
            _ => None,
        }
    }

    fn field(number: u32, bytes: Bytes) -> Result<Option<Event<RequestHead>>, FrameError> {
        match number {
            HEAD => Ok(Some(Event::Head(request_head(decode(bytes)?)?))),
            _ => Ok(None),
        }
    }

    fn number(_number: u32, _value: u64) -> Option<Event<RequestHead>> {
        None
    }
}

impl Direction for Answers {
    type Head = AnswerHead;

    fn most(number: u32) -> Option<usize> {
        match number {
            HEAD => Some(limits::TUNNEL_HEAD),
            END | REFUSED => Some(limits::TUNNEL_REST),
            _ => None,
        }
    }

    fn field(number: u32, bytes: Bytes) -> Result<Option<Event<AnswerHead>>, FrameError> {
        match number {
            HEAD => Ok(Some(Event::Head(answer_head(decode(bytes)?)?))),
            REFUSED => Ok(Some(Event::Refused(refused(decode(bytes)?)))),
            _ => Ok(None),
        }
    }

    fn number(number: u32, value: u64) -> Option<Event<AnswerHead>> {
        (number == HANDED_TO_ROLE && value != 0).then_some(Event::HandedToRole)
    }
}

/// Numbers of the fields `head` and `end`, the same in both directions.
const HEAD: u32 = 1;
const END: u32 = 2;
/// Numbers of fields that only answers have.
const HANDED_TO_ROLE: u32 = 3;
const REFUSED: u32 = 4;
/// Number of the field `data`, the same in both directions.
const DATA: u32 = (DATA_TAG >> 3) as u32;

/// Where the reader stands inside a message.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Before a message: its prefix comes next.
    Prefix,
    /// In a message with that many bytes left, at the tag of a field.
    Tag { left: usize },
    /// Behind a tag that is followed by a number.
    Number { left: usize, field: u32 },
    /// Behind a tag that is followed by a length.
    Length { left: usize, field: u32 },
    /// In a field that is needed whole, and is no longer than it may be.
    Whole { left: usize, field: u32, length: usize },
    /// In a field that nobody knows.
    Unknown { left: usize, length: usize },
    /// In `data`.
    Data { left: usize, length: usize },
}

/// Reads the messages of one direction of an exchange from chunks of any size.
#[derive(Debug)]
pub struct Reader<D> {
    at: At,
    received: Received,
    /// The chunk being read.
    chunk: Bytes,
    /// The beginning of something that a chunk cut in two.
    partial: BytesMut,
    /// `end` of the message being read: it takes effect when the message is complete.
    end: Option<Fields>,
    direction: std::marker::PhantomData<D>,
}

impl<D: Direction> Default for Reader<D> {
    fn default() -> Self {
        Self {
            at: At::Prefix,
            received: Received::AwaitHead,
            chunk: Bytes::new(),
            partial: BytesMut::new(),
            end: None,
            direction: std::marker::PhantomData,
        }
    }
}

impl<D: Direction> Reader<D> {
    /// Gives the reader its next bytes. Call it only after `next_event` has returned `None`.
    pub fn feed(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "a chunk is read to its end first");
        self.chunk = chunk;
    }

    /// Something of what it was fed is kept, because the rest of it has not come.
    pub fn keeps_a_part(&self) -> bool {
        !self.partial.is_empty()
    }

    /// The stream ended: is that allowed here?
    pub fn at_end_of_stream(&self) -> Result<(), FrameError> {
        let between_messages = matches!(self.at, At::Prefix) && self.partial.is_empty() && self.chunk.is_empty();
        if between_messages && self.received.is_final() { Ok(()) } else { Err(FrameError::Truncated) }
    }

    /// The next event, or `None` when more bytes are needed.
    pub fn next_event(&mut self) -> Result<Option<Event<D::Head>>, FrameError> {
        loop {
            if let Some(event) = self.step()? {
                self.received = self.received.after(event.said())?;
                return Ok(Some(event));
            }
            if self.chunk.is_empty() && self.needs_bytes() {
                return Ok(None);
            }
        }
    }

    /// The end of a message and an empty field are seen without another byte.
    fn needs_bytes(&self) -> bool {
        !matches!(self.at, At::Tag { left: 0 } | At::Whole { length: 0, .. })
    }

    fn step(&mut self) -> Result<Option<Event<D::Head>>, FrameError> {
        match self.at {
            At::Prefix => self.prefix().map(|()| None),
            At::Tag { left: 0 } => {
                self.at = At::Prefix;
                Ok(self.end.take().map(Event::End))
            }
            At::Tag { left } => self.tag(left).map(|()| None),
            At::Number { left, field } => match self.varint(left)? {
                Some((value, left)) => {
                    self.at = At::Tag { left };
                    Ok(D::number(field, value))
                }
                None => Ok(None),
            },
            At::Length { left, field } => self.length(left, field).map(|()| None),
            At::Whole { left, field, length } => match self.take(length) {
                Some(bytes) => {
                    self.at = At::Tag { left: left - length };
                    self.whole(field, bytes)
                }
                None => Ok(None),
            },
            At::Unknown { left, length } => {
                let now = length.min(self.chunk.len());
                self.chunk.advance(now);
                self.at = Self::unknown(left - now, length - now);
                Ok(None)
            }
            At::Data { left, length } => Ok(self.data(left, length)),
        }
    }

    fn unknown(left: usize, length: usize) -> At {
        if length == 0 { At::Tag { left } } else { At::Unknown { left, length } }
    }

    fn prefix(&mut self) -> Result<(), FrameError> {
        let Some(mut prefix) = self.take(GRPC_PREFIX) else { return Ok(()) };
        if prefix.get_u8() != 0 {
            return Err(FrameError::Compressed);
        }
        let left = prefix.get_u32() as usize;
        if left > limits::TUNNEL_MESSAGE {
            return Err(FrameError::TooLong(left));
        }
        self.at = At::Tag { left };
        Ok(())
    }

    fn tag(&mut self, left: usize) -> Result<(), FrameError> {
        let Some((tag, left)) = self.varint(left)? else { return Ok(()) };
        let field = u32::try_from(tag >> 3).map_err(|_| FrameError::Malformed("field number"))?;
        self.at = match tag & 7 {
            0 => At::Number { left, field },
            2 => At::Length { left, field },
            1 => fixed(left, 8)?,
            5 => fixed(left, 4)?,
            _ => return Err(FrameError::Malformed("wire type")),
        };
        Ok(())
    }

    fn length(&mut self, left: usize, field: u32) -> Result<(), FrameError> {
        let Some((length, left)) = self.varint(left)? else { return Ok(()) };
        let length = usize::try_from(length).map_err(|_| FrameError::Malformed("length"))?;
        if length > left {
            return Err(FrameError::Malformed("a field is longer than its message"));
        }
        self.at = match (field, D::most(field)) {
            (DATA, _) if length == 0 => At::Tag { left },
            (DATA, _) => At::Data { left, length },
            (_, Some(most)) if length > most => return Err(FrameError::TooLong(length)),
            (_, Some(_)) => At::Whole { left, field, length },
            (_, None) => Self::unknown(left, length),
        };
        Ok(())
    }

    fn whole(&mut self, field: u32, bytes: Bytes) -> Result<Option<Event<D::Head>>, FrameError> {
        if field != END {
            return D::field(field, bytes);
        }
        let end: wire::End = decode(bytes)?;
        self.end = Some(fields(end.trailers)?);
        Ok(None)
    }

    fn data(&mut self, left: usize, length: usize) -> Option<Event<D::Head>> {
        let now = length.min(self.chunk.len());
        if now == 0 {
            return None;
        }
        self.at = match length - now {
            0 => At::Tag { left: left - now },
            rest => At::Data { left: left - now, length: rest },
        };
        Some(Event::Data(self.chunk.split_to(now)))
    }

    /// That many bytes in one piece, without a copy when one chunk holds them.
    fn take(&mut self, length: usize) -> Option<Bytes> {
        if self.partial.is_empty() && self.chunk.len() >= length {
            return Some(self.chunk.split_to(length));
        }
        let missing = length.saturating_sub(self.partial.len()).min(self.chunk.len());
        self.partial.extend_from_slice(&self.chunk.split_to(missing));
        (self.partial.len() >= length).then(|| self.partial.split().freeze())
    }

    /// A number and what is left of the message behind it.
    fn varint(&mut self, left: usize) -> Result<Option<(u64, usize)>, FrameError> {
        while let Some(byte) = self.chunk.first().copied() {
            self.chunk.advance(1);
            if self.partial.len() >= left {
                return Err(FrameError::Malformed("a number is longer than its message"));
            }
            self.partial.extend_from_slice(&[byte]);
            if byte < 0x80 {
                let length = self.partial.len();
                let value = prost::encoding::decode_varint(&mut self.partial.split());
                return Ok(Some((value.map_err(|_| FrameError::Malformed("number"))?, left - length)));
            }
            if self.partial.len() >= 10 {
                return Err(FrameError::Malformed("number"));
            }
        }
        Ok(None)
    }
}

/// A field of fixed length, which no message of ours has: skipped as unknown.
fn fixed(left: usize, length: usize) -> Result<At, FrameError> {
    if length > left {
        return Err(FrameError::Malformed("a field is longer than its message"));
    }
    Ok(At::Unknown { left, length })
}

/// Reads arbitrary bytes in both directions, whole and byte by byte: the verdict must be the same.
pub fn fuzz_frames(stream: &[u8]) {
    fn verdict<D: Direction>(stream: &[u8], size: usize) -> Result<usize, FrameError> {
        let mut reader = Reader::<D>::default();
        let mut data = 0;
        let mut chunks = stream.chunks(size.max(1));
        loop {
            while let Some(event) = reader.next_event()? {
                if let Event::Data(bytes) = event {
                    data += bytes.len();
                }
            }
            match chunks.next() {
                Some(chunk) => reader.feed(Bytes::copy_from_slice(chunk)),
                None => return reader.at_end_of_stream().map(|()| data),
            }
        }
    }
    assert_eq!(verdict::<Requests>(stream, usize::MAX), verdict::<Requests>(stream, 1));
    assert_eq!(verdict::<Answers>(stream, usize::MAX), verdict::<Answers>(stream, 1));
}

#[cfg(test)]
mod tests;
