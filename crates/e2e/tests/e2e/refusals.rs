//! Every code of the closed list that can occur, seen in reason phrase, header, body, log line and metric. The
//! last test counts that none is missing.

mod by_client;
mod by_crowds;
mod by_inside;
mod by_shares;
mod by_stopping;

use cmg_core::refusal::RefusalKind;

/// Which test shows a code. Exhaustive, so that a new code does not compile without one.
const fn shown_by(kind: RefusalKind) -> Shown {
    use RefusalKind as Kind;
    match kind {
        Kind::BadRequest
        | Kind::ClientCertificateRequired
        | Kind::ClientCertificateUntrusted
        | Kind::ClientCertificateExpired
        | Kind::NotPublished
        | Kind::MethodNotAllowed
        | Kind::RequestTimeout
        | Kind::ContentTooLarge
        | Kind::UriTooLong
        | Kind::MisdirectedRequest
        | Kind::HeaderTooLarge
        | Kind::VersionNotSupported => Shown::ByClient,
        Kind::NotMapped
        | Kind::Refused
        | Kind::RoleUnreachable
        | Kind::RoleTlsFailed
        | Kind::RoleAborted
        | Kind::RoleAnswerInvalid
        | Kind::RoleTimeout
        | Kind::TunnelTimeout => Shown::ByInside,
        Kind::NoConnectionPoint | Kind::Overloaded | Kind::Draining | Kind::TunnelLost | Kind::EndedByDrain => {
            Shown::ByStopping
        }
        Kind::TooManyRequests => Shown::ByShares,
        // A caught panic: nothing that a client, a role or a connection point may send leads there.
        Kind::InternalError => Shown::NotFromOutside,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    ByClient,
    ByInside,
    ByShares,
    ByStopping,
    NotFromOutside,
}

#[test]
fn every_code_that_can_occur_is_shown() {
    let sources = [
        (Shown::ByClient, include_str!("refusals/by_client.rs")),
        (Shown::ByInside, include_str!("refusals/by_inside.rs")),
        (Shown::ByShares, include_str!("refusals/by_shares.rs")),
        (Shown::ByStopping, include_str!("refusals/by_stopping.rs")),
    ];
    for kind in RefusalKind::ALL {
        let place = shown_by(kind);
        for (where_, source) in sources {
            let is_there = source.contains(&format!("RefusalKind::{kind:?}"));
            assert_eq!(is_there, where_ == place, "{kind:?}");
        }
    }
}
