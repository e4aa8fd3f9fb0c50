//! The receiving half of an exchange over h2: chunks in, checked events out, flow control credited as the
//! bytes are taken.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;

use super::TunnelBroken;
use super::exchange::Received;
use super::frame::{Direction, Event, FrameError, Reader};
use super::message::short;

pub struct Receiving<D> {
    stream: RecvStream,
    reader: Reader<D>,
}

impl<D: Direction> Receiving<D> {
    pub fn new(stream: RecvStream) -> Self {
        Self { stream, reader: Reader::default() }
    }

    /// The next event. After `End` or `Refused` only [`Receiving::poll_finished`] may follow.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event<D::Head>, TunnelBroken>> {
        loop {
            if let Some(event) = self.reader.next_event()? {
                return Poll::Ready(Ok(event));
            }
            match ready!(self.poll_chunk(cx)?) {
                Some(chunk) => self.reader.feed(chunk),
                None => {
                    // A status says more than the missing end.
                    let trailers = ready!(self.stream.poll_trailers(cx))?;
                    trailers.as_ref().map_or(Ok(()), grpc_status)?;
                    self.reader.at_end_of_stream()?;
                    // The last event has been given out, and there is no other.
                    return Poll::Ready(Err(FrameError::Truncated.into()));
                }
            }
        }
    }

    /// Reads the stream to its end, after the last event. A gRPC status other than 0 is an error.
    pub fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TunnelBroken>> {
        while let Some(chunk) = ready!(self.poll_chunk(cx)?) {
            self.reader.feed(chunk);
            if let Some(event) = self.reader.next_event()? {
                return Poll::Ready(Err(event.out_of_place(Received::Ended).into()));
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx))?;
        Poll::Ready(trailers.as_ref().map_or(Ok(()), grpc_status))
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, TunnelBroken>> {
        let Some(chunk) = ready!(self.stream.poll_data(cx)) else { return Poll::Ready(Ok(None)) };
        let chunk = chunk?;
        self.stream.flow_control().release_capacity(chunk.len())?;
        Poll::Ready(Ok(Some(chunk)))
    }
}

/// The status in trailers, or in the headers of an answer that is nothing but a status.
pub fn grpc_status(fields: &http::HeaderMap) -> Result<(), TunnelBroken> {
    let text = |name| fields.get(name).map(|value| short(&String::from_utf8_lossy(value.as_bytes())));
    match text("grpc-status") {
        Some(code) if code != "0" => {
            Err(TunnelBroken::Status { code, message: text("grpc-message").unwrap_or_default() })
        }
        Some(_) | None => Ok(()),
    }
}
