//! Who a connection point is: the SAN URI `cmg:<site>/<connection point>/<connection id>` of its tunnel
//! certificate (T-03). Parsed strictly; there is one spelling of each identity.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::GeneralName;

use super::certificate;
use crate::limits;

/// The scheme of the URI, and what tells ours from others in a certificate.
const SCHEME: &str = "cmg:";

/// 128 random bits, made at enrollment. Shown as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u128);

/// Whose tunnel it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TunnelIdentity {
    pub site: String,
    pub connection_point: String,
    pub connection_id: ConnectionId,
}

/// Why a text or certificate names no connection point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    #[error("`{0}` is not a tunnel identity: it has the form cmg:<site>/<connection point>/<connection id>")]
    Form(String),
    #[error("`{0}` is not a tunnel identity: {1} holds letters, digits, - and _, at most {len} of them", len = limits::IDENTITY_NAME)]
    Name(String, &'static str),
    #[error("`{0}` is not a tunnel identity: the connection id is 32 lower-case hex digits")]
    ConnectionId(String),
    #[error("the certificate `{subject}` cannot be read: {why}")]
    Unreadable { subject: String, why: String },
    #[error(
        "the certificate `{subject}` has no SAN URI cmg:<site>/<connection point>/<connection id>; enroll the connection point"
    )]
    Missing { subject: String },
    #[error("the certificate `{subject}` has {count} SAN URIs that begin with cmg:; it must have one")]
    Several { subject: String, count: usize },
}

impl ConnectionId {
    /// An id nobody can guess.
    pub fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes)?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(is_lower_hex)).then_some(())?;
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl TunnelIdentity {
    /// The identity that a tunnel certificate proves.
    pub fn of(der: &CertificateDer<'_>) -> Result<Self, IdentityFault> {
        let subject = certificate::subject_of(der);
        let unreadable = |why| IdentityFault::Unreadable { subject: subject.clone(), why };
        let read = certificate::read(der).map_err(unreadable)?;
        let names = read.subject_alternative_name().map_err(|error| unreadable(error.to_string()))?;
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let ours = |name: &GeneralName<'_>| match name {
            GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some((*uri).to_owned()),
            _ => None,
        };
        let mut uris = names.iter().filter_map(ours);
        match (uris.next(), uris.count()) {
            (None, _) => Err(IdentityFault::Missing { subject }),
            (Some(uri), 0) => uri.parse(),
            (Some(_), more) => Err(IdentityFault::Several { subject, count: more + 1 }),
        }
    }
}

/// Whether this can name a site or a connection point in an identity.
pub fn is_identity_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.len() <= limits::IDENTITY_NAME && name.bytes().all(allowed)
}

impl FromStr for TunnelIdentity {
    type Err = IdentityFault;

    fn from_str(text: &str) -> Result<Self, IdentityFault> {
        let form = || IdentityFault::Form(text.escape_debug().take(limits::SUBJECT_TEXT).collect());
        let rest = text.strip_prefix(SCHEME).ok_or_else(form)?;
        let mut parts = rest.split('/');
        let (Some(site), Some(point), Some(id), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(form());
        };
        let shown = || text.escape_debug().take(limits::SUBJECT_TEXT).collect();
        if !is_identity_name(site) {
            return Err(IdentityFault::Name(shown(), "the site"));
        }
        if !is_identity_name(point) {
            return Err(IdentityFault::Name(shown(), "the connection point"));
        }
        let connection_id = ConnectionId::parse(id).ok_or_else(|| IdentityFault::ConnectionId(shown()))?;
        Ok(Self { site: site.to_owned(), connection_point: point.to_owned(), connection_id })
    }
}

impl fmt::Display for TunnelIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.site, self.connection_point, self.connection_id)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    const TEXT: &str = "cmg:PS1/cp-1/00112233445566778899aabbccddeeff";

    fn certificate(uris: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn printing_and_parsing_are_inverse() {
        let identity: TunnelIdentity = TEXT.parse().unwrap();
        assert_eq!((identity.site.as_str(), identity.connection_point.as_str()), ("PS1", "cp-1"));
        assert_eq!(identity.to_string(), TEXT);
        let other = ConnectionId::random().unwrap();
        assert_eq!(ConnectionId::parse(&other.to_string()), Some(other));
        assert_ne!(other, identity.connection_id);
    }

    #[test]
    fn there_is_one_spelling() {
        for wrong in [
            "",
            "cmg:",
            "CMG:PS1/cp-1/00112233445566778899aabbccddeeff",
            "cmg://PS1/cp-1/00112233445566778899aabbccddeeff",
            "cmg:PS1/cp-1/00112233445566778899AABBCCDDEEFF",
            "cmg:PS1/cp-1/0112233445566778899aabbccddeeff",
            "cmg:PS1/cp-1/+0112233445566778899aabbccddeeff",
            "cmg:PS1/cp-1/00112233445566778899aabbccddeeff/",
            "cmg:PS1//00112233445566778899aabbccddeeff",
            "cmg:/cp-1/00112233445566778899aabbccddeeff",
            "cmg:PS 1/cp-1/00112233445566778899aabbccddeeff",
            "cmg:PS1/cp%2f1/00112233445566778899aabbccddeeff",
            "cmg:PS1/cp\n/00112233445566778899aabbccddeeff",
            " cmg:PS1/cp-1/00112233445566778899aabbccddeeff",
            "cmg:PS1/cp-1",
        ] {
            let fault = wrong.parse::<TunnelIdentity>().unwrap_err();
            assert!(!fault.to_string().contains('\n'), "{fault}");
        }
        let long = format!("cmg:{}/cp/00112233445566778899aabbccddeeff", "s".repeat(limits::IDENTITY_NAME + 1));
        assert!(matches!(long.parse::<TunnelIdentity>(), Err(IdentityFault::Name(_, "the site"))));
    }

    #[test]
    fn a_certificate_names_exactly_one() {
        let read = |uris: &[&str]| TunnelIdentity::of(&certificate(uris));
        assert_eq!(read(&["https://other.example/", TEXT]).unwrap().to_string(), TEXT);
        assert!(matches!(read(&[]), Err(IdentityFault::Missing { .. })));
        assert!(matches!(read(&["https://other.example/"]), Err(IdentityFault::Missing { .. })));
        assert!(matches!(read(&[TEXT, TEXT]), Err(IdentityFault::Several { count: 2, .. })));
        assert!(matches!(read(&["cmg:PS1/cp"]), Err(IdentityFault::Form(_))));
        assert!(matches!(
            TunnelIdentity::of(&CertificateDer::from(&b"junk"[..])),
            Err(IdentityFault::Unreadable { .. })
        ));
    }
}
