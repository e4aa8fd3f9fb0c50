//! What a certificate says, read for judging and for words in errors. Reading proves nothing: signatures are
//! checked by webpki.

use std::fmt;

use rustls::pki_types::UnixTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer, GeneralName, KeyUsage, X509Name};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

use crate::limits;

/// SHA-256 of a certificate: how a client, a root or a blocked certificate is named.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    pub fn of(der: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads one whole certificate.
pub fn read(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("bytes follow the certificate".to_owned()),
        Err(error) => Err(format!("it is not an X.509 certificate ({error})")),
    }
}

/// A distinguished name in words that are safe to log: control characters are replaced, length is bounded.
pub fn name_text(name: &X509Name<'_>) -> String {
    let text = name.to_string();
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).take(limits::SUBJECT_TEXT).collect();
    if text.is_empty() { "(no subject)".to_owned() } else { text }
}

/// The subject of a certificate that may not even be one.
pub fn subject_of(der: &[u8]) -> String {
    read(der).map_or_else(|_| "(unreadable certificate)".to_owned(), |certificate| name_text(certificate.subject()))
}

/// Seconds since 1970; a time before that counts as 1970.
pub fn unix_time(time: ASN1Time) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0)))
}

/// A moment as administrators write it: 2026-11-20 09:44:00 UTC.
pub fn date_text(time: UnixTime) -> String {
    let parsed = i64::try_from(time.as_secs()).ok().and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    let Some(time) = parsed.map(|time| time.to_datetime()) else { return "a time beyond the calendar".to_owned() };
    let (hour, minute, second) = time.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", time.date())
}

/// What is wrong with `now` for something that is valid from one moment until another; nothing if it lies between.
pub fn validity_fault(from: UnixTime, until: UnixTime, now: UnixTime) -> Option<String> {
    if now > until {
        return Some(format!("expired on {}", date_text(until)));
    }
    (now < from).then(|| format!("is valid only from {}", date_text(from)))
}

/// Why the key of this certificate is not strong enough, if it is not: RSA of 2048 bits, P-256, P-384, P-521 and Ed25519 are.
pub fn weakness(certificate: &X509Certificate<'_>) -> Option<String> {
    let key = certificate.public_key();
    let algorithm = &key.algorithm.algorithm;
    if *algorithm == OID_SIG_ED25519 {
        return None;
    }
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) if rsa.key_size() >= limits::RSA_BITS => None,
        Ok(PublicKey::RSA(rsa)) => {
            Some(format!("its RSA key has {} bits; at least {} are required", rsa.key_size(), limits::RSA_BITS))
        }
        Ok(PublicKey::EC(_)) if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY => {
            let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            let known = curve.is_some_and(|curve| [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&curve));
            (!known)
                .then(|| "its key is on an elliptic curve that is not accepted; use P-256, P-384 or P-521".to_owned())
        }
        _ => Some("its key is of a kind that is not accepted; use RSA, P-256, P-384, P-521 or Ed25519".to_owned()),
    }
}

/// Why the key may not be used as `allows` asks: its usage is restricted otherwise, or cannot be read. A certificate
/// without the extension allows everything.
pub fn restriction(
    certificate: &X509Certificate<'_>,
    allows: impl FnOnce(&KeyUsage) -> bool,
    otherwise: &str,
) -> Option<String> {
    match certificate.key_usage() {
        Ok(None) => None,
        Ok(Some(usage)) => (!allows(usage.value)).then(|| otherwise.to_owned()),
        Err(error) => Some(format!("its key usage cannot be read ({error})")),
    }
}

/// DNS names and IP addresses that a server certificate is valid for, as text.
pub fn server_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => ip_text(bytes),
        _ => None,
    };
    names.value.general_names.iter().filter_map(text).collect()
}

fn ip_text(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::Ipv4Addr::from(bytes).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| std::net::Ipv6Addr::from(bytes).to_string())).ok()
}

/// A certificate in words: subject, issuer, names, end of validity. For logs and for the list of candidates.
pub fn describe(der: &[u8]) -> String {
    match read(der) {
        Ok(certificate) => format!(
            "`{}` issued by `{}`, valid until {}",
            name_text(certificate.subject()),
            name_text(certificate.issuer()),
            date_text(unix_time(certificate.validity().not_after))
        ),
        Err(why) => format!("an unreadable certificate: {why}"),
    }
}
