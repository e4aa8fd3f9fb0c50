//! Reads `[client_trust]`: certificates in files beside the configuration, or as PEM inside it.

use crate::configuration::credentials::not_valid;
use crate::configuration::{Fault, Table, Value};
use crate::site::trust::{ClientTrust, TrustList};
use crate::tls::load;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::path::{Path, PathBuf};

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
        let words = match self {
            PemSource::Inline(text) => match load::certificates_from_pem(text.as_bytes()) {
                Ok(certificates) => return Ok(certificates),
                Err(why) => format!("the PEM text {why}"),
            },
            PemSource::File(path) => match load::certificates(path) {
                Ok(certificates) => return Ok(certificates),
                Err(fault) => fault.to_string(),
            },
        };
        Err(Fault::of_certificate(words, ""))
    }
}

/// Certificates and the number of the entry that each came from.
type Loaded = (Vec<CertificateDer<'static>>, Vec<usize>);

pub(super) fn read(table: &mut Table<'_>, now: UnixTime) -> Option<ClientTrust> {
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
