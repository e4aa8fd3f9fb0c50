//! The gateway's end of a tunnel: it calls on a connection that it accepted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

use tokio::io::{AsyncRead, AsyncWrite};

use super::frame::{Answers, Event, request_piece};
use super::grpc::{self, GrpcService};
use super::message::{AnswerHead, Lane, Refused, RefusedReason, RequestHead};
use super::piece::Piece;
use super::receiving::{Receiving, grpc_status};
use super::{TunnelBroken, generated, sending, settings};
use crate::fields::Fields;
use crate::shutdown::Tasks;
use crate::tls::Pulse;

/// The first message of an exchange: head, what there is of the body, and its end if that is known. A clone shares
/// their bytes, so that a request can be sent again.
#[derive(Clone, Debug)]
pub struct Opening {
    piece: Piece,
    has_end: bool,
}

impl Opening {
    pub fn new(head: RequestHead, data: Bytes, end: Option<Fields>) -> Self {
        let has_end = end.is_some();
        Self { piece: request_piece(Some(head), data, end), has_end }
    }
}

/// Starts exchanges on one tunnel. Cheap to clone; usable from any worker, cheapest from its own.
#[derive(Clone)]
pub struct Caller {
    h2: SendRequest<Piece>,
    template: Request<()>,
    pulse: Arc<Pulse>,
}

/// The connection itself. Any end of this future means that the tunnel is lost.
pub type Connection<T> = h2::client::Connection<T, Piece>;

/// Speaks HTTP/2 on an accepted tunnel, whose socket's pulse this is.
pub async fn open<T>(stream: T, pulse: Arc<Pulse>, lane: Lane) -> Result<(Caller, Connection<T>), TunnelBroken>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (h2, connection) = settings::client(lane).handshake(stream).await?;
    Ok((Caller { h2, template: exchange_request(), pulse }, connection))
}

fn exchange_request() -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static("https://tunnel/cmg.tunnel.v1.Tunnel/Exchange");
    let fields: &mut HeaderMap = request.headers_mut();
    fields.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fields.insert(http::header::TE, HeaderValue::from_static("trailers"));
    request
}

impl Caller {
    /// Starts an exchange. An error here proves that nothing was started: its head was handed back unwritten.
    pub fn start(&self, opening: Opening) -> Result<Calling, TunnelBroken> {
        let (answer, mut stream) = self.h2.clone().send_request(self.template.clone(), false)?;
        stream.send_data(opening.piece, opening.has_end)?;
        Ok(Calling { stream, pulse: Arc::clone(&self.pulse), answer: Answer::Awaited(answer), end: None })
    }

    /// The control client of this tunnel. Its pumps belong to `tasks`.
    pub fn control(&self, tasks: &Tasks) -> generated::tunnel_client::TunnelClient<GrpcService> {
        let service = GrpcService::new(self.h2.clone(), tasks.clone());
        generated::tunnel_client::TunnelClient::with_origin(service, Uri::from_static(grpc::ORIGIN))
    }
}

/// One exchange at the gateway. Dropped before its end it resets the stream, which reaches the role.
pub struct Calling {
    stream: SendStream<Piece>,
    pulse: Arc<Pulse>,
    answer: Answer,
    /// The end of the answer, held back until the stream itself has ended.
    end: Option<Fields>,
}

enum Answer {
    Awaited(ResponseFuture),
    Arriving(Receiving<Answers>),
}

impl Calling {
    /// Waits until the tunnel takes another chunk of the body.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TunnelBroken>> {
        sending::poll_room(&mut self.stream, cx)
    }

    /// Sends a chunk of the body, its end, or both; in parts on a slow connection. Call it only when there is room.
    pub fn send(&mut self, mut data: Bytes, end: Option<Fields>) -> Result<(), TunnelBroken> {
        let is_end = end.is_some();
        while let Some(part) = sending::part(&mut data, &self.pulse) {
            self.stream.send_data(request_piece(None, part, None), false)?;
        }
        Ok(self.stream.send_data(request_piece(None, data, end), is_end)?)
    }

    /// The next event of the answer. `End` comes after the stream has ended: an exchange that is over leaves
    /// nothing behind on the connection.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event<AnswerHead>, TunnelBroken>> {
        if let Answer::Awaited(response) = &mut self.answer {
            let (parts, body) = match ready!(Pin::new(response).poll(cx)) {
                Ok(answered) => answered.into_parts(),
                Err(error) => return Poll::Ready(not_taken(&error).map(Event::Refused).ok_or(error.into())),
            };
            grpc_status(&parts.headers)?;
            self.answer = Answer::Arriving(Receiving::new(body));
        }
        let Answer::Arriving(receiving) = &mut self.answer else { return Poll::Pending };
        if self.end.is_none() {
            match ready!(receiving.poll_event(cx))? {
                Event::End(trailers) => self.end = Some(trailers),
                event @ (Event::Head(_) | Event::Data(_) | Event::HandedToRole | Event::Refused(_)) => {
                    return Poll::Ready(Ok(event));
                }
            }
        }
        ready!(receiving.poll_finished(cx))?;
        Poll::Ready(Ok(Event::End(self.end.take().unwrap_or_default())))
    }
}

/// What HTTP/2 itself proves: a stream that was refused, or that came behind the last one that a leaving connection
/// point takes, was not started (RFC 9113, 8.7 and 6.8).
fn not_taken(error: &h2::Error) -> Option<Refused> {
    let (reason, detail) = match error.reason().filter(|_| error.is_remote())? {
        Reason::NO_ERROR if error.is_go_away() => (RefusedReason::Draining, "the connection point has left the tunnel"),
        Reason::REFUSED_STREAM if error.is_reset() => (RefusedReason::Full, "the tunnel takes no more exchanges"),
        _ => return None,
    };
    Some(Refused { reason, detail: detail.to_owned(), not_started: true })
}
