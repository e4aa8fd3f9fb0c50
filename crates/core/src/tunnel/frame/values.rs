//! Values of the wire, checked on their way to types of ours. Nothing is believed.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::super::generated as wire;
use super::super::message::{AnswerHead, ClientProof, Lane, Refused, RefusedReason, RequestHead, short};
use super::FrameError;
use crate::fields::{Field, Fields};
use crate::http1::{valid_field, valid_method, valid_reason};
use crate::limits;
use crate::request_id::RequestId;

pub(in crate::tunnel) fn lane_from_wire(lane: i32) -> Lane {
    match wire::Lane::try_from(lane) {
        Ok(wire::Lane::Bulk) => Lane::Bulk,
        Ok(wire::Lane::Interactive | wire::Lane::Unspecified) | Err(_) => Lane::Interactive,
    }
}

pub(super) fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, FrameError> {
    M::decode(bytes).map_err(|_| FrameError::Malformed("submessage"))
}

pub(super) fn fields(fields: Vec<wire::Field>) -> Result<Fields, FrameError> {
    if fields.len() > 2 * limits::HEAD_FIELDS {
        return Err(FrameError::NotAllowed("number of fields"));
    }
    if fields.iter().any(|field| !valid_field(&field.name, &field.value)) {
        return Err(FrameError::NotAllowed("field"));
    }
    Ok(fields.into_iter().map(|field| Field { name: field.name, value: field.value }).collect())
}

pub(super) fn request_head(head: wire::RequestHead) -> Result<RequestHead, FrameError> {
    if !valid_method(&head.method) {
        return Err(FrameError::NotAllowed("method"));
    }
    if head.client_chain.len() > limits::CLIENT_CERTIFICATES {
        return Err(FrameError::NotAllowed("number of certificates"));
    }
    Ok(RequestHead {
        method: head.method,
        target: head.target,
        fields: fields(head.fields)?,
        request_id: RequestId::parse(&head.request_id).map_err(|_| FrameError::NotAllowed("request id"))?,
        role_id: head.role_id,
        deadline: (head.deadline_ms > 0).then(|| Duration::from_millis(head.deadline_ms.into())),
        lane: lane_from_wire(head.lane),
        content_length: head.content_length,
        client_connection: head.client_connection,
        proof: match wire::ClientProof::try_from(head.proof) {
            Ok(wire::ClientProof::Certificate) => ClientProof::Certificate,
            Ok(wire::ClientProof::Token) => ClientProof::Token,
            Ok(wire::ClientProof::None) => ClientProof::None,
            Ok(wire::ClientProof::Unspecified) | Err(_) => return Err(FrameError::NotAllowed("client proof")),
        },
        client_chain: head.client_chain,
    })
}

pub(super) fn answer_head(head: wire::ResponseHead) -> Result<AnswerHead, FrameError> {
    let status = u16::try_from(head.status).ok().filter(|status| (200..=599).contains(status));
    let status = status.ok_or(FrameError::NotAllowed("status"))?;
    if !valid_reason(&head.reason) {
        return Err(FrameError::NotAllowed("reason phrase"));
    }
    Ok(AnswerHead {
        status,
        reason: head.reason,
        fields: fields(head.fields)?,
        content_length: head.content_length,
        role_micros: head.role_micros,
    })
}

pub(super) fn refused(refused: wire::Refused) -> Refused {
    let reason = match wire::RefusalReason::try_from(refused.reason) {
        Ok(wire::RefusalReason::NotMapped) => RefusedReason::NotMapped,
        Ok(wire::RefusalReason::RoleUnreachable) => RefusedReason::RoleUnreachable,
        Ok(wire::RefusalReason::RoleTlsFailed) => RefusedReason::RoleTlsFailed,
        Ok(wire::RefusalReason::RoleAborted) => RefusedReason::RoleAborted,
        Ok(wire::RefusalReason::RoleAnswerInvalid) => RefusedReason::RoleAnswerInvalid,
        Ok(wire::RefusalReason::RoleTimeout) => RefusedReason::RoleTimeout,
        Ok(wire::RefusalReason::Draining) => RefusedReason::Draining,
        Ok(wire::RefusalReason::Full) => RefusedReason::Full,
        Ok(wire::RefusalReason::RequestAborted) => RefusedReason::RequestAborted,
        Ok(wire::RefusalReason::Refused | wire::RefusalReason::Unspecified) | Err(_) => RefusedReason::Refused,
    };
    let detail = match reason.refusal().detail_is_public() {
        // The client reads it: the words are ours.
        true => "the body of the request broke off, or came too slowly".to_owned(),
        false => short(&refused.detail),
    };
    Refused { reason, detail, not_started: refused.not_started }
}
