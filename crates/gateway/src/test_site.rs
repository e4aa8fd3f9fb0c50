//! Sites, clients and requests for the tests of the stages. A site is written as site.toml and read as a connection
//! point reads it, so that what the tests judge is what a gateway gets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use cmg_core::limits;
use cmg_core::request_target::RequestTarget;
use cmg_core::site::{Publication, SiteConfiguration};
use cmg_core::tls::chain::ClientChains;
use cmg_core::tunnel::publication;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;

use crate::client::Client;
use crate::fairness::{AddressLimits, Identities, IdentityLimits};
use crate::pre_auth::PreAuthenticated;
use crate::published::{Published, SiteInForce};
use crate::selection::Selection;
use crate::service_names::ServiceNames;

/// The name that the gateway of these tests answers to.
pub const SERVICE: &str = "gateway.example.net";

/// A certification authority of clients.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn root(name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// One below this one.
    pub fn issuing(&self, name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A client's certificate.
    pub fn leaf(&self, name: &str) -> CertificateDer<'static> {
        self.leaf_with(name, |_| {})
    }

    /// The same after a change.
    pub fn leaf_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().clone()
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

/// A role of a kind, as a site.toml has it; `more` are further lines.
pub fn role(id: u64, kind: &str, more: &str) -> String {
    format!("[[roles]]\nid = {id}\nkind = \"{kind}\"\ninternal_url = \"https://inside.example\"\n{more}\n")
}

/// A custom role with one endpoint under a prefix of its own.
pub fn custom(id: u64, prefix: &str, more: &str) -> String {
    let endpoint = format!("[[roles.custom]]\nname = \"Custom\"\nexternal_prefix = \"{prefix}\"\n");
    role(id, "custom", &format!("{endpoint}methods = [\"GET\", \"POST\"]\n{more}"))
}

/// What the connection points of a site publish.
pub fn publication(code: &str, trusted: &Authority, roles: &[String]) -> Publication {
    publication_with(code, &trusted.pem, "", roles)
}

/// The same with intermediates.
pub fn publication_with(code: &str, roots: &str, intermediates: &str, roles: &[String]) -> Publication {
    let list = |pem: &str| if pem.is_empty() { "[]".to_owned() } else { format!("['''{pem}''']") };
    let (roots, intermediates) = (list(roots), list(intermediates));
    let trust = format!("[client_trust]\nroots = {roots}\nintermediates = {intermediates}\n");
    let text = format!("version = 1\n[site]\ncode = \"{code}\"\n{trust}{}", roles.concat());
    let site = SiteConfiguration::parse(&text, None, "site.toml").unwrap_or_else(|problems| panic!("{problems}"));
    site.publication
}

pub fn in_force(publication: Publication) -> Arc<SiteInForce> {
    let trust = &publication.client_trust;
    let trust = ClientChains::new(trust.roots(), trust.intermediates().to_vec()).unwrap();
    let digest = publication::digest(&publication::encode(&publication));
    Arc::new(SiteInForce { code: publication.site.to_string(), version: 1, digest, publication, trust })
}

/// The table of one site with these roles.
pub fn published(trusted: &Authority, roles: &[String]) -> Published {
    Published::new([in_force(publication("PS1", trusted, roles))])
}

pub fn names() -> ServiceNames {
    ServiceNames::new([SERVICE.to_owned()])
}

/// What the file sets by itself.
pub fn identity_limits() -> IdentityLimits {
    IdentityLimits {
        exchanges: limits::IDENTITY_EXCHANGES,
        requests_per_second: limits::IDENTITY_REQUESTS,
        burst: limits::IDENTITY_BURST,
    }
}

pub fn address_limits() -> AddressLimits {
    AddressLimits {
        handshakes_per_second: limits::ADDRESS_HANDSHAKES,
        handshake_burst: limits::ADDRESS_HANDSHAKE_BURST,
        refusals_per_second: limits::ADDRESS_REFUSALS,
        refusal_burst: limits::ADDRESS_REFUSAL_BURST,
        tunnel_handshakes_per_second: (limits::TUNNEL_HANDSHAKES / limits::ADDRESS_TUNNELS_PART) as usize,
        tunnel_handshake_burst: (limits::TUNNEL_HANDSHAKES * limits::ADDRESS_TUNNELS_BURST) as usize,
    }
}

/// A client that has shown this chain, or none.
pub fn client(chain: impl IntoIterator<Item = CertificateDer<'static>>) -> Client {
    let address = SocketAddr::from((Ipv4Addr::new(198, 51, 100, 7), 40_000));
    Client::new(1, address, chain.into_iter().collect(), Arc::new(Identities::new(identity_limits())))
}

pub fn target(text: &str) -> RequestTarget {
    RequestTarget::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// Selects what is published at a path, as a client with a certificate asks for it.
pub fn selected(published: &Published, path: &str, client: &Client) -> Selection {
    Selection::choose(published, &names(), target(path), Some(SERVICE.as_bytes()), client)
        .unwrap_or_else(|refusal| panic!("{path}: {refusal:?}"))
}

/// The same for a client that the site trusts.
pub fn authenticated(published: &Published, path: &str, client: &Client) -> PreAuthenticated {
    PreAuthenticated::judge(selected(published, path, client), client)
        .unwrap_or_else(|refusal| panic!("{path}: {refusal:?}"))
}
