//! The stream under an HTTP/2 connection, given back when h2 lets go of it. h2 closes when it has said everything; the
//! client may still be reading, and says so all the while (WINDOW_UPDATE). Closing on those bytes would make TCP take
//! back what is on its way: whoever lent the stream reads on until the client has closed too.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use cmg_core::limits;
use cmg_core::tls::TlsStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::timeout;

pub struct Lent {
    /// There until it is given back.
    stream: Option<TlsStream>,
    back: Option<oneshot::Sender<TlsStream>>,
}

/// Whoever lent a stream.
pub struct Lender(oneshot::Receiver<TlsStream>);

pub fn lend(stream: TlsStream) -> (Lent, Lender) {
    let (back, lender) = oneshot::channel();
    (Lent { stream: Some(stream), back: Some(back) }, Lender(lender))
}

impl Lender {
    /// After the borrower is gone: throws away what the client still says, for as long as it says something, within
    /// bounds.
    pub async fn linger(mut self) {
        let Ok(mut stream) = self.0.try_recv() else { return };
        let reading = async {
            let mut thrown_away = BytesMut::with_capacity(limits::LINGER_READ);
            while let Ok(Ok(1..)) = timeout(limits::LINGER, stream.read_buf(&mut thrown_away)).await {
                thrown_away.clear();
            }
        };
        let _ = timeout(limits::HTTP2_LINGER, reading).await;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(stream), Some(back)) = (self.stream.take(), self.back.take()) {
            // Nobody waits for a stream that is to be cut.
            let _ = back.send(stream);
        }
    }
}

impl Lent {
    fn stream(&mut self) -> io::Result<Pin<&mut TlsStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl AsyncRead for Lent {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
