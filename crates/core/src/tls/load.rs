//! Certificates and keys from files. An error names the file, what is wrong with it and what to do.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{Error as PemFault, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate;
use crate::limits;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", .path.display())]
pub struct LoadFault {
    pub path: PathBuf,
    pub why: Why,
}

/// What is wrong with a file of certificates or a key.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("is larger than {} bytes and cannot be a file of certificates", limits::PEM_FILE)]
    TooLarge,
    #[error("is not PEM but binary (DER); convert it with: {0}")]
    Binary(&'static str),
    #[error("is not valid PEM: {0}")]
    Pem(String),
    #[error("holds no certificate{0}; a block that begins with -----BEGIN CERTIFICATE----- is expected")]
    NoCertificate(&'static str),
    #[error("certificate {position} cannot be used: {why}")]
    Certificate { position: usize, why: String },
    #[error("holds no private key{0}; a block that begins with -----BEGIN PRIVATE KEY----- is expected")]
    NoKey(&'static str),
    #[error("the private key is encrypted; decrypt it with: openssl pkey -in FILE -out NEW")]
    Encrypted,
    #[error("the private key can be read by others (mode {mode:04o}); run: chmod 600 {}", .path.display())]
    Readable { mode: u32, path: PathBuf },
    #[error("the private key cannot be used: {0}")]
    Key(rustls::Error),
    #[error("the private key does not belong to the certificate `{subject}` in {}", .certificate.display())]
    Mismatch { subject: String, certificate: PathBuf },
}

impl Why {
    fn of(self, path: &Path) -> LoadFault {
        LoadFault { path: path.to_owned(), why: self }
    }
}

/// All certificates of a PEM file, in order; at least one, each readable.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadFault> {
    let bytes = read(path, "openssl x509 -inform DER -in FILE -out NEW").map_err(|why| why.of(path))?;
    certificates_from_pem(&bytes).map_err(|why| why.of(path))
}

/// The same for PEM text that stands in a configuration file.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Why> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let der = certificate.map_err(|fault| Why::Pem(pem_words(&fault)))?;
        let position = found.len() + 1;
        certificate::read(&der).map_err(|why| Why::Certificate { position, why })?;
        found.push(der);
    }
    if found.is_empty() { Err(Why::NoCertificate(instead(pem))) } else { Ok(found) }
}

/// The private key of a PEM file that nobody but its owner may read.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, LoadFault> {
    only_the_owner(path).map_err(|why| why.of(path))?;
    let bytes = read(path, "openssl pkey -inform DER -in FILE -out NEW").map_err(|why| why.of(path))?;
    private_key_from_pem(&bytes).map_err(|why| why.of(path))
}

/// The same for PEM text.
pub fn private_key_from_pem(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Why> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|fault| match fault {
        _ if contains(pem, "BEGIN ENCRYPTED PRIVATE KEY") || contains(pem, "Proc-Type: 4,ENCRYPTED") => Why::Encrypted,
        PemFault::NoItemsFound => Why::NoKey(instead(pem)),
        fault => Why::Pem(pem_words(&fault)),
    })
}

/// A certificate with its intermediates and its key. A root at the end of the file is left out of what is sent.
pub fn certified_key(certificates_path: &Path, key_path: &Path) -> Result<Arc<CertifiedKey>, LoadFault> {
    let mut chain = certificates(certificates_path)?;
    let leaf = chain.remove(0);
    chain.retain(|der| !is_self_issued(der));
    chain.insert(0, leaf);
    let subject = chain.first().map(|leaf| certificate::subject_of(leaf)).unwrap_or_default();
    CertifiedKey::from_der(chain, private_key(key_path)?, &super::provider()).map(Arc::new).map_err(|fault| {
        let why = match fault {
            rustls::Error::InconsistentKeys(_) => Why::Mismatch { subject, certificate: certificates_path.to_owned() },
            rustls::Error::InvalidCertificate(fault) => {
                let why = Why::Certificate { position: 1, why: fault.to_string() };
                return why.of(certificates_path);
            }
            fault => Why::Key(fault),
        };
        why.of(key_path)
    })
}

fn is_self_issued(der: &[u8]) -> bool {
    certificate::read(der).is_ok_and(|read| read.subject().as_raw() == read.issuer().as_raw())
}

fn read(path: &Path, conversion: &'static str) -> Result<Vec<u8>, Why> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limits::PEM_FILE as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.first() {
        _ if bytes.len() > limits::PEM_FILE => Err(Why::TooLarge),
        // A DER sequence: no text begins with it and a length byte.
        Some(0x30) if !contains(&bytes, "-----BEGIN") => Err(Why::Binary(conversion)),
        _ => Ok(bytes),
    }
}

#[cfg(unix)]
fn only_the_owner(path: &Path) -> Result<(), Why> {
    use std::os::unix::fs::PermissionsExt;
    /// Read or write by group or others.
    const OTHERS: u32 = 0o066;
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 { Ok(()) } else { Err(Why::Readable { mode, path: path.to_owned() }) }
}

#[cfg(not(unix))]
fn only_the_owner(path: &Path) -> Result<(), Why> {
    fs::metadata(path).map(|_| ()).map_err(Why::Io)
}

fn contains(pem: &[u8], text: &str) -> bool {
    pem.windows(text.len()).any(|window| window == text.as_bytes())
}

/// What the file holds instead, as far as it is worth saying.
fn instead(pem: &[u8]) -> &'static str {
    const KINDS: [(&str, &str); 6] = [
        ("PRIVATE KEY-----", " but a private key"),
        ("BEGIN CERTIFICATE REQUEST", " but a certificate request that has yet to be signed"),
        ("BEGIN X509 CRL", " but a revocation list"),
        ("BEGIN TRUSTED CERTIFICATE", " but OpenSSL's own form of one (TRUSTED CERTIFICATE)"),
        ("BEGIN PKCS7", " but a PKCS #7 bundle"),
        ("BEGIN CERTIFICATE-----", " but a certificate"),
    ];
    KINDS.iter().find(|(mark, _)| contains(pem, mark)).map_or("", |(_, words)| words)
}

fn pem_words(fault: &PemFault) -> String {
    match fault {
        PemFault::MissingSectionEnd { .. } => "a block has no END line".to_owned(),
        PemFault::IllegalSectionStart { .. } => "a BEGIN line is malformed".to_owned(),
        PemFault::Base64Decode(_) => "the text between BEGIN and END is not base64".to_owned(),
        other => other.to_string(),
    }
}
