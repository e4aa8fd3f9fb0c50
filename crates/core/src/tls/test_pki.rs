//! Certificates for tests, made when they run.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::client_verifier::Unauthenticated;
use super::configs::{TlsFloor, client_listener};
use super::service_certificates::{ServiceCertificate, ServiceCertificates};

/// The day on which tests judge: 2027-01-15.
pub(super) fn today() -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000))
}

/// A CA, root or not.
pub(super) struct Authority {
    pub(super) der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate of a client or server with its key.
pub(super) struct Leaf {
    pub(super) der: CertificateDer<'static>,
    pub(super) key: KeyPair,
}

pub(super) fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(super) fn client_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub(super) fn server_params(name: &str, names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

impl Authority {
    pub(super) fn root(name: &str) -> Self {
        Self::root_of(authority_params(name), KeyPair::generate().unwrap())
    }

    pub(super) fn root_of(params: CertificateParams, key: KeyPair) -> Self {
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { der, issuer: Issuer::new(params, key) }
    }

    pub(super) fn authority(&self, name: &str) -> Self {
        self.authority_of(authority_params(name), KeyPair::generate().unwrap())
    }

    pub(super) fn authority_of(&self, params: CertificateParams, key: KeyPair) -> Self {
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { der, issuer: Issuer::new(params, key) }
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    pub(super) fn leaf(&self, params: CertificateParams) -> Leaf {
        self.leaf_with(params, KeyPair::generate().unwrap())
    }

    pub(super) fn leaf_of_kind(&self, params: CertificateParams, kind: &'static SignatureAlgorithm) -> Leaf {
        self.leaf_with(params, KeyPair::generate_for(kind).unwrap())
    }

    pub(super) fn leaf_with(&self, params: CertificateParams, key: KeyPair) -> Leaf {
        Leaf { der: params.signed_by(&key, &self.issuer).unwrap().der().clone(), key }
    }
}

impl Leaf {
    pub(super) fn self_signed(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { der: params.self_signed(&key).unwrap().der().clone(), key }
    }

    pub(super) fn certified(&self, above: &[&Authority]) -> Arc<CertifiedKey> {
        let chain = std::iter::once(self.der.clone()).chain(above.iter().map(|authority| authority.der.clone()));
        let key = super::provider().key_provider.load_private_key(self.private_key()).unwrap();
        Arc::new(CertifiedKey::new(chain.collect(), key))
    }

    pub(super) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

/// Everything that two ends need to trust each other on loopback.
pub(super) struct Pki {
    pub(super) root: Authority,
    pub(super) server: Arc<CertifiedKey>,
    pub(super) client: Arc<CertifiedKey>,
}

impl Pki {
    pub(super) fn new() -> Self {
        let root = Authority::root("Test Root");
        let server = root.leaf(server_params("gw", &["gw.example", "other.example"])).certified(&[]);
        let client = root.leaf(client_params("PC-1")).certified(&[]);
        Self { root, server, client }
    }

    /// Of the client listener.
    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        let certificates = ["gw.example", "other.example"]
            .map(|name| ServiceCertificate::new(self.server.clone(), name, false).unwrap());
        let certificates = ServiceCertificates::new(&certificates);
        client_listener(TlsFloor::Tls12, certificates, Unauthenticated::Explain).unwrap()
    }

    /// Of a client with a certificate; a plain configuration of rustls, none of ours.
    pub(super) fn client_config(&self) -> Arc<ClientConfig> {
        self.client_config_of(&[&TLS13, &TLS12])
    }

    pub(super) fn client_config_of(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(super::provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(self.client.clone())));
        Arc::new(config)
    }
}

pub(super) fn gateway_name() -> ServerName<'static> {
    ServerName::try_from("gw.example").unwrap()
}

/// Two ends of a connection on loopback.
pub(super) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (here, there) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (here.unwrap(), there.unwrap().0)
}

/// Long enough for anything that is going to happen.
pub(super) fn in_a_minute() -> Instant {
    Instant::now() + std::time::Duration::from_secs(60)
}
