//! A client's connection between exchanges: waiting for the next head without holding a buffer, and ending in
//! a way that lets the client read what it was told.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use cmg_core::deadline::Deadline;
use cmg_core::http1::{RequestHead, take_request_head};
use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::tls::TlsStream;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, timeout};

use crate::edge::ClientGone;
use crate::patience::Patience;
use crate::refusal_answer;

const LINE_END: &[u8] = b"\r\n";

/// Why there is no head.
#[derive(Debug)]
pub enum HeadEnd {
    /// The client closed the connection, or nothing came on a fresh one.
    Closed,
    /// It asked nothing for too long.
    Idle,
    /// What it sent is refused, and the connection with it.
    Refused(Refusal),
}

pub struct Http1Connection {
    pub(super) stream: TlsStream,
    /// Read and not yet understood.
    pub(super) received: BytesMut,
    /// To be written before `data`: heads and framing.
    pub(super) before: BytesMut,
    /// To be written as it is.
    pub(super) data: Bytes,
    /// To be written after `data`.
    pub(super) after: BytesMut,
    /// Of whatever goes on: silence, a head, an exchange.
    pub(super) deadline: Deadline,
    /// Nothing has been asked on it yet.
    is_fresh: bool,
}

impl Http1Connection {
    /// The first head has to come by `first_head_by`.
    pub fn new(stream: TlsStream, first_head_by: Instant) -> Self {
        let deadline = Deadline::at(first_head_by);
        let (received, before, after) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
        Self { stream, received, before, data: Bytes::new(), after, deadline, is_fresh: true }
    }

    /// The next head. Silence is bounded by the connection's idle limit, a begun head by a deadline of its own.
    pub async fn next_head(&mut self, patience: &Patience<'_>) -> Result<RequestHead, HeadEnd> {
        if !std::mem::take(&mut self.is_fresh) {
            self.await_request(patience).await?;
            self.deadline.set(limits::HEAD_TIMEOUT);
        }
        self.read_head().await
    }

    /// Waits for the first byte of the next request. The connection holds no buffer meanwhile.
    async fn await_request(&mut self, patience: &Patience<'_>) -> Result<(), HeadEnd> {
        if self.received.starts_with(LINE_END) {
            // Old clients send it behind a body: nothing has begun with it.
            self.received.advance(LINE_END.len());
        }
        if !self.received.is_empty() {
            return Ok(());
        }
        self.received = BytesMut::new();
        self.before = BytesMut::new();
        self.after = BytesMut::new();
        let idle_since = Instant::now();
        while let Some(left) = patience.left(idle_since) {
            self.deadline.set(left);
            let ready = poll_fn(|cx| match self.stream.poll_plaintext_ready(cx) {
                Poll::Ready(ready) => Poll::Ready(Some(ready)),
                Poll::Pending => self.deadline.poll_passed(cx).map(|()| None),
            });
            match ready.await {
                Some(Ok(1..)) => return Ok(()),
                Some(Ok(0) | Err(_)) => return Err(HeadEnd::Closed),
                None => {}
            }
        }
        Err(HeadEnd::Idle)
    }

    async fn read_head(&mut self) -> Result<RequestHead, HeadEnd> {
        loop {
            match take_request_head(&mut self.received) {
                Ok(Some(head)) => return Ok(head),
                Ok(None) => {}
                Err(fault) => return Err(HeadEnd::Refused(refusal_answer::of_head_fault(&fault))),
            }
            let received = poll_fn(|cx| match self.poll_receive(cx) {
                Poll::Ready(received) => Poll::Ready(Some(received)),
                Poll::Pending => self.deadline.poll_passed(cx).map(|()| None),
            });
            match received.await {
                Some(Ok(1..)) => {}
                Some(Ok(0) | Err(_)) => return Err(HeadEnd::Closed),
                None => return Err(self.head_overdue()),
            }
        }
    }

    /// The refusal of a head that did not come in time, if it had begun to come.
    fn head_overdue(&self) -> HeadEnd {
        if self.received.is_empty() {
            return HeadEnd::Closed;
        }
        HeadEnd::Refused(Refusal::new(RefusalKind::RequestTimeout, "the head of the request stopped coming"))
    }

    /// Nothing of a next request has come; a line end behind a body is none.
    pub(super) fn is_silent(&self) -> bool {
        LINE_END.starts_with(&self.received)
    }

    /// Reads what there is into `received`; 0 is the clean end.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let available = ready!(self.stream.poll_plaintext_ready(cx))?;
        if available == 0 {
            return Poll::Ready(Ok(0));
        }
        self.stream.poll_read_into(cx, &mut self.received, limits::TUNNEL_CHUNK)
    }

    /// Hands everything that waits to the TLS stream.
    pub(super) fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        while self.before.has_remaining() || self.data.has_remaining() || self.after.has_remaining() {
            let slices = [&self.before, &self.data[..], &self.after].map(io::IoSlice::new);
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices));
            let mut written = written.map_err(|_| ClientGone)?;
            if written == 0 {
                return Poll::Ready(Err(ClientGone));
            }
            written -= advance(&mut self.before, written);
            written -= advance(&mut self.data, written);
            advance(&mut self.after, written);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        ready!(self.poll_hand_over(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx).map_err(|_| ClientGone)
    }

    /// Writes an answer of ours and ends the connection.
    pub async fn refuse_and_close(mut self, answer: &[u8]) {
        self.before.extend_from_slice(answer);
        self.close().await;
    }

    /// Ends the connection so that the client can read to its end: close_notify, FIN, then what still comes is
    /// thrown away for a while, because closing on unread bytes would make TCP take the answer back.
    pub async fn close(mut self) {
        let lingering = async {
            poll_fn(|cx| self.poll_flush(cx)).await?;
            poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await.map_err(|_| ClientGone)?;
            let mut left = limits::LINGER_BYTES;
            while left > 0 {
                self.received.clear();
                match poll_fn(|cx| self.poll_receive(cx)).await {
                    Ok(count @ 1..) => left = left.saturating_sub(count),
                    Ok(0) | Err(_) => break,
                }
            }
            Ok::<_, ClientGone>(())
        };
        // Either way the connection is over.
        let _ = timeout(limits::LINGER, lingering).await;
    }
}

/// Takes up to `count` bytes away; returns how many it was.
fn advance(buffer: &mut impl Buf, count: usize) -> usize {
    let taken = count.min(buffer.remaining());
    buffer.advance(taken);
    taken
}
