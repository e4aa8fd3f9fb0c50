//! The connection point's own file, as live values: who it is, where its site's configuration comes from, what
//! it shows to gateways and to roles. What the site publishes, and which gateways it uses, is not here.

mod egress;
mod source;

pub use egress::ProxyVariables;
pub use source::{SiteSettings, SiteSource};

use cmg_core::configuration::sections::{self, AdminSettings, LogSettings};
use cmg_core::configuration::{Document, Fault, Overrides, Problems, Reading, Table, credentials};
use cmg_core::shutdown::Drain;
use cmg_core::site::SiteCode;
use cmg_core::tls::configs::TlsFloor;
use cmg_core::tls::identity::TunnelIdentity;
use cmg_core::tls::load;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::egress::Egress;

/// Variables that begin so override keys of the file: `CMG_CONNECTION_POINT__SITE__SOURCE`.
pub const ENVIRONMENT: &str = "CMG_CONNECTION_POINT__";

/// Where the admin pages are unless the file says otherwise.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8441);

pub struct ConnectionPointSettings {
    pub site: SiteCode,
    pub name: String,
    pub state_directory: PathBuf,
    pub workers: usize,
    pub source: SiteSettings,
    pub tunnel: TunnelSettings,
    pub egress: Egress,
    pub roles_tls: RolesTlsSettings,
    pub admin: AdminSettings,
    pub drain: Drain,
    pub log: LogSettings,
    /// Every key and where its value came from.
    pub reading: Reading,
}

/// `[tunnel]`: this connection point towards gateways.
#[derive(Clone)]
pub struct TunnelSettings {
    /// The gateways' tunnel CA.
    pub authorities: Vec<CertificateDer<'static>>,
    pub certificate: Arc<CertifiedKey>,
    /// What the certificate says; agrees with site and name of the file.
    pub identity: TunnelIdentity,
}

/// `[roles_tls]` and `[[role_certificates]]`: this connection point towards roles.
#[derive(Clone)]
pub struct RolesTlsSettings {
    pub roots: Vec<CertificateDer<'static>>,
    pub minimum: TlsFloor,
    /// Candidates for roles that ask for a client certificate, in the order of preference.
    pub certificates: Vec<Arc<CertifiedKey>>,
}

impl RolesTlsSettings {
    /// Whether a role would notice no difference.
    pub fn is_like(&self, other: &Self) -> bool {
        // The key belongs to its certificate: that was checked when it was read.
        let shown = |settings: &Self| settings.certificates.iter().map(|own| own.cert.clone()).collect::<Vec<_>>();
        self.roots == other.roots && self.minimum == other.minimum && shown(self) == shown(other)
    }
}

impl ConnectionPointSettings {
    /// Reads the file with its overrides and loads every certificate that it names.
    pub fn load(path: &Path, overrides: Overrides, proxies: &ProxyVariables) -> Result<Self, Problems> {
        Self::read(Document::load(path, overrides)?, UnixTime::now(), proxies)
    }

    /// The same for a document that is here already, at a given time.
    pub fn read(document: Document, now: UnixTime, proxies: &ProxyVariables) -> Result<Self, Problems> {
        let (mut settings, reading) = document.read(|root| root_table(root, now, proxies))?;
        settings.reading = reading;
        Ok(settings)
    }
}

fn root_table(root: &mut Table<'_>, now: UnixTime, proxies: &ProxyVariables) -> Option<ConnectionPointSettings> {
    let own = root.table("connection_point", own);
    let source = root.table("site", |table| source::read(table, now));
    let tunnel = root.table("tunnel", |table| tunnel(table, own.as_ref(), now));
    let egress = egress::read(root, proxies);
    let roles_tls = root.table("roles_tls", roles_tls);
    let certificates = root.tables("role_certificates", |table| credentials::certified_key(table, now));
    let admin = sections::admin(root, ADMIN, own.as_ref().map(|own| own.state_directory.as_path()));
    root.not_available(
        "health",
        "a connection point listens on loopback only",
        "probe /healthz and /readyz on admin.listen",
    );
    let drain = sections::drain(root);
    let log = sections::log(root);
    let Own { site, name, state_directory, workers } = own?;
    let roles_tls = RolesTlsSettings { certificates, ..roles_tls };
    let (source, tunnel, egress, reading) = (source?, tunnel?, egress?, Reading::default());
    Some(ConnectionPointSettings {
        site,
        name,
        state_directory,
        workers,
        source,
        tunnel,
        egress,
        roles_tls,
        admin,
        drain,
        log,
        reading,
    })
}

/// `[connection_point]`.
struct Own {
    site: SiteCode,
    name: String,
    state_directory: PathBuf,
    workers: usize,
}

fn own(table: &mut Table<'_>) -> Option<Own> {
    let site = table.required("site");
    let name = table.required("name");
    let state_directory = table.required("state_directory");
    let workers = sections::workers(table);
    Some(Own { site: site?, name: name?, state_directory: state_directory?, workers })
}

fn tunnel(table: &mut Table<'_>, own: Option<&Own>, now: UnixTime) -> Option<TunnelSettings> {
    let authorities = credentials::authorities(table, "ca", now);
    let certificate = credentials::certified_key(table, now)?;
    let identity = match certificate.cert.first().map(TunnelIdentity::of) {
        Some(Ok(identity)) => identity,
        Some(Err(fault)) => {
            table.fault("certificate", Fault::of_certificate(fault.to_string(), ""));
            return None;
        }
        None => return None,
    };
    let own = own?;
    if identity.site != own.site.as_str() || identity.connection_point != own.name {
        let message = format!(
            "the certificate is for connection point {} of site {}, the file says {} of site {}",
            identity.connection_point, identity.site, own.name, own.site
        );
        let instead = "correct connection_point.site and connection_point.name, or use the right certificate";
        table.fault("certificate", Fault::of_certificate(message, instead));
    }
    Some(TunnelSettings { authorities: authorities?, certificate, identity })
}

fn roles_tls(table: &mut Table<'_>) -> RolesTlsSettings {
    let paths: Vec<PathBuf> = table.required("roots").unwrap_or_default();
    let minimum = sections::tls_minimum(table);
    let mut roots = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        match load::certificates(path) {
            Ok(certificates) => roots.extend(certificates),
            Err(fault) => table.element_fault("roots", index, Fault::of_certificate(fault.to_string(), "")),
        }
    }
    if paths.is_empty() && table.has("roots") {
        let instead = "name the roots of the certificates that the site's roles show";
        table.problem("roots", "is empty, so no role could be trusted", instead);
    }
    RolesTlsSettings { roots, minimum, certificates: Vec::new() }
}

#[cfg(test)]
mod tests;
