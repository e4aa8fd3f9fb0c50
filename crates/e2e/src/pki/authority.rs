//! An authority and what it issues. Every certificate and key is a PEM file named after its owner.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub struct Authority {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The key, PEM, PKCS#8.
    pub key: PathBuf,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate file (leaf alone unless it says otherwise) and its key file.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    /// The same identity with its issuer's certificate behind its own.
    pub fn with_issuer(&self, issuer: &Authority) -> Result<Identity> {
        let chain = fs::read_to_string(&self.certificate)? + &fs::read_to_string(&issuer.certificate)?;
        let certificate = self.certificate.with_extension("chain.pem");
        fs::write(&certificate, chain).with_context(|| format!("cannot write {}", certificate.display()))?;
        Ok(Identity { certificate, key: self.key.clone() })
    }
}

/// What a certificate should say.
pub struct Leaf {
    file: String,
    params: CertificateParams,
}

impl Leaf {
    fn new(file: &str, usage: Vec<ExtendedKeyUsagePurpose>) -> Self {
        let mut params = named(file);
        params.not_after = params.not_before + 397 * DAY;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usage;
        params.use_authority_key_identifier_extension = true;
        Self { file: file.to_owned(), params }
    }

    /// A device: client authentication and nothing else.
    pub fn client(name: &str) -> Self {
        Self::new(name, vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// A server with these names, which also answers on the loopback address.
    pub fn server(file: &str, names: &[&str]) -> Self {
        let mut leaf = Self::new(file, vec![ExtendedKeyUsagePurpose::ServerAuth]);
        leaf.params.subject_alt_names = names.iter().filter_map(|name| dns(name)).collect();
        leaf.params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        leaf
    }

    /// A connection point. It shows this certificate while it dials, and while it serves on the tunnel.
    pub fn connection_point(name: &str, uri: &str) -> Self {
        let mut leaf = Self::new(name, vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth]);
        leaf.params.subject_alt_names = uri.try_into().map(SanType::URI).into_iter().collect();
        leaf
    }

    /// Valid until yesterday.
    pub fn expired(mut self) -> Self {
        self.params.not_after = self.params.not_before;
        self.params.not_before = self.params.not_after - 30 * DAY;
        self
    }

    /// Valid for so much longer only; the second counts as a whole.
    pub fn for_only(mut self, length: Duration) -> Self {
        self.params.not_after = (SystemTime::now() + length).into();
        self
    }

    /// Without the purpose that it would be used for.
    pub fn for_email_only(mut self) -> Self {
        self.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        self
    }
}

impl Authority {
    pub fn root(folder: &Path, name: &str) -> Result<Self> {
        let (key, params) = (KeyPair::generate()?, authority(name));
        let pem = params.self_signed(&key)?.pem();
        Self::kept(folder, name, pem, params, key)
    }

    pub fn intermediate(&self, name: &str) -> Result<Self> {
        let (key, params) = (KeyPair::generate()?, authority(name));
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        Self::kept(&self.folder, name, pem, params, key)
    }

    /// The certificate as text.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn issue(&self, leaf: Leaf) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let pem = leaf.params.signed_by(&key, &self.issuer)?.pem();
        let certificate = write(&self.folder, &leaf.file, "pem", &pem)?;
        Ok(Identity { certificate, key: write(&self.folder, &leaf.file, "key", &key.serialize_pem())? })
    }

    fn kept(folder: &Path, name: &str, pem: String, params: CertificateParams, key: KeyPair) -> Result<Self> {
        Ok(Self {
            certificate: write(folder, name, "pem", &pem)?,
            key: write(folder, name, "key", &key.serialize_pem())?,
            issuer: Issuer::new(params, key),
            pem,
            folder: folder.to_owned(),
        })
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.not_after = params.not_before + 3650 * DAY;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

/// Valid from yesterday, so that a clock that is a little behind does no harm.
fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "cmg");
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + (days_since_1970() - 1) * DAY;
    params
}

fn dns(name: &str) -> Option<SanType> {
    name.try_into().map(SanType::DnsName).ok()
}

fn days_since_1970() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs() / DAY.as_secs()).unwrap_or_default()
}

fn write(folder: &Path, name: &str, ending: &str, pem: &str) -> Result<PathBuf> {
    let path = folder.join(format!("{name}.{ending}"));
    fs::write(&path, pem).with_context(|| format!("cannot write {}", path.display()))?;
    if ending == "key" {
        only_for_the_owner(&path)?;
    }
    Ok(path)
}

/// The programs refuse keys that others may read.
fn only_for_the_owner(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, permissions).with_context(|| format!("cannot protect {}", path.display()))
}
