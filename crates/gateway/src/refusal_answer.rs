//! A [`Refusal`] as an answer: status, code in reason phrase, header and body, and what to do next. The same
//! for both versions of HTTP (G-20). Says nothing that the client must not know.

use std::future::poll_fn;

use bytes::Bytes;
use cmg_core::fields::{Field, Fields};
use cmg_core::http1::{AnswerFraming, BodyFault, HeadFault, HeadFaultKind, write_answer_head};
use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::request_id::RequestId;
use cmg_core::request_target::TargetFault;
use serde::Serialize;
use tokio::time::timeout;

use crate::edge::{ClientAnswer, ClientAnswerBody, ClientGone, Edge};

/// What a client reads.
#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    status: u16,
    decided_by: &'static str,
    /// Whose side it lies on.
    side: &'static str,
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    next: &'static str,
    request_id: String,
}

/// The parts of an answer of ours.
pub struct RefusalAnswer {
    pub status: u16,
    pub code: &'static str,
    pub fields: Fields,
    pub body: Bytes,
}

impl RefusalAnswer {
    pub fn new(refusal: &Refusal, request_id: RequestId) -> Self {
        let kind = refusal.kind;
        let body = Body {
            code: kind.code(),
            status: kind.status(),
            decided_by: kind.decided_by(),
            side: kind.side().name(),
            why: kind.why(),
            detail: kind.detail_is_public().then_some(refusal.detail.as_str()),
            next: kind.next(),
            request_id: request_id.to_string(),
        };
        let mut body = serde_json::to_vec(&body).unwrap_or_default();
        body.push(b'\n');
        let mut fields = Fields::with_capacity(6);
        fields.push(Field::new("Content-Type", "application/json"));
        fields.push(Field::new("Cache-Control", "no-store"));
        fields.push(Field::new("X-CMG-Error", kind.code()));
        fields.push(Field::new("X-CMG-Request-Id", request_id.to_string()));
        if let Some(after) = kind.retry_after() {
            fields.push(Field::new("Retry-After", after.as_secs().to_string()));
        }
        if let Some(allow) = &refusal.allow {
            fields.push(Field::new("Allow", allow.clone()));
        }
        Self { status: kind.status(), code: kind.code(), fields, body: body.into() }
    }

    /// The whole answer for HTTP/1.1, for a connection that ends with it.
    pub fn closing_bytes(&self) -> Bytes {
        let mut out = bytes::BytesMut::with_capacity(1024);
        let framing = AnswerFraming::Known(self.body.len() as u64);
        write_answer_head(&mut out, self.status, self.code.as_bytes(), &self.fields, framing, false);
        out.extend_from_slice(&self.body);
        out.freeze()
    }
}

/// Sends an answer of ours. A client that does not take it soon is cut off: it would hold its place for ever.
pub async fn send<E: Edge>(edge: &mut E, answer: RefusalAnswer, with_body: bool) {
    let length = answer.body.len() as u64;
    let body = match with_body {
        true => ClientAnswerBody::Known(length),
        false => ClientAnswerBody::Nothing { told_length: Some(length) },
    };
    let reason = Bytes::from_static(answer.code.as_bytes());
    let sent = async {
        edge.send_head(ClientAnswer { status: answer.status, reason, fields: answer.fields, body })?;
        if with_body {
            poll_fn(|cx| edge.poll_room(cx)).await?;
            edge.send_data(answer.body)?;
        }
        edge.send_end(Fields::new())?;
        poll_fn(|cx| edge.poll_flush(cx)).await
    };
    let taken: Result<Result<(), ClientGone>, _> = timeout(limits::OWN_ANSWER, sent).await;
    if taken.is_err() {
        edge.cut();
    }
}

/// What a head that broke the rules is refused with.
pub fn of_head_fault(fault: &HeadFault) -> Refusal {
    let kind = match fault.kind {
        HeadFaultKind::Malformed => RefusalKind::BadRequest,
        HeadFaultKind::TargetTooLong => RefusalKind::UriTooLong,
        HeadFaultKind::HeadTooLarge => RefusalKind::HeaderTooLarge,
        HeadFaultKind::VersionNotSupported => RefusalKind::VersionNotSupported,
    };
    Refusal::new(kind, fault.detail)
}

/// What a target that broke the rules is refused with.
pub fn of_target_fault(fault: &TargetFault) -> Refusal {
    Refusal::new(RefusalKind::BadRequest, fault.to_string())
}

/// What a body that broke the rules is refused with.
pub fn of_body_fault(fault: &BodyFault) -> Refusal {
    Refusal::new(RefusalKind::BadRequest, fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_stands_in_phrase_header_and_body() {
        for kind in RefusalKind::ALL {
            let refusal = Refusal::new(kind, "mp1.corp.example refused the connection");
            let answer = RefusalAnswer::new(&refusal, RequestId::random());
            let text = String::from_utf8(answer.closing_bytes().to_vec()).unwrap();
            assert!(text.starts_with(&format!("HTTP/1.1 {} {}\r\n", kind.status(), kind.code())), "{text}");
            assert!(text.contains(&format!("X-CMG-Error: {}\r\n", kind.code())), "{text}");
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(body["code"], kind.code());
            assert_eq!(text.contains("Retry-After"), [429, 503].contains(&kind.status()));
        }
    }

    /// Refusals whose detail speaks of nothing but what the client itself has sent.
    const WITH_DETAIL: [(RefusalKind, u16); 9] = [
        (RefusalKind::BadRequest, 400),
        (RefusalKind::MethodNotAllowed, 405),
        (RefusalKind::RequestTimeout, 408),
        (RefusalKind::ContentTooLarge, 413),
        (RefusalKind::UriTooLong, 414),
        (RefusalKind::MisdirectedRequest, 421),
        (RefusalKind::TooManyRequests, 429),
        (RefusalKind::HeaderTooLarge, 431),
        (RefusalKind::VersionNotSupported, 505),
    ];

    #[test]
    fn only_a_client_that_broke_the_rules_reads_the_detail() {
        for kind in RefusalKind::ALL {
            let refusal = Refusal::new(kind, "mp1.corp.example refused the connection");
            let answer = RefusalAnswer::new(&refusal, RequestId::random());
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let told =
                WITH_DETAIL.contains(&(kind, answer.status)).then_some("mp1.corp.example refused the connection");
            assert_eq!(body.get("detail").and_then(|detail| detail.as_str()), told, "{kind:?}: {body}");
            let text = String::from_utf8(answer.closing_bytes().to_vec()).unwrap();
            assert_eq!(text.contains("mp1.corp"), told.is_some(), "an internal name: {text}");
        }
    }
}
