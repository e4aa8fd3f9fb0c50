//! Judges a client's chain, once per connection, site and configuration: roots are the only anchors, uploaded and
//! sent intermediates help to build the path and are never trusted. webpki builds and verifies the path; what
//! it does not check is checked on each path that it finds. It knows nothing of revocation.

mod fault;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, VerifiedPath, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::KeyUsage;

use super::certificate::{self, Thumbprint, name_text, unix_time};
use crate::limits;
pub use fault::{AuthorityFault, ChainFault};
use fault::{Cause, Known, Place};

/// The certificates of one site by which its clients are judged.
pub struct ClientChains {
    roots: Vec<Root>,
    /// The same roots in the same order, as webpki wants them.
    anchors: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
}

/// What webpki forgets of a root.
struct Root {
    subject: String,
    not_before: UnixTime,
    not_after: UnixTime,
    /// Intermediates that may stand between this root and a client.
    path_length: Option<u32>,
}

/// A chain that leads to a root of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedChain {
    /// The client.
    pub thumbprint: Thumbprint,
    /// Its subject, safe to log.
    pub subject: String,
    /// When the first certificate of the path expires, the root included: the verdict holds until then.
    pub not_after: UnixTime,
}

impl ClientChains {
    /// Takes the site's certificates. All problems are reported together.
    pub fn new(
        roots: &[CertificateDer<'static>],
        intermediates: Vec<CertificateDer<'static>>,
    ) -> Result<Self, Vec<AuthorityFault>> {
        let (mut taken, mut anchors, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (at, der) in roots.iter().enumerate() {
            match Root::read(der) {
                Ok((root, anchor)) => {
                    taken.push(root);
                    anchors.push(anchor);
                }
                Err(why) => faults.push(AuthorityFault {
                    which: format!("root {}", at + 1),
                    subject: certificate::subject_of(der),
                    why,
                }),
            }
        }
        for (at, der) in intermediates.iter().enumerate() {
            if let Err(why) = authority(der) {
                let which = format!("intermediate {}", at + 1);
                faults.push(AuthorityFault { which, subject: certificate::subject_of(der), why });
            }
        }
        if faults.is_empty() { Ok(Self { roots: taken, anchors, intermediates }) } else { Err(faults) }
    }

    /// Judges what the client sent, leaf first.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<VerifiedChain, ChainFault> {
        within_caps(chain)?;
        let (leaf, sent) = chain.split_first().ok_or(ChainFault::NoCertificate)?;
        let between = self.between(sent);
        let known = Known { leaf, sent, between: &between, roots: &self.roots };
        let end_entity = EndEntityCert::try_from(leaf).map_err(|fault| known.explain(&fault))?;
        match self.verify(&end_entity, &known, now, now) {
            Err(Refused::ByWebpki(fault)) => match fault::moment_of(&fault) {
                // Only a chain that would otherwise be trusted is called expired.
                Some(moment) => match self.verify(&end_entity, &known, moment, now) {
                    Err(Refused::ByWebpki(other)) if fault::moment_of(&other).is_none() => Err(known.explain(&other)),
                    Err(Refused::ByUs(other)) if !other.is_expiry() => Err(other),
                    _ => Err(known.explain(&fault)),
                },
                None => Err(known.explain(&fault)),
            },
            Err(Refused::ByUs(fault)) => Err(fault),
            Ok(verified) => Ok(verified),
        }
    }

    /// Everything that may stand between leaf and root: what was uploaded first, then what was sent.
    fn between<'a>(&'a self, sent: &'a [CertificateDer<'_>]) -> Vec<CertificateDer<'a>> {
        let mut between: Vec<CertificateDer<'a>> = Vec::with_capacity(self.intermediates.len() + sent.len());
        for der in self.intermediates.iter().map(AsRef::as_ref).chain(sent.iter().map(AsRef::as_ref)) {
            if !between.iter().any(|known| known.as_ref() == der) {
                between.push(CertificateDer::from(der));
            }
        }
        between
    }

    /// Finds a path that webpki accepts at `moment` and that our own checks accept.
    fn verify(
        &self,
        end_entity: &EndEntityCert<'_>,
        known: &Known<'_>,
        moment: UnixTime,
        now: UnixTime,
    ) -> Result<VerifiedChain, Refused> {
        let verdict = RefCell::new(None);
        // The visible place for revocation: a path that is refused here makes webpki look for another one.
        let check = |path: &VerifiedPath<'_>| {
            let checked = self.check_path(path, known, now);
            let outcome = checked.as_ref().map(|_| ()).map_err(|_| webpki::Error::UnknownIssuer);
            *verdict.borrow_mut() = Some(checked);
            outcome
        };
        let found = end_entity.verify_for_usage(
            super::provider().signature_verification_algorithms.all,
            &self.anchors,
            known.between,
            moment,
            webpki::KeyUsage::client_auth(),
            None,
            Some(&check),
        );
        match (found.map(|_| ()), verdict.into_inner()) {
            (Ok(()), Some(Ok(verified))) => Ok(verified),
            (_, Some(Err(fault))) => Err(Refused::ByUs(fault)),
            (Err(fault), _) => Err(Refused::ByWebpki(fault)),
            (Ok(()), None) => Err(Refused::ByWebpki(webpki::Error::UnknownIssuer)),
        }
    }

    /// What webpki lacks: key usage, key strength, the root's own validity and path length.
    fn check_path(
        &self,
        path: &VerifiedPath<'_>,
        known: &Known<'_>,
        now: UnixTime,
    ) -> Result<VerifiedChain, ChainFault> {
        let root = self.anchors.iter().position(|anchor| std::ptr::eq(anchor, path.anchor()));
        let root = root.and_then(|at| self.roots.get(at)).expect("the anchor is one of those that webpki was given");
        root.check_validity(now)?;

        let leaf = known.leaf;
        let read = certificate::read(leaf).map_err(|why| ChainFault::Unreadable(Cause::new(Place::Leaf, leaf, why)))?;
        let refuse = |why| ChainFault::NotAllowed(Cause::new(Place::Leaf, leaf, why));
        let lacks = "its key usage lacks digitalSignature, so it cannot prove who holds it";
        let restriction = certificate::restriction(&read, KeyUsage::digital_signature, lacks);
        if let Some(why) = restriction.or_else(|| certificate::weakness(&read)) {
            return Err(refuse(why));
        }

        let mut not_after = root.not_after.min(unix_time(read.validity().not_after));
        let mut between = 0;
        for issuer in path.intermediate_certificates() {
            let der = issuer.der();
            let checked =
                authority(&der).map_err(|why| ChainFault::NotAllowed(Cause::new(known.place(&der), &der, why)))?;
            between += u32::from(checked.subject().as_raw() != checked.issuer().as_raw());
            not_after = not_after.min(unix_time(checked.validity().not_after));
        }
        if root.path_length.is_some_and(|at_most| between > at_most) {
            return Err(root.too_long(between));
        }
        let subject = name_text(read.subject());
        Ok(VerifiedChain { thumbprint: Thumbprint::of(leaf), subject, not_after })
    }
}

/// Who refused a path.
enum Refused {
    ByWebpki(webpki::Error),
    ByUs(ChainFault),
}

/// Number and size, before anything is parsed: a long chain is work for us that costs its sender nothing.
pub fn within_caps(chain: &[CertificateDer<'_>]) -> Result<(), ChainFault> {
    if chain.len() > limits::CLIENT_CERTIFICATES {
        return Err(ChainFault::TooMany { sent: chain.len() });
    }
    let bytes = chain.iter().map(|der| der.len()).sum();
    if bytes > limits::CLIENT_CERTIFICATE_BYTES { Err(ChainFault::TooLarge { bytes }) } else { Ok(()) }
}

/// Whether this certificate may stand above others.
fn authority(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    let read = certificate::read(der)?;
    if !read.is_ca() {
        return Err("it is not a CA certificate (basic constraints without CA:TRUE)".to_owned());
    }
    let lacks = "its key usage lacks keyCertSign, so it may not issue certificates";
    let restriction = certificate::restriction(&read, KeyUsage::key_cert_sign, lacks);
    match restriction.or_else(|| certificate::weakness(&read)) {
        Some(why) => Err(why),
        None => Ok(read),
    }
}

impl Root {
    fn read(der: &CertificateDer<'static>) -> Result<(Self, TrustAnchor<'static>), String> {
        let read = authority(der)?;
        let anchor =
            anchor_from_trusted_cert(der).map_err(|fault| format!("it cannot be a root ({fault})"))?.to_owned();
        let constraints = read.basic_constraints().ok().flatten();
        let root = Self {
            subject: name_text(read.subject()),
            not_before: unix_time(read.validity().not_before),
            not_after: unix_time(read.validity().not_after),
            path_length: constraints.and_then(|constraints| constraints.value.path_len_constraint),
        };
        Ok((root, anchor))
    }

    fn check_validity(&self, now: UnixTime) -> Result<(), ChainFault> {
        match certificate::validity_fault(self.not_before, self.not_after, now) {
            Some(why) => Err(ChainFault::Expired(self.cause(format!("it {why}")))),
            None => Ok(()),
        }
    }

    fn too_long(&self, between: u32) -> ChainFault {
        let at_most = self.path_length.unwrap_or_default();
        ChainFault::NotAllowed(
            self.cause(format!("its path length allows {at_most} intermediate CAs below it, the chain has {between}")),
        )
    }

    fn cause(&self, why: String) -> Cause {
        Cause::named(Place::Root, self.subject.clone(), why)
    }
}
