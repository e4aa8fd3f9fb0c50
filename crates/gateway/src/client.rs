//! A client's connection as the stages of admission see it: where it comes from, the chain it has proved to own
//! the leaf of, and what was judged about that chain.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use cmg_core::headers::{CertificateFields, ClientIdentity};
use cmg_core::limits;
use cmg_core::site::ClientCertificateForm;
use cmg_core::tls::certificate::Thumbprint;
use cmg_core::tls::chain::{ChainFault, VerifiedChain};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::fairness::{Account, Identities, Identity, KeptConnection};
use crate::published::SiteInForce;

/// A client whose chain a site trusts.
#[derive(Debug)]
pub struct TrustedClient {
    /// The moment from which the verdict no longer holds.
    pub not_after: UnixTime,
    /// `X-CMG-Client`, made once.
    pub identity_field: Bytes,
    /// What it uses of this instance, on all its connections.
    pub account: Arc<Account>,
}

/// What a site's trust says about a client's chain.
pub type Verdict = Result<Arc<TrustedClient>, ChainFault>;

/// A verdict, what it was given by, and how long it holds; a changed trust asks again.
struct Known {
    site: Arc<SiteInForce>,
    verdict: Verdict,
    until: UnixTime,
}

pub struct Client {
    /// Unique in the life of the instance.
    pub number: u64,
    pub address: IpAddr,
    /// For logs, made once.
    pub address_text: String,
    /// `X-Forwarded-For`, made once.
    pub address_field: Bytes,
    chain: Vec<CertificateDer<'static>>,
    /// SHA-256 of the leaf in hex: proved to be the client's, trusted or not.
    thumbprint: Option<String>,
    /// `Client-Cert` and `Client-Cert-Chain`, made when a role first asks for them.
    leaf_field: OnceLock<CertificateFields>,
    chain_fields: OnceLock<CertificateFields>,
    /// One for each site that was asked for.
    verdicts: ArcSwap<Vec<Arc<Known>>>,
    /// Its place among the connections of its identity, if there was one when it was first believed.
    kept: OnceLock<Option<KeptConnection>>,
    identities: Arc<Identities>,
}

impl Client {
    pub fn new(
        number: u64,
        address: SocketAddr,
        chain: Vec<CertificateDer<'static>>,
        identities: Arc<Identities>,
    ) -> Self {
        let address_field = Bytes::from(address.ip().to_canonical().to_string());
        let thumbprint = chain.first().map(|leaf| Thumbprint::of(leaf).to_string());
        Self {
            number,
            address: address.ip(),
            address_text: address.to_string(),
            address_field,
            chain,
            thumbprint,
            leaf_field: OnceLock::new(),
            chain_fields: OnceLock::new(),
            verdicts: ArcSwap::default(),
            kept: OnceLock::new(),
            identities,
        }
    }

    pub fn has_certificate(&self) -> bool {
        !self.chain.is_empty()
    }

    /// Some site has believed it on this connection.
    pub fn is_believed(&self) -> bool {
        self.verdicts.load().iter().any(|known| known.verdict.is_ok())
    }

    /// Whether it may stay without a request while others look for a place.
    pub fn keeps_its_place(&self) -> bool {
        self.is_believed() && self.kept.get().is_some_and(Option::is_some)
    }

    /// For logs.
    pub fn thumbprint(&self) -> Option<&str> {
        self.thumbprint.as_deref()
    }

    /// The chain as a role wants to see it.
    pub fn certificate_fields(&self, form: ClientCertificateForm) -> Option<CertificateFields> {
        let (leaf, issuers) = self.chain.split_first()?;
        match form {
            ClientCertificateForm::None => None,
            ClientCertificateForm::Leaf => Some(self.leaf_field.get_or_init(|| CertificateFields::leaf(leaf)).clone()),
            ClientCertificateForm::Chain => {
                let issuers = issuers.iter().map(|issuer| issuer.as_ref());
                Some(self.chain_fields.get_or_init(|| CertificateFields::chain(leaf, issuers)).clone())
            }
        }
    }

    /// Judges the chain by the trust of a site, or remembers what was judged: for as long as the site's
    /// configuration lives, trust no longer than the chain is valid, a fault of time for a moment.
    pub fn verdict(&self, site: &Arc<SiteInForce>, now: UnixTime) -> Verdict {
        let known = self.verdicts.load();
        if let Some(known) = known.iter().find(|known| Arc::ptr_eq(&known.site, site) && now <= known.until) {
            return known.verdict.clone();
        }
        let verdict =
            site.trust.judge(&self.chain, now).map(|chain| Arc::new(TrustedClient::new(&chain, &self.identities)));
        if let Ok(trusted) = &verdict {
            self.kept.get_or_init(|| trusted.account.keep_connection());
        }
        let until = match &verdict {
            Ok(trusted) => trusted.not_after,
            Err(fault) if fault.is_expiry() => later(now, limits::EXPIRY_VERDICT),
            Err(_) => later(now, Duration::MAX),
        };
        let fresh = Arc::new(Known { site: Arc::clone(site), verdict: verdict.clone(), until });
        let others = known.iter().filter(|known| known.site.code != site.code).cloned();
        self.verdicts.store(Arc::new(others.chain([fresh]).collect()));
        verdict
    }
}

fn later(now: UnixTime, by: Duration) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs().saturating_add(by.as_secs())))
}

impl TrustedClient {
    fn new(chain: &VerifiedChain, identities: &Identities) -> Self {
        let account = identities.account(Identity::Certificate(chain.thumbprint));
        let thumbprint = chain.thumbprint.to_string();
        let identity =
            ClientIdentity { method: "certificate", thumbprint: Some(&thumbprint), subject: Some(&chain.subject) };
        Self { not_after: chain.not_after, identity_field: identity.field_value(), account }
    }
}
