//! The TLS settings of every edge: client listener, tunnel at both ends, roles. Built anew at each change of
//! certificates or trust; a new configuration has a new ticket key, so that old sessions do not outlive it.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::crypto::{CryptoProvider, aws_lc_rs::cipher_suite};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::certificate;
use super::client_verifier::{ClientCertificates, Unauthenticated};
use super::role_certificates::RoleCertificates;
use super::service_certificates::ServiceCertificates;
use crate::limits;

/// What tells a tunnel from a client on a shared port, and one version of the protocol from another.
pub const TUNNEL_ALPN: &[u8] = b"cmg-tunnel/1";
pub const HTTP1_ALPN: &[u8] = b"http/1.1";
pub const HTTP2_ALPN: &[u8] = b"h2";

static TLS13_ONLY: &[&SupportedProtocolVersion] = &[&TLS13];

/// The oldest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsFloor {
    #[default]
    Tls12,
    Tls13,
}

impl TlsFloor {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => TLS13_ONLY,
        }
    }
}

/// Why settings cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    #[error(
        "root {position} `{subject}` cannot be used: {why}; take it out, or put a certification authority in its place"
    )]
    Root { position: usize, subject: String, why: String },
    #[error("no root certificate is given, so that nobody could be trusted; name at least one")]
    NoRoot,
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

/// The client listener's configuration: TLS 1.2 or 1.3, HTTP/2 or 1.1, a client certificate offered or required.
pub fn client_listener(
    floor: TlsFloor,
    certificates: ServiceCertificates,
    unauthenticated: Unauthenticated,
) -> Result<Arc<ServerConfig>, ConfigFault> {
    let mut config = ServerConfig::builder_with_provider(super::provider())
        .with_protocol_versions(floor.versions())?
        .with_client_cert_verifier(Arc::new(ClientCertificates::new(unauthenticated)))
        .with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![HTTP2_ALPN.to_vec(), HTTP1_ALPN.to_vec()];
    // Sessions live in tickets that the clients keep: thousands of clients cost no memory here.
    config.ticketer = Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = limits::TLS_TICKETS;
    Ok(Arc::new(config))
}

/// The tunnel listener's: TLS 1.3 only, a certificate of the tunnel CA required, nothing resumed.
pub fn tunnel_listener(
    own: Arc<CertifiedKey>,
    tunnel_roots: &[CertificateDer<'static>],
) -> Result<Arc<ServerConfig>, ConfigFault> {
    let roots = Arc::new(root_store(tunnel_roots)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, super::provider())
        .build()
        .map_err(|fault| rustls::Error::General(fault.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(super::provider())
        .with_protocol_versions(TLS13_ONLY)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![TUNNEL_ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The configuration with which a connection point dials a gateway: TLS 1.3 only, the tunnel CA only, nothing resumed.
pub fn tunnel_dialler(
    own: Arc<CertifiedKey>,
    tunnel_roots: &[CertificateDer<'static>],
) -> Result<Arc<ClientConfig>, ConfigFault> {
    let mut config = ClientConfig::builder_with_provider(light_provider())
        .with_protocol_versions(TLS13_ONLY)?
        .with_root_certificates(root_store(tunnel_roots)?)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![TUNNEL_ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The configuration with which a connection point calls a role: the site's internal roots, and a certificate where the
/// role asks for one.
pub fn role_client(
    floor: TlsFloor,
    roots: &[CertificateDer<'static>],
    certificates: RoleCertificates,
) -> Result<Arc<ClientConfig>, ConfigFault> {
    let mut config = ClientConfig::builder_with_provider(light_provider())
        .with_protocol_versions(floor.versions())?
        .with_root_certificates(root_store(roots)?)
        .with_client_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![HTTP1_ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// Where we choose, AES-128 comes first: as safe here, and it costs less than AES-256.
fn light_provider() -> Arc<CryptoProvider> {
    let mut provider = (*super::provider()).clone();
    provider.cipher_suites.sort_by_key(|suite| *suite != cipher_suite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

fn root_store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, ConfigFault> {
    let mut store = RootCertStore::empty();
    for (at, der) in roots.iter().enumerate() {
        let fault = |why| ConfigFault::Root { position: at + 1, subject: certificate::subject_of(der), why };
        store.add(der.clone()).map_err(|error| fault(error.to_string()))?;
    }
    if store.is_empty() { Err(ConfigFault::NoRoot) } else { Ok(store) }
}
