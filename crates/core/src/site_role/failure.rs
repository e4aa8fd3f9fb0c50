//! What a connection says when it ends where an answer was due, in words that an administrator of the role
//! can act upon. Knows the one case that looks like a network fault and is a setting: a role that asks for a
//! client certificate only after it has read the request (C-02).

use std::io;

use rustls::{AlertDescription, Error as TlsError, PeerMisbehaved};

use super::{Role, RoleError};
use crate::tls::explain::explain;
use crate::tls::tls_fault;

/// No head came.
#[derive(Debug)]
pub(super) enum Silence {
    /// The connection ended; `None` is a proper close.
    Died { failure: Option<io::Error>, has_spoken: bool },
    /// Something came, and it is not an answer.
    Nonsense(&'static str),
}

/// Whether the role wanted a certificate of ours after it had read the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LateCertificate {
    /// It asked for another handshake.
    AskedFor,
    /// Nothing shows it: in TLS 1.3 it cannot ask a client that does not offer it.
    Possible,
    /// The connection has served an exchange before.
    Unlikely,
}

const REMEDY: &str = "the role asks for a client certificate only after it has read the request (renegotiation \
     or post-handshake authentication), which this program does not take part in; have the role ask in the handshake: \
     on IIS set clientcertnegotiation=enable on its HTTPS binding (netsh http update sslcert)";

impl Silence {
    pub(super) fn closed(has_spoken: bool) -> Self {
        Silence::Died { failure: None, has_spoken }
    }

    pub(super) fn broken(failure: io::Error, has_spoken: bool) -> Self {
        Silence::Died { failure: Some(failure), has_spoken }
    }

    /// The connection ended before a byte of an answer, and not because of TLS.
    pub(super) fn is_death(&self) -> bool {
        match self {
            Silence::Died { failure, has_spoken: false } => failure.as_ref().and_then(tls_fault).is_none(),
            Silence::Died { .. } | Silence::Nonsense(_) => false,
        }
    }

    /// As an error, given what ended the upload if anything did.
    pub(super) fn explain(self, role: &Role, upload: Option<&io::Error>, certificate: LateCertificate) -> RoleError {
        let role = role.to_string();
        let (failure, has_spoken) = match self {
            Silence::Nonsense(detail) => return RoleError::AnswerInvalid { role, why: detail.into() },
            Silence::Died { failure, has_spoken } => (failure, has_spoken),
        };
        let fault = failure.as_ref().and_then(tls_fault);
        if certificate == LateCertificate::AskedFor || fault.is_some_and(is_late_certificate) {
            return RoleError::Tls { role, why: REMEDY.into() };
        }
        if let Some(fault) = fault {
            return RoleError::Tls { why: explain(fault, &role), role };
        }
        let mut why = match &failure {
            None => "it closed the connection".to_owned(),
            Some(failure) if failure.kind() == io::ErrorKind::UnexpectedEof => "it cut the connection".to_owned(),
            Some(failure) => failure.to_string(),
        };
        if has_spoken {
            why.push_str(" in the middle of the answer's head");
        }
        if let Some(upload) = upload {
            why.push_str(&format!("; writing the request had failed before ({upload})"));
        }
        if certificate == LateCertificate::Possible && !has_spoken {
            why.push_str("; if this happens to every request, ");
            why.push_str(REMEDY);
        }
        RoleError::Aborted { role, why }
    }
}

fn is_late_certificate(fault: &TlsError) -> bool {
    matches!(
        fault,
        TlsError::InappropriateHandshakeMessage { .. }
            | TlsError::PeerMisbehaved(PeerMisbehaved::TooManyRenegotiationRequests)
            | TlsError::AlertReceived(AlertDescription::NoRenegotiation)
    )
}
