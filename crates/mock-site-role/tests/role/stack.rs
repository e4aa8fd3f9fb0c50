//! A role with certificates made for it, and a way to ask its admin pages.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use cmg_mock_site_role::program::Running;
use cmg_mock_site_role::settings::Settings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;

pub struct Stack {
    pub folder: TempDir,
    running: Running,
    tls: Arc<ClientConfig>,
    pub tls_with_certificate: Arc<ClientConfig>,
}

impl Stack {
    /// Starts a role with a plain listener `role` and whatever else the text says.
    pub async fn start(more: &str) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let (tls, tls_with_certificate) = make_certificates(folder.path());
        let mut text = listener("role", "");
        text.push_str(more);
        let file = folder.path().join("site-role.toml");
        std::fs::write(&file, text).unwrap();
        let settings = Settings::load(&file).unwrap_or_else(|problems| panic!("{problems}"));
        let running = Running::start(settings).await.unwrap();
        Self { folder, running, tls, tls_with_certificate }
    }

    pub fn address(&self, listener: &str) -> SocketAddr {
        self.running.address(listener).unwrap()
    }

    /// A connection to the listener `role`.
    pub async fn client(&self) -> Client {
        self.client_of("role", &self.tls).await.unwrap()
    }

    pub async fn client_of(&self, listener: &str, tls: &Arc<ClientConfig>) -> std::io::Result<Client> {
        Client::connect(self.address(listener), tls.clone()).await
    }

    pub fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    /// Status and JSON of an admin page.
    pub async fn admin(&self, request: &str) -> (u16, serde_json::Value) {
        let mut stream = TcpStream::connect(self.running.admin().unwrap()).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }

    /// The entry of a request that has come so far.
    pub async fn entry(&self, id: &str, until: &str) -> serde_json::Value {
        let (status, page) = self.admin(&format!("GET /_ledger/wait?id={id}&until={until}")).await;
        assert_eq!(status, 200, "{page}");
        page["entries"][0].clone()
    }
}

/// A listener's section with the folder's certificates.
pub fn listener(name: &str, more: &str) -> String {
    let mut text = String::new();
    writeln!(text, "[[listeners]]\nname = {name:?}\ncertificate = \"role.pem\"\nkey = \"role.key\"\n{more}").unwrap();
    text
}

fn make_certificates(folder: &Path) -> (Arc<ClientConfig>, Arc<ClientConfig>) {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let leaf = |file: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        std::fs::write(folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
        write_private(&folder.join(format!("{file}.key")), &key.serialize_pem());
        (certificate.pem(), key.serialize_pem())
    };
    leaf("role");
    let (certificate, key) = leaf("client");
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let plain = ClientConfig::builder().with_root_certificates(roots.clone()).with_no_client_auth();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let with = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
    (Arc::new(plain), Arc::new(with))
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
