//! The half of an exchange that writes: head, body framing and at most one part of the body at a time. Small
//! heads and parts leave in one write. A failure here ends the upload and not the exchange, because the
//! answer may be on its way already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::RoleRequest;
use crate::fields::Fields;
use crate::http1::{self, BodyLength};
use crate::limits;

/// The parts of a body do not add up to what its head announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyMismatch {
    #[error("the request's body is longer than its head announced")]
    TooLong,
    #[error("the request's body is {missing} bytes shorter than its head announced")]
    TooShort { missing: u64 },
}

pub(super) struct Upload {
    /// Head or chunk prefix, then a part, then what follows it.
    before: BytesMut,
    data: Bytes,
    after: BytesMut,
    framing: Framing,
    ended: bool,
    flushed: bool,
    failed: Option<io::Error>,
    surely_nothing_left: bool,
    tried: bool,
}

enum Framing {
    /// Bytes that are still to come.
    Counted(u64),
    Chunked,
}

impl Upload {
    pub(super) fn new(request: &RoleRequest) -> Self {
        let mut before = BytesMut::with_capacity(
            request.method.len() + request.target.len() + request.fields.wire_length() + HEAD_EXTRA,
        );
        http1::write_request_head(&mut before, &request.method, &request.target, &request.fields, request.body);
        let (framing, ended) = match request.body {
            BodyLength::None => (Framing::Counted(0), true),
            BodyLength::Known(length) => (Framing::Counted(length), length == 0),
            BodyLength::Chunked => (Framing::Chunked, false),
        };
        Self {
            before,
            data: Bytes::new(),
            after: BytesMut::new(),
            framing,
            ended,
            flushed: false,
            failed: None,
            surely_nothing_left: false,
            tried: false,
        }
    }

    /// The next part may be given.
    pub(super) fn has_room(&self) -> bool {
        self.data.is_empty() && self.after.is_empty() && self.wants_more()
    }

    /// The body is not over and the role may still take it.
    pub(super) fn wants_more(&self) -> bool {
        !self.ended && self.failed.is_none()
    }

    /// Takes a part; only when there is room.
    pub(super) fn part(&mut self, data: Bytes) -> Result<(), BodyMismatch> {
        debug_assert!(self.data.is_empty(), "parts are given one at a time");
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.framing {
            Framing::Counted(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(BodyMismatch::TooLong)?;
            }
            Framing::Chunked => {
                http1::write_chunk_prefix(&mut self.before, data.len());
                http1::write_chunk_suffix(&mut self.after);
            }
        }
        self.data = data;
        self.flushed = false;
        Ok(())
    }

    /// The body is whole.
    pub(super) fn end(&mut self, trailers: &Fields) -> Result<(), BodyMismatch> {
        match self.framing {
            Framing::Counted(0) => {}
            Framing::Counted(missing) => return Err(BodyMismatch::TooShort { missing }),
            Framing::Chunked if self.ended => {}
            Framing::Chunked => {
                http1::write_last_chunk(&mut self.after, trailers);
                self.flushed = false;
            }
        }
        self.ended = true;
        Ok(())
    }

    /// Ended by its owner and wholly written.
    pub(super) fn is_finished(&self) -> bool {
        self.ended && self.is_written() && self.failed.is_none()
    }

    /// Something is to be written yet, or may still come.
    pub(super) fn is_running(&self) -> bool {
        self.failed.is_none() && !(self.ended && self.is_written())
    }

    /// Everything given so far has left.
    pub(super) fn is_written(&self) -> bool {
        self.flushed && self.before.is_empty() && self.data.is_empty() && self.after.is_empty()
    }

    /// Proof that the role has not read a byte of this: the first write failed, and it was one record, of
    /// which a part cannot be decrypted.
    pub(super) fn surely_nothing_left(&self) -> bool {
        self.surely_nothing_left
    }

    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failed.as_ref()
    }

    /// Writes what there is; says whether anything new has left.
    pub(super) fn push<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> bool {
        if self.is_written() || self.failed.is_some() {
            return false;
        }
        let is_first = !std::mem::replace(&mut self.tried, true);
        let is_one_record = self.before.len() + self.data.len() + self.after.len() <= limits::TLS_RECORD;
        match self.poll_push(stream, cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(failure)) => {
                self.failed = Some(failure);
                self.surely_nothing_left = is_first && is_one_record;
                (self.before, self.data, self.after) = Default::default();
                false
            }
        }
    }

    fn poll_push<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(poll_write_all(&mut self.before, stream, cx))?;
        ready!(poll_write_all(&mut self.data, stream, cx))?;
        ready!(poll_write_all(&mut self.after, stream, cx))?;
        // Lets go of the memory while the exchange waits for its answer.
        (self.before, self.data, self.after) = Default::default();
        ready!(Pin::new(stream).poll_flush(cx))?;
        self.flushed = true;
        Poll::Ready(Ok(()))
    }
}

/// Content-Length or Transfer-Encoding, spaces and line ends.
const HEAD_EXTRA: usize = 96;

fn poll_write_all<S: AsyncWrite + Unpin>(
    bytes: &mut impl Buf,
    stream: &mut S,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while bytes.has_remaining() {
        let written = ready!(Pin::new(&mut *stream).poll_write(cx, bytes.chunk()))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        bytes.advance(written);
    }
    Poll::Ready(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Field;
    use bytes::BufMut;
    use std::task::Waker;

    /// Takes so many bytes in all and then fails.
    struct Fragile {
        takes: usize,
        taken: BytesMut,
    }

    impl AsyncWrite for Fragile {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.takes == 0 {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let take = bytes.len().min(self.takes);
            self.takes -= take;
            self.taken.put_slice(bytes.get(..take).unwrap());
            Poll::Ready(Ok(take))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(if self.takes == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) })
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn upload(body: BodyLength) -> Upload {
        let fields = [Field::new("Host", "mp1.test")].into_iter().collect();
        Upload::new(&RoleRequest { method: "CCM_POST".into(), target: "/".into(), fields, body })
    }

    #[test]
    fn only_a_first_write_of_one_record_proves_that_nothing_left() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut first = upload(BodyLength::Known(4));
        first.part("body".into()).unwrap();
        assert!(!first.push(&mut Fragile { takes: 0, taken: BytesMut::new() }, &mut cx));
        assert!(first.surely_nothing_left() && !first.wants_more() && !first.is_finished());

        let mut later = upload(BodyLength::Known(4));
        let mut socket = Fragile { takes: 1000, taken: BytesMut::new() };
        assert!(later.push(&mut socket, &mut cx));
        socket.takes = 0;
        later.part("body".into()).unwrap();
        assert!(!later.push(&mut socket, &mut cx));
        assert!(later.failure().is_some() && !later.surely_nothing_left());

        let mut long = upload(BodyLength::Known(limits::TUNNEL_CHUNK as u64));
        long.part(vec![0; limits::TUNNEL_CHUNK].into()).unwrap();
        assert!(!long.push(&mut Fragile { takes: 0, taken: BytesMut::new() }, &mut cx));
        assert!(!long.surely_nothing_left());
    }

    #[test]
    fn what_is_announced_is_what_is_written() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut socket = Fragile { takes: 1000, taken: BytesMut::new() };
        let mut upload = upload(BodyLength::Known(4));
        upload.part("bo".into()).unwrap();
        assert!(upload.push(&mut socket, &mut cx));
        assert_eq!(upload.part("dyx".into()), Err(BodyMismatch::TooLong));
        assert_eq!(upload.end(&Fields::new()), Err(BodyMismatch::TooShort { missing: 2 }));
        upload.part("dy".into()).unwrap();
        upload.end(&Fields::new()).unwrap();
        assert!(upload.push(&mut socket, &mut cx));
        assert!(upload.is_finished());
        assert_eq!(socket.taken, "CCM_POST / HTTP/1.1\r\nHost: mp1.test\r\nContent-Length: 4\r\n\r\nbody");
    }
}
