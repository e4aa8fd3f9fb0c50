//! The path of a request, whole. The outer function owns request id, timing, the one log line and the answer to
//! a refusal; the inner one reads as the stages of ARCHITECTURE.md, each `?` a refusal.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use cmg_core::fields::{Field, Fields};
use cmg_core::headers::{self, CertificateFields, Forwarded};
use cmg_core::http1::{BodyLength, connector_reason};
use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::request_id::RequestId;
use cmg_core::request_target::RequestTarget;
use cmg_core::shutdown::Coming;
use cmg_core::tunnel::message::{AnswerHead, ClientProof, RequestHead};
use futures_util::FutureExt;
use tokio::time::timeout;

use crate::attempt::Attempt;
use crate::client::Client;
use crate::edge::{ClientAnswer, ClientAnswerBody, ClientGone, ClientRequest, Edge};
use crate::exchange_record::ExchangeRecord;
use crate::fairness::Manner;
use crate::filter::AllowedRequest;
use crate::instance::Worker;
use crate::pre_auth::PreAuthenticated;
use crate::refusal_answer::{self, RefusalAnswer};
use crate::relay::{Passed, Relay, Stop};
use crate::selection::Selection;
use crate::service_metadata;

/// Serves one request to its end, whatever that is, and logs it once. `ending` is the drain's deadline.
pub async fn serve<E: Edge>(
    worker: &Worker,
    client: &Client,
    request: ClientRequest,
    edge: &mut E,
    ending: &mut Coming,
) {
    let mut record = ExchangeRecord::start(worker, client, &request);
    let passed = Passed::default();
    let wants_body = request.method != "HEAD";
    // Every stage is whole between two awaits; what a panic leaves behind is dropped with the exchange.
    let forwarded = AssertUnwindSafe(forward(worker, client, request, edge, &mut record, &passed)).catch_unwind();
    let ended = tokio::select! {
        forwarded = forwarded => forwarded.unwrap_or_else(|_| Err(internal_error())),
        () = ending => Err(ended_by_drain()),
    };
    let ended = ended.map_err(|stop| if edge.has_answered() { cut(stop) } else { stop });
    if let Err(Stop::Refused(refusal)) = &ended {
        edge.give_up_body();
        tell(refusal, worker, client, edge, &mut record, wants_body).await;
    }
    if matches!(ended, Err(Stop::Cut(_) | Stop::ClientGone)) {
        edge.cut();
    }
    record.end(&ended, &passed);
}

/// Refuses what never became a request, on a connection that goes on.
pub async fn refuse<E: Edge>(worker: &Worker, client: &Client, refusal: Refusal, edge: &mut E) {
    let mut record = ExchangeRecord::without_request(worker, client);
    tell(&refusal, worker, client, edge, &mut record, true).await;
    record.end(&Err(Stop::Refused(refusal)), &Passed::default());
}

/// Refuses a head that could not be read; the answer, if there is one, ends the connection.
pub fn refuse_head(worker: &Worker, client: &Client, refusal: Refusal) -> Option<Bytes> {
    let mut record = ExchangeRecord::without_request(worker, client);
    let is_told = worker.instance.manner_of(&refusal, client) != Manner::Silence;
    let answer = is_told.then(|| {
        record.answered_by_us(refusal.kind.status());
        RefusalAnswer::new(&refusal, record.request_id()).closing_bytes()
    });
    record.end(&Err(Stop::Refused(refusal)), &Passed::default());
    answer
}

/// Answers with a refusal, in the manner that the client's address deserves.
async fn tell<E: Edge>(
    refusal: &Refusal,
    worker: &Worker,
    client: &Client,
    edge: &mut E,
    record: &mut ExchangeRecord<'_>,
    wants_body: bool,
) {
    match worker.instance.manner_of(refusal, client) {
        Manner::Answer => {}
        Manner::LastAnswer => edge.end_connection(),
        Manner::Silence => {
            edge.end_connection();
            return edge.cut();
        }
    }
    record.answered_by_us(refusal.kind.status());
    let answer = RefusalAnswer::new(refusal, record.request_id());
    refusal_answer::send(edge, answer, wants_body).await;
}

async fn forward<E: Edge>(
    worker: &Worker,
    client: &Client,
    request: ClientRequest,
    edge: &mut E,
    record: &mut ExchangeRecord<'_>,
    passed: &Passed,
) -> Result<(), Stop> {
    let instance = &worker.instance;
    let target =
        RequestTarget::parse(request.target.clone()).map_err(|fault| refusal_answer::of_target_fault(&fault))?;
    if let Some(answer) = service_metadata::answer(instance, &target, &request, client)? {
        return service_metadata::send(edge, answer, record).await;
    }
    let host = request.host.as_deref();
    let selection = Selection::choose(&instance.published(), &instance.names(), target, host, client)?;
    record.selected(&selection);
    let authenticated = PreAuthenticated::judge(selection, client)?;
    let (cap, now) = (instance.request_body_cap(), record.started().into_std());
    let allowed = AllowedRequest::filter(authenticated, &request.method, request.body, cap, now)?;
    let lease = instance.waiting_room.lease(&instance.registry, &allowed, worker.index, edge).await?;
    record.leased(&lease);
    invite_body(edge, &request).await?;
    let wants = Wants::of(&request);
    let head = onward(&allowed, request, client, record.request_id());
    let attempt = Attempt::new(worker, &allowed, lease);
    let mut relay = Relay::start(edge, attempt, head, allowed.bounds(), passed).await?;
    let answer = relay.answer_head().await;
    record.attempted(relay.attempt());
    let answer = answer?;
    record.head_arrived(&answer);
    relay.deliver(client_answer(answer, &wants, record.request_id()), wants.trailers).await
}

/// A client that waits for 100 is told to go on: it is admitted, and there is somebody to serve it.
async fn invite_body<E: Edge>(edge: &mut E, request: &ClientRequest) -> Result<(), Stop> {
    if request.expects_continue {
        edge.send_continue().map_err(|_| Stop::ClientGone)?;
        let flushed = timeout(limits::OWN_ANSWER, poll_fn(|cx| edge.poll_flush(cx))).await;
        flushed.unwrap_or(Err(ClientGone)).map_err(|_| Stop::ClientGone)?;
    }
    Ok(())
}

/// What of the request the answer depends on.
struct Wants {
    is_head: bool,
    trailers: bool,
}

impl Wants {
    fn of(request: &ClientRequest) -> Self {
        Self { is_head: request.method == "HEAD", trailers: headers::wants_trailers(&request.fields) }
    }
}

/// The request as the connection point gets it.
fn onward(allowed: &AllowedRequest, request: ClientRequest, client: &Client, request_id: RequestId) -> RequestHead {
    let role = &allowed.route().role;
    let target = allowed.target().origin_form().clone();
    let mut fields: Fields = request.fields;
    headers::clean_request(&mut fields);
    let forwarded = Forwarded {
        client: allowed.identity_field(),
        request_id,
        address: client.address_field.clone(),
        host: request.host.unwrap_or_default(),
        certificate: proved_certificate(allowed, client),
    };
    let start_bytes = request.method.len() + target.len();
    let left_out = headers::add_request_fields(&mut fields, &forwarded, start_bytes, role.max_head);
    if left_out != headers::LeftOut::Nothing {
        tracing::warn!(%request_id, role = %role.id, ?left_out, "the head would exceed the role's max_head");
    }
    RequestHead {
        method: request.method,
        target,
        fields,
        request_id,
        role_id: role.id.0,
        deadline: Some(allowed.route().endpoint.answer_timeout),
        lane: allowed.lane(),
        content_length: match request.body {
            BodyLength::Known(length) => Some(length),
            BodyLength::None | BodyLength::Chunked => None,
        },
        client_connection: client.number,
        proof: allowed.proof(),
        client_chain: Vec::new(),
    }
}

/// What the role is told of the certificate: only one that admission has judged, never one that somebody just owns.
fn proved_certificate(allowed: &AllowedRequest, client: &Client) -> Option<CertificateFields> {
    let form = allowed.route().role.client_certificate;
    if allowed.proof() == ClientProof::Certificate { client.certificate_fields(form) } else { None }
}

/// The role's answer as the client gets it.
fn client_answer(answer: AnswerHead, wants: &Wants, request_id: RequestId) -> ClientAnswer {
    let mut fields = answer.fields;
    headers::clean_answer(&mut fields);
    fields.push(Field::new("X-CMG-Request-Id", Bytes::copy_from_slice(&request_id.hex())));
    let reason = match answer.status {
        400.. => connector_reason(answer.status, &answer.reason),
        _ => answer.reason,
    };
    let body = match answer.content_length {
        told_length if wants.is_head || answer.status == 304 => ClientAnswerBody::Nothing { told_length },
        _ if answer.status == 204 => ClientAnswerBody::Nothing { told_length: None },
        Some(length) => ClientAnswerBody::Known(length),
        None => ClientAnswerBody::Streamed,
    };
    ClientAnswer { status: answer.status, reason, fields, body }
}

/// After an answer has begun a refusal can only be shown by breaking off.
fn cut(stop: Stop) -> Stop {
    match stop {
        Stop::Refused(refusal) => Stop::Cut(refusal),
        Stop::ClientGone | Stop::Cut(_) => stop,
    }
}

fn ended_by_drain() -> Stop {
    Stop::Refused(Refusal::new(RefusalKind::EndedByDrain, "the drain's deadline passed"))
}

fn internal_error() -> Stop {
    cmg_core::shutdown::PANICS.increment();
    Stop::Refused(Refusal::new(RefusalKind::InternalError, "a stage of the request's path panicked"))
}

#[cfg(test)]
mod tests;
