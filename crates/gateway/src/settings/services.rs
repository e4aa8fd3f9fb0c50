//! `[[services]]`: the names that clients use and the certificate shown for each. A certificate that no client
//! would accept is refused here, with a plain message (G-02).

use cmg_core::configuration::{Fault, HostName, Table, credentials};
use cmg_core::tls::service_certificates::{ServiceCertificate, ServiceCertificateFault};
use rustls::pki_types::UnixTime;

#[derive(Clone, Debug)]
pub struct ServiceSettings {
    pub name: HostName,
    pub certificate: ServiceCertificate,
}

pub(super) fn read(root: &mut Table<'_>, now: UnixTime) -> Vec<ServiceSettings> {
    let services = root.tables("services", |table| service(table, now));
    if !root.has("services") {
        let instead = "write [[services]] with name, certificate and key";
        root.problem("services", "no service name is given, so no client could be answered", instead);
    }
    services
}

fn service(table: &mut Table<'_>, now: UnixTime) -> Option<ServiceSettings> {
    let name: Option<HostName> = table.required("name");
    let key = credentials::certified_key(table, now);
    let allow_wildcard = table.default("allow_wildcard", false);
    let (name, key) = (name?, key?);
    let blame = |fault: ServiceCertificateFault| {
        table.fault("certificate", Fault::of_certificate(fault.to_string(), ""));
    };
    let certificate = ServiceCertificate::new(key, &name.to_string(), allow_wildcard).map_err(blame).ok()?;
    Some(ServiceSettings { name, certificate })
}
