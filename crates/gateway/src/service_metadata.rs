//! The gateway's own paths (G-22): service name and instance for anyone who may ask, the version only for
//! an authenticated client.

use std::future::poll_fn;

use bytes::Bytes;
use cmg_core::build_info::BUILD;
use cmg_core::fields::{Field, Fields};
use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::request_target::RequestTarget;
use rustls::pki_types::UnixTime;
use serde::Serialize;
use tokio::time::timeout;

use crate::client::Client;
use crate::edge::{ClientAnswer, ClientAnswerBody, ClientGone, ClientRequest, Edge};
use crate::exchange_record::ExchangeRecord;
use crate::instance::Instance;
use crate::relay::Stop;

const WITH_CERTIFICATE: &[u8] = b"/CCM_Proxy_MutualAuth/ServiceMetadata";
const WITH_TOKEN: &[u8] = b"/CCM_Proxy_ServerAuth/ServiceMetadata";

#[derive(Serialize)]
struct Metadata<'a> {
    service_name: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
}

/// What there is to say, and whether the client only wants the head.
pub struct Answer {
    body: Bytes,
    is_head: bool,
}

/// The answer if the target is one of ours.
pub fn answer(
    instance: &Instance,
    target: &RequestTarget,
    request: &ClientRequest,
    client: &Client,
) -> Result<Option<Answer>, Refusal> {
    let is = |path: &[u8]| target.path().eq_ignore_ascii_case(path);
    if !is(WITH_CERTIFICATE) && !is(WITH_TOKEN) {
        return Ok(None);
    }
    let host = target.authority().or(request.host.as_deref()).unwrap_or_default();
    let misdirected = || Refusal::new(RefusalKind::MisdirectedRequest, "Host is not a name of this gateway");
    let names = instance.names();
    let service_name = names.find(host).ok_or_else(misdirected)?;
    if is(WITH_CERTIFICATE) && !client.has_certificate() {
        return Err(Refusal::new(RefusalKind::ClientCertificateRequired, "no client certificate was shown"));
    }
    if request.method != "GET" && request.method != "HEAD" {
        return Err(Refusal::method_not_allowed("ServiceMetadata is only read", "GET, HEAD".to_owned()));
    }
    let version = is_authenticated(instance, client).then_some(BUILD.version);
    let metadata = Metadata { service_name, instance: instance.name(), version };
    let body = serde_json::to_vec(&metadata).unwrap_or_default();
    Ok(Some(Answer { body: body.into(), is_head: request.method == "HEAD" }))
}

/// By the trust of any site that is in force.
fn is_authenticated(instance: &Instance, client: &Client) -> bool {
    let now = UnixTime::now();
    client.has_certificate() && instance.published().sites().any(|site| client.verdict(site, now).is_ok())
}

/// Answers with it, in the time that a client has to take an answer of ours.
pub async fn send<E: Edge>(edge: &mut E, answer: Answer, record: &mut ExchangeRecord<'_>) -> Result<(), Stop> {
    let mut fields = Fields::new();
    fields.push(Field::new("Content-Type", "application/json"));
    fields.push(Field::new("Cache-Control", "no-store"));
    fields.push(Field::new("X-CMG-Request-Id", Bytes::copy_from_slice(&record.request_id().hex())));
    record.answered_by_us(200);
    let length = answer.body.len() as u64;
    let body = match answer.is_head {
        true => ClientAnswerBody::Nothing { told_length: Some(length) },
        false => ClientAnswerBody::Known(length),
    };
    edge.give_up_body();
    let sent = timeout(limits::OWN_ANSWER, send_whole(edge, answer, fields, body)).await;
    sent.unwrap_or(Err(ClientGone)).map_err(|_| Stop::ClientGone)
}

async fn send_whole<E: Edge>(
    edge: &mut E,
    answer: Answer,
    fields: Fields,
    body: ClientAnswerBody,
) -> Result<(), ClientGone> {
    edge.send_head(ClientAnswer { status: 200, reason: Bytes::from_static(b"OK"), fields, body })?;
    if !answer.is_head {
        poll_fn(|cx| edge.poll_room(cx)).await?;
        edge.send_data(answer.body)?;
    }
    edge.send_end(Fields::new())?;
    poll_fn(|cx| edge.poll_flush(cx)).await
}
