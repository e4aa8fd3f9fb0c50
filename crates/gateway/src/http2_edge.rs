//! HTTP/2 with clients: streams in, exchanges out, with the limits that the internet needs. h2's guards against
//! floods stay at their defaults here.

mod lent;

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use cmg_core::deadline::Deadline;
use cmg_core::fields::{Field, Fields};
use cmg_core::http1::{BodyLength, valid_field, valid_host, valid_method};
use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};

use crate::edge::{BodyError, BodyPart, ClientAnswer, ClientAnswerBody, ClientGone, ClientRequest, Edge};

pub use lent::{Lent, lend};

/// What a connection from the internet may take of us.
pub fn settings() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits::HTTP2_STREAMS)
        // Twice of what we take: what h2 refuses by itself it refuses without a code.
        .max_header_list_size(2 * limits::REQUEST_HEAD as u32)
        .initial_window_size(limits::CLIENT_STREAM_WINDOW)
        .initial_connection_window_size(limits::CLIENT_CONNECTION_WINDOW)
        .max_send_buffer_size(limits::TUNNEL_SEND_BUFFER);
    builder
}

/// A request as the path takes it, or the refusal of what HTTP/2 itself lets pass.
pub fn client_request(request: &Request<RecvStream>) -> Result<ClientRequest, Refusal> {
    let bad = |detail: &str| Refusal::new(RefusalKind::BadRequest, detail);
    let uri = request.uri();
    let target = uri.path_and_query().map(|target| Bytes::copy_from_slice(target.as_str().as_bytes()));
    let target = target.ok_or_else(|| bad("the request has no :path"))?;
    if target.len() > limits::REQUEST_TARGET {
        return Err(Refusal::new(RefusalKind::UriTooLong, "the request target is too long"));
    }
    let mut fields: Fields = request.headers().iter().map(|(name, value)| field(name, value)).collect();
    join_cookies(&mut fields);
    if target.len() + fields.wire_length() > limits::REQUEST_HEAD {
        return Err(Refusal::new(RefusalKind::HeaderTooLarge, "the head is too long"));
    }
    if fields.len() > limits::HEAD_FIELDS {
        return Err(Refusal::new(RefusalKind::HeaderTooLarge, "the head has too many fields"));
    }
    if fields.iter().any(|field| !valid_field(&field.name, &field.value)) {
        return Err(bad("a field value holds a control byte, or begins or ends with a blank; remove it"));
    }
    if !valid_method(request.method().as_str().as_bytes()) {
        return Err(bad(&format!("the method is not a token of at most {} bytes", limits::METHOD)));
    }
    let authority = uri.authority().map(|authority| Bytes::copy_from_slice(authority.as_str().as_bytes()));
    let hosts: Vec<&Bytes> = fields.all("host").collect();
    let host = match (authority, hosts.as_slice()) {
        (Some(authority), [host]) if !host.eq_ignore_ascii_case(&authority) => {
            return Err(bad("Host and :authority differ"));
        }
        (Some(authority), [] | [_]) => Some(authority),
        (None, [host]) => Some((*host).clone()),
        (None, []) => None,
        (_, [_, _, ..]) => return Err(bad("more than one Host")),
    };
    if host.as_ref().is_some_and(|host| !valid_host(host)) {
        return Err(bad(":authority or Host is not one host name or address with an optional port; write only that"));
    }
    Ok(ClientRequest {
        method: Bytes::copy_from_slice(request.method().as_str().as_bytes()),
        target,
        host,
        body: body_length(request, &fields)?,
        expects_continue: fields.first("expect").is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")),
        fields,
    })
}

/// HTTP/2 may carry a cookie in pieces; HTTP/1.1 has one field for it (RFC 9113 section 8.2.3).
fn join_cookies(fields: &mut Fields) {
    if fields.all("cookie").nth(1).is_none() {
        return;
    }
    let pieces: Vec<&[u8]> = fields.all("cookie").map(AsRef::as_ref).collect();
    let whole = Bytes::from(pieces.join(&b"; "[..]));
    fields.retain(|field| !field.is("cookie"));
    fields.push(Field::new("cookie", whole));
}

/// Trailers as a tunnel takes them, and HTTP/1.1.
fn judged_trailers(trailers: HeaderMap) -> Result<Fields, Refusal> {
    let trailers: Fields = trailers.iter().map(|(name, value)| field(name, value)).collect();
    let why = match trailers.len() > limits::HEAD_FIELDS {
        true => "there are too many trailers",
        false if trailers.iter().all(|field| valid_field(&field.name, &field.value)) => return Ok(trailers),
        false => "a trailer holds a control byte, or begins or ends with a blank; remove it",
    };
    Err(Refusal::new(RefusalKind::BadRequest, why))
}

fn field(name: &HeaderName, value: &HeaderValue) -> Field {
    Field::new(Bytes::copy_from_slice(name.as_str().as_bytes()), Bytes::copy_from_slice(value.as_bytes()))
}

/// h2 checks that a declared length is kept; here only that there is one meaning.
fn body_length(request: &Request<RecvStream>, fields: &Fields) -> Result<BodyLength, Refusal> {
    let bad = |detail: &str| Refusal::new(RefusalKind::BadRequest, detail);
    let mut lengths = fields.all("content-length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(bad("more than one Content-Length"));
    }
    let Some(length) = length else {
        return Ok(if request.body().is_end_stream() { BodyLength::None } else { BodyLength::Chunked });
    };
    let digits = std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).map(BodyLength::Known).ok_or_else(|| bad("Content-Length is no number"))
}

/// One exchange on an HTTP/2 connection.
pub struct Http2Exchange {
    body: RecvStream,
    respond: SendResponse<Bytes>,
    stream: Option<SendStream<Bytes>>,
    awaits_continue: bool,
    /// What h2 gave in one piece and is longer than a chunk.
    held: Bytes,
    body_ended: bool,
    /// Of the answer, what the client has no room for yet.
    unsent: Bytes,
    /// They follow what is unsent.
    trailers: Fields,
    answer_ended: bool,
    /// Of an answer of a known length, what is still to come.
    owed: Option<u64>,
    deadline: Deadline,
    end: ConnectionEnd,
}

/// What an exchange makes of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    No,
    /// What runs may finish.
    Graceful,
    AtOnce,
}

impl Http2Exchange {
    pub fn new(body: RecvStream, respond: SendResponse<Bytes>, awaits_continue: bool) -> Self {
        Self {
            body,
            respond,
            stream: None,
            awaits_continue,
            held: Bytes::new(),
            body_ended: false,
            unsent: Bytes::new(),
            trailers: Fields::new(),
            answer_ended: false,
            owed: None,
            deadline: Deadline::after(limits::HEAD_TIMEOUT),
            end: ConnectionEnd::No,
        }
    }

    pub fn connection_end(&self) -> ConnectionEnd {
        self.end
    }

    /// A small frame's data, joined with what has arrived behind it: the tunnel pays for each piece.
    fn joined(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        if first.len() >= limits::SMALL_CHUNK || self.body.is_end_stream() {
            return first;
        }
        let mut joined = BytesMut::from(first);
        // The end and any fault are found again.
        while joined.len() < limits::SMALL_CHUNK
            && let Poll::Ready(Some(Ok(data))) = self.body.poll_data(cx)
            && self.body.flow_control().release_capacity(data.len()).is_ok()
        {
            joined.extend_from_slice(&data);
        }
        joined.freeze()
    }

    /// Gives h2 what the client has room for, and no more: h2 would keep it when this exchange is over, and with it
    /// its deadline, its place and its share.
    fn push(&mut self) -> Result<(), h2::Error> {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.unsent.is_empty()) else { return Ok(()) };
        stream.reserve_capacity(self.unsent.len());
        let data = self.unsent.split_to(stream.capacity().min(self.unsent.len()));
        let ends = self.answer_ended && self.unsent.is_empty();
        if data.is_empty() {
            return Ok(());
        }
        stream.send_data(data, ends && self.trailers.is_empty())?;
        if !ends || self.trailers.is_empty() { Ok(()) } else { stream.send_trailers(header_map(&self.trailers)) }
    }

    /// Until h2 has all of it.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        loop {
            self.push().map_err(|_| ClientGone)?;
            let Some(stream) = self.stream.as_mut().filter(|_| !self.unsent.is_empty()) else {
                return Poll::Ready(Ok(()));
            };
            if !matches!(ready!(stream.poll_capacity(cx)), Some(Ok(_))) {
                return Poll::Ready(Err(ClientGone));
            }
        }
    }

    fn held_chunk(&mut self) -> BodyPart {
        let length = self.held.len().min(limits::TUNNEL_CHUNK);
        BodyPart::Data(self.held.split_to(length))
    }
}

impl Edge for Http2Exchange {
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyPart, BodyError>> {
        if !self.held.is_empty() {
            return Poll::Ready(Ok(self.held_chunk()));
        }
        while !self.body_ended {
            let Some(data) = ready!(self.body.poll_data(cx)) else { break };
            let data = data.map_err(|_| BodyError::ClientGone)?;
            self.body.flow_control().release_capacity(data.len()).map_err(|_| BodyError::ClientGone)?;
            if !data.is_empty() {
                self.held = self.joined(data, cx);
                return Poll::Ready(Ok(self.held_chunk()));
            }
        }
        if self.body_ended {
            return Poll::Ready(Ok(BodyPart::End(Fields::new())));
        }
        let trailers = ready!(self.body.poll_trailers(cx)).map_err(|_| BodyError::ClientGone)?;
        self.body_ended = true;
        Poll::Ready(judged_trailers(trailers.unwrap_or_default()).map(BodyPart::End).map_err(BodyError::Refused))
    }

    fn take_end(&mut self) -> Option<Fields> {
        if !self.held.is_empty() || !self.body.is_end_stream() {
            return None;
        }
        self.body_ended = true;
        Some(Fields::new())
    }

    fn give_up_body(&mut self) {
        // Its stream ends with the answer, and no other with it.
        self.held = Bytes::new();
    }

    fn end_connection(&mut self) {
        self.end = ConnectionEnd::Graceful;
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.stream {
            Some(stream) => stream.poll_reset(cx).map(|_| ()),
            None => self.respond.poll_reset(cx).map(|_| ()),
        }
    }

    fn send_continue(&mut self) -> Result<(), ClientGone> {
        if !std::mem::take(&mut self.awaits_continue) {
            return Ok(());
        }
        let mut interim = Response::new(());
        *interim.status_mut() = http::StatusCode::CONTINUE;
        self.respond.send_informational(interim).map_err(|_| ClientGone)
    }

    fn has_answered(&self) -> bool {
        self.stream.is_some()
    }

    fn send_head(&mut self, answer: ClientAnswer) -> Result<(), ClientGone> {
        let mut response = Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(answer.status).map_err(|_| ClientGone)?;
        *response.headers_mut() = header_map(&answer.fields);
        let length = match answer.body {
            ClientAnswerBody::Nothing { told_length } => told_length,
            ClientAnswerBody::Known(length) => Some(length),
            ClientAnswerBody::Streamed => None,
        };
        if let Some(length) = length {
            response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let ends = matches!(answer.body, ClientAnswerBody::Nothing { .. } | ClientAnswerBody::Known(0));
        self.stream = Some(self.respond.send_response(response, ends).map_err(|_| ClientGone)?);
        self.answer_ended = ends;
        self.owed = length.filter(|_| !ends);
        Ok(())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        self.poll_push(cx)
    }

    fn send_data(&mut self, data: Bytes) -> Result<(), ClientGone> {
        if self.answer_ended || self.stream.is_none() {
            return Err(ClientGone);
        }
        if let Some(owed) = &mut self.owed {
            *owed = owed.saturating_sub(data.len() as u64);
            // The end travels with the last data.
            self.answer_ended = *owed == 0;
        }
        self.unsent = data;
        self.push().map_err(|_| ClientGone)
    }

    fn send_end(&mut self, trailers: Fields) -> Result<(), ClientGone> {
        if std::mem::replace(&mut self.answer_ended, true) {
            return Ok(());
        }
        let stream = self.stream.as_mut().ok_or(ClientGone)?;
        if !self.unsent.is_empty() {
            self.trailers = trailers;
            return Ok(());
        }
        if trailers.is_empty() {
            return stream.send_data(Bytes::new(), true).map_err(|_| ClientGone);
        }
        stream.send_trailers(header_map(&trailers)).map_err(|_| ClientGone)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        // The connection's own task writes.
        self.poll_push(cx)
    }

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }

    fn cut(&mut self) {
        if self.owed == Some(0) && self.unsent.is_empty() {
            // All of it is on its way, and the client can tell.
            return;
        }
        self.answer_ended = true;
        self.unsent = Bytes::new();
        if self.end == ConnectionEnd::Graceful {
            self.end = ConnectionEnd::AtOnce;
        }
        match &mut self.stream {
            Some(stream) => stream.send_reset(Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }
}

/// Fields that HTTP/2 cannot carry are left out; they were checked for syntax long before.
fn header_map(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(&field.name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(field.value.clone())) {
            map.append(name, value);
        }
    }
    map
}

#[cfg(test)]
mod tests;
