//! What came in, told or sent back.

use std::io;

use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use serde_json::json;

use super::{Answer, Ask, streamed, told};
use crate::ledger::fields;
use crate::wire::latin1;

/// Reads the whole body and tells what came.
pub async fn echo(ask: Ask) -> io::Result<Answer> {
    let Ask { asked, request, link } = ask;
    request.into_body().read_to_end().await?;
    let body = asked.seen.body();
    Ok(told(
        StatusCode::OK,
        &json!({
            "method": latin1(&asked.head.method), "target": latin1(&asked.head.target),
            "version": latin1(&asked.head.version), "fields": fields(&asked.head),
            "body_length": body.as_ref().map(|body| body.length),
            "body_sha256": body.as_ref().map(|body| &body.sha256),
            "body_complete": body.as_ref().map(|body| body.complete),
            "listener": link.peer.listener, "connection": link.peer.connection,
            "server_name": link.peer.server_name, "client_certificate_sha256": link.peer.certificate,
        }),
    ))
}

/// Sends the body back while it comes.
pub fn mirror(ask: Ask) -> Answer {
    let length = ask.request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let trailer = ask.request.headers().get("trailer").cloned();
    let mut answer = streamed(ask.request.into_body().boxed_unsync(), length);
    if let Some(trailer) = trailer {
        answer.headers_mut().insert("trailer", trailer);
    }
    answer
}
