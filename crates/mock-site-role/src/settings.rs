//! `site-role.toml`: what the file says, and the listeners, certificates and paths that come of it. All
//! problems are reported together.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cmg_core::configuration::sections::{self, LogSettings};
use cmg_core::configuration::{Document, Overrides, Problems, Table};
use cmg_core::named_setting;
use cmg_core::shutdown::Drain;
use cmg_core::tls::load;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::limits;

#[derive(Debug)]
pub struct Settings {
    pub log: LogSettings,
    pub admin: SocketAddr,
    pub drain: Drain,
    pub ledger_entries: usize,
    pub ledger_fields: bool,
    /// What the site hands out.
    pub site_configuration: Option<PathBuf>,
    pub listeners: Vec<Listener>,
}

#[derive(Debug)]
pub struct Listener {
    pub name: String,
    pub listen: SocketAddr,
    pub serves: Serves,
    pub fault: Fault,
    pub tls: Arc<ServerConfig>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Behaviours.
    Role,
    /// The site's configuration source and report sink.
    Site,
}

named_setting!(Serves, [("role", Serves::Role), ("site", Serves::Site)]);

/// What goes wrong before TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Connections are closed as soon as they are accepted.
    Close,
    /// The handshake is never answered.
    Silent,
    /// HTTP without TLS.
    Plain,
    /// Connections are never accepted.
    NoAccept,
}

named_setting!(
    Fault,
    [
        ("none", Fault::None),
        ("close", Fault::Close),
        ("silent", Fault::Silent),
        ("plain", Fault::Plain),
        ("no-accept", Fault::NoAccept)
    ]
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientCertificates {
    None,
    Optional,
    Required,
}

named_setting!(
    ClientCertificates,
    [
        ("none", ClientCertificates::None),
        ("optional", ClientCertificates::Optional),
        ("required", ClientCertificates::Required)
    ]
);

impl Settings {
    /// Reads the file; variables `CMG_SITE_ROLE__...` stand above it.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Ok(Document::load(path, Overrides::from_environment("CMG_SITE_ROLE"))?.read(Self::read)?.0)
    }

    fn read(root: &mut Table<'_>) -> Option<Self> {
        let log = sections::log(root);
        let admin = root.table("admin", |table| table.default("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
        let drain = root.table("drain", |table| Drain {
            delay: table.default::<Duration>("delay", limits::DRAIN_DELAY),
            deadline: table.default::<Duration>("deadline", limits::DRAIN_DEADLINE),
        });
        let (ledger_entries, ledger_fields) = root.table("ledger", |table| {
            (table.default::<usize>("entries", limits::LEDGER), table.default("fields", true))
        });
        let site_configuration = root.table("site", |table| table.optional("configuration"));
        let listeners = root.tables("listeners", Listener::read);
        if !root.has("listeners") {
            root.problem("listeners", "there is no listener", "write at least one [[listeners]]");
        }
        for (at, listener) in listeners.iter().enumerate() {
            if listeners.iter().take(at).any(|other| other.name == listener.name) {
                let message = format!("two listeners are called {:?}", listener.name);
                root.problem("listeners", message, "give each its own name");
            }
        }
        Some(Self { log, admin, drain, ledger_entries, ledger_fields, site_configuration, listeners })
    }
}

impl Listener {
    fn read(table: &mut Table<'_>) -> Option<Self> {
        let name = table.required("name");
        let listen = table.default("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let serves = table.default("serves", Serves::Role);
        let fault = table.default("fault", Fault::None);
        let tls = tls(table);
        Some(Self { name: name?, listen, serves, fault, tls: tls? })
    }
}

fn tls(table: &mut Table<'_>) -> Option<Arc<ServerConfig>> {
    let certificate: Option<PathBuf> = table.required("certificate");
    let key: Option<PathBuf> = table.required("key");
    let client_ca: Option<PathBuf> = table.optional("client_ca");
    let wanted = table.default("client_certificates", ClientCertificates::None);
    let http2 = table.default("http2", false);
    if table.is_silent() {
        return None;
    }
    let roots = roots(table, client_ca.as_deref(), wanted);
    let certificates = loaded(table, "certificate", certificate.map(|path| load::certificates(&path)));
    let key = loaded(table, "key", key.map(|path| load::private_key(&path)));
    let (roots, certificates, key) = (roots?, certificates?, key?);
    let builder = ServerConfig::builder();
    let builder = match (roots, wanted) {
        (Some(roots), ClientCertificates::Optional | ClientCertificates::Required) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
            let verifier = match wanted {
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().ok()?)
        }
        _ => builder.with_no_client_auth(),
    };
    match builder.with_single_cert(certificates, key) {
        Ok(mut config) => {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            if http2 {
                config.alpn_protocols.insert(0, b"h2".to_vec());
            }
            Some(Arc::new(config))
        }
        Err(error) => {
            table.problem("certificate", format!("cannot be used: {error}"), "write a certificate and its own key");
            None
        }
    }
}

/// The roots of client certificates: needed when such are wanted.
fn roots(table: &Table<'_>, path: Option<&Path>, wanted: ClientCertificates) -> Option<Option<RootCertStore>> {
    let Some(path) = path else {
        if wanted == ClientCertificates::None {
            return Some(None);
        }
        table.problem("client_ca", "is missing", "write the file of the roots that client certificates chain to");
        return None;
    };
    let certificates = loaded(table, "client_ca", Some(load::certificates(path)))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        if let Err(error) = roots.add(certificate) {
            table.problem("client_ca", format!("holds no usable root: {error}"), "write a file of CA certificates");
            return None;
        }
    }
    Some(Some(roots))
}

/// None too when the key was missing: that is a problem already.
fn loaded<T>(table: &Table<'_>, key: &'static str, result: Option<Result<T, load::LoadFault>>) -> Option<T> {
    match result? {
        Ok(value) => Some(value),
        Err(fault) => {
            table.problem(key, fault.to_string(), "write a PEM file");
            None
        }
    }
}
