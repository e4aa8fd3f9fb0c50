//! Reads `[client_trust]`: certificates in files beside the configuration, or as PEM inside it.

use crate::configuration::{Fault, Table, Value};
use crate::site::trust::{ClientTrust, TrustList, not_valid};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PemSource {
    Inline(String),
    File(PathBuf),
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

impl Value for PemSource {
    fn kind() -> String {
        "path or PEM text".to_owned()
    }
    fn example() -> String {
        "\"client-root.pem\"".to_owned()
    }
    fn from_text(text: &str, base: Option<&Path>) -> Result<Self, Fault> {
        if text.contains(BEGIN) {
            return Ok(Self::Inline(text.to_owned()));
        }
        if text.contains("-----BEGIN") {
            return Err(Fault::of_certificate(
                "is PEM, but not a certificate",
                "give a block that begins with BEGIN CERTIFICATE",
            ));
        }
        if base.is_none() {
            let message = "names a file, but this configuration does not come from a folder";
            return Err(Fault::new(message, "put the PEM text itself here"));
        }
        PathBuf::from_text(text, base).map(Self::File)
    }
    fn print(&self) -> String {
        match self {
            PemSource::Inline(_) => "\"(PEM)\"".to_owned(),
            PemSource::File(path) => path.print(),
        }
    }
}

impl PemSource {
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let text = match self {
            PemSource::Inline(text) => text.clone().into_bytes(),
            PemSource::File(path) => std::fs::read(path).map_err(|error| {
                Fault::of_certificate(
                    format!("{} cannot be read: {error}", path.display()),
                    "check path and permissions",
                )
            })?,
        };
        let instead = "give certificates as PEM, each between BEGIN CERTIFICATE and END CERTIFICATE";
        let what = || match self {
            PemSource::Inline(_) => "the text".to_owned(),
            PemSource::File(path) => path.display().to_string(),
        };
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found {
            Ok(certificates) if certificates.is_empty() => {
                Err(Fault::of_certificate(format!("{} holds no certificate", what()), instead))
            }
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(Fault::of_certificate(format!("{} is not valid PEM: {error}", what()), instead)),
        }
    }
}

/// Certificates and the number of the entry that each came from.
type Loaded = (Vec<CertificateDer<'static>>, Vec<usize>);

pub(super) fn read(table: &mut Table<'_>, now: SystemTime) -> Option<ClientTrust> {
    let roots = table.default::<Vec<PemSource>>("roots", Vec::new());
    let intermediates = table.default::<Vec<PemSource>>("intermediates", Vec::new());
    let roots = load(table, TrustList::Roots, &roots);
    let intermediates = load(table, TrustList::Intermediates, &intermediates);
    let ((roots, root_entries), (intermediates, intermediate_entries)) = (roots?, intermediates?);
    for (root, entry) in roots.iter().zip(&root_entries) {
        if let Some(message) = not_valid(root, now) {
            let instead = "give a root that is valid now, or take it out";
            table.element_fault("roots", *entry, Fault::of_certificate(message, instead));
        }
    }
    match ClientTrust::new(roots, intermediates) {
        Ok(trust) => Some(trust),
        Err(faults) => {
            for fault in faults {
                let entries = match fault.list {
                    TrustList::Roots => &root_entries,
                    TrustList::Intermediates => &intermediate_entries,
                };
                let entry = entries.get(fault.index).copied().unwrap_or(0);
                table.element_fault(fault.list.key(), entry, Fault::of_certificate(fault.message, fault.instead));
            }
            None
        }
    }
}

fn load(table: &Table<'_>, list: TrustList, sources: &[PemSource]) -> Option<Loaded> {
    let mut loaded = Loaded::default();
    let mut whole = true;
    for (entry, source) in sources.iter().enumerate() {
        match source.certificates() {
            Ok(certificates) => {
                loaded.1.extend(certificates.iter().map(|_| entry));
                loaded.0.extend(certificates);
            }
            Err(fault) => {
                table.element_fault(list.key(), entry, fault);
                whole = false;
            }
        }
    }
    whole.then_some(loaded)
}
