//! HTTP/2: several requests at a time on one connection. What the peer says of a stream decides how it ended.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::Ended;
use super::watched::{End, Watched};
use crate::content::Content;
use crate::expected::{Head, Judge, REQUEST_FIELD};
use crate::wording::Worded;

/// A hand on the connection; clones share it.
#[derive(Clone)]
pub struct Http2 {
    sender: SendRequest<Upload>,
    service_name: Arc<str>,
    end: End,
    /// Dropped with the last hand, which ends the connection.
    _driver: Arc<JoinSet<()>>,
}

impl Http2 {
    pub async fn over(stream: TlsStream<TcpStream>, service_name: &str) -> Option<Self> {
        let (stream, end) = Watched::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
        let mut driver = JoinSet::new();
        driver.spawn(async { drop(connection.await) });
        Some(Self { sender, service_name: service_name.into(), end, _driver: Arc::new(driver) })
    }

    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    pub async fn exchange(&mut self, worded: &Worded, judge: &mut Judge<'_>) -> Ended {
        let Ok(request) = self.request(worded) else {
            return Ended::Unsent("the request cannot be written".to_owned());
        };
        if let Err(error) = self.sender.ready().await {
            return Ended::Unsent(error.to_string());
        }
        let answer = match self.sender.try_send_request(request).await {
            Ok(answer) => answer,
            Err(mut error) => {
                let was_sent = error.take_message().is_none();
                return if was_sent { self.ended(error.error(), false) } else { Ended::Unsent(said(error.error())) };
            }
        };
        judge.head(head(answer.status().as_u16(), answer.headers()));
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => frame.data_ref().into_iter().for_each(|data| judge.data(data)),
                Err(error) => return self.ended(&error, true),
            }
        }
        Ended::Whole
    }

    /// What the peer said of a stream that has no end.
    fn ended(&self, error: &hyper::Error, has_begun: bool) -> Ended {
        let words = said(error);
        let told = told(error);
        let is_told = |reason| told.is_some_and(|told| told.is_remote() && told.reason() == Some(reason));
        let is_beyond = is_told(h2::Reason::NO_ERROR) && told.is_some_and(h2::Error::is_go_away);
        match () {
            () if has_begun => Ended::Cut(words),
            () if is_told(h2::Reason::REFUSED_STREAM) || is_beyond => Ended::HandedBack(words),
            () if self.end.is_in_good_order() && told.is_none_or(|told| !told.is_reset()) => Ended::Lost(words),
            () => Ended::Cut(words),
        }
    }

    fn request(&self, worded: &Worded) -> Result<Request<Upload>, http::Error> {
        let uri = format!("https://{}{}", self.service_name, worded.target);
        let mut request = Request::builder()
            .method(Method::from_bytes(worded.kind.method().as_bytes())?)
            .uri(uri)
            .version(Version::HTTP_2)
            .header(REQUEST_FIELD, &worded.id);
        if let Some((name, value)) = &worded.field {
            request = request.header(*name, value);
        }
        request.body(Upload { content: worded.body, tells_length: worded.tells_length, offset: 0 })
    }
}

fn head(status: u16, fields: &HeaderMap) -> Head {
    let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Head {
        status,
        code: text("x-cmg-error"),
        request_id: text("x-cmg-request-id"),
        told_length: text("content-length").and_then(|length| length.parse().ok()),
        leaked: fields.keys().find(|name| !cmg_client::fields::is_allowed(name.as_str())).map(ToString::to_string),
    }
}

fn told(error: &hyper::Error) -> Option<&h2::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(told) = error.downcast_ref() {
            return Some(told);
        }
        source = error.source();
    }
    None
}

fn said(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// A body that is made while it is sent.
pub struct Upload {
    content: Option<Content>,
    tells_length: bool,
    offset: u64,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.content.and_then(|content| content.piece(self.offset));
        self.offset += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none_or(|content| self.tells_length && self.offset == content.length)
    }

    fn size_hint(&self) -> SizeHint {
        match self.content {
            None => SizeHint::with_exact(0),
            Some(content) if self.tells_length => SizeHint::with_exact(content.length - self.offset),
            Some(_) => SizeHint::default(),
        }
    }
}
