//! TLS faults in an administrator's words: what is wrong, with whose certificate, and what to do.

use rustls::{AlertDescription, CertificateError, Error};

/// One sentence about `fault`; `which` names the peer, as in "the role https://mp1.corp/".
pub fn explain(fault: &Error, which: &str) -> String {
    match fault {
        Error::InvalidCertificate(fault) => certificate(fault, which),
        Error::AlertReceived(alert) => alert_received(*alert, which),
        Error::NoCertificatesPresented => format!("{which} sent no certificate, but one is required"),
        fault => format!("the TLS handshake with {which} failed: {fault}"),
    }
}

fn certificate(fault: &CertificateError, which: &str) -> String {
    format!("the certificate of {which}: {fault}")
}

fn alert_received(alert: AlertDescription, which: &str) -> String {
    format!("{which} refused the connection: {alert:?}")
}
