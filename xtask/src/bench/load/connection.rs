//! One client connection, HTTP/1.1 by hand or HTTP/2 by hyper, over TLS with the client's certificate.
//! An answer that is not a 200 of the announced length is an error.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, HandshakeKind, pki_types::ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::bench::job::{Method, SMALL_ANSWER, SMALL_UPLOAD, Target, Version};
use crate::bench::keys;

const CHUNK: usize = 64 * 1024;

/// Where to connect, and with which tickets.
#[derive(Clone)]
pub struct Dialler {
    connector: TlsConnector,
    target: Target,
    name: ServerName<'static>,
}

impl Dialler {
    pub fn new(target: &Target, version: Version, resumption: bool) -> Result<Dialler> {
        let protocol: &[u8] = match version {
            Version::Http1 => b"http/1.1",
            Version::Http2 => b"h2",
        };
        let own = target.certificate.as_deref().zip(target.key.as_deref());
        let config: ClientConfig = keys::client(&target.authority, own, protocol, resumption)?;
        let name = ServerName::try_from(target.server_name.clone())?;
        Ok(Dialler { connector: Arc::new(config).into(), target: target.clone(), name })
    }

    pub async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(self.target.address).await.context("connecting")?;
        socket.set_nodelay(true)?;
        self.connector.connect(self.name.clone(), socket).await.context("TLS handshake")
    }
}

/// The same small request in both forms.
pub struct SmallRequest {
    http1: Bytes,
    http2: http::Request<Full<Bytes>>,
    method: Method,
}

impl SmallRequest {
    pub fn new(target: &Target, method: Method) -> Result<SmallRequest> {
        let Target { server_name, prefix, .. } = target;
        let (verb, path, body) = match method {
            Method::Get => (http::Method::GET, "1k", Bytes::new()),
            Method::Post => (http::Method::POST, "sink", Bytes::from(vec![b'u'; SMALL_UPLOAD])),
        };
        let mut request = http::Request::builder().method(&verb).uri(format!("https://{server_name}{prefix}{path}"));
        if method == Method::Post {
            request = request.header(http::header::CONTENT_LENGTH, SMALL_UPLOAD);
        }
        let mut http1 = head(verb.as_str(), target, path, (method == Method::Post).then_some(SMALL_UPLOAD as u64));
        http1.extend_from_slice(&body);
        Ok(SmallRequest { http1: http1.into(), http2: request.body(Full::new(body))?, method })
    }

    fn check(&self, answer: &[u8]) -> Result<()> {
        match self.method {
            Method::Get => ensure!(answer.len() == SMALL_ANSWER, "an answer of {} bytes", answer.len()),
            Method::Post => check_count(answer, SMALL_UPLOAD as u64)?,
        }
        Ok(())
    }
}

fn head(verb: &str, target: &Target, path: &str, length: Option<u64>) -> Vec<u8> {
    let Target { server_name, prefix, .. } = target;
    let length = length.map_or(String::new(), |length| format!("Content-Length: {length}\r\n"));
    format!(
        "{verb} {prefix}{path} HTTP/1.1\r\nHost: {server_name}\r\nUser-Agent: cmg-bench\r\nAccept: */*\r\n{length}\r\n"
    )
    .into_bytes()
}

/// The backend's answer to an upload is the number of bytes that it saw.
fn check_count(answer: &[u8], sent: u64) -> Result<()> {
    ensure!(answer == sent.to_string().as_bytes(), "sent {sent}, arrived {}", String::from_utf8_lossy(answer));
    Ok(())
}

pub enum Connection {
    Http1(Box<Http1>),
    Http2(Http2),
}

impl Connection {
    pub async fn open(dialler: &Dialler, version: Version) -> Result<Connection> {
        let stream = dialler.connect().await?;
        Ok(match version {
            Version::Http1 => Connection::Http1(Box::new(Http1::new(stream))),
            Version::Http2 => Connection::Http2(Http2::new(stream).await?),
        })
    }

    pub async fn ask(&mut self, request: &SmallRequest) -> Result<()> {
        match self {
            Connection::Http1(connection) => connection.ask(request).await,
            Connection::Http2(connection) => connection.ask(request).await,
        }
    }
}

pub struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection; aborted with it.
    _driver: JoinSet<()>,
}

impl Http2 {
    async fn new(stream: TlsStream<TcpStream>) -> Result<Http2> {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let _ = connection.await;
        });
        Ok(Http2 { sender, _driver: driver })
    }

    async fn ask(&mut self, request: &SmallRequest) -> Result<()> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request.http2.clone()).await?;
        ensure!(answer.status() == http::StatusCode::OK, "answered {} {:?}", answer.status(), answer.headers());
        request.check(&answer.into_body().collect().await?.to_bytes())
    }
}

pub struct Http1 {
    stream: TlsStream<TcpStream>,
    received: BytesMut,
}

impl Http1 {
    pub fn new(stream: TlsStream<TcpStream>) -> Http1 {
        Http1 { stream, received: BytesMut::new() }
    }

    pub fn was_resumed(&self) -> bool {
        self.stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub async fn close(mut self) {
        let _ = self.stream.shutdown().await;
    }

    pub async fn ask(&mut self, request: &SmallRequest) -> Result<()> {
        self.send(&request.http1).await?;
        let answer = self.small_answer().await?;
        request.check(&answer)
    }

    /// Asks for a body and reads its head only.
    pub async fn begin_download(&mut self, target: &Target, bytes: u64) -> Result<()> {
        self.send(&head("GET", target, &format!("bytes/{bytes}"), None)).await?;
        let length = self.answer_head().await?;
        ensure!(length == bytes, "asked for {bytes} bytes, announced were {length}");
        Ok(())
    }

    pub async fn download(&mut self, target: &Target, bytes: u64) -> Result<()> {
        self.begin_download(target, bytes).await?;
        let mut left = bytes.checked_sub(self.received.len() as u64).context("more bytes than announced")?;
        while left > 0 {
            self.received.clear();
            self.receive(CHUNK).await?;
            left = left.checked_sub(self.received.len() as u64).context("more bytes than announced")?;
        }
        self.received.clear();
        Ok(())
    }

    pub async fn upload(&mut self, target: &Target, bytes: u64) -> Result<()> {
        let chunk = vec![b'u'; CHUNK];
        self.send(&head("POST", target, "sink", Some(bytes))).await?;
        let mut left = bytes;
        while left > 0 {
            let length = left.min(CHUNK as u64);
            self.stream.write_all(chunk.get(..length as usize).unwrap_or(&chunk)).await?;
            left -= length;
        }
        self.stream.flush().await?;
        check_count(&self.small_answer().await?, bytes)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    async fn small_answer(&mut self) -> Result<BytesMut> {
        let length = self.answer_head().await? as usize;
        while self.received.len() < length {
            self.receive(4096).await?;
        }
        let answer = self.received.split_to(length);
        ensure!(self.received.is_empty(), "bytes after the end of the answer");
        Ok(answer)
    }

    async fn answer_head(&mut self) -> Result<u64> {
        loop {
            if let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                return judge_head(&self.received.split_to(end + 4));
            }
            self.receive(4096).await?;
        }
    }

    async fn receive(&mut self, room: usize) -> Result<()> {
        self.received.reserve(room);
        if self.stream.read_buf(&mut self.received).await? == 0 {
            bail!("the connection ended before the answer was complete");
        }
        Ok(())
    }
}

/// The announced length of a 200; anything else is an error that shows the head.
fn judge_head(head: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(head)?;
    ensure!(text.starts_with("HTTP/1.1 200"), "answered {}", text.lines().next().unwrap_or_default());
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    length.with_context(|| format!("no Content-Length in {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::judge_head;

    #[test]
    fn only_a_200_with_a_length_is_an_answer() {
        assert_eq!(judge_head(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n").unwrap(), 7);
        assert!(judge_head(b"HTTP/1.1 503 x\r\ncontent-length: 7\r\n\r\n").unwrap_err().to_string().contains("503"));
        assert!(judge_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
