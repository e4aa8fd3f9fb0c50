//! The path of a request inside, whole: served head -> target -> mapping -> judged again -> role -> answer. The
//! outer function owns counting, the one log line and the refusal; the inner one is the path.

use std::sync::Arc;

use bytes::Bytes;
use cmg_core::fields::{Field, Fields};
use cmg_core::headers;
use cmg_core::http1::{self, BodyLength};
use cmg_core::limits;
use cmg_core::request_target::RequestTarget;
use cmg_core::site_role::{Patience, Role, RoleError, RoleExchange, RoleFault, RoleRequest};
use cmg_core::tunnel::message::{AnswerHead, Refused, RefusedReason, RequestHead};
use cmg_core::tunnel::publication::Digest;
use cmg_core::tunnel::serving::{Answering, Incoming, Part, ServedExchange};
use cmg_core::url_mapping::Mapped;
use tokio::time::Instant;

use crate::admission::{Violation, admit};
use crate::exchange_record::ExchangeRecord;
use crate::link::{Accusation, Link};
use crate::long_answer::LongAnswer;
use crate::relay::{Passed, Relay, first_part};

/// Why an exchange ended before its answer was given whole.
#[derive(Debug)]
pub enum Stop {
    /// The gateway gets this; the second text is for our own log.
    Refused(Refused, String),
    /// The gateway asked for what it may not.
    Violation(Violation),
    /// The answer had begun: the stream is reset.
    Cut(String),
    /// The client, the gateway or the tunnel has given the exchange up.
    Cancelled,
}

/// Serves one exchange to its end, whatever that is.
pub async fn serve(link: Arc<Link>, served: ServedExchange) {
    let ServedExchange { head, mut body, mut answer } = served;
    let (came, judged_by) = (Instant::now(), link.place.point.site().as_ref().map(|site| site.digest));
    let (mut record, mut passed) = (ExchangeRecord::start(&link, &head), Passed::default());
    let running = link.begin_exchange(limits::ACTIVE_EXCHANGES + limits::WAITING_EXCHANGES);
    let ended = match running {
        // The gateway has been told, and does not listen: the tunnel may end under the exchange at any time.
        _ if link.closed.is_cancelled() => {
            Err(refused(RefusedReason::Draining, "this connection point is stopping", true))
        }
        Some(_) => forward(&link, head, &mut body, &mut answer, &mut record, &mut passed).await,
        None => Err(no_room()),
    };
    record.end(&ended, passed);
    match ended {
        Ok(()) | Err(Stop::Cancelled) => {}
        Err(Stop::Cut(_)) => answer.break_off("the role's answer broke off"),
        Err(Stop::Refused(told, _)) => refuse(answer, told.reason, &told.detail, told.not_started),
        Err(Stop::Violation(violation)) => {
            match answer.has_begun() {
                true => answer.break_off("the gateway sent what the site does not allow"),
                false => refuse(answer, RefusedReason::Refused, &violation.to_string(), false),
            }
            report(&link, &violation, came, judged_by);
        }
    }
}

async fn forward(
    link: &Arc<Link>,
    head: RequestHead,
    body: &mut Incoming,
    answer: &mut Answering,
    record: &mut ExchangeRecord,
    passed: &mut Passed,
) -> Result<(), Stop> {
    let target = RequestTarget::parse(head.target.clone()).map_err(|fault| Violation::Target(fault.to_string()))?;
    let (mapped, role) = map(link, &target, record)?;
    admit(&head, &mapped)?;
    let _place = if mapped.endpoint.waits { None } else { Some(link.active_place().ok_or_else(no_room)?) };
    let first = first_part(body).await?;
    let patience = patience(&head, &mapped);
    let request = role_request(head, &mapped, first.as_ref());
    let exchange = RoleExchange::begin(&link.pool, &role, request, patience);
    let long_answer = LongAnswer::new(mapped.endpoint.waits, &link.long_answers);
    let mut relay = Relay::new(exchange, body, answer, first, &mapped, passed, long_answer);
    let http1::AnswerHead { status, reason, mut fields, content_length, .. } = relay.answer_head().await?;
    headers::clean_answer(&mut fields);
    let role_micros = record.head_arrived(status);
    relay.deliver(AnswerHead { status, reason, fields, content_length, role_micros }).await
}

/// Where the request goes by the configuration in force now, which is let go before anything is waited for.
fn map(link: &Link, target: &RequestTarget, record: &mut ExchangeRecord) -> Result<(Mapped, Arc<Role>), Stop> {
    let not_mapped = |why: &str| refused(RefusedReason::NotMapped, why, true);
    let site = link.place.point.site();
    let site = site.as_deref().ok_or_else(|| not_mapped("there is no site configuration yet"))?;
    let mapped = site.mapping.map(target).map_err(|why| not_mapped(&why.to_string()))?;
    let found = site.role(&mapped).ok_or_else(|| not_mapped("the role is not known"))?;
    record.mapped(&mapped.endpoint, found.counters);
    let role = Arc::clone(found.role);
    Ok((mapped, role))
}

/// The request as the role gets it: internal target, its own Host, nothing about this connection.
fn role_request(head: RequestHead, mapped: &Mapped, first: Option<&Part>) -> RoleRequest {
    let mut fields = Fields::with_capacity(head.fields.len() + 1);
    fields.push(Field::new(Bytes::from_static(b"Host"), mapped.host.clone()));
    for field in head.fields {
        if !belongs_to_a_connection(&field) {
            fields.push(field);
        }
    }
    let body = body_length(&head.method, head.content_length, first);
    RoleRequest { method: head.method, target: mapped.target.clone(), fields, body }
}

/// Framing and connection fields are ours to write; a gateway that sends them would have two readings.
fn belongs_to_a_connection(field: &Field) -> bool {
    match field.name.len() {
        4 => field.is("host"),
        6 => field.is("expect"),
        7 => field.is("upgrade"),
        10 => field.is("connection") || field.is("keep-alive"),
        14 => field.is("content-length"),
        16 => field.is("proxy-connection"),
        17 => field.is("transfer-encoding"),
        _ => false,
    }
}

fn body_length(method: &[u8], announced: Option<u64>, first: Option<&Part>) -> BodyLength {
    match (announced, first) {
        (Some(length), _) => BodyLength::Known(length),
        (None, Some(Part::End(_))) if matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"PROPFIND") => BodyLength::None,
        // Roles ask for a length with verbs that usually have a body.
        (None, Some(Part::End(_))) => BodyLength::Known(0),
        (None, Some(Part::Data(_)) | None) => BodyLength::Chunked,
    }
}

/// The gateway may be less patient than the site allows, never more.
fn patience(head: &RequestHead, mapped: &Mapped) -> Patience {
    let (answer, idle) = (mapped.endpoint.answer_timeout, mapped.endpoint.idle_timeout);
    Patience { answer: head.deadline.map_or(answer, |deadline| deadline.min(answer)), idle }
}

fn no_room() -> Stop {
    refused(RefusedReason::Full, "this connection has no room", true)
}

fn refused(reason: RefusedReason, detail: &str, not_started: bool) -> Stop {
    Stop::Refused(Refused { reason, detail: detail.to_owned(), not_started }, detail.to_owned())
}

fn refuse(answer: Answering, reason: RefusedReason, detail: &str, not_started: bool) {
    // An error means that nobody waits for it any more.
    let _ = answer.refuse(Refused { reason, detail: detail.to_owned(), not_started });
}

/// A violation ends the tunnel, unless the gateway may have admitted the request under another configuration.
fn report(link: &Link, violation: &Violation, came: Instant, judged_by: Option<Digest>) {
    let place = &link.place;
    place.point.metrics.violations.increment();
    let (gateway, instance) = (&place.instance.gateway, &place.instance.name);
    tracing::warn!(gateway, instance, %violation, "refused what the gateway should not have let through");
    if let Some(judged_by) = judged_by.filter(|digest| place.instance.agreed_on(digest, came)) {
        link.accuse(Accusation { what: violation.to_string(), came, judged_by });
    }
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Stop::Violation(violation)
    }
}

/// Before the answer has begun.
impl From<RoleError> for Stop {
    fn from(error: RoleError) -> Self {
        let reason = match error.fault() {
            RoleFault::Unreachable => RefusedReason::RoleUnreachable,
            RoleFault::TlsFailed => RefusedReason::RoleTlsFailed,
            RoleFault::Aborted => RefusedReason::RoleAborted,
            RoleFault::AnswerInvalid => RefusedReason::RoleAnswerInvalid,
            RoleFault::Timeout => RefusedReason::RoleTimeout,
            RoleFault::RequestTimeout => RefusedReason::RequestAborted,
            RoleFault::RequestInvalid => RefusedReason::Refused,
        };
        let told = Refused { reason, detail: error.outside().to_owned(), not_started: error.is_before_request() };
        Stop::Refused(told, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_keeps_the_framing_that_the_client_gave_it() {
        let (data, end) = (Part::Data(Bytes::from_static(b"x")), Part::End(Fields::new()));
        for (method, announced, first, wanted) in [
            ("GET", None, Some(&end), BodyLength::None),
            ("PROPFIND", Some(5), Some(&data), BodyLength::Known(5)),
            ("POST", Some(0), Some(&end), BodyLength::Known(0)),
            ("CCM_POST", None, Some(&end), BodyLength::Known(0)),
            ("POST", None, Some(&data), BodyLength::Chunked),
            ("POST", None, None, BodyLength::Chunked),
            ("GET", None, None, BodyLength::Chunked),
        ] {
            assert_eq!(body_length(method.as_bytes(), announced, first), wanted, "{method} {announced:?} {first:?}");
        }
    }

    #[test]
    fn nothing_about_a_connection_reaches_the_role() {
        for name in ["HOST", "Connection", "keep-alive", "Transfer-Encoding", "content-length", "Upgrade", "Expect"] {
            assert!(belongs_to_a_connection(&Field::new(name, "x")), "{name}");
        }
        for name in ["CCMClientID", "TE", "X-CMG-Client", "BITS-Packet-Type", "Content-Range"] {
            assert!(!belongs_to_a_connection(&Field::new(name, "x")), "{name}");
        }
    }
}
