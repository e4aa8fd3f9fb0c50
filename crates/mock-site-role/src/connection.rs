//! One connection: requests go to hyper through the tap, or to a raw behaviour that has the socket for
//! itself and may give it back.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::PoisonError;

use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::behaviour::Wish;
use crate::normal::{self, Ask, RequestBody, Witnessed};
use crate::raw::{self, RawConnection};
use crate::role::Link;
use crate::tap::{Asked, Tap, Waiting};
use crate::wire::RawHead;

pub type Socket = TlsStream<TcpStream>;

/// Serves until either end has had enough.
pub async fn serve(socket: Socket, link: Link) {
    let is_http2 = socket.get_ref().1.alpn_protocol() == Some(b"h2");
    let served = if is_http2 { serve_http2(socket, &link).await } else { serve_http1(socket, &link).await };
    if let Err(error) = served {
        tracing::debug!(listener = link.peer.listener, connection = link.peer.connection, %error, "a connection broke");
    }
}

async fn serve_http1(mut socket: Socket, link: &Link) -> Result<(), hyper::Error> {
    let mut unread = BytesMut::new();
    loop {
        let tap = serve_normal(Tap::new(socket, unread, link.clone()), link).await?;
        let Some((stream, rest, taken)) = tap.finish().await else { return Ok(()) };
        let connection = RawConnection::new(stream, rest, taken.framing, taken.asked.seen.clone());
        match raw::run(connection, &taken.asked, link).await {
            Ok(Some(again)) if !link.role.tasks.is_stopping() => (socket, unread) = again.into_parts(),
            Ok(_) => return Ok(()),
            Err(error) => {
                tracing::debug!(listener = link.peer.listener, %error, "a raw behaviour ended early");
                return Ok(());
            }
        }
    }
}

/// Lets hyper serve until it has had enough, or a request is kept back.
async fn serve_normal(tap: Tap<Socket>, link: &Link) -> Result<Tap<Socket>, hyper::Error> {
    let waiting = tap.waiting();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let asked = next(&waiting);
        let (link, request) = (link.clone(), request.map(RequestBody::recorded_by_tap));
        Box::pin(async move {
            // Without an entry hyper has seen a request that the tap has not: the tap is wrong.
            let asked = asked.ok_or_else(|| io::Error::other("a request that was not seen on the wire"))?;
            normal::answer(Ask { asked, request, link }).await
        })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(tap), service);
    let mut stopping = pin!(link.role.tasks.stopping());
    let mut is_stopping = false;
    poll_fn(|cx| {
        if !is_stopping && stopping.as_mut().poll(cx).is_ready() {
            is_stopping = true;
            std::pin::Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await?;
    Ok(connection.into_parts().io.into_inner())
}

fn next(waiting: &Waiting) -> Option<Asked> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// HTTP/2 has no bytes to take down: the head is written as HTTP/1.1 would write it.
async fn serve_http2(socket: Socket, link: &Link) -> Result<(), hyper::Error> {
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let link = link.clone();
        async move { Ok::<_, Infallible>(answer_http2(request, link).await) }
    });
    let executor = Executor(link.clone());
    let mut connection = pin!(http2::Builder::new(executor).serve_connection(TokioIo::new(socket), service));
    tokio::select! {
        served = connection.as_mut() => return served,
        () = link.role.tasks.stopping() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

async fn answer_http2(request: hyper::Request<Incoming>, link: Link) -> hyper::Response<Witnessed> {
    let mut head = format!("{} {} HTTP/2\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let head = RawHead::parse(head.into());
    let wish = Wish::of(&head);
    let name = wish.as_ref().map_or("unknown", |wish| wish.behaviour.name());
    let seen = link.role.ledger.begin(&head, &link.peer, name);
    let request = request.map(|body| RequestBody::recorded(body, seen.clone()));
    let asked = Asked { head, wish, seen: seen.clone() };
    match normal::answer(Ask { asked, request, link }).await {
        Ok(answer) => answer,
        Err(error) => normal::failed(&error, seen),
    }
}

/// Runs what hyper wants to run as tasks of the role.
#[derive(Clone)]
struct Executor(Link);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.role.tasks.spawn("http/2 stream", future).detach();
    }
}
