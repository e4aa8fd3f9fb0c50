//! Settings that name certificates and keys: loaded when they are read, judged for expiry, blamed by the key
//! that names the file. A key's content never gets into a message.

use super::table::Table;
use super::value::Fault;
use crate::tls::certificate::{self, name_text, unix_time};
use crate::tls::load::{self, LoadFault};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Says when a certificate is valid if that is not now.
pub fn not_valid(der: &[u8], now: UnixTime) -> Option<String> {
    let read = certificate::read(der).ok()?;
    let (from, until) = (unix_time(read.validity().not_before), unix_time(read.validity().not_after));
    let why = certificate::validity_fault(from, until, now)?;
    Some(format!("the certificate of {} {why}", name_text(read.subject())))
}

/// A file of certificates to believe, named by a required key.
pub fn authorities(table: &mut Table<'_>, name: &'static str, now: UnixTime) -> Option<Vec<CertificateDer<'static>>> {
    let path: PathBuf = table.required(name)?;
    load_authorities(table, name, &path, now)
}

/// The same for a path that was read already.
pub fn load_authorities(
    table: &Table<'_>,
    name: &str,
    path: &Path,
    now: UnixTime,
) -> Option<Vec<CertificateDer<'static>>> {
    let loaded = loaded(table, name, load::certificates(path))?;
    for message in loaded.iter().filter_map(|der| not_valid(der, now)) {
        table.fault(name, Fault::of_certificate(message, "give certificates that are valid now, or correct the clock"));
    }
    Some(loaded)
}

/// A certificate with its key, named by the required keys `certificate` and `key`.
pub fn certified_key(table: &mut Table<'_>, now: UnixTime) -> Option<Arc<CertifiedKey>> {
    let (certificate, key): (Option<PathBuf>, Option<PathBuf>) = (table.required("certificate"), table.required("key"));
    load_pair(table, certificate?, key?, now)
}

/// The same where both keys may be left out; one without the other is a problem.
pub fn optional_certified_key(table: &mut Table<'_>, now: UnixTime) -> Option<Arc<CertifiedKey>> {
    let (certificate, key): (Option<PathBuf>, Option<PathBuf>) = (table.optional("certificate"), table.optional("key"));
    for (has, lacks) in [("certificate", "key"), ("key", "certificate")] {
        if table.has(has) && !table.has(lacks) {
            table.problem(has, format!("stands without {lacks}"), "write both, or neither");
        }
    }
    load_pair(table, certificate?, key?, now)
}

fn load_pair(table: &Table<'_>, certificate: PathBuf, key: PathBuf, now: UnixTime) -> Option<Arc<CertifiedKey>> {
    let found = load::certified_key(&certificate, &key);
    let blamed = if found.as_ref().is_err_and(|fault| fault.path == key) { "key" } else { "certificate" };
    let pair = loaded(table, blamed, found)?;
    if let Some(message) = pair.cert.first().and_then(|leaf| not_valid(leaf, now)) {
        table.fault("certificate", Fault::of_certificate(message, "renew it, or correct the clock"));
    }
    Some(pair)
}

fn loaded<T>(table: &Table<'_>, name: &str, found: Result<T, LoadFault>) -> Option<T> {
    found.map_err(|fault| table.fault(name, Fault::of_certificate(fault.to_string(), ""))).ok()
}
