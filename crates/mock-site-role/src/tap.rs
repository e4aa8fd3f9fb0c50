//! Between socket and hyper: hands hyper exactly one request after the other and writes down each as it was
//! on the wire. A request that wants a raw behaviour is kept back: hyper sees the end of the stream, and the
//! socket is taken out again. Judges nothing.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::behaviour::{Unknown, Wish};
use crate::ledger::Seen;
use crate::limits;
use crate::role::Link;
use crate::wire::{Framing, RawHead, head_end};

/// A request as it came, with what it wants and the hand that writes its entry.
pub struct Asked {
    pub head: RawHead,
    pub wish: Result<Wish, Unknown>,
    pub seen: Seen,
}

/// Requests that hyper has been given and nobody has answered yet.
pub type Waiting = Arc<Mutex<VecDeque<Asked>>>;

pub struct Tap<S> {
    stream: S,
    link: Link,
    /// Read from the socket, not looked at yet.
    unread: BytesMut,
    /// May be read by hyper.
    passed: Bytes,
    state: State,
    waiting: Waiting,
}

enum State {
    Head,
    Body(Framing, Seen),
    /// Not a request that can be followed: hyper judges it.
    Lost,
    Taken(Box<Taken>),
}

/// A request that hyper does not see.
pub struct Taken {
    pub asked: Asked,
    pub framing: Framing,
}

impl<S> Tap<S> {
    pub fn new(stream: S, unread: BytesMut, link: Link) -> Self {
        Self { stream, link, unread, passed: Bytes::new(), state: State::Head, waiting: Waiting::default() }
    }

    pub fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Looks at a complete head. True when there was one.
    fn take_head(&mut self) -> bool {
        let Some(end) = head_end(&self.unread) else { return false };
        let head = RawHead::parse(self.unread.split_to(end).freeze());
        let framing = Framing::of(&head);
        let wish = Wish::of(&head);
        let behaviour = match &wish {
            _ if self.link.is_site => "site",
            Ok(wish) => wish.behaviour.name(),
            Err(_) => "unknown",
        };
        self.link.role.requests.with([&self.link.peer.listener, behaviour]).increment();
        let seen = self.link.role.ledger.begin(&head, &self.link.peer, behaviour);
        if framing.is_done() {
            seen.body_done();
        }
        let is_raw = !self.link.is_site && wish.as_ref().is_ok_and(|wish| wish.behaviour.is_raw());
        let bytes = head.bytes.clone();
        let asked = Asked { head, wish, seen: seen.clone() };
        if is_raw {
            self.state = State::Taken(Box::new(Taken { asked, framing }));
            return true;
        }
        self.passed = bytes;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(asked);
        self.state = if framing.is_done() { State::Head } else { State::Body(framing, seen) };
        true
    }

    /// Passes on what belongs to the body. True when there was something.
    fn take_body(&mut self) -> bool {
        let State::Body(framing, seen) = &mut self.state else { return false };
        let step = framing.step(&self.unread);
        self.passed = self.unread.split_to(step.consumed).freeze();
        if step.is_data {
            seen.body_data(&self.passed);
        }
        if let Some(trailer) = &step.trailer {
            seen.trailer(trailer);
        }
        if framing.is_done() {
            seen.body_done();
            self.state = State::Head;
        }
        step.consumed > 0
    }
}

impl<S: AsyncWrite + Unpin> Tap<S> {
    /// When hyper has ended: the socket, what was read of it, and the request that was kept back. Without
    /// such a request the connection is over and is ended in the way of TLS.
    pub async fn finish(mut self) -> Option<(S, BytesMut, Taken)> {
        if let State::Taken(taken) = self.state {
            return Some((self.stream, self.unread, *taken));
        }
        // The other end may be gone already.
        let _ = self.stream.shutdown().await;
        None
    }
}

impl<S: AsyncRead + Unpin> Tap<S> {
    /// Makes some bytes readable; zero of them at the end of the stream, or of what hyper may see.
    fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.passed.is_empty() {
            let has_looked = match &self.state {
                State::Taken(_) => return Poll::Ready(Ok(())),
                State::Head if self.unread.len() > limits::HEAD => {
                    self.state = State::Lost;
                    true
                }
                State::Head => self.take_head(),
                State::Body(..) => self.take_body(),
                State::Lost => {
                    self.passed = self.unread.split().freeze();
                    !self.passed.is_empty()
                }
            };
            if !has_looked && ready!(self.poll_fill(cx))? == 0 {
                self.passed = self.unread.split().freeze();
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.unread.reserve(limits::PIECE);
        // This future holds nothing between polls, so it may be made anew for each.
        pin!(self.stream.read_buf(&mut self.unread)).poll(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_passed(cx))?;
        let count = self.passed.len().min(buffer.remaining());
        buffer.put_slice(self.passed.get(..count).unwrap_or_default());
        self.passed.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state {
            State::Taken(_) => Pin::new(&mut self.stream).poll_flush(cx),
            _ => Pin::new(&mut self.stream).poll_shutdown(cx),
        }
    }
}
