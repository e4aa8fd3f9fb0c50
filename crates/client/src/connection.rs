//! One connection of a client. Its driver belongs to it and ends with it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use crate::answer::Reply;
use crate::body::RequestBody;
use crate::client::Protocol;
use crate::error::ClientError;

/// A request as the caller words it; Host is added.
pub struct Request {
    method: String,
    target: String,
    fields: Vec<(String, Bytes)>,
    body: RequestBody,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), fields: Vec::new(), body: RequestBody::Empty }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn field(mut self, name: &str, value: impl Into<Bytes>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: RequestBody) -> Self {
        self.body = body;
        self
    }
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

pub struct Connection {
    sender: Sender,
    service_name: String,
    /// Dropped with the connection, which ends its driver.
    _driver: Arc<JoinSet<()>>,
}

impl Connection {
    pub(crate) async fn over(
        stream: TlsStream<TcpStream>,
        service_name: &str,
        protocol: Protocol,
    ) -> Result<Self, ClientError> {
        let mut driver = JoinSet::new();
        let io = TokioIo::new(stream);
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                driver.spawn(async { drop(connection.await) });
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                driver.spawn(async { drop(connection.await) });
                Sender::Http2(sender)
            }
        };
        Ok(Self { sender, service_name: service_name.to_owned(), _driver: Arc::new(driver) })
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn send(&mut self, request: Request) -> Result<Reply, ClientError> {
        let request = self.worded(request)?;
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (parts, body) = answer.into_parts();
        Reply::new(parts, body)
    }

    /// Another hand on the same HTTP/2 connection; HTTP/1.1 has one request at a time.
    pub fn another(&self) -> Option<Self> {
        let Sender::Http2(sender) = &self.sender else { return None };
        let (sender, service_name) = (Sender::Http2(sender.clone()), self.service_name.clone());
        Some(Self { sender, service_name, _driver: self._driver.clone() })
    }

    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    fn worded(&self, request: Request) -> Result<http::Request<RequestBody>, ClientError> {
        let mut fields = HeaderMap::new();
        for (name, value) in request.fields {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(http::Error::from)?;
            fields.append(name, HeaderValue::from_maybe_shared(value).map_err(http::Error::from)?);
        }
        let method = Method::from_bytes(request.method.as_bytes()).map_err(http::Error::from)?;
        let (uri, version) = match &self.sender {
            Sender::Http1(_) => {
                let host = HeaderValue::from_str(&self.service_name).map_err(http::Error::from)?;
                fields.entry("host").or_insert(host);
                (request.target.parse::<Uri>().map_err(http::Error::from)?, Version::HTTP_11)
            }
            Sender::Http2(_) => {
                let uri = format!("https://{}{}", self.service_name, request.target);
                (uri.parse::<Uri>().map_err(http::Error::from)?, Version::HTTP_2)
            }
        };
        let mut worded = http::Request::builder().method(method).uri(uri).version(version).body(request.body)?;
        *worded.headers_mut() = fields;
        Ok(worded)
    }
}
