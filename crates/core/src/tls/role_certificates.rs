//! The certificate that the connection point shows to a role that asks for one. The choice is explained in the
//! log: every candidate, and why each was dropped (C-02).

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::UnixTime;
use rustls::sign::CertifiedKey;

use super::certificate::{self, name_text, unix_time};

/// The candidates for one role.
#[derive(Debug)]
pub struct RoleCertificates {
    /// For the log.
    role: String,
    candidates: Vec<Arc<CertifiedKey>>,
    /// Digest of the last explanation: it is logged when it changes, not at every connection.
    explained: AtomicU64,
}

impl RoleCertificates {
    pub fn new(role: impl Into<String>, candidates: Vec<Arc<CertifiedKey>>) -> Self {
        Self { role: role.into(), candidates, explained: AtomicU64::new(0) }
    }

    /// The choice, and what became of every candidate in words.
    pub(super) fn choose(
        &self,
        hints: &[&[u8]],
        schemes: &[SignatureScheme],
        now: UnixTime,
    ) -> (Option<&Arc<CertifiedKey>>, String) {
        let mut chosen = None;
        let mut words = String::new();
        for (at, candidate) in self.candidates.iter().enumerate() {
            let leaf = candidate.cert.first().map(AsRef::as_ref).unwrap_or_default();
            let verdict = match unfit(candidate, hints, schemes, now) {
                Some(why) => format!("dropped: {why}"),
                None if chosen.is_some() => "not needed: an earlier one fits".to_owned(),
                None => {
                    chosen = Some(candidate);
                    "chosen".to_owned()
                }
            };
            let _ = write!(
                words,
                "{}{}. {}: {verdict}",
                if at == 0 { "" } else { "; " },
                at + 1,
                certificate::describe(leaf)
            );
        }
        if self.candidates.is_empty() {
            words.push_str("none is configured");
        }
        (chosen, words)
    }

    fn log(&self, chosen: bool, words: &str) {
        let mut digest = DefaultHasher::new();
        words.hash(&mut digest);
        if self.explained.swap(digest.finish(), Ordering::Relaxed) == digest.finish() {
            return;
        }
        if chosen {
            tracing::info!(role = %self.role, candidates = %words, "the role asks for a client certificate");
        } else {
            tracing::warn!(role = %self.role, candidates = %words, "the role asks for a client certificate and none fits");
        }
    }
}

/// Why a candidate will not do, if it will not.
fn unfit(candidate: &CertifiedKey, hints: &[&[u8]], schemes: &[SignatureScheme], now: UnixTime) -> Option<String> {
    let leaf = candidate.cert.first().map(AsRef::as_ref).unwrap_or_default();
    let read = match certificate::read(leaf) {
        Ok(read) => read,
        Err(why) => return Some(why),
    };
    let (from, until) = (unix_time(read.validity().not_before), unix_time(read.validity().not_after));
    if let Some(why) = certificate::validity_fault(from, until, now) {
        return Some(format!("it {why}"));
    }
    if let Ok(Some(usage)) = read.extended_key_usage()
        && !usage.value.client_auth
        && !usage.value.any
    {
        return Some("its extended key usage lacks client authentication".to_owned());
    }
    if candidate.key.choose_scheme(schemes).is_none() {
        return Some("the role does not accept signatures of its kind of key".to_owned());
    }
    let issuers = |der: &[u8]| certificate::read(der).ok().map(|read| read.issuer().as_raw().to_vec());
    let hinted = |issuer: Vec<u8>| hints.contains(&issuer.as_slice());
    if hints.is_empty() || candidate.cert.iter().filter_map(|der| issuers(der)).any(hinted) {
        return None;
    }
    Some(format!("the role asks for another issuer ({})", hint_words(hints)))
}

/// Names of the issuers that the role asks for, a few of them.
fn hint_words(hints: &[&[u8]]) -> String {
    const SHOWN: usize = 5;
    use x509_parser::prelude::{FromDer, X509Name};
    let name = |der: &&[u8]| X509Name::from_der(der).map_or_else(|_| "?".to_owned(), |(_, name)| name_text(&name));
    let mut words: Vec<String> = hints.iter().take(SHOWN).map(|hint| format!("`{}`", name(hint))).collect();
    if hints.len() > SHOWN {
        words.push(format!("and {} more", hints.len() - SHOWN));
    }
    words.join(", ")
}

impl ResolvesClientCert for RoleCertificates {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let (chosen, words) = self.choose(hints, schemes, UnixTime::now());
        self.log(chosen.is_some(), &words);
        chosen.cloned()
    }

    fn has_certs(&self) -> bool {
        // Also without any, so that it is said when a role asks.
        true
    }
}
