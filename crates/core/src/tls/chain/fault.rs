//! Why a chain is refused, in words that say which certificate and why.

use std::fmt;

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::Error as WebpkiFault;
use x509_parser::certificate::X509Certificate;

use super::Root;
use crate::limits;
use crate::tls::certificate::{self, date_text, name_text, subject_of, unix_time};

/// Why a client's chain is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    #[error("the client sent no certificate")]
    NoCertificate,
    #[error("the client sent {sent} certificates; at most {} are looked at", limits::CLIENT_CERTIFICATES)]
    TooMany { sent: usize },
    #[error(
        "the client sent {bytes} bytes of certificates; at most {} are looked at",
        limits::CLIENT_CERTIFICATE_BYTES
    )]
    TooLarge { bytes: usize },
    #[error("{0}")]
    Unreadable(Cause),
    /// No path to a root of the site.
    #[error("{0}")]
    NotTrusted(Cause),
    /// The path is sound, but a certificate of it is not valid at this time.
    #[error("{0}")]
    Expired(Cause),
    /// A certificate of the path may not be used for this.
    #[error("{0}")]
    NotAllowed(Cause),
}

impl ChainFault {
    /// Whether time alone is what is wrong.
    pub fn is_expiry(&self) -> bool {
        matches!(self, Self::Expired(_))
    }
}

/// Why an uploaded certificate cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{which} `{subject}`: {why}")]
pub struct AuthorityFault {
    /// Root or intermediate, and its position in the list.
    pub which: String,
    pub subject: String,
    pub why: String,
}

/// Which certificate, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    place: Place,
    subject: String,
    why: String,
}

impl Cause {
    pub(super) fn new(place: Place, der: &[u8], why: String) -> Self {
        Self::named(place, subject_of(der), why)
    }

    pub(super) fn named(place: Place, subject: String, why: String) -> Self {
        Self { place, subject, why }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`: {}", self.place, self.subject, self.why)
    }
}

/// Where a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Leaf,
    /// The n-th that the client sent; the leaf is the first.
    Sent(usize),
    Uploaded,
    Root,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf => f.write_str("the client's certificate"),
            Self::Sent(position) => write!(f, "certificate {position} of the client's chain"),
            Self::Uploaded => f.write_str("the uploaded intermediate"),
            Self::Root => f.write_str("the root"),
        }
    }
}

/// A moment at which the certificate was valid that this fault calls expired or not yet valid.
pub(super) fn moment_of(fault: &WebpkiFault) -> Option<UnixTime> {
    match fault {
        WebpkiFault::CertExpired { not_after, .. } => Some(*not_after),
        WebpkiFault::CertNotValidYet { not_before, .. } => Some(*not_before),
        _ => None,
    }
}

/// All certificates that a path could be made of.
pub(super) struct Known<'a> {
    pub(super) leaf: &'a [u8],
    pub(super) sent: &'a [CertificateDer<'a>],
    pub(super) between: &'a [CertificateDer<'a>],
    pub(super) roots: &'a [Root],
}

impl Known<'_> {
    pub(super) fn place(&self, der: &[u8]) -> Place {
        let sent = self.sent.iter().position(|sent| sent.as_ref() == der);
        sent.map_or(Place::Uploaded, |at| Place::Sent(at + 2))
    }

    /// Puts what webpki found into words.
    pub(super) fn explain(&self, fault: &WebpkiFault) -> ChainFault {
        use ChainFault::{Expired, NotAllowed, NotTrusted, Unreadable};
        match fault {
            WebpkiFault::CertExpired { not_after, .. } => Expired(self.expired(*not_after)),
            WebpkiFault::CertNotValidYet { not_before, .. } => Expired(self.not_valid_yet(*not_before)),
            WebpkiFault::UnknownIssuer => NotTrusted(self.missing_issuer()),
            WebpkiFault::InvalidSignatureForPublicKey => NotTrusted(self.forged_issuer()),
            WebpkiFault::CaUsedAsEndEntity => {
                NotAllowed(self.leaf_cause("it is a CA certificate; a client needs one of its own"))
            }
            WebpkiFault::EndEntityUsedAsCa => NotAllowed(self.not_an_authority()),
            WebpkiFault::RequiredEkuNotFoundContext(_) | WebpkiFault::EmptyEkuExtension => {
                NotAllowed(self.wrong_usage())
            }
            WebpkiFault::PathLenConstraintViolated => NotAllowed(self.leaf_cause(
                "a CA above it does not allow so many intermediate CAs below itself (path length)",
            )),
            WebpkiFault::NameConstraintViolation => NotAllowed(self.leaf_cause(
                "a CA above it does not allow its names (name constraints; those on directory names and URIs are always refused)",
            )),
            WebpkiFault::UnsupportedCriticalExtension => NotAllowed(self.critical_extension()),
            WebpkiFault::UnsupportedCertVersion => {
                NotAllowed(self.leaf_cause("it is of X.509 version 1; only version 3 is accepted"))
            }
            WebpkiFault::UnsupportedSignatureAlgorithmContext(_)
            | WebpkiFault::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => NotAllowed(self.leaf_cause(
                "it or a CA above it is signed in a way that is not accepted (such as SHA-1, MD5, DSA)",
            )),
            WebpkiFault::MaximumSignatureChecksExceeded
            | WebpkiFault::MaximumPathBuildCallsExceeded
            | WebpkiFault::MaximumPathDepthExceeded
            | WebpkiFault::MaximumNameConstraintComparisonsExceeded => {
                NotTrusted(self.leaf_cause("its chain is too long or too tangled to be followed"))
            }
            other => Unreadable(self.leaf_cause(&format!("it or its chain is malformed ({other})"))),
        }
    }

    /// Leaf and between with their places, as far as they can be read.
    fn all(&self) -> impl Iterator<Item = (Place, X509Certificate<'_>)> {
        let leaf = certificate::read(self.leaf).ok().map(|leaf| (Place::Leaf, leaf));
        let between = self.between.iter().filter_map(|der| Some((self.place(der), certificate::read(der).ok()?)));
        leaf.into_iter().chain(between)
    }

    /// The first certificate, leaf first, that `blames` has words for; else the leaf with other words.
    fn cause(&self, otherwise: &str, blames: impl Fn(Place, &X509Certificate<'_>) -> Option<String>) -> Cause {
        let blamed = |(place, read): (Place, X509Certificate<'_>)| {
            blames(place, &read).map(|why| Cause::named(place, name_text(read.subject()), why))
        };
        self.all().find_map(blamed).unwrap_or_else(|| self.leaf_cause(otherwise))
    }

    fn leaf_cause(&self, why: &str) -> Cause {
        Cause::new(Place::Leaf, self.leaf, why.to_owned())
    }

    fn expired(&self, not_after: UnixTime) -> Cause {
        let why = format!("it expired on {}", date_text(not_after));
        self.cause(&why, |_, read| (unix_time(read.validity().not_after) == not_after).then(|| why.clone()))
    }

    fn not_valid_yet(&self, not_before: UnixTime) -> Cause {
        let why = format!("it is valid only from {}; check the clocks", date_text(not_before));
        self.cause(&why, |_, read| (unix_time(read.validity().not_before) == not_before).then(|| why.clone()))
    }

    /// Follows issuers by name until one is not there.
    fn missing_issuer(&self) -> Cause {
        let all: Vec<_> = self.all().collect();
        let Some((mut place, mut at)) = all.first().map(|(place, read)| (*place, read)) else {
            return self.leaf_cause("no root of the site is its issuer");
        };
        for _ in 0..all.len() {
            let issuer = at.issuer().as_raw();
            if at.subject().as_raw() == issuer {
                let why = "it is self-signed and not a root of the site".to_owned();
                return Cause::named(place, name_text(at.subject()), why);
            }
            match all.iter().skip(1).find(|(_, read)| read.subject().as_raw() == issuer) {
                Some((next, read)) => (place, at) = (*next, read),
                None => break,
            }
        }
        let issuer = name_text(at.issuer());
        let why = format!(
            "its issuer `{issuer}` is neither a root of the site nor an intermediate that was uploaded or sent"
        );
        Cause::named(place, name_text(at.subject()), why)
    }

    fn forged_issuer(&self) -> Cause {
        let is_root = |name: &str| self.roots.iter().any(|root| root.subject == name);
        self.cause("its signature does not fit its issuer's key", |_, read| {
            let issuer = name_text(read.issuer());
            let why = || format!("it was not signed by the key of the `{issuer}` that the site trusts");
            is_root(&issuer).then(why)
        })
    }

    fn not_an_authority(&self) -> Cause {
        self.cause("its issuer is not a CA", |place, read| {
            let why = || "it issued a certificate but is not a CA (basic constraints without CA:TRUE)".to_owned();
            (place != Place::Leaf && !read.is_ca()).then(why)
        })
    }

    fn wrong_usage(&self) -> Cause {
        self.cause("it may not be used for client authentication", |_, read| {
            let usage = read.extended_key_usage().ok().flatten()?.value;
            let has = if usage.server_auth { " (it has server authentication)" } else { "" };
            (!usage.client_auth).then(|| format!("its extended key usage lacks client authentication{has}"))
        })
    }

    fn critical_extension(&self) -> Cause {
        /// Basic constraints, key usage, extended key usage, alternative names, name constraints, CRL points.
        const UNDERSTOOD: [&str; 6] = ["2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17", "2.5.29.30", "2.5.29.31"];
        self.cause("it or a CA above it has a critical extension that is not understood here", |_, read| {
            let critical = read.extensions().iter().filter(|extension| extension.critical);
            let oid = critical
                .map(|extension| extension.oid.to_id_string())
                .find(|oid| !UNDERSTOOD.contains(&oid.as_str()))?;
            let name = if oid == "2.5.29.32" { " (certificate policies)" } else { "" };
            Some(format!("its critical extension {oid}{name} is not understood here; have it issued without"))
        })
    }
}
