//! Bodies of requests: nothing, bytes that are there, or bytes that arrive while the request is under way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces that may wait between the writer of a body and the connection.
const PIECES_UNDER_WAY: usize = 4;

pub enum RequestBody {
    Empty,
    Whole(Option<Bytes>),
    Streamed { pieces: mpsc::Receiver<Piece>, length: Option<u64> },
}

/// What a [`BodyWriter`] hands over.
pub enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    BreakOff,
}

/// Writes a streamed body. Dropping it ends the body; [`BodyWriter::break_off`] ends it visibly unfinished.
pub struct BodyWriter {
    pieces: mpsc::Sender<Piece>,
}

impl RequestBody {
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// A body with a declared length, or a chunked one without.
    pub fn streamed(length: Option<u64>) -> (BodyWriter, Self) {
        let (sender, pieces) = mpsc::channel(PIECES_UNDER_WAY);
        (BodyWriter { pieces: sender }, Self::Streamed { pieces, length })
    }
}

impl BodyWriter {
    /// Waits until the connection takes more. `false`: nobody reads the body any longer.
    pub async fn write(&self, data: impl Into<Bytes>) -> bool {
        self.pieces.send(Piece::Data(data.into())).await.is_ok()
    }

    pub async fn finish_with_trailers(self, trailers: HeaderMap) -> bool {
        self.pieces.send(Piece::Trailers(trailers)).await.is_ok()
    }

    pub async fn break_off(self) -> bool {
        self.pieces.send(Piece::BreakOff).await.is_ok()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            RequestBody::Streamed { pieces, .. } => pieces.poll_recv(cx).map(|piece| match piece? {
                Piece::Data(data) => Some(Ok(Frame::data(data))),
                Piece::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
                Piece::BreakOff => Some(Err(io::Error::other("the client breaks off its body on purpose"))),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, RequestBody::Empty | RequestBody::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty | RequestBody::Whole(None) => SizeHint::with_exact(0),
            RequestBody::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            RequestBody::Streamed { length: Some(length), .. } => SizeHint::with_exact(*length),
            RequestBody::Streamed { length: None, .. } => SizeHint::default(),
        }
    }
}
