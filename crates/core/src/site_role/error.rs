//! Why a role gave no answer, or no whole one. The text is for the inside: it names hosts and addresses.
//! [`RoleError::outside`] is what may leave.

use std::io;
use std::time::Duration;

use super::upload::BodyMismatch;

#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    #[error("cannot find the address of {role}: {source}; correct the role's host in the site configuration or in DNS")]
    Resolve { role: String, source: io::Error },
    #[error("cannot connect to {role} ({tried}): {source}; look at the role, its port and the firewalls on the way")]
    Connect { role: String, tried: String, source: io::Error },
    #[error(
        "{role} ({tried}) did not take a connection within {after:?}; look at its host and the firewalls on the way"
    )]
    ConnectTimeout { role: String, tried: String, after: Duration },
    #[error("{why}")]
    TlsHandshake { why: String },
    #[error("{role} ended TLS after the handshake: {why}")]
    Tls { role: String, why: String },
    #[error(
        "{role} did not finish the TLS handshake within {after:?}; look at its load, and at whether it speaks TLS there"
    )]
    TlsTimeout { role: String, after: Duration },
    #[error("{role} broke off before its answer: {why}")]
    Aborted { role: String, why: String },
    #[error("{role} sent something that is not a valid HTTP answer: {why}")]
    AnswerInvalid { role: String, why: String },
    #[error("{role} did not answer within {after:?}")]
    AnswerTimeout { role: String, after: Duration },
    #[error("{role} did not take a byte of the request for {after:?}")]
    UploadStalled { role: String, after: Duration },
    #[error("no byte of the request came for {after:?}")]
    RequestStalled { after: Duration },
    #[error(transparent)]
    RequestInvalid(#[from] BodyMismatch),
    #[error("the answer of {role} broke off: {why}")]
    AnswerBroken { role: String, why: String },
    #[error("no byte of the answer moved for {after:?}")]
    AnswerStalled { after: Duration },
}

/// What it means for the client: one code each, except what is the request's own fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleFault {
    Unreachable,
    TlsFailed,
    Aborted,
    AnswerInvalid,
    Timeout,
    /// The request stopped coming.
    RequestTimeout,
    /// The gateway lets a body through that is not as long as its head announced.
    RequestInvalid,
}

impl RoleError {
    pub const fn fault(&self) -> RoleFault {
        match self {
            RoleError::Resolve { .. } | RoleError::Connect { .. } => RoleFault::Unreachable,
            RoleError::TlsHandshake { .. } | RoleError::Tls { .. } => RoleFault::TlsFailed,
            RoleError::Aborted { .. } | RoleError::AnswerBroken { .. } => RoleFault::Aborted,
            RoleError::AnswerInvalid { .. } => RoleFault::AnswerInvalid,
            RoleError::ConnectTimeout { .. }
            | RoleError::TlsTimeout { .. }
            | RoleError::AnswerTimeout { .. }
            | RoleError::UploadStalled { .. }
            | RoleError::AnswerStalled { .. } => RoleFault::Timeout,
            RoleError::RequestStalled { .. } => RoleFault::RequestTimeout,
            RoleError::RequestInvalid(_) => RoleFault::RequestInvalid,
        }
    }

    /// Surely no byte of the request has reached the role. TLS that ends after the handshake, as a missing
    /// client certificate makes it do in TLS 1.3, proves nothing.
    pub const fn is_before_request(&self) -> bool {
        match self {
            RoleError::Resolve { .. }
            | RoleError::Connect { .. }
            | RoleError::ConnectTimeout { .. }
            | RoleError::TlsHandshake { .. }
            | RoleError::TlsTimeout { .. } => true,
            RoleError::Tls { .. }
            | RoleError::Aborted { .. }
            | RoleError::AnswerInvalid { .. }
            | RoleError::AnswerTimeout { .. }
            | RoleError::UploadStalled { .. }
            | RoleError::RequestStalled { .. }
            | RoleError::RequestInvalid(_)
            | RoleError::AnswerBroken { .. }
            | RoleError::AnswerStalled { .. } => false,
        }
    }

    /// What the outside may read: no name, no address.
    pub const fn outside(&self) -> &'static str {
        match self {
            RoleError::Resolve { .. } => "the role's name does not resolve",
            RoleError::Connect { .. } => "the role does not take connections",
            RoleError::ConnectTimeout { .. } => "connecting to the role took too long",
            RoleError::TlsHandshake { .. } | RoleError::Tls { .. } => "TLS with the role failed",
            RoleError::TlsTimeout { .. } => "the TLS handshake with the role took too long",
            RoleError::Aborted { .. } => "the role broke off before its answer",
            RoleError::AnswerInvalid { .. } => "the role's answer is not valid HTTP",
            RoleError::AnswerTimeout { .. } => "the role did not answer in time",
            RoleError::UploadStalled { .. } => "the role stopped taking the request",
            RoleError::RequestStalled { .. } => "the request stopped arriving",
            RoleError::RequestInvalid(_) => "the request's body is not as long as announced",
            RoleError::AnswerBroken { .. } => "the role's answer broke off",
            RoleError::AnswerStalled { .. } => "the answer stopped moving",
        }
    }
}
