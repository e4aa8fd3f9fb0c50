//! What can go wrong between a client and the gateway, each naming what to look at.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot read {path}: {source}")]
    ReadFile { path: PathBuf, source: io::Error },
    #[error("{path} holds no {wanted} in PEM form")]
    NoPem { path: PathBuf, wanted: &'static str },
    #[error("{name:?} is not a DNS name or IP address")]
    ServiceName { name: String },
    #[error("these keys and certificates cannot be used for TLS: {0}")]
    TlsSetting(#[source] rustls::Error),
    #[error("cannot connect to {address}: {source}")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("the TLS handshake with {address} failed: {source}")]
    Handshake { address: SocketAddr, source: io::Error },
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    #[error("the exchange broke off: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("the answer holds the field {name:?}, which the gateway should have kept to itself")]
    LeakedField { name: String },
    #[error("the body is longer than {limit} bytes; read it as a stream")]
    BodyTooLong { limit: usize },
}
