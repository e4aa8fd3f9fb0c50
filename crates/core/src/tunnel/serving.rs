//! The connection point's end of a tunnel: it serves on a connection that it dialled.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::time::timeout;

use super::exchange::Received;
use super::frame::{Event, Requests, answer_piece, handed_piece, refused_piece};
use super::generated::tunnel_server::{Tunnel, TunnelServer};
use super::liveness::ping_when_silent;
use super::message::{AnswerHead, Lane, Refused, RequestHead};
use super::piece::Piece;
use super::receiving::Receiving;
use super::{TunnelBroken, grpc, sending, settings};
use crate::fields::Fields;
use crate::limits;
use crate::shutdown::Tasks;
use crate::tls::{Pulse, TlsStream};

/// The gRPC status of an answer that broke off.
const ABORTED: &str = "10";
const EXCHANGE: &str = "/cmg.tunnel.v1.Tunnel/Exchange";

/// Serves one tunnel until the other end hangs up. Each exchange runs in a task of its own. There is no GOAWAY: h2 would
/// end the connection with the last stream, and what the socket still has to send would be lost with it.
pub async fn serve<T, H, F>(
    mut stream: TlsStream,
    lane: Lane,
    tasks: &Tasks,
    control: TunnelServer<T>,
    handle: H,
) -> Result<(), TunnelBroken>
where
    T: Tunnel,
    H: Fn(ServedExchange) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let pulse = stream.pulse();
    let mut connection = settings::server(lane).handshake::<_, Piece>(stream).await?;
    let mut pinging = std::pin::pin!(ping_when_silent(connection.ping_pong(), Arc::clone(&pulse)));
    loop {
        let accepted = tokio::select! {
            biased;
            never = &mut pinging => match never {},
            accepted = connection.accept() => accepted,
        };
        let Some(accepted) = accepted else { return Ok(()) };
        let (request, respond) = accepted?;
        if request.uri().path() == EXCHANGE {
            let answer = Answering::new(respond, Arc::clone(&pulse));
            tasks.spawn("exchange", serve_exchange(request.into_body(), answer, handle.clone())).detach();
        } else {
            tasks.spawn("control call", grpc::serve(request, respond, control.clone())).detach();
        }
    }
}

async fn serve_exchange<H, F>(body: RecvStream, answer: Answering, handle: H)
where
    H: Fn(ServedExchange) -> F,
    F: Future<Output = ()>,
{
    match timeout(limits::TUNNEL_ESTABLISH, ServedExchange::receive(body, answer)).await {
        Ok(Ok(exchange)) => handle(exchange).await,
        Ok(Err(broken)) => tracing::warn!(error = %broken, "an exchange without a usable head was reset"),
        Err(_) => tracing::warn!("an exchange whose head did not come whole in time was reset"),
    }
}

/// An exchange as the connection point sees it, its head already read and checked.
pub struct ServedExchange {
    pub head: RequestHead,
    pub body: Incoming,
    pub answer: Answering,
}

impl ServedExchange {
    async fn receive(stream: RecvStream, answer: Answering) -> Result<Self, TunnelBroken> {
        let mut receiving = Receiving::new(stream);
        match poll_fn(|cx| receiving.poll_event(cx)).await? {
            Event::Head(head) => Ok(Self { head, body: Incoming { receiving, is_over: false }, answer }),
            event @ (Event::Data(_) | Event::End(_) | Event::HandedToRole | Event::Refused(_)) => {
                Err(event.out_of_place(Received::AwaitHead).into())
            }
        }
    }
}

/// The body of a request.
pub struct Incoming {
    receiving: Receiving<Requests>,
    is_over: bool,
}

/// A part of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    Data(Bytes),
    End(Fields),
}

impl Incoming {
    /// The next part; flow control is credited as it is taken. After `End` there is only `End` again.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, TunnelBroken>> {
        if self.is_over {
            return Poll::Ready(Ok(Part::End(Fields::new())));
        }
        match std::task::ready!(self.receiving.poll_event(cx))? {
            Event::Data(data) => Poll::Ready(Ok(Part::Data(data))),
            Event::End(trailers) => {
                self.is_over = true;
                Poll::Ready(Ok(Part::End(trailers)))
            }
            event @ (Event::Head(_) | Event::HandedToRole | Event::Refused(_)) => {
                Poll::Ready(Err(event.out_of_place(Received::Body).into()))
            }
        }
    }
}

/// The way back. Dropped before its end it resets the stream, so that nothing is taken for complete.
pub struct Answering {
    respond: SendResponse<Piece>,
    stream: Option<SendStream<Piece>>,
    pulse: Arc<Pulse>,
    has_head: bool,
    is_over: bool,
}

impl Answering {
    fn new(respond: SendResponse<Piece>, pulse: Arc<Pulse>) -> Self {
        Self { respond, stream: None, pulse, has_head: false, is_over: false }
    }

    /// A head has been sent: what goes wrong now cannot be refused any more.
    pub fn has_begun(&self) -> bool {
        self.has_head
    }

    /// Waits until the tunnel takes another chunk of at most [`crate::limits::TUNNEL_CHUNK`].
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TunnelBroken>> {
        match &mut self.stream {
            Some(stream) => sending::poll_room(stream, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Sends head, data and end, as much of them as there is, in one message; with an end also the trailers
    /// of the call, so that a small answer leaves in one write. On a slow connection data leaves in parts.
    pub fn send(
        &mut self,
        mut head: Option<AnswerHead>,
        mut data: Bytes,
        end: Option<Fields>,
    ) -> Result<(), TunnelBroken> {
        let is_end = end.is_some();
        self.has_head |= head.is_some();
        while let Some(part) = sending::part(&mut data, &self.pulse) {
            self.send_piece(answer_piece(head.take(), part, None))?;
        }
        self.send_piece(answer_piece(head, data, end))?;
        if is_end { self.finish() } else { Ok(()) }
    }

    /// Tells the gateway that the request can no longer be sent again safely.
    pub fn handed_to_role(&mut self) -> Result<(), TunnelBroken> {
        self.send_piece(handed_piece())
    }

    /// Answers with a refusal in place of a head.
    pub fn refuse(mut self, refused: Refused) -> Result<(), TunnelBroken> {
        self.send_piece(refused_piece(refused))?;
        self.finish()
    }

    /// Ends an answer that cannot be completed. What was sent before arrives first, then the reason; a reset would
    /// overtake it. Before the first byte it is a reset.
    pub fn break_off(mut self, why: &str) {
        let Some(stream) = &mut self.stream else { return };
        let mut trailers = HeaderMap::with_capacity(2);
        trailers.insert("grpc-status", HeaderValue::from_static(ABORTED));
        if let Ok(message) = HeaderValue::from_str(why) {
            trailers.insert("grpc-message", message);
        }
        // An error means that the gateway has given up already.
        self.is_over = stream.send_trailers(trailers).is_ok();
    }

    /// Ready when the gateway has given this exchange up, or the tunnel is gone.
    pub fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.stream {
            Some(stream) => stream.poll_reset(cx).map(|_| ()),
            None => self.respond.poll_reset(cx).map(|_| ()),
        }
    }

    fn send_piece(&mut self, piece: Piece) -> Result<(), TunnelBroken> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(self.respond.send_response(grpc_response(), false)?),
        };
        Ok(stream.send_data(piece, false)?)
    }

    fn finish(&mut self) -> Result<(), TunnelBroken> {
        let Some(stream) = &mut self.stream else { return Err(TunnelBroken::Closed) };
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        stream.send_trailers(trailers)?;
        self.is_over = true;
        Ok(())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.is_over {
            self.respond.send_reset(Reason::CANCEL);
        }
    }
}

fn grpc_response() -> Response<()> {
    let mut response = Response::new(());
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}

/// A control call's request as tonic takes it.
pub(super) type GrpcRequest = Request<RecvStream>;
