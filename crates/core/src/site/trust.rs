//! Whom a site believes: roots, which alone anchor a chain, and intermediates, which help to build one. Judges
//! certificates when they are loaded; chains of clients are judged elsewhere.

use crate::limits;
use rustls::pki_types::CertificateDer;
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// In one order, whatever the order of the file: equal trust has equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTrust {
    roots: Vec<CertificateDer<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
}

/// What is wrong with one certificate of a trust list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustFault {
    pub list: TrustList,
    /// Index in the list that was judged.
    pub index: usize,
    pub message: String,
    pub instead: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustList {
    Roots,
    Intermediates,
}

impl TrustList {
    pub fn key(self) -> &'static str {
        match self {
            TrustList::Roots => "roots",
            TrustList::Intermediates => "intermediates",
        }
    }
}

impl ClientTrust {
    /// Judges both lists together and reports every fault. Expiry is judged apart, by [`Self::expired`].
    pub fn new(
        roots: Vec<CertificateDer<'static>>,
        intermediates: Vec<CertificateDer<'static>>,
    ) -> Result<Self, Vec<TrustFault>> {
        let faults = judge(&roots, &intermediates);
        if !faults.is_empty() {
            return Err(faults);
        }
        let in_order = |mut list: Vec<CertificateDer<'static>>| {
            list.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
            list.dedup();
            list
        };
        Ok(Self { roots: in_order(roots), intermediates: in_order(intermediates) })
    }

    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }

    /// Roots that are not valid at this time: rustls does not look at the validity of anchors.
    pub fn expired(&self, now: SystemTime) -> Vec<String> {
        self.roots.iter().filter_map(|root| not_valid(root, now)).collect()
    }
}

/// Says when a certificate is valid if that is not now.
pub fn not_valid(certificate: &CertificateDer<'_>, now: SystemTime) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(seconds).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now > validity.not_after.timestamp() {
        return Some(format!("the certificate of {} expired on {}", parsed.subject(), validity.not_after));
    }
    let early = now < validity.not_before.timestamp();
    early.then(|| format!("the certificate of {} is not valid before {}", parsed.subject(), validity.not_before))
}

fn judge(roots: &[CertificateDer<'_>], intermediates: &[CertificateDer<'_>]) -> Vec<TrustFault> {
    let mut faults = Vec::new();
    let mut parsed = Vec::new();
    for (list, certificates) in [(TrustList::Roots, roots), (TrustList::Intermediates, intermediates)] {
        for (index, der) in certificates.iter().enumerate() {
            match parse(der) {
                Ok(certificate) => parsed.push((list, index, certificate)),
                Err(message) => faults.push(TrustFault {
                    list,
                    index,
                    message,
                    instead: "give the certificate of a certification authority as PEM",
                }),
            }
        }
    }
    if parsed.len() > limits::TRUST_CERTIFICATES {
        faults.push(TrustFault {
            list: TrustList::Intermediates,
            index: 0,
            message: format!("more than {} certificates", limits::TRUST_CERTIFICATES),
            instead: "keep those that clients of this site need",
        });
    }
    for (list, index, certificate) in &parsed {
        let fault = |(message, instead)| TrustFault { list: *list, index: *index, message, instead };
        faults.extend(authority(certificate).map(fault));
        let others = parsed.iter().map(|(_, _, other)| other);
        faults.extend(placed(*list, certificate, others).map(fault));
    }
    faults
}

fn parse<'c>(der: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, String> {
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|error| format!("is not a certificate: {error}"))?;
    if !rest.is_empty() {
        return Err("is not a certificate: bytes follow its end".to_owned());
    }
    Ok(certificate)
}

type Wrong = (String, &'static str);

/// Whether a certificate may issue others, with a key that is strong enough.
fn authority(certificate: &X509Certificate<'_>) -> Option<Wrong> {
    let subject = certificate.subject();
    if !certificate.is_ca() {
        let message = format!("the certificate of {subject} is not one of a certification authority");
        return Some((message, "give the issuer's certificate, not the client's or the server's"));
    }
    let key_usage = certificate.key_usage().ok().flatten();
    if key_usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        let message = format!("the certificate of {subject} may not sign certificates (key usage)");
        return Some((message, "give a certificate whose key usage has keyCertSign"));
    }
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < 2048 => {
            let message = format!("the RSA key of {subject} has {} bits", key.key_size());
            Some((message, "RSA keys need at least 2048"))
        }
        _ => None,
    }
}

/// Whether a certificate is in the right list and its issuer is there.
fn placed<'c>(
    list: TrustList,
    certificate: &X509Certificate<'_>,
    mut others: impl Iterator<Item = &'c X509Certificate<'c>>,
) -> Option<Wrong> {
    let (subject, issuer) = (certificate.subject(), certificate.issuer());
    let own_issuer = subject.as_raw() == issuer.as_raw();
    match list {
        TrustList::Roots if !own_issuer => Some((
            format!("the certificate of {subject} is not a root: {issuer} issued it"),
            "put it under intermediates and its root here",
        )),
        TrustList::Intermediates if own_issuer => Some((
            format!("the certificate of {subject} is a root: it issued itself"),
            "put it under roots if clients may chain to it",
        )),
        TrustList::Intermediates if !others.any(|other| issued(certificate, other)) => Some((
            format!("the chain of {subject} is incomplete: its issuer {issuer} is missing"),
            "add the issuer's certificate to roots or intermediates",
        )),
        _ => None,
    }
}

fn issued(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let same_name = certificate.issuer().as_raw() == issuer.subject().as_raw();
    // Two keys of one name (a renewed authority) are told apart by their identifiers, where both have one.
    let same_key = match (authority_key(certificate), subject_key(issuer)) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    };
    same_name && same_key
}

fn authority_key<'c>(certificate: &'c X509Certificate<'_>) -> Option<&'c [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    })
}

fn subject_key<'c>(certificate: &'c X509Certificate<'_>) -> Option<&'c [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0),
        _ => None,
    })
}
