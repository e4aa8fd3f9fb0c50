//! TLS settings of a client: which authority it believes and which certificate it shows. TLS 1.3 and 1.2.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::error::ClientError;

/// The file with a client's certificate (and intermediates) and the one with its key.
#[derive(Clone, Copy, Debug)]
pub struct ClientCertificate<'a> {
    pub chain: &'a Path,
    pub key: &'a Path,
}

pub fn settings(authority: &Path, shown: Option<ClientCertificate<'_>>) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(ClientError::TlsSetting)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(ClientError::TlsSetting)?
        .with_root_certificates(roots);
    match shown {
        Some(files) => {
            let (chain, key) = (certificates(files.chain)?, private_key(files.key)?);
            builder.with_client_auth_cert(chain, key).map_err(ClientError::TlsSetting)
        }
        None => Ok(builder.with_no_client_auth()),
    }
}

pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let no_pem = || ClientError::NoPem { path: path.to_owned(), wanted: "certificate" };
    let text = read(path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|_| no_pem())?;
    if certificates.is_empty() { Err(no_pem()) } else { Ok(certificates) }
}

pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ClientError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| ClientError::NoPem { path: path.to_owned(), wanted: "private key" })
}

fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::ReadFile { path: path.to_owned(), source })
}
