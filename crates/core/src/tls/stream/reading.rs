//! Socket to plaintext. Never Pending once bytes were handed out; a connection that waits holds no buffer.

use std::io::{self, BufRead, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, ReadBuf};

use super::TlsStream;
use crate::limits;

/// Where plaintext goes: the caller's buffer of either kind.
trait Sink {
    fn space(&self) -> usize;
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for ReadBuf<'_> {
    fn space(&self) -> usize {
        self.remaining()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
}

/// Appends to a buffer, at most so many bytes.
struct Appends<'a> {
    to: &'a mut BytesMut,
    at_most: usize,
}

impl Sink for Appends<'_> {
    fn space(&self) -> usize {
        self.at_most
    }

    fn put(&mut self, bytes: &[u8]) {
        self.to.extend_from_slice(bytes);
        self.at_most -= bytes.len();
    }
}

/// What rustls says about plaintext.
enum Plaintext {
    Some,
    NoneYet,
    /// The peer's close_notify came.
    Ended,
}

/// A reader that has nothing: makes rustls shrink its buffer.
struct Nothing;

impl io::Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl TlsStream {
    /// Waits until plaintext can be read and says how much of it there is at least; 0 is the clean end. Until
    /// then the connection holds no buffers.
    pub fn poll_plaintext_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match self.tls.reader().fill_buf() {
                Ok(chunk) => return Poll::Ready(Ok(chunk.len())),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                Err(_) => ready!(self.poll_more(cx))?,
            }
        }
    }

    /// Appends plaintext to `to`, at most `at_most` bytes, and says how many; 0 is the clean end.
    pub fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut BytesMut,
        at_most: usize,
    ) -> Poll<io::Result<usize>> {
        let before = to.len();
        ready!(self.poll_read_sink(cx, &mut Appends { to, at_most }))?;
        Poll::Ready(Ok(to.len() - before))
    }

    fn poll_read_sink(&mut self, cx: &mut Context<'_>, out: &mut impl Sink) -> Poll<io::Result<()>> {
        let before = out.space();
        loop {
            let plaintext = self.move_plaintext(out)?;
            let got = out.space() < before;
            let enough = self.unread.is_empty() || out.space() < limits::TLS_GATHER_BELOW || self.fault.is_some();
            match plaintext {
                Plaintext::Some | Plaintext::Ended => return Poll::Ready(Ok(())),
                Plaintext::NoneYet if got && enough => return Poll::Ready(Ok(())),
                Plaintext::NoneYet => {}
            }
            match self.poll_more(cx) {
                // Bytes were handed out: what stopped us is for the next call.
                Poll::Pending | Poll::Ready(Err(_)) if got => return Poll::Ready(Ok(())),
                more => ready!(more)?,
            }
        }
    }

    /// Copies out what rustls has decrypted; `Some` when the space ran out first.
    fn move_plaintext(&mut self, out: &mut impl Sink) -> io::Result<Plaintext> {
        let mut reader = self.tls.reader();
        loop {
            if out.space() == 0 {
                return Ok(Plaintext::Some);
            }
            let chunk = match reader.fill_buf() {
                Ok([]) => return Ok(Plaintext::Ended),
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Plaintext::NoneYet),
                Err(error) => return Err(error),
            };
            let take = chunk.len().min(out.space());
            out.put(chunk.get(..take).unwrap_or_default());
            reader.consume(take);
        }
    }

    /// Feeds rustls once, from the socket if need be. Only while there is no plaintext.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(fault) = &self.fault {
            return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, fault.clone())));
        }
        if self.unread.is_empty() {
            if self.socket_ended {
                return Poll::Ready(Err(cut()));
            }
            match self.unread.refill(&mut self.tcp, cx) {
                Poll::Ready(Ok(0)) => {
                    self.socket_ended = true;
                    return Poll::Ready(Err(cut()));
                }
                Poll::Ready(Ok(_)) => {
                    if let Some(pulse) = &self.pulse {
                        pulse.beat();
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.make_read_buffer_small();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(self.digest(cx))
    }

    /// Moves one step of unread bytes through rustls.
    pub(super) fn digest(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut bytes = self.unread.bytes();
        let taken = self.tls.read_tls(&mut bytes)?;
        if taken == 0 {
            // After close_notify rustls takes nothing more, and neither do we.
            self.unread.clear();
            return Ok(());
        }
        self.unread.take(taken);
        self.read_buffer_grew = true;
        let has_no_say = !self.tls.is_handshaking() && !self.tls.wants_write();
        match self.tls.process_new_packets() {
            Ok(_) if has_no_say && self.tls.wants_write() => {
                // rustls answers by itself: a new key in TLS 1.3; in TLS 1.2 only that it does not renegotiate. The
                // peer waits for it, and we may have nothing more to write.
                self.refused_renegotiation |= self.protocol_version() == Some(ProtocolVersion::TLSv1_2);
                let _ = self.poll_write_queued(cx);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(fault) => {
                let error = self.broken(fault);
                // The alert tells the peer why; if the socket does not take it now, it never learns.
                let _ = self.poll_write_queued(cx);
                Err(error)
            }
        }
    }

    /// After a long record rustls keeps a buffer of its length until the next read; a waiting connection gives it back.
    fn make_read_buffer_small(&mut self) {
        if std::mem::take(&mut self.read_buffer_grew) {
            let _ = self.tls.read_tls(&mut Nothing);
        }
    }
}

fn cut() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the peer closed the connection without close_notify")
}

impl AsyncRead for TlsStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_read_sink(cx, out)
    }
}
