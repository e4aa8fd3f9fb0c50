//! The first bytes of a connection: the ClientHello is read into memory of ours, in however many records and
//! segments it comes, so that the kind of service can be chosen before TLS begins. Nothing is answered here.

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;

use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::explain::explain;
use super::stock::Unread;
use crate::limits;
use crate::refusal::RefusalKind;

/// First byte of a TLS record that carries a handshake message.
const HANDSHAKE_RECORD: u8 = 22;

/// A complete hello, and whatever the client sent behind it.
#[derive(Clone, Debug)]
pub struct ClientHello {
    /// Protocols that the client offers, in its order.
    pub alpn: Vec<Vec<u8>>,
    bytes: Vec<u8>,
}

/// Why there is no hello.
#[derive(Debug, thiserror::Error)]
pub enum HelloFault {
    #[error("the peer does not speak TLS{}", if *.looks_like_http { ": it sent a plain HTTP request; use https://" } else { "" })]
    NotTls { looks_like_http: bool },
    #[error("{}", explain(.0, "the peer"))]
    Invalid(rustls::Error),
    #[error("the TLS ClientHello is longer than {} bytes", limits::CLIENT_HELLO)]
    TooLong,
    #[error("the peer closed the connection {}", if *.after == 0 { "without a word".into() } else { format!("after {after} bytes of its TLS ClientHello") })]
    Closed { after: usize },
    #[error("the TLS ClientHello was not complete in time: {after} bytes came")]
    TooSlow { after: usize },
    #[error("the connection broke before the TLS ClientHello was complete: {0}")]
    Io(#[from] io::Error),
}

impl HelloFault {
    /// Whether the peer merely went away, as port checks and health probes do.
    pub fn is_quiet(&self) -> bool {
        matches!(self, Self::Closed { after: 0 } | Self::Io(_))
    }

    /// The code that the peer was refused under; `None` if it left by itself.
    pub fn refusal(&self) -> Option<RefusalKind> {
        match self {
            Self::NotTls { .. } | Self::Invalid(_) | Self::TooLong => Some(RefusalKind::BadRequest),
            Self::TooSlow { .. } => Some(RefusalKind::RequestTimeout),
            Self::Closed { .. } | Self::Io(_) => None,
        }
    }
}

impl ClientHello {
    /// Reads the hello. A peer that speaks TLS but wrongly gets the alert that says so.
    pub async fn read(tcp: &mut TcpStream, deadline: Instant) -> Result<Self, HelloFault> {
        let mut reader = HelloReader::default();
        loop {
            let more = poll_fn(|cx| reader.unread.refill(tcp, cx));
            let count = match timeout_at(deadline, more).await {
                Ok(outcome) => outcome?,
                Err(_) => return Err(HelloFault::TooSlow { after: reader.bytes.len() }),
            };
            if count == 0 {
                return Err(HelloFault::Closed { after: reader.bytes.len() });
            }
            match reader.digest() {
                Ok(Some(hello)) => return Ok(hello),
                Ok(None) => {}
                Err(fault) => {
                    let _ = timeout_at(deadline, tcp.write_all(&reader.alert)).await;
                    return Err(fault);
                }
            }
        }
    }

    /// Everything that came from the client so far, for whoever takes the connection over.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the client offers this protocol.
    pub fn offers(&self, protocol: &[u8]) -> bool {
        self.alpn.iter().any(|offered| offered == protocol)
    }
}

#[derive(Default)]
struct HelloReader {
    unread: Unread,
    bytes: Vec<u8>,
    acceptor: Acceptor,
    alert: Vec<u8>,
}

impl HelloReader {
    /// Looks at the bytes that came; keeps them.
    fn digest(&mut self) -> Result<Option<ClientHello>, HelloFault> {
        let mut news = self.unread.bytes();
        let room = limits::CLIENT_HELLO - self.bytes.len();
        self.bytes.extend_from_slice(news);
        if self.bytes.first() != Some(&HANDSHAKE_RECORD) {
            return Err(HelloFault::NotTls { looks_like_http: looks_like_http(&self.bytes) });
        }
        let too_long = news.len() > room;
        news = news.get(..room).unwrap_or(news);
        while !news.is_empty() {
            if self.acceptor.read_tls(&mut news)? == 0 {
                break;
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = accepted.client_hello();
                    let alpn = hello.alpn().map(|offered| offered.map(<[u8]>::to_vec).collect()).unwrap_or_default();
                    return Ok(Some(ClientHello { alpn, bytes: std::mem::take(&mut self.bytes) }));
                }
                Err((fault, mut alert)) => {
                    let _ = alert.write_all(&mut self.alert);
                    return Err(HelloFault::Invalid(fault));
                }
            }
        }
        self.unread.clear();
        if too_long { Err(HelloFault::TooLong) } else { Ok(None) }
    }
}

/// A method in capitals and a space, as far as one can see; a first segment holds at least the method.
fn looks_like_http(bytes: &[u8]) -> bool {
    let method = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    !method.is_empty()
        && method.len() <= limits::METHOD
        && method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_' || *byte == b'-')
}
