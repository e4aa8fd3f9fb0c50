//! TLS at every edge: the stream, the handshakes, what is loaded from files, and the judgement of certificates.
//! aws-lc-rs is the only provider; nothing here decides about a request.

pub mod certificate;
pub mod chain;
pub mod client_hello;
pub mod client_verifier;
pub mod configs;
pub mod explain;
mod flush_gate;
pub mod handshake;
pub mod identity;
pub mod load;
mod pulse;
pub mod role_certificates;
pub mod service_certificates;
mod stock;
pub mod stream;
#[cfg(test)]
mod test_pki;

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use client_hello::{ClientHello, HelloFault};
pub use handshake::{BegunHandshake, HandshakeFault, accept, begin, connect, tls_fault};
pub use pulse::Pulse;
pub use stream::{DetachedTls, FlushRule, TlsStream};

/// The provider of every configuration, whether or not the process has installed one.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    PROVIDER.clone()
}
