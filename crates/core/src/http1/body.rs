//! Takes the data of a body out of its framing, for requests and answers alike. Data is split off the read
//! buffer and never copied; how much may come is the caller's to count. A body that breaks off is never taken
//! for whole (G-21).

use bytes::{Bytes, BytesMut};

use super::answer::AnswerBody;
use super::chunk::{take_chunk_end, take_chunk_size, take_trailers};
use super::request::BodyLength;
use crate::fields::Fields;
use crate::{headers, limits};

/// What [`BodyDecoder::take`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyPiece {
    /// The next bytes; never empty.
    Data(Bytes),
    /// The buffer holds nothing more of this body; read on.
    NeedMore,
    /// The body is whole. Trailers that must not be trailers are already gone.
    End(Fields),
}

/// Why a body cannot be read on. The connection must not be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    #[error("a chunk does not begin with its size in hexadecimal digits and a line end")]
    ChunkSize,
    #[error("a chunk size has more than 16 digits")]
    ChunkTooLarge,
    #[error("a chunk extension holds a control byte or a bare line end")]
    ChunkExtension,
    #[error("a chunk size line with its extension is longer than {} bytes", limits::CHUNK_LINE)]
    ChunkLineTooLong,
    #[error("the data of a chunk is not followed by carriage return and line feed: its size is wrong")]
    ChunkEnd,
    #[error("the trailers are malformed: {0}")]
    Trailer(&'static str),
    #[error("the trailers are longer than {} bytes or more than {}", limits::TRAILERS, limits::HEAD_FIELDS)]
    TrailersTooLarge,
    #[error("Content-Length or Transfer-Encoding is among the trailers")]
    FramingTrailer,
    #[error("the connection ended before the body was whole")]
    BrokenOff,
}

/// ```text
/// Counted(n) --n bytes--> Done(ended)
/// UntilClose --end of connection--> whole
/// ChunkSize --size > 0--> ChunkData --size bytes--> ChunkEnd --CRLF--> ChunkSize
///     \--size 0--> Trailers --empty line--> Done
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Counted(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    Done,
}

#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
}

impl BodyDecoder {
    pub fn for_request(length: BodyLength) -> Self {
        Self::new(match length {
            BodyLength::None => State::Done,
            BodyLength::Known(length) => State::Counted(length),
            BodyLength::Chunked => State::ChunkSize,
        })
    }

    pub fn for_answer(body: AnswerBody) -> Self {
        Self::new(match body {
            AnswerBody::None => State::Done,
            AnswerBody::Known(length) => State::Counted(length),
            AnswerBody::Chunked => State::ChunkSize,
            AnswerBody::UntilClose => State::UntilClose,
        })
    }

    fn new(state: State) -> Self {
        let state = if state == State::Counted(0) { State::Done } else { state };
        Self { state }
    }

    /// The next piece, at most `at_most` bytes of data; with 0 only the end is looked for. After the end it is
    /// `End` again, after a fault the same fault.
    pub fn take(&mut self, buffer: &mut BytesMut, at_most: usize) -> Result<BodyPiece, BodyFault> {
        if !self.pass_framing(buffer)? {
            return Ok(BodyPiece::NeedMore);
        }
        if self.state == State::Trailers {
            let Some(mut trailers) = take_trailers(buffer)? else { return Ok(BodyPiece::NeedMore) };
            headers::clean_trailers(&mut trailers);
            self.state = State::Done;
            return Ok(BodyPiece::End(trailers));
        }
        Ok(match self.take_data(buffer, at_most) {
            Some(data) => BodyPiece::Data(data),
            None if self.state == State::Done => BodyPiece::End(Fields::new()),
            None => BodyPiece::NeedMore,
        })
    }

    /// Like [`BodyDecoder::take`], but small chunks that have arrived together are joined, by a copy: what follows on
    /// pays for each piece. Nothing waits for more.
    pub fn take_joined(&mut self, buffer: &mut BytesMut, at_most: usize) -> Result<BodyPiece, BodyFault> {
        let first = match self.take(buffer, at_most)? {
            BodyPiece::Data(first) if first.len() < limits::SMALL_CHUNK && !buffer.is_empty() => first,
            piece => return Ok(piece),
        };
        let mut joined = BytesMut::from(first);
        // What came before a fault is good; the fault is found again.
        while joined.len() < limits::SMALL_CHUNK && matches!(self.pass_framing(buffer), Ok(true)) {
            let Some(data) = self.take_data(buffer, at_most - joined.len()) else { break };
            joined.extend_from_slice(&data);
        }
        Ok(BodyPiece::Data(joined.freeze()))
    }

    /// Takes the lines before a chunk and the line end behind it; false: not yet whole.
    fn pass_framing(&mut self, buffer: &mut BytesMut) -> Result<bool, BodyFault> {
        loop {
            self.state = match self.state {
                State::ChunkSize => match take_chunk_size(buffer)? {
                    None => return Ok(false),
                    Some(0) => State::Trailers,
                    Some(size) => State::ChunkData(size),
                },
                State::ChunkEnd if !take_chunk_end(buffer)? => return Ok(false),
                State::ChunkEnd => State::ChunkSize,
                State::Counted(_) | State::UntilClose | State::ChunkData(_) | State::Trailers | State::Done => {
                    return Ok(true);
                }
            };
        }
    }

    /// Data, if that comes next and has arrived.
    fn take_data(&mut self, buffer: &mut BytesMut, at_most: usize) -> Option<Bytes> {
        let left = match self.state {
            State::Counted(left) | State::ChunkData(left) => left,
            State::UntilClose => u64::MAX,
            State::ChunkSize | State::ChunkEnd | State::Trailers | State::Done => return None,
        };
        let data = split(buffer, left, at_most)?;
        let left = left - data.len() as u64;
        self.state = match (self.state, left) {
            (State::Counted(_), 0) => State::Done,
            (State::Counted(_), left) => State::Counted(left),
            (State::ChunkData(_), 0) => State::ChunkEnd,
            (State::ChunkData(_), left) => State::ChunkData(left),
            (other, _) => other,
        };
        Some(data)
    }

    /// The end of the body, if the buffer holds nothing before it: lets the end travel with the last data. Takes no
    /// data.
    pub fn take_end(&mut self, buffer: &mut BytesMut) -> Result<Option<Fields>, BodyFault> {
        match self.take(buffer, 0)? {
            BodyPiece::End(trailers) => Ok(Some(trailers)),
            BodyPiece::Data(_) | BodyPiece::NeedMore => Ok(None),
        }
    }

    /// Whether nothing more of this body can come. With a known length this holds as soon as the last data was
    /// taken, chunked only after `End` was.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// What it means that the connection has ended and the buffer is empty.
    pub fn at_eof(&self) -> Result<(), BodyFault> {
        match self.state {
            State::Done | State::UntilClose => Ok(()),
            _ => Err(BodyFault::BrokenOff),
        }
    }
}

/// At least one byte, at most `left` and `at_most`.
fn split(buffer: &mut BytesMut, left: u64, at_most: usize) -> Option<Bytes> {
    let length = buffer.len().min(at_most).min(usize::try_from(left).unwrap_or(usize::MAX));
    (length > 0).then(|| buffer.split_to(length).freeze())
}

#[cfg(test)]
mod tests;
