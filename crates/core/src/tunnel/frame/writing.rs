//! Parts of an exchange as messages, ready for h2.

use bytes::Bytes;

use super::super::generated as wire;
use super::super::message::{AnswerHead, ClientProof, Lane, Refused, RefusedReason, RequestHead};
use super::super::piece::Piece;
use crate::fields::Fields;

/// The first message of a request: head, first bytes of the body, and its end if that is known already.
pub fn request_piece(head: Option<RequestHead>, data: Bytes, end: Option<Fields>) -> Piece {
    if head.is_none() && end.is_none() {
        return Piece::data(data);
    }
    let part = wire::RequestPart { head: head.map(head_to_wire), end: end.map(end_to_wire), data: Bytes::new() };
    Piece::message(&part, data)
}

/// A message of an answer.
pub fn answer_piece(head: Option<AnswerHead>, data: Bytes, end: Option<Fields>) -> Piece {
    if head.is_none() && end.is_none() {
        return Piece::data(data);
    }
    let head = head.map(|head| wire::ResponseHead {
        status: u32::from(head.status),
        reason: head.reason,
        fields: fields_to_wire(head.fields),
        content_length: head.content_length,
        role_micros: head.role_micros,
    });
    let part = wire::ResponsePart { head, end: end.map(end_to_wire), ..Default::default() };
    Piece::message(&part, data)
}

/// The message that says that the request can no longer be sent again.
pub fn handed_piece() -> Piece {
    Piece::message(&wire::ResponsePart { handed_to_role: true, ..Default::default() }, Bytes::new())
}

/// The message of a refusal.
pub fn refused_piece(refused: Refused) -> Piece {
    let refused = wire::Refused {
        reason: reason_to_wire(refused.reason).into(),
        detail: refused.detail,
        not_started: refused.not_started,
    };
    Piece::message(&wire::ResponsePart { refused: Some(refused), ..Default::default() }, Bytes::new())
}

fn head_to_wire(head: RequestHead) -> wire::RequestHead {
    wire::RequestHead {
        method: head.method,
        target: head.target,
        fields: fields_to_wire(head.fields),
        request_id: head.request_id.to_string(),
        role_id: head.role_id,
        deadline_ms: head.deadline.map_or(0, |deadline| u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX)),
        lane: lane_to_wire(head.lane).into(),
        content_length: head.content_length,
        client_connection: head.client_connection,
        proof: proof_to_wire(head.proof).into(),
        client_chain: head.client_chain,
    }
}

fn fields_to_wire(fields: Fields) -> Vec<wire::Field> {
    fields.into_iter().map(|field| wire::Field { name: field.name, value: field.value }).collect()
}

fn end_to_wire(trailers: Fields) -> wire::End {
    wire::End { trailers: fields_to_wire(trailers) }
}

pub(in crate::tunnel) const fn lane_to_wire(lane: Lane) -> wire::Lane {
    match lane {
        Lane::Interactive => wire::Lane::Interactive,
        Lane::Bulk => wire::Lane::Bulk,
    }
}

const fn proof_to_wire(proof: ClientProof) -> wire::ClientProof {
    match proof {
        ClientProof::Certificate => wire::ClientProof::Certificate,
        ClientProof::Token => wire::ClientProof::Token,
        ClientProof::None => wire::ClientProof::None,
    }
}

const fn reason_to_wire(reason: RefusedReason) -> wire::RefusalReason {
    match reason {
        RefusedReason::NotMapped => wire::RefusalReason::NotMapped,
        RefusedReason::Refused => wire::RefusalReason::Refused,
        RefusedReason::RoleUnreachable => wire::RefusalReason::RoleUnreachable,
        RefusedReason::RoleTlsFailed => wire::RefusalReason::RoleTlsFailed,
        RefusedReason::RoleAborted => wire::RefusalReason::RoleAborted,
        RefusedReason::RoleAnswerInvalid => wire::RefusalReason::RoleAnswerInvalid,
        RefusedReason::RoleTimeout => wire::RefusalReason::RoleTimeout,
        RefusedReason::Draining => wire::RefusalReason::Draining,
        RefusedReason::Full => wire::RefusalReason::Full,
        RefusedReason::RequestAborted => wire::RefusalReason::RequestAborted,
    }
}
