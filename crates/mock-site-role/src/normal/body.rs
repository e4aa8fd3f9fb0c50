//! Bodies that tell the ledger what passes through them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Answer, AnswerBody};
use crate::ledger::Seen;

/// A request body; where no tap has seen it, it is written down here.
pub struct RequestBody {
    body: Incoming,
    record: Option<Seen>,
}

impl RequestBody {
    pub fn recorded_by_tap(body: Incoming) -> Self {
        Self { body, record: None }
    }

    pub fn recorded(body: Incoming, seen: Seen) -> Self {
        if body.is_end_stream() {
            seen.body_done();
            return Self { body, record: None };
        }
        Self { body, record: Some(seen) }
    }

    /// Reads on to the end and keeps nothing.
    pub async fn read_to_end(mut self) -> io::Result<()> {
        while let Some(frame) = self.frame().await {
            frame?;
        }
        Ok(())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(seen) = &self.record {
            match &frame {
                Some(Ok(frame)) => frame.data_ref().into_iter().for_each(|data| seen.body_data(data)),
                Some(Err(_)) => {}
                None => {
                    seen.body_done();
                    self.record = None;
                }
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.record.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that knows whether it was sent whole.
pub struct Witnessed {
    body: AnswerBody,
    seen: Seen,
    sent: u64,
    /// From Content-Length; without it the end of the body is its end.
    expected: Option<u64>,
    whole: bool,
}

impl Witnessed {
    pub fn new(answer: Answer, seen: Seen, is_head: bool) -> Response<Self> {
        seen.answering(answer.status().as_u16());
        let announced = answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let expected = if is_head { Some(0) } else { announced.or(answer.body().size_hint().exact()) };
        let whole = expected == Some(0);
        answer.map(|body| Self { body, seen, sent: 0, expected, whole })
    }
}

impl Body for Witnessed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.sent += length;
                self.seen.answer_data(length);
                self.whole |= self.expected == Some(self.sent);
            }
            Some(Err(_)) => {}
            None => self.whole |= self.expected.is_none(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Witnessed {
    fn drop(&mut self) {
        if self.whole || self.body.is_end_stream() {
            self.seen.answered();
        }
    }
}
