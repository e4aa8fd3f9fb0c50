//! Tonic on a tunnel's own HTTP/2 connection, for the calls that are not on the path of a request: its
//! client over our h2 handle, its server over our accepted streams.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use http_body::{Body, Frame};
use tonic::codegen::{Service, StdError};

use super::generated::tunnel_server::{Tunnel, TunnelServer};
use super::piece::Piece;
use super::sending;
use super::serving::GrpcRequest;
use crate::shutdown::Tasks;

/// Without an origin tonic's client cannot build a request.
pub const ORIGIN: &str = "https://tunnel";

/// What tonic's client calls.
#[derive(Clone)]
pub struct GrpcService {
    h2: SendRequest<Piece>,
    tasks: Tasks,
}

impl GrpcService {
    pub fn new(h2: SendRequest<Piece>, tasks: Tasks) -> Self {
        Self { h2, tasks }
    }
}

type CallFuture = Pin<Box<dyn Future<Output = Result<Response<GrpcBody>, h2::Error>> + Send>>;

impl Service<Request<tonic::body::Body>> for GrpcService {
    type Response = Response<GrpcBody>;
    type Error = h2::Error;
    type Future = CallFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        self.h2.poll_ready(cx)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> CallFuture {
        let (parts, body) = request.into_parts();
        match self.h2.send_request(Request::from_parts(parts, ()), false) {
            Ok((response, stream)) => {
                let pump = self.tasks.spawn("control call", async move { pump(body, stream).await });
                Box::pin(async move {
                    let response = response.await?;
                    Ok(response.map(|stream| GrpcBody { stream, _pump: Some(pump) }))
                })
            }
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }
}

/// Serves one call that is not an exchange.
pub async fn serve<T: Tunnel>(request: GrpcRequest, mut respond: SendResponse<Piece>, mut server: TunnelServer<T>) {
    let request = request.map(|stream| GrpcBody { stream, _pump: None });
    let Ok(response) = server.call(request).await;
    let (parts, body) = response.into_parts();
    let ends_now = body.is_end_stream();
    if let Ok(stream) = respond.send_response(Response::from_parts(parts, ()), ends_now)
        && !ends_now
    {
        pump(body, stream).await;
    }
}

/// Moves a body of tonic's into a stream, with back-pressure.
async fn pump(body: tonic::body::Body, mut stream: SendStream<Piece>) {
    let mut body = std::pin::pin!(body);
    while let Some(frame) = next_frame(&mut body, &mut stream).await {
        let Ok(frame) = frame else { return stream.send_reset(Reason::INTERNAL_ERROR) };
        match frame.into_data() {
            Ok(data) => {
                let room = poll_fn(|cx| sending::poll_room(&mut stream, cx)).await;
                if room.is_err() || stream.send_data(Piece::raw(data), false).is_err() {
                    return;
                }
            }
            Err(frame) => {
                let _ = frame.into_trailers().map(|trailers| stream.send_trailers(trailers));
                return;
            }
        }
    }
    let _ = stream.send_data(Piece::default(), true);
}

/// The next frame of the body, or `None` when the body or the other end has ended.
async fn next_frame(
    body: &mut Pin<&mut tonic::body::Body>,
    stream: &mut SendStream<Piece>,
) -> Option<Result<Frame<Bytes>, tonic::Status>> {
    poll_fn(|cx| match body.as_mut().poll_frame(cx) {
        Poll::Ready(frame) => Poll::Ready(frame),
        Poll::Pending => stream.poll_reset(cx).map(|_| None),
    })
    .await
}

/// A received stream as a body that tonic can read. The pump of the other direction ends with it.
pub struct GrpcBody {
    stream: RecvStream,
    _pump: Option<crate::shutdown::TaskHandle<()>>,
}

impl Body for GrpcBody {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        if let Some(data) = ready!(self.stream.poll_data(cx)) {
            let data = data?;
            self.stream.flow_control().release_capacity(data.len())?;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(self.stream.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}
