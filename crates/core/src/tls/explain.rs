//! TLS faults in an administrator's words: what is wrong, with whose certificate, and what to do.

use rustls::pki_types::ServerName;
use rustls::{AlertDescription as Alert, CertificateError, Error, ExtendedKeyPurpose, HandshakeType, PeerIncompatible};

use super::certificate::date_text;
use super::chain::ChainFault;
use crate::refusal::RefusalKind;

/// What rustls says where no certificate of ours is for the name that was asked for.
const NO_SUCH_NAME: &str = "no server certificate chain resolved";

/// One sentence about `fault`. `which` names the peer, as in "the role https://mp1.corp/".
pub fn explain(fault: &Error, which: &str) -> String {
    match fault {
        Error::InvalidCertificate(fault) => {
            format!("{which} has a certificate that cannot be accepted: {}", certificate(fault))
        }
        Error::AlertReceived(alert) => alert_received(*alert, which),
        Error::NoCertificatesPresented => {
            format!("{which} sent no certificate, but must prove who it is with one")
        }
        Error::NoApplicationProtocol => {
            format!("{which} offered no protocol that is spoken here (ALPN); is this the right port?")
        }
        Error::PeerIncompatible(what) => incompatible(what, which),
        Error::InappropriateHandshakeMessage { got_type: HandshakeType::CertificateRequest, .. } => format!(
            "{which} asks for a client certificate only after the request, which cannot be answered; \
             have it ask in the handshake (IIS: netsh http update sslcert ... clientcertnegotiation=enable)"
        ),
        Error::InvalidMessage(_) => format!("{which} sent something that is not TLS ({fault}); is this a TLS port?"),
        Error::General(text) if text.contains(NO_SUCH_NAME) => {
            format!("{which} asked for a name that is none of our service names")
        }
        fault => format!("TLS with {which} failed: {fault}"),
    }
}

/// The code under which logs and metrics show a client that was refused by an alert, which itself has no room for one
/// (G-20). `None`: the client ended it.
pub fn refusal(fault: &Error) -> Option<RefusalKind> {
    Some(match fault {
        Error::AlertReceived(_) => return None,
        Error::NoCertificatesPresented => RefusalKind::ClientCertificateRequired,
        Error::InvalidCertificate(fault) if is_expiry(fault) => RefusalKind::ClientCertificateExpired,
        Error::InvalidCertificate(_) => RefusalKind::ClientCertificateUntrusted,
        Error::General(text) if text.contains(NO_SUCH_NAME) => RefusalKind::MisdirectedRequest,
        _ => RefusalKind::BadRequest,
    })
}

fn is_expiry(fault: &CertificateError) -> bool {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => true,
        CertificateError::Other(other) => {
            let inner: &(dyn std::error::Error + 'static) = &*other.0;
            inner.downcast_ref::<ChainFault>().is_some_and(ChainFault::is_expiry)
        }
        _ => false,
    }
}

fn certificate(fault: &CertificateError) -> String {
    use CertificateError as Fault;
    match fault {
        Fault::Expired => "it has expired; renew it".to_owned(),
        Fault::ExpiredContext { time, not_after } => {
            format!(
                "it, or a CA above it, expired on {} (it is {} here); renew it",
                date_text(*not_after),
                date_text(*time)
            )
        }
        Fault::NotValidYet => "it is not valid yet; check the clocks".to_owned(),
        Fault::NotValidYetContext { time, not_before } => {
            format!(
                "it is valid only from {} (it is {} here); check the clocks",
                date_text(*not_before),
                date_text(*time)
            )
        }
        Fault::UnknownIssuer => "it was not issued under a root that is trusted here; check that the right root is \
                                 configured here and that the peer sends its intermediate certificates"
            .to_owned(),
        Fault::BadSignature => "a signature is wrong: a CA of the same name but with another key issued it, or the \
                                peer's key does not belong to it"
            .to_owned(),
        Fault::NotValidForName => "it is for another name".to_owned(),
        Fault::NotValidForNameContext { expected, presented } => names(expected, presented),
        Fault::InvalidPurpose => "its extended key usage does not allow this use".to_owned(),
        Fault::InvalidPurposeContext { required, presented } => purposes(required, presented),
        Fault::UnhandledCriticalExtension => unhandled_extension(),
        Fault::BadEncoding => "it is malformed".to_owned(),
        Fault::Revoked => "it has been revoked".to_owned(),
        Fault::UnsupportedSignatureAlgorithmContext { .. }
        | Fault::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it, or a CA above it, is signed in a way that is not accepted (SHA-1, MD5, DSA or a short key); have it \
             issued again with SHA-256 and a key of 2048 bits or more"
                .to_owned()
        }
        Fault::Other(other) => {
            let inner: &(dyn std::error::Error + 'static) = &*other.0;
            match (inner.downcast_ref::<ChainFault>(), inner.downcast_ref::<webpki::Error>()) {
                (Some(fault), _) => fault.to_string(),
                (_, Some(fault)) => webpki_fault(fault),
                _ => inner.to_string(),
            }
        }
        fault => fault.to_string(),
    }
}

fn unhandled_extension() -> String {
    "it, or a CA above it, has a critical extension that is not understood here (often certificate policies); have \
     it issued again with the extension not critical"
        .to_owned()
}

/// What rustls has no word of its own for.
fn webpki_fault(fault: &webpki::Error) -> String {
    match fault {
        webpki::Error::CaUsedAsEndEntity => "it is a CA certificate (CA:TRUE); a peer needs one of its own",
        webpki::Error::EndEntityUsedAsCa => "its issuer is not a CA",
        webpki::Error::NameConstraintViolation => "a CA above it does not allow its names (name constraints)",
        webpki::Error::PathLenConstraintViolated => {
            "a CA above it does not allow so many CAs below itself (path length)"
        }
        webpki::Error::UnsupportedCriticalExtension => return unhandled_extension(),
        webpki::Error::UnsupportedCertVersion => "it is of version 1; only version 3 is accepted",
        other => return format!("it, or a CA above it, is not acceptable ({other})"),
    }
    .to_owned()
}

fn names(expected: &ServerName<'static>, presented: &[String]) -> String {
    let expected = expected.to_str();
    if presented.is_empty() {
        return format!(
            "certificate has no subject alternative name, and a common name alone is never accepted; have it issued \
             again with the name `{expected}`"
        );
    }
    // webpki shows names as DnsName("mp1.corp"); only the name is of interest.
    let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    let has: Vec<String> = presented.iter().map(bare).collect();
    format!("it is not for `{expected}` but for {}", has.join(", "))
}

fn purposes(required: &ExtendedKeyPurpose, presented: &[ExtendedKeyPurpose]) -> String {
    let has: Vec<String> = presented.iter().map(purpose).collect();
    let has = if has.is_empty() { "nothing".to_owned() } else { has.join(", ") };
    format!("its extended key usage allows {has}, but {required} is needed")
}

/// The common ones by name, any other as the identifier that certificate tools show.
fn purpose(purpose: &ExtendedKeyPurpose) -> String {
    let ExtendedKeyPurpose::Other(numbers) = purpose else { return purpose.to_string() };
    match numbers.as_slice() {
        [1, 3, 6, 1, 5, 5, 7, 3, 3] => "code signing".to_owned(),
        [1, 3, 6, 1, 5, 5, 7, 3, 4] => "email protection".to_owned(),
        [1, 3, 6, 1, 5, 5, 7, 3, 8] => "time stamping".to_owned(),
        [1, 3, 6, 1, 5, 5, 7, 3, 9] => "OCSP signing".to_owned(),
        [2, 5, 29, 37, 0] => "any purpose".to_owned(),
        numbers => numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join("."),
    }
}

fn incompatible(what: &PeerIncompatible, which: &str) -> String {
    let why = match what {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => "it speaks no version of TLS that is allowed here",
        PeerIncompatible::NoCipherSuitesInCommon => {
            "it offers no cipher suite that is spoken here (no CBC, no RSA key exchange)"
        }
        PeerIncompatible::NoKxGroupsInCommon => "it offers no key exchange that is spoken here",
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "there is no kind of signature that both ends accept (no SHA-1)"
        }
        PeerIncompatible::ExtendedMasterSecretExtensionRequired => {
            "it speaks TLS 1.2 without extended master secret (RFC 7627), which is required"
        }
        other => return format!("no TLS connection with {which} is possible: {other:?}"),
    };
    format!("no TLS connection with {which} is possible: {why}")
}

fn alert_received(alert: Alert, which: &str) -> String {
    let (name, why) = match alert {
        Alert::UnknownCA => ("unknown_ca", "it does not trust the CA that issued our certificate"),
        Alert::BadCertificate => ("bad_certificate", "it finds our certificate malformed or for another name"),
        Alert::CertificateExpired => ("certificate_expired", "for it, our certificate has expired or is not valid yet"),
        Alert::CertificateRevoked => ("certificate_revoked", "our certificate has been revoked"),
        Alert::UnsupportedCertificate => ("unsupported_certificate", "our certificate is not for this use"),
        Alert::CertificateUnknown => ("certificate_unknown", "its log says what is wrong with our certificate"),
        Alert::AccessDenied => ("access_denied", "our certificate is good but may not be used here"),
        Alert::CertificateRequired => ("certificate_required", "we sent none, and it wants one"),
        other => return refused(other, which),
    };
    format!("{which} refused our certificate: {name}: {why}")
}

/// Alerts that are not about a certificate.
fn refused(alert: Alert, which: &str) -> String {
    let (name, why) = match alert {
        Alert::HandshakeFailure => (
            "handshake_failure",
            "it shares no cipher or signature with us, or wants a client certificate that we lack",
        ),
        Alert::ProtocolVersion => ("protocol_version", "it speaks no version of TLS that is allowed here"),
        Alert::InsufficientSecurity => ("insufficient_security", "it wants stronger settings than ours"),
        Alert::UnrecognisedName => ("unrecognized_name", "it does not know the name that we asked for"),
        Alert::NoApplicationProtocol => {
            ("no_application_protocol", "it speaks another protocol; is this the right port?")
        }
        Alert::DecryptError => ("decrypt_error", "for it, a signature of ours is wrong"),
        Alert::InternalError => ("internal_error", "it failed by itself; see its log"),
        other => return format!("{which} ended the connection: alert {other:?}"),
    };
    format!("{which} refused the connection: {name}: {why}")
}
