//! What the path of a request asks of a client's connection, whichever version of HTTP it speaks. Polled by
//! one task; upload and download are independent halves of it.

use std::task::{Context, Poll};

use bytes::Bytes;
use cmg_core::deadline::Deadline;
use cmg_core::fields::Fields;
use cmg_core::http1::BodyLength;
use cmg_core::refusal::Refusal;

/// A request as the client sent it, its syntax and framing judged.
#[derive(Debug)]
pub struct ClientRequest {
    pub method: Bytes,
    pub target: Bytes,
    /// Host or `:authority`.
    pub host: Option<Bytes>,
    pub fields: Fields,
    pub body: BodyLength,
    pub expects_continue: bool,
}

/// A part of a request's body.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyPart {
    Data(Bytes),
    End(Fields),
}

/// Why a body did not come whole.
#[derive(Debug)]
pub enum BodyError {
    /// Its framing is wrong: the request is refused.
    Refused(Refusal),
    ClientGone,
}

/// The client's connection has ended under us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientGone;

/// The head of an answer, ready for a client.
#[derive(Debug)]
pub struct ClientAnswer {
    pub status: u16,
    /// For HTTP/1.1 only.
    pub reason: Bytes,
    /// Neither framing nor hop-by-hop fields.
    pub fields: Fields,
    pub body: ClientAnswerBody,
}

/// What follows the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAnswerBody {
    /// Nothing, though a length may be told: HEAD and 304.
    Nothing {
        told_length: Option<u64>,
    },
    Known(u64),
    /// As long as it is, with trailers perhaps.
    Streamed,
}

/// One exchange with a client.
pub trait Edge: Send {
    /// The next part of the request's body, at most [`cmg_core::limits::TUNNEL_CHUNK`] of it. After `End` only
    /// `End` again.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyPart, BodyError>>;

    /// The end of the body if it is known without another byte from the client.
    fn take_end(&mut self) -> Option<Fields>;

    /// The rest of the body will not be read: what has come already is thrown away, and a connection on which more
    /// would follow ends with this exchange.
    fn give_up_body(&mut self);

    /// No further exchange on this connection: what is answered now is the last of it, and a cut ends it at once.
    fn end_connection(&mut self);

    /// Ready when the client has gone away, as far as that can be seen: what it sent before, and nobody has read, hides
    /// the end of an HTTP/1.1 connection. Not to be asked while `poll_body` waits for the client.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Tells a client that waits for it to send its body.
    fn send_continue(&mut self) -> Result<(), ClientGone>;

    /// Whether the head of an answer has been given out: another one must not follow.
    fn has_answered(&self) -> bool;

    /// Begins the answer.
    fn send_head(&mut self, answer: ClientAnswer) -> Result<(), ClientGone>;

    /// Waits until there is room for another chunk.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientGone>>;

    /// Sends a chunk. Call it only when there is room.
    fn send_data(&mut self, data: Bytes) -> Result<(), ClientGone>;

    /// Ends the answer.
    fn send_end(&mut self, trailers: Fields) -> Result<(), ClientGone>;

    /// Pushes out what was sent.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientGone>>;

    /// The one timer of an exchange.
    fn deadline(&mut self) -> &mut Deadline;

    /// Breaks the answer visibly, so that it cannot be taken for complete (G-21).
    fn cut(&mut self);
}
