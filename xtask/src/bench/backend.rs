//! The site role of the measurement: a small HTTPS server in a process of its own, the same for every contestant.
//! Answers `/` and `/1k` with 1 KiB, `/bytes/N` with N bytes, and a POST to `/sink` with the number of bytes that arrived.
//! It prints its address and ends with its standard input.

use std::convert::Infallible;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::job::SMALL_ANSWER;
use super::keys;

/// As long as the largest TLS write that rustls queues at once.
static CHUNK: [u8; 64 * 1024] = [b'c'; 64 * 1024];

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(long)]
    certificate: PathBuf,
    #[arg(long)]
    key: PathBuf,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(keys::server(&arguments.certificate, &arguments.key)?));
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(acceptor))
}

async fn serve(acceptor: TlsAcceptor) -> anyhow::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    println!("{}", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.context("accepting a connection")?;
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(acceptor.clone(), socket));
    }
}

async fn connection(acceptor: TlsAcceptor, socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    if let Ok(stream) = acceptor.accept(socket).await {
        let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}

async fn answer(request: Request<Incoming>) -> Response<Content> {
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::GET | &Method::HEAD, "/" | "/1k") => {
            Response::new(Content::of(Bytes::from_static(&CHUNK), SMALL_ANSWER as u64))
        }
        (&Method::POST, "/sink") => sink(request.into_body()).await,
        (&Method::GET, path) => match path.strip_prefix("/bytes/").and_then(|digits| digits.parse().ok()) {
            Some(length) => Response::new(Content::of(Bytes::from_static(&CHUNK), length)),
            None => refusal(),
        },
        _ => refusal(),
    }
}

/// A body that broke off is not counted: the answer names what arrived, and the load generator compares.
async fn sink(mut body: Incoming) -> Response<Content> {
    let mut received = 0_u64;
    while let Some(Ok(frame)) = body.frame().await {
        received += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    let text = Bytes::from(received.to_string());
    let length = text.len() as u64;
    Response::new(Content::of(text, length))
}

fn refusal() -> Response<Content> {
    let mut response = Response::new(Content::of(Bytes::new(), 0));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// The same piece of memory again and again until `left` bytes were given.
struct Content {
    piece: Bytes,
    left: u64,
}

impl Content {
    fn of(piece: Bytes, left: u64) -> Self {
        Content { piece, left }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = self.left.min(self.piece.len() as u64);
        self.left -= length;
        Poll::Ready(Some(Ok(Frame::data(self.piece.slice(..length as usize)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
