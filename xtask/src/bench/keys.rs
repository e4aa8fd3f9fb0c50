//! Keys and certificates of the measurement: P-256 everywhere, made anew for each run, written as PEM files into its folder.
//! Also the one TLS offer of load generator and backend: TLS 1.3, TLS_AES_128_GCM_SHA256, X25519.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name that clients know the peers by; ours has its own, from the demo.
pub const SERVICE_NAME: &str = "bench.example";
/// The name between the two hops of a peer.
pub const INNER_NAME: &str = "inner.example";
/// The name of the backend, which is also asked for by address.
pub const BACKEND_NAME: &str = "backend.example";

/// Names of the files within the folder; the templates in deploy/bench use the same ones.
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// Four authorities, as in a real installation: service, clients, between the hops, inside.
    pub fn make(folder: &Path) -> Result<Keys> {
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let keys = Keys { folder: folder.to_path_buf() };
        keys.authority("service-ca")?.issue(&keys, "service", &[SERVICE_NAME])?;
        keys.authority("client-ca")?.issue(&keys, "client", &["device.example"])?;
        let between = keys.authority("between-ca")?;
        between.issue(&keys, "inner", &[INNER_NAME])?;
        between.issue(&keys, "edge", &["edge.example"])?;
        keys.authority("internal-ca")?.issue(&keys, "backend", &[BACKEND_NAME, "127.0.0.1"])?;
        Ok(keys)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.key"))
    }

    fn authority(&self, name: &str) -> Result<Authority> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        write(&self.certificate(name), &issuer.pem())?;
        Ok(Authority(issuer))
    }
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Writes NAME.pem, NAME.key, and NAME.both.pem for programs that want one file.
    fn issue(&self, keys: &Keys, name: &str, subject_names: &[&str]) -> Result<()> {
        let subject_names: Vec<String> = subject_names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(subject_names)?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages =
            vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.0)?.pem();
        write(&keys.certificate(name), &certificate)?;
        write(&keys.key(name), &key.serialize_pem())?;
        write(&keys.folder.join(format!("{name}.both.pem")), &(certificate + &key.serialize_pem()))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// One cipher and one group, so that every contestant is asked for the same work.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    })
}

pub fn server(certificate: &Path, key: &Path) -> Result<ServerConfig> {
    let chain = vec![leaf(certificate)?];
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, private_key(key)?)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A client with a ticket store of its own, or with none.
pub fn client(
    authority: &Path,
    own: Option<(&Path, &Path)>,
    application_protocol: &[u8],
    resumption: bool,
) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(leaf(authority)?)?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let mut config = match own {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![leaf(certificate)?], private_key(key)?)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![application_protocol.to_vec()];
    config.resumption = if resumption { Resumption::in_memory_sessions(16) } else { Resumption::disabled() };
    Ok(config)
}

/// The first certificate of a file: clients send their leaf alone.
fn leaf(path: &Path) -> Result<CertificateDer<'static>> {
    CertificateDer::from_pem_file(path).with_context(|| format!("reading the certificate {}", path.display()))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).with_context(|| format!("reading the key {}", path.display()))
}
