//! Whom a site believes: roots, which alone anchor a chain, and intermediates, which help to build one. Judges
//! certificates when they are loaded; chains of clients are judged elsewhere.

use crate::configuration::credentials::not_valid;
use crate::limits;
use crate::tls::certificate::{name_text, read, weakness};
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

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

    /// Roots that are not valid at this time, in words: rustls does not look at the validity of anchors.
    pub fn expired(&self, now: UnixTime) -> Vec<String> {
        self.roots.iter().filter_map(|root| not_valid(root, now)).collect()
    }
}

struct Listed<'c> {
    list: TrustList,
    index: usize,
    certificate: X509Certificate<'c>,
}

impl Listed<'_> {
    fn fault(&self, message: String, instead: &'static str) -> TrustFault {
        TrustFault { list: self.list, index: self.index, message, instead }
    }
}

fn judge(roots: &[CertificateDer<'_>], intermediates: &[CertificateDer<'_>]) -> Vec<TrustFault> {
    if roots.len() + intermediates.len() > limits::TRUST_CERTIFICATES {
        let message = format!("more than {} certificates of certification authorities", limits::TRUST_CERTIFICATES);
        let list = if roots.len() > intermediates.len() { TrustList::Roots } else { TrustList::Intermediates };
        return vec![TrustFault { list, index: 0, message, instead: "keep those that clients of this site need" }];
    }
    let mut faults = Vec::new();
    let mut parsed = Vec::new();
    for (list, certificates) in [(TrustList::Roots, roots), (TrustList::Intermediates, intermediates)] {
        for (index, der) in certificates.iter().enumerate() {
            match read(der) {
                Ok(certificate) => parsed.push(Listed { list, index, certificate }),
                Err(why) => {
                    let message = format!("a certificate cannot be read: {why}");
                    let instead = "give the certificates of certification authorities";
                    faults.push(TrustFault { list, index, message, instead });
                }
            }
        }
    }
    faults.extend(parsed.iter().filter_map(authority));
    faults.extend(parsed.iter().filter_map(misplaced));
    faults.extend(unanchored(&parsed));
    faults
}

/// Whether a certificate may issue others, with a key that is strong enough.
fn authority(listed: &Listed<'_>) -> Option<TrustFault> {
    let certificate = &listed.certificate;
    let subject = name_text(certificate.subject());
    if !certificate.is_ca() {
        let message = format!("the certificate of {subject} is not one of a certification authority");
        return Some(listed.fault(message, "give the issuer's certificate, not the client's or the server's"));
    }
    let key_usage = certificate.key_usage().ok().flatten();
    if key_usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        let message = format!("the certificate of {subject} may not sign certificates (key usage)");
        return Some(listed.fault(message, "give a certificate whose key usage has keyCertSign"));
    }
    let weakness = weakness(certificate)?;
    let message = format!("the certificate of {subject} is too weak: {weakness}");
    Some(listed.fault(message, "have the authority renewed with a stronger key"))
}

/// Whether a certificate stands in the wrong list.
fn misplaced(listed: &Listed<'_>) -> Option<TrustFault> {
    let subject = name_text(listed.certificate.subject());
    match listed.list {
        TrustList::Roots if !self_issued(listed) => {
            let issuer = name_text(listed.certificate.issuer());
            let message = format!("the certificate of {subject} is not a root: {issuer} issued it");
            Some(listed.fault(message, "put it under intermediates and its root here"))
        }
        TrustList::Intermediates if self_issued(listed) => {
            let message = format!("the certificate of {subject} is a root: it issued itself");
            Some(listed.fault(message, "put it under roots if clients may chain to it"))
        }
        _ => None,
    }
}

/// Intermediates from which no chain leads to a root. A missing issuer is named once, for the certificate that
/// lacks it and not for those below.
fn unanchored(all: &[Listed<'_>]) -> Vec<TrustFault> {
    let (mut anchored, mut left): (Vec<&Listed<'_>>, Vec<&Listed<'_>>) =
        all.iter().partition(|listed| listed.list == TrustList::Roots);
    loop {
        let leads_on = |listed: &&Listed<'_>| anchored.iter().any(|issuer| issued(listed, issuer));
        let (found, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(leads_on);
        left = rest;
        if found.is_empty() {
            break;
        }
        anchored.extend(found);
    }
    let lacking = left.iter().filter(|listed| !all.iter().any(|issuer| issued(listed, issuer)));
    let mut faults: Vec<TrustFault> = lacking
        .map(|listed| {
            let certificate = &listed.certificate;
            let (subject, issuer) = (name_text(certificate.subject()), name_text(certificate.issuer()));
            let message =
                format!("the chain of {subject} is incomplete: the certificate of its issuer {issuer} is missing");
            listed.fault(message, "add it to roots or intermediates")
        })
        .collect();
    // What issued itself is misplaced and said to be; others can only have issued each other.
    let circle = left.first().filter(|listed| faults.is_empty() && !self_issued(listed));
    faults.extend(circle.map(|listed| {
        let subject = name_text(listed.certificate.subject());
        listed.fault(format!("the chain of {subject} leads to no root"), "add the root that it leads to to roots")
    }));
    faults
}

fn self_issued(listed: &Listed<'_>) -> bool {
    listed.certificate.subject().as_raw() == listed.certificate.issuer().as_raw()
}

fn issued(listed: &Listed<'_>, issuer: &Listed<'_>) -> bool {
    let (certificate, issuer) = (&listed.certificate, &issuer.certificate);
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
