//! A client that writes what it is given and shows what comes back, byte by byte.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub struct Client {
    stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
}

/// An answer with a body of known length.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of a field; empty when there is none.
    pub fn field(&self, name: &str) -> String {
        let is_it = |line: &str| {
            Some(line.split_once(':').filter(|(other, _)| other.eq_ignore_ascii_case(name))?.1.trim().to_owned())
        };
        self.head.lines().find_map(is_it).unwrap_or_default()
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    Clean,
    Cut,
    Reset,
}

impl Client {
    pub async fn connect(address: SocketAddr, tls: Arc<ClientConfig>) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let stream = TlsConnector::from(tls).connect("localhost".try_into().unwrap(), stream).await?;
        Ok(Self { stream, unread: Vec::new() })
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends a request without a body and reads the answer.
    pub async fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, "").await
    }

    /// The same with a method and fields, each with its line break.
    pub async fn ask(&mut self, method: &str, target: &str, fields: &str) -> Answer {
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: role\r\n{fields}\r\n")).await;
        self.answer(method == "HEAD").await
    }

    /// Reads a head and a body of Content-Length.
    pub async fn answer(&mut self, is_head: bool) -> Answer {
        let head = self.head().await;
        let mut answer = Answer { status: head[9..12].parse().unwrap(), head, body: Vec::new() };
        if !is_head {
            let length = answer.field("content-length").parse().unwrap_or(0);
            answer.body = self.take(length).await;
        }
        answer
    }

    /// Everything up to the next empty line, one character per byte.
    pub async fn head(&mut self) -> String {
        loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..at + 4).collect();
                return head.into_iter().map(char::from).collect();
            }
            assert!(self.fill().await.unwrap() > 0, "the connection ended in a head: {:?}", self.unread);
        }
    }

    /// Exactly so many bytes.
    pub async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.fill().await.unwrap() > 0, "the connection ended after {} bytes", self.unread.len());
        }
        self.unread.drain(..length).collect()
    }

    /// Everything to the end of the connection, and how it ended.
    pub async fn rest(mut self) -> (Vec<u8>, Ended) {
        loop {
            match self.fill().await {
                Ok(0) => return (self.unread, Ended::Clean),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return (self.unread, Ended::Cut),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return (self.unread, Ended::Reset),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        // A test that waits for what never comes fails instead of hanging.
        let read = self.stream.read_buf(&mut self.unread);
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("the role sends within 20 s")
    }
}

impl Client {
    /// The words with which reading fails.
    pub async fn fails(mut self) -> String {
        loop {
            match self.fill().await {
                Ok(0) => return "clean end".to_owned(),
                Ok(_) => {}
                Err(error) => return error.to_string(),
            }
        }
    }
}
