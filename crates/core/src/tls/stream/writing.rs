//! Plaintext to socket. Small writes share a record, all records that wait leave in one system call, and what
//! waits is bounded here.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

use super::TlsStream;
use crate::limits;

/// Pieces of one vectored write that are taken at a time; a frame of the tunnel has four. Room for more would have to be
/// cleared at every write.
const PIECES: usize = 8;

/// What a record of TLS 1.3 adds: header, content type, tag. Only for the estimate of what is queued.
const RECORD_OVERHEAD: usize = 22;

/// Lets rustls write to the socket; Pending is WouldBlock.
struct Socket<'a, 'b> {
    tcp: &'a mut TcpStream,
    cx: &'a mut Context<'b>,
    /// Each write is a packet of its own, or several. The kernel fills its last packet up to 64 KiB before it asks whether
    /// it holds enough.
    apart: bool,
}

impl Socket<'_, '_> {
    fn poll_write_apart(&mut self, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp.poll_write_ready(self.cx))?;
            let socket = socket2::SockRef::from(&*self.tcp);
            let send = || socket.send_vectored_with_flags(pieces, libc::MSG_EOR);
            match self.tcp.try_io(Interest::WRITABLE, send) {
                // The socket is known not to be ready now.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = match self.apart {
            true => self.poll_write_apart(pieces),
            false => Pin::new(&mut *self.tcp).poll_write_vectored(self.cx, pieces),
        };
        match written {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TlsStream {
    fn waiting(&self) -> usize {
        self.gathered.len() + self.queued
    }

    /// What waits goes to the socket before more is taken.
    fn has_enough(&self) -> bool {
        self.promptness.is_enough(self.gathered.len(), self.queued)
    }

    /// Writes the records that rustls holds; not what is still being gathered.
    pub(super) fn poll_write_queued(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let apart = self.promptness.is_slow();
            match self.tls.write_tls(&mut Socket { tcp: &mut self.tcp, cx, apart }) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.queued = self.queued.saturating_sub(written);
                    self.promptness.took(written, &self.tcp);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.tell(true);
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.queued = 0;
        self.tell(false);
        Poll::Ready(Ok(()))
    }

    fn tell(&self, is_blocked: bool) {
        if let Some(pulse) = &self.pulse {
            pulse.block(is_blocked);
            pulse.slow(self.promptness.is_slow());
        }
    }

    /// Encrypts what was gathered together with `pieces`; takes all of it.
    fn encrypt(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        let mut all = [IoSlice::new(&[]); PIECES + 1];
        let mut count = 0;
        // One piece alone takes a shorter way through rustls.
        let gathered = (!self.gathered.is_empty()).then(|| IoSlice::new(self.gathered.bytes()));
        for (slot, piece) in all.iter_mut().zip(gathered.into_iter().chain(pieces.iter().copied())) {
            *slot = piece;
            count += 1;
        }
        let length = self.tls.writer().write_vectored(all.get(..count).unwrap_or_default())?;
        self.queued += length + RECORD_OVERHEAD * length.div_ceil(limits::TLS_RECORD);
        self.gathered.clear();
        Ok(())
    }

    fn seal(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() { Ok(()) } else { self.encrypt(&[]) }
    }

    /// Takes as much of `pieces` as the bound allows.
    fn poll_write_pieces(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.has_enough() {
            self.seal()?;
            // Written in part is enough to go on, but not with every byte that became free: that would make
            // small records of large writes.
            if self.poll_write_queued(cx)?.is_pending() && self.has_enough() {
                return Poll::Pending;
            }
        }
        let room = self.promptness.most() - self.waiting();
        let mut few = [IoSlice::new(&[]); PIECES];
        let (mut count, mut length) = (0, 0);
        for (slot, piece) in few.iter_mut().zip(pieces.iter().filter(|piece| !piece.is_empty())) {
            let take = piece.len().min(room - length);
            *slot = IoSlice::new(piece.get(..take).unwrap_or_default());
            count += 1;
            length += take;
            if length == room {
                break;
            }
        }
        let few = few.get(..count).unwrap_or_default();
        if length >= limits::TLS_GATHER_BELOW {
            self.encrypt(few)?;
        } else {
            if self.gathered.len() + length > limits::TLS_RECORD {
                self.seal()?;
            }
            few.iter().for_each(|piece| self.gathered.push(piece));
        }
        if self.has_enough() {
            self.seal()?;
            // Pending is no news here: the bytes were taken, and a flush will wait for the socket.
            let _ = self.poll_write_queued(cx)?;
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush_now(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.seal()?;
        ready!(self.poll_write_queued(cx))?;
        self.gate.close();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_pieces(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_pieces(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.gathered.is_empty() || self.tls.wants_write() {
            ready!(self.gate.poll_open(cx));
        }
        self.poll_flush_now(cx)
    }

    /// Sends close_notify and FIN. Reading goes on until the peer's own close_notify.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.seal()?;
        self.tls.send_close_notify();
        ready!(self.poll_flush_now(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
