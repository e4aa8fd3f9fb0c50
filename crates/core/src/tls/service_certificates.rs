//! The certificates that the client listener shows, chosen by the name that the client asks for. A name that is
//! not ours ends the handshake.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::certificate;

/// A certificate that may be shown for a service name.
#[derive(Clone, Debug)]
pub struct ServiceCertificate {
    /// In lower case.
    name: String,
    key: Arc<CertifiedKey>,
}

/// Why a certificate cannot be shown for a service name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceCertificateFault {
    #[error("the certificate `{subject}` cannot be used: {why}")]
    Unreadable { subject: String, why: String },
    #[error(
        "the certificate `{subject}` has no subject alternative name, so no client accepts it; have it issued with the DNS name `{name}`"
    )]
    NoNames { subject: String, name: String },
    #[error("the certificate `{subject}` is not for `{name}`; it is for {names}")]
    OtherName { subject: String, name: String, names: String },
    #[error(
        "the certificate `{subject}` covers `{name}` only by the wildcard `{wildcard}`; set allow_wildcard = true to accept that"
    )]
    Wildcard { subject: String, name: String, wildcard: String },
    #[error(
        "the certificate `{subject}` may not be used by a server: its extended key usage lacks server authentication"
    )]
    Usage { subject: String },
}

impl ServiceCertificate {
    /// Takes a certificate for this name. Whether it is valid now was judged when it was loaded.
    pub fn new(key: Arc<CertifiedKey>, name: &str, allow_wildcard: bool) -> Result<Self, ServiceCertificateFault> {
        let leaf = key.cert.first().map(AsRef::as_ref).unwrap_or_default();
        let subject = certificate::subject_of(leaf);
        let unreadable = |why| ServiceCertificateFault::Unreadable { subject: subject.clone(), why };
        let read = certificate::read(leaf).map_err(unreadable)?;
        if let Ok(Some(usage)) = read.extended_key_usage()
            && !usage.value.server_auth
            && !usage.value.any
        {
            return Err(ServiceCertificateFault::Usage { subject });
        }
        let name = name.to_ascii_lowercase();
        covers(leaf, &certificate::server_names(&read), &name, allow_wildcard, &subject)?;
        Ok(Self { name, key })
    }

    pub fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

fn covers(
    leaf: &[u8],
    has: &[String],
    name: &str,
    allow_wildcard: bool,
    subject: &str,
) -> Result<(), ServiceCertificateFault> {
    let (subject, name) = (subject.to_owned(), name.to_owned());
    if has.contains(&name) {
        return Ok(());
    }
    if has.is_empty() {
        return Err(ServiceCertificateFault::NoNames { subject, name });
    }
    let der = leaf.into();
    let valid = EndEntityCert::try_from(&der).is_ok_and(|certificate| {
        ServerName::try_from(name.as_str())
            .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    });
    let suffix = name.split_once('.').map(|(_, suffix)| format!("*.{suffix}")).unwrap_or_default();
    match has.iter().find(|own| **own == suffix) {
        Some(_) if valid && allow_wildcard => Ok(()),
        Some(wildcard) if valid => Err(ServiceCertificateFault::Wildcard { subject, name, wildcard: wildcard.clone() }),
        _ => Err(ServiceCertificateFault::OtherName { subject, name, names: has.join(", ") }),
    }
}

/// All service certificates of a gateway.
#[derive(Debug)]
pub struct ServiceCertificates {
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
    first: Option<Arc<CertifiedKey>>,
}

impl ServiceCertificates {
    /// The first is shown to clients that ask for no name. Several for one name: the one whose kind of key the
    /// client knows, in this order.
    pub fn new(certificates: &[ServiceCertificate]) -> Self {
        let mut by_name: HashMap<String, Vec<Arc<CertifiedKey>>> = HashMap::new();
        for certificate in certificates {
            by_name.entry(certificate.name.clone()).or_default().push(certificate.key.clone());
        }
        Self { by_name, first: certificates.first().map(|first| first.key.clone()) }
    }
}

impl ResolvesServerCert for ServiceCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name() else { return self.first.clone() };
        let keys = self.by_name.get(&name.to_ascii_lowercase())?;
        let known = keys.iter().find(|key| key.key.choose_scheme(hello.signature_schemes()).is_some());
        known.or(keys.first()).cloned()
    }
}
