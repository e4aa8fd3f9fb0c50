//! What travels on an exchange, as types of ours. The wire's own types end in `frame`.

use std::time::Duration;

use bytes::Bytes;

use crate::fields::Fields;
use crate::limits;
use crate::refusal::RefusalKind;
use crate::request_id::RequestId;

/// Which connection of a link an exchange travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    Interactive,
    Bulk,
}

impl Lane {
    pub const fn name(self) -> &'static str {
        match self {
            Lane::Interactive => "interactive",
            Lane::Bulk => "bulk",
        }
    }

    /// Active exchanges on one connection: as many as may stall without freezing it.
    pub const fn active_exchanges(self) -> usize {
        match self {
            Lane::Interactive => limits::ACTIVE_EXCHANGES,
            Lane::Bulk => limits::BULK_EXCHANGES,
        }
    }

    /// Answers of endpoints that wait which may be long at a time.
    pub const fn long_answers(self) -> usize {
        match self {
            Lane::Interactive => limits::LONG_ANSWERS,
            Lane::Bulk => limits::BULK_LONG_ANSWERS,
        }
    }
}

/// How a client proved itself to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientProof {
    Certificate,
    Token,
    None,
}

impl ClientProof {
    pub const fn name(self) -> &'static str {
        match self {
            ClientProof::Certificate => "certificate",
            ClientProof::Token => "token",
            ClientProof::None => "none",
        }
    }
}

/// The head of a proxied request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    pub method: Bytes,
    pub target: Bytes,
    pub fields: Fields,
    pub request_id: RequestId,
    pub role_id: u64,
    pub deadline: Option<Duration>,
    pub lane: Lane,
    pub content_length: Option<u64>,
    pub client_connection: u64,
    pub proof: ClientProof,
    pub client_chain: Vec<Bytes>,
}

/// The head of a role's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    pub status: u16,
    pub reason: Bytes,
    pub fields: Fields,
    pub content_length: Option<u64>,
    pub role_micros: u32,
}

/// The connection point's decision against a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: RefusedReason,
    /// For the logs of both ends, never for the client; no internal name or address.
    pub detail: String,
    /// Nothing of the request has reached a role.
    pub not_started: bool,
}

/// Why a connection point has no answer of a role to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    NotMapped,
    Refused,
    RoleUnreachable,
    RoleTlsFailed,
    RoleAborted,
    RoleAnswerInvalid,
    RoleTimeout,
    Draining,
    Full,
    RequestAborted,
}

impl RefusedReason {
    /// The code that the client gets.
    pub const fn refusal(self) -> RefusalKind {
        match self {
            RefusedReason::NotMapped => RefusalKind::NotMapped,
            RefusedReason::Refused => RefusalKind::Refused,
            RefusedReason::RoleUnreachable => RefusalKind::RoleUnreachable,
            RefusedReason::RoleTlsFailed => RefusalKind::RoleTlsFailed,
            RefusedReason::RoleAborted => RefusalKind::RoleAborted,
            RefusedReason::RoleAnswerInvalid => RefusalKind::RoleAnswerInvalid,
            RefusedReason::RoleTimeout => RefusalKind::RoleTimeout,
            RefusedReason::Draining => RefusalKind::Draining,
            RefusedReason::Full => RefusalKind::Overloaded,
            RefusedReason::RequestAborted => RefusalKind::RequestTimeout,
        }
    }
}

/// What the other end says about a refusal, as long as our log wants it.
pub(super) fn short(detail: &str) -> String {
    detail.chars().take(limits::REFUSED_DETAIL).collect()
}

/// Why one end closes a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GoodbyeReason {
    Incompatible,
    NotAllowed,
    Violation,
    /// Another process of the same connection id has taken over.
    Replaced,
    Stopping,
    /// None of these: the words say it.
    Other,
}
