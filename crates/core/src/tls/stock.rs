//! Buffers that connections of one worker lend from its stock and give back when they are empty, so that an
//! idle connection holds none. A buffer that travels to another worker ends in the stock of that one.

use std::cell::RefCell;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::limits;

thread_local! {
    static READ: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static GATHER: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes from the socket that nobody has taken yet. Holds memory only while there are any.
#[derive(Default)]
pub(super) struct Unread {
    buffer: Option<Box<[u8]>>,
    filled: Range<usize>,
}

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    #[cfg(test)]
    pub(super) fn holds_memory(&self) -> bool {
        self.buffer.is_some()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.as_deref().and_then(|buffer| buffer.get(self.filled.clone())).unwrap_or_default()
    }

    /// Marks bytes as taken. The buffer goes back with the last of them.
    pub(super) fn take(&mut self, count: usize) {
        self.filled.start = self.filled.end.min(self.filled.start + count);
        if self.filled.is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0..0;
        if let Some(buffer) = self.buffer.take() {
            // A thread that is ending has no stock any more; then the buffer is simply freed.
            let _ = READ.try_with(|stock| {
                let mut stock = stock.borrow_mut();
                if stock.len() < limits::TLS_STOCK {
                    stock.push(buffer);
                }
            });
        }
    }

    /// Reads from the socket once; only when empty. Nothing is held while the socket has nothing to say.
    pub(super) fn refill<R: AsyncRead + Unpin>(
        &mut self,
        socket: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let buffer = self.buffer.get_or_insert_with(|| {
            let lent = READ.try_with(|stock| stock.borrow_mut().pop()).ok().flatten();
            lent.unwrap_or_else(|| vec![0; limits::TLS_READ].into_boxed_slice())
        });
        let mut space = ReadBuf::new(buffer);
        let outcome = Pin::new(socket).poll_read(cx, &mut space);
        self.filled = 0..space.filled().len();
        if self.filled.is_empty() {
            self.clear();
        }
        ready!(outcome)?;
        Poll::Ready(Ok(self.filled.end))
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Small writes on their way into one record. Holds memory only while there are any.
#[derive(Default)]
pub(super) struct Gathered(Option<Vec<u8>>);

impl Gathered {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::len)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let buffer = self.0.get_or_insert_with(|| {
            let lent = GATHER.try_with(|stock| stock.borrow_mut().pop()).ok().flatten();
            lent.unwrap_or_else(|| Vec::with_capacity(limits::TLS_RECORD))
        });
        buffer.extend_from_slice(bytes);
    }

    pub(super) fn clear(&mut self) {
        if let Some(mut buffer) = self.0.take() {
            buffer.clear();
            let _ = GATHER.try_with(|stock| {
                let mut stock = stock.borrow_mut();
                if stock.len() < limits::TLS_STOCK {
                    stock.push(buffer);
                }
            });
        }
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// A socket that says what it was told to, then nothing.
    struct Says(Vec<u8>);

    impl AsyncRead for Says {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            if self.0.is_empty() {
                return Poll::Pending;
            }
            out.put_slice(&std::mem::take(&mut self.0));
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_buffer_is_held_only_while_it_has_bytes() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut unread = Unread::default();
        assert!(unread.refill(&mut Says(Vec::new()), &mut cx).is_pending());
        assert!(unread.buffer.is_none());

        assert!(unread.refill(&mut Says(b"abc".to_vec()), &mut cx).is_ready());
        assert_eq!(unread.bytes(), b"abc");
        unread.take(2);
        assert_eq!(unread.bytes(), b"c");
        unread.take(1);
        assert!(unread.buffer.is_none() && unread.bytes().is_empty());
        assert_eq!(READ.with(|stock| stock.borrow().len()), 1, "the same buffer was lent twice and came back");
    }

    #[test]
    fn the_stock_is_bounded() {
        let mut cx = Context::from_waker(Waker::noop());
        let many: Vec<_> = (0..2 * limits::TLS_STOCK)
            .map(|_| {
                let (mut unread, mut gathered) = (Unread::default(), Gathered::default());
                let _ = unread.refill(&mut Says(b"x".to_vec()), &mut cx);
                gathered.push(b"y");
                (unread, gathered)
            })
            .collect();
        drop(many);
        assert_eq!(READ.with(|stock| stock.borrow().len()), limits::TLS_STOCK);
        assert_eq!(GATHER.with(|stock| stock.borrow().len()), limits::TLS_STOCK);
    }
}
