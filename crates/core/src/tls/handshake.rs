//! Opening and accepting TLS connections. A handshake that fails says why, and the peer gets to read its alert.
//! Deadlines are the caller's: one covers TLS and the first request head.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client_hello::ClientHello;
use super::explain::{explain, refusal};
use super::stream::{FlushRule, TlsStream};
use crate::limits;
use crate::refusal::RefusalKind;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeFault {
    /// One of the two ends refused the other; [`HandshakeFault::explain`] has the sentence.
    #[error("{}", explain(.0, "the peer"))]
    Tls(rustls::Error),
    #[error("the peer closed the connection in the middle of the TLS handshake")]
    Closed,
    #[error("the connection broke in the middle of the TLS handshake: {0}")]
    Io(#[source] io::Error),
}

impl HandshakeFault {
    /// What went wrong, for an administrator. `which` names the peer: "the role https://mp1.corp/".
    pub fn explain(&self, which: &str) -> String {
        match self {
            Self::Tls(fault) => explain(fault, which),
            Self::Closed => format!("{which} closed the connection in the middle of the TLS handshake"),
            Self::Io(error) => format!("the connection to {which} broke in the middle of the TLS handshake: {error}"),
        }
    }
}

impl HandshakeFault {
    /// The code that a client was refused under; `None` if it left by itself.
    pub fn refusal(&self) -> Option<RefusalKind> {
        match self {
            Self::Tls(fault) => refusal(fault),
            Self::Closed | Self::Io(_) => None,
        }
    }
}

impl From<io::Error> for HandshakeFault {
    fn from(error: io::Error) -> Self {
        match tls_fault(&error) {
            Some(fault) => Self::Tls(fault.clone()),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Io(error),
        }
    }
}

impl From<rustls::Error> for HandshakeFault {
    fn from(fault: rustls::Error) -> Self {
        Self::Tls(fault)
    }
}

/// The TLS fault inside an I/O error of a [`TlsStream`], if TLS is what failed.
pub fn tls_fault(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// A handshake to which our part is computed, key exchange and signature; the rest is mostly waiting for the client.
pub struct BegunHandshake {
    stream: TlsStream,
    /// An error: the hello itself was refused.
    begun: io::Result<()>,
}

/// Serves TLS to a client whose hello was read, by the configuration that was chosen from it.
pub async fn accept(
    tcp: TcpStream,
    hello: ClientHello,
    config: Arc<ServerConfig>,
    rule: FlushRule,
) -> Result<TlsStream, HandshakeFault> {
    begin(tcp, hello, config, rule)?.finish().await
}

/// The costly half of [`accept`], which waits for nobody.
pub fn begin(
    tcp: TcpStream,
    hello: ClientHello,
    config: Arc<ServerConfig>,
    rule: FlushRule,
) -> Result<BegunHandshake, HandshakeFault> {
    tcp.set_nodelay(true).map_err(HandshakeFault::Io)?;
    let mut stream = TlsStream::new(tcp, ServerConnection::new(config)?.into(), rule);
    let begun = stream.replay(hello.bytes());
    Ok(BegunHandshake { stream, begun })
}

impl BegunHandshake {
    /// Sends our part and waits for the client's.
    pub async fn finish(self) -> Result<TlsStream, HandshakeFault> {
        let Self { mut stream, begun } = self;
        let outcome = match begun {
            Ok(()) => stream.handshake().await,
            // The handshake would only repeat it, but the alert still has to leave.
            Err(refused) => stream.write_alert().await.and(Err(refused)),
        };
        match outcome.map_err(HandshakeFault::from) {
            Ok(()) => Ok(stream),
            Err(fault) => {
                if matches!(&fault, HandshakeFault::Tls(inner) if !matches!(inner, rustls::Error::AlertReceived(_))) {
                    let _ = timeout(limits::LINGER, linger(stream.tcp_mut())).await;
                }
                Err(fault)
            }
        }
    }
}

/// Opens TLS to a server that must prove to be `name`.
pub async fn connect(
    tcp: TcpStream,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    rule: FlushRule,
) -> Result<TlsStream, HandshakeFault> {
    tcp.set_nodelay(true).map_err(HandshakeFault::Io)?;
    let mut stream = TlsStream::new(tcp, ClientConnection::new(config, name)?.into(), rule);
    stream.handshake().await?;
    Ok(stream)
}

/// Ends our half and throws away what the peer still sends: closing over unread bytes would make TCP swallow
/// the alert, and a TLS 1.3 peer has sent its first request before it can know that it was refused.
async fn linger(tcp: &mut TcpStream) -> io::Result<()> {
    socket2::SockRef::from(&*tcp).shutdown(Shutdown::Write)?;
    let mut scrap = [0; limits::LINGER_READ];
    let mut left = limits::LINGER_BYTES;
    while left > 0 {
        match tcp.read(&mut scrap).await? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}
