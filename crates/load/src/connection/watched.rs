//! A stream that remembers how its end came: h2 tells of every end in the same words, whether the peer closed in good
//! order or the connection broke.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What came first.
#[derive(Clone, Debug, Default)]
pub struct End(Arc<AtomicU8>);

const OPEN: u8 = 0;
const IN_GOOD_ORDER: u8 = 1;
const BROKEN: u8 = 2;

impl End {
    fn came(&self, how: u8) {
        let _ = self.0.compare_exchange(OPEN, how, Relaxed, Relaxed);
    }

    /// Whether the peer closed, and nothing broke before.
    pub fn is_in_good_order(&self) -> bool {
        self.0.load(Relaxed) == IN_GOOD_ORDER
    }
}

pub struct Watched<S> {
    stream: S,
    end: End,
}

impl<S> Watched<S> {
    pub fn new(stream: S) -> (Self, End) {
        let end = End::default();
        (Self { stream, end: end.clone() }, end)
    }

    fn noted<T>(&self, result: io::Result<T>) -> Poll<io::Result<T>> {
        if result.is_err() {
            self.end.came(BROKEN);
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if read.is_ok() && room > 0 && buffer.filled().len() == before {
            self.end.came(IN_GOOD_ORDER);
        }
        self.noted(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.noted(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.noted(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_first_end_is_the_one_that_counts() {
        let (near, far) = duplex(16);
        let (mut near, end) = Watched::new(near);
        drop(far);
        assert!(!end.is_in_good_order());
        assert_eq!(near.read(&mut [0; 4]).await.unwrap(), 0);
        assert!(near.write(b"a").await.is_err() && end.is_in_good_order());

        let (near, far) = duplex(16);
        let (mut near, end) = Watched::new(near);
        drop(far);
        assert!(near.write(b"a").await.is_err());
        assert_eq!(near.read(&mut [0; 4]).await.unwrap(), 0);
        assert!(!end.is_in_good_order());
    }
}
