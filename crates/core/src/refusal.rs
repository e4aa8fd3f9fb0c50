//! Every way in which the gateway answers by itself: a closed list, mapped once to status, code, words for
//! the client, side and log level. The words are safe to show; what only an administrator may read stays
//! in the log.

use std::fmt;
use std::time::Duration;

/// Which side a refusal blames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Gateway,
    Tunnel,
    ConnectionPoint,
    SiteRole,
}

impl Side {
    pub const fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Gateway => "gateway",
            Side::Tunnel => "tunnel",
            Side::ConnectionPoint => "connection point",
            Side::SiteRole => "site role",
        }
    }
}

/// Why a request did not get a role's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// What exactly was wrong, for the log and, where [`RefusalKind::detail_is_public`], for the client.
    pub detail: String,
    /// Verbs of the endpoint, for `Allow`.
    pub allow: Option<String>,
}

impl Refusal {
    pub fn new(kind: RefusalKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), allow: None }
    }

    /// 405 with the verbs that would have been let through.
    pub fn method_not_allowed(detail: impl Into<String>, allow: String) -> Self {
        Self { kind: RefusalKind::MethodNotAllowed, detail: detail.into(), allow: Some(allow) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.detail)
    }
}

impl std::error::Error for Refusal {}

/// The closed list of codes. Codes of requirements that are not built are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    BadRequest,
    ClientCertificateRequired,
    ClientCertificateUntrusted,
    ClientCertificateExpired,
    NotPublished,
    MethodNotAllowed,
    RequestTimeout,
    ContentTooLarge,
    UriTooLong,
    MisdirectedRequest,
    TooManyRequests,
    HeaderTooLarge,
    InternalError,
    NoConnectionPoint,
    Overloaded,
    Draining,
    TunnelLost,
    EndedByDrain,
    TunnelTimeout,
    VersionNotSupported,
    NotMapped,
    Refused,
    RoleUnreachable,
    RoleTlsFailed,
    RoleAborted,
    RoleAnswerInvalid,
    RoleTimeout,
}

/// What the list says about one code.
struct Entry {
    status: u16,
    code: &'static str,
    side: Side,
    why: &'static str,
    next: &'static str,
}

const fn entry(status: u16, code: &'static str, side: Side, why: &'static str, next: &'static str) -> Entry {
    Entry { status, code, side, why, next }
}

impl RefusalKind {
    pub const ALL: [RefusalKind; 27] = [
        RefusalKind::BadRequest,
        RefusalKind::ClientCertificateRequired,
        RefusalKind::ClientCertificateUntrusted,
        RefusalKind::ClientCertificateExpired,
        RefusalKind::NotPublished,
        RefusalKind::MethodNotAllowed,
        RefusalKind::RequestTimeout,
        RefusalKind::ContentTooLarge,
        RefusalKind::UriTooLong,
        RefusalKind::MisdirectedRequest,
        RefusalKind::TooManyRequests,
        RefusalKind::HeaderTooLarge,
        RefusalKind::InternalError,
        RefusalKind::NoConnectionPoint,
        RefusalKind::Overloaded,
        RefusalKind::Draining,
        RefusalKind::TunnelLost,
        RefusalKind::EndedByDrain,
        RefusalKind::TunnelTimeout,
        RefusalKind::VersionNotSupported,
        RefusalKind::NotMapped,
        RefusalKind::Refused,
        RefusalKind::RoleUnreachable,
        RefusalKind::RoleTlsFailed,
        RefusalKind::RoleAborted,
        RefusalKind::RoleAnswerInvalid,
        RefusalKind::RoleTimeout,
    ];

    const fn entry(self) -> Entry {
        use Side::{Client, ConnectionPoint, Gateway, SiteRole, Tunnel};
        match self {
            RefusalKind::BadRequest => entry(
                400,
                "CMGService_BadRequest",
                Client,
                "The request breaks the rules of HTTP or of request targets.",
                "Correct the request; the detail names what is wrong.",
            ),
            RefusalKind::ClientCertificateRequired => entry(
                403,
                "CMGService_ClientCertificateRequired",
                Client,
                "This path needs a client certificate and none was shown.",
                "Connect with a client certificate that the site trusts.",
            ),
            RefusalKind::ClientCertificateUntrusted => entry(
                403,
                "CMGService_ClientCertificateUntrusted",
                Client,
                "The client certificate does not chain to a root that the site trusts, or may not be used for this.",
                "Use a certificate issued under the site's roots; the gateway's log says which check failed.",
            ),
            RefusalKind::ClientCertificateExpired => entry(
                403,
                "CMGService_ClientCertificateExpired",
                Client,
                "A certificate of the client's chain is not valid at this time.",
                "Renew the certificate, or correct the clock.",
            ),
            RefusalKind::NotPublished => entry(
                404,
                "CMGService_NotPublished",
                Client,
                "Nothing is published at this path.",
                "Check the role id and endpoint; the site's administrator decides what is published.",
            ),
            RefusalKind::MethodNotAllowed => entry(
                405,
                "CMGService_MethodNotAllowed",
                Client,
                "This endpoint does not take this verb.",
                "Use one of the verbs in Allow.",
            ),
            RefusalKind::RequestTimeout => entry(
                408,
                "CMGService_RequestTimeout",
                Client,
                "The request arrived too slowly.",
                "Send the request again, faster; the first try may have had an effect if its body had begun.",
            ),
            RefusalKind::ContentTooLarge => entry(
                413,
                "CMGService_ContentTooLarge",
                Client,
                "The body is larger than this endpoint takes.",
                "Send less, or have the site's administrator raise max_request_body.",
            ),
            RefusalKind::UriTooLong => entry(
                414,
                "CMGService_UriTooLong",
                Client,
                "The request target is longer than the gateway takes.",
                "Use a shorter path or query.",
            ),
            RefusalKind::MisdirectedRequest => entry(
                421,
                "CMGService_MisdirectedRequest",
                Client,
                "Host is not a name of this gateway.",
                "Ask for one of the gateway's service names.",
            ),
            RefusalKind::TooManyRequests => entry(
                429,
                "CMGService_TooManyRequests",
                Client,
                "This client asks for too much at a time.",
                "Wait as long as Retry-After says, then ask less; nothing was executed.",
            ),
            RefusalKind::HeaderTooLarge => entry(
                431,
                "CMGService_HeaderTooLarge",
                Client,
                "The head of the request is larger than the gateway takes.",
                "Send fewer or shorter fields.",
            ),
            RefusalKind::InternalError => entry(
                500,
                "CMGService_InternalError",
                Gateway,
                "The gateway failed.",
                "Report the request id to the gateway's administrator.",
            ),
            RefusalKind::NoConnectionPoint => entry(
                503,
                "CMGService_NoConnectionPoint",
                Tunnel,
                "No connection point of the site is connected.",
                "Try again later; nothing was executed.",
            ),
            RefusalKind::Overloaded => entry(
                503,
                "CMGService_Overloaded",
                Tunnel,
                "Every connection point of the site is full.",
                "Try again later; nothing was executed.",
            ),
            RefusalKind::Draining => entry(
                503,
                "CMGService_Draining",
                Gateway,
                "The instance, or the connection point whose turn it was, is stopping.",
                "Try again; another instance will answer. Nothing was executed.",
            ),
            RefusalKind::TunnelLost => entry(
                502,
                "CMGService_TunnelLost",
                Tunnel,
                "The connection to the inside broke before the answer; whether the request had an effect is unknown.",
                "Check the effect before sending the request again.",
            ),
            RefusalKind::EndedByDrain => entry(
                502,
                "CMGService_EndedByDrain",
                Gateway,
                "A planned stop reached its deadline before the answer; whether the request had an effect is unknown.",
                "Check the effect before sending the request again.",
            ),
            RefusalKind::TunnelTimeout => entry(
                504,
                "CMGService_TunnelTimeout",
                Tunnel,
                "The connection point did not answer in time; whether the request had an effect is unknown.",
                "Check the effect before sending the request again.",
            ),
            RefusalKind::VersionNotSupported => entry(
                505,
                "CMGService_VersionNotSupported",
                Client,
                "This version of HTTP is not spoken here.",
                "Use HTTP/1.1 or HTTP/2.",
            ),
            RefusalKind::NotMapped => entry(
                502,
                "CMGConnector_NotMapped",
                ConnectionPoint,
                "The connection point has no mapping for this path.",
                "Wait until the site's configuration has reached every connection point, then try again.",
            ),
            RefusalKind::Refused => entry(
                502,
                "CMGConnector_Refused",
                ConnectionPoint,
                "The connection point does not allow what the gateway asked for.",
                "Report the request id to the site's administrator.",
            ),
            RefusalKind::RoleUnreachable => entry(
                502,
                "CMGConnector_RoleUnreachable",
                SiteRole,
                "The connection point could not connect to the site role.",
                "Try again later; report the request id if it lasts.",
            ),
            RefusalKind::RoleTlsFailed => entry(
                502,
                "CMGConnector_RoleTlsFailed",
                SiteRole,
                "The TLS handshake between connection point and site role failed.",
                "Report the request id to the site's administrator: a certificate or TLS setting is wrong inside.",
            ),
            RefusalKind::RoleAborted => entry(
                502,
                "CMGConnector_RoleAborted",
                SiteRole,
                "The site role broke off before its answer; whether the request had an effect is unknown.",
                "Check the effect before sending the request again.",
            ),
            RefusalKind::RoleAnswerInvalid => entry(
                502,
                "CMGConnector_RoleAnswerInvalid",
                SiteRole,
                "The site role sent something that is not a valid HTTP answer.",
                "Report the request id to the site's administrator.",
            ),
            RefusalKind::RoleTimeout => entry(
                504,
                "CMGConnector_RoleTimeout",
                SiteRole,
                "The site role did not answer in time; whether the request had an effect is unknown.",
                "Check the effect before sending the request again.",
            ),
        }
    }

    pub const fn status(self) -> u16 {
        self.entry().status
    }

    /// The code as it stands in reason phrase, `X-CMG-Error`, body, log line and metric.
    pub const fn code(self) -> &'static str {
        self.entry().code
    }

    pub const fn side(self) -> Side {
        self.entry().side
    }

    /// Which program decided, as the client reads it.
    pub const fn decided_by(self) -> &'static str {
        match self.entry().side {
            Side::ConnectionPoint | Side::SiteRole => "connection point",
            Side::Client | Side::Gateway | Side::Tunnel => "gateway",
        }
    }

    /// Why, in words for the client.
    pub const fn why(self) -> &'static str {
        self.entry().why
    }

    /// What to do next, in words for the client.
    pub const fn next(self) -> &'static str {
        self.entry().next
    }

    /// Whether the detail speaks only of what the client itself sent, so that it may read it.
    pub const fn detail_is_public(self) -> bool {
        matches!(self.entry().side, Side::Client) && self.entry().status != 403 && self.entry().status != 404
    }

    /// When to try again, for the refusals that mean that nothing was executed.
    pub const fn retry_after(self) -> Option<Duration> {
        if matches!(self.entry().status, 429 | 503) { Some(crate::limits::RETRY_AFTER) } else { None }
    }

    /// Whether the code tells the client that surely no role has seen the request.
    pub const fn promises_no_execution(self) -> bool {
        self.retry_after().is_some()
    }

    /// The gateway failed, as opposed to having refused.
    pub const fn is_our_fault(self) -> bool {
        matches!(self, RefusalKind::InternalError)
    }
}

#[cfg(test)]
mod tests;
