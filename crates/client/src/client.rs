//! A client: where the gateway is, by which name it is called, whom to believe and what to show.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::answer::Answer;
use crate::connection::{Connection, Request};
use crate::error::ClientError;
use crate::tls::{self, ClientCertificate};

/// The version of HTTP that the client asks for by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    const fn alpn(self) -> &'static [u8] {
        match self {
            Protocol::Http1 => b"http/1.1",
            Protocol::Http2 => b"h2",
        }
    }
}

#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    service_name: String,
    protocol: Protocol,
    settings: Arc<ClientConfig>,
}

impl Client {
    /// An HTTP/1.1 client that believes `authority` and shows a certificate if it has one.
    pub fn new(
        address: SocketAddr,
        service_name: &str,
        authority: &Path,
        shown: Option<ClientCertificate<'_>>,
    ) -> Result<Self, ClientError> {
        let settings = Arc::new(tls::settings(authority, shown)?);
        let client = Self { address, service_name: service_name.to_owned(), protocol: Protocol::Http1, settings };
        Ok(client.speaking(Protocol::Http1))
    }

    /// The same client with another version of HTTP.
    pub fn speaking(mut self, protocol: Protocol) -> Self {
        let mut settings = (*self.settings).clone();
        settings.alpn_protocols = vec![protocol.alpn().to_vec()];
        self.settings = Arc::new(settings);
        self.protocol = protocol;
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn service_name(&self) -> &str {
        &self.service_name
    }

    pub async fn connect(&self) -> Result<Connection, ClientError> {
        let stream = self.connect_tls().await?;
        Connection::over(stream, &self.service_name, self.protocol).await
    }

    /// The TLS connection alone, for a caller that writes its own bytes.
    pub async fn connect_tls(&self) -> Result<TlsStream<TcpStream>, ClientError> {
        let address = self.address;
        let name = ServerName::try_from(self.service_name.clone())
            .map_err(|_| ClientError::ServiceName { name: self.service_name.clone() })?;
        let stream = TcpStream::connect(address).await.map_err(|source| ClientError::Connect { address, source })?;
        stream.set_nodelay(true).map_err(|source| ClientError::Connect { address, source })?;
        TlsConnector::from(self.settings.clone())
            .connect(name, stream)
            .await
            .map_err(|source| ClientError::Handshake { address, source })
    }

    /// One request on a connection of its own, with the whole answer.
    pub async fn send(&self, request: Request) -> Result<Answer, ClientError> {
        let mut connection = self.connect().await?;
        connection.send(request).await?.whole().await
    }

    pub async fn get(&self, target: &str) -> Result<Answer, ClientError> {
        self.send(Request::get(target)).await
    }
}
