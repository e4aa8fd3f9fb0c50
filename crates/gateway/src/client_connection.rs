//! A client's connection after TLS: one exchange after another on HTTP/1.1, many at once on HTTP/2.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use cmg_core::http1::RequestHead;
use cmg_core::limits;
use cmg_core::refusal::RefusalKind;
use cmg_core::tls::TlsStream;
use cmg_core::tls::configs::HTTP2_ALPN;
use h2::server::{Connection, SendResponse};
use h2::{Ping, PingPong, RecvStream};
use http::Request;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::client::Client;
use crate::edge::ClientRequest;
use crate::http1_edge::{HeadEnd, Http1Connection, Http1Exchange};
use crate::http2_edge::{self, ConnectionEnd, Http2Exchange, Lent};
use crate::instance::Worker;
use crate::patience::Patience;
use crate::request_path;

/// Serves the connection to its end. The first head has to come by `deadline`.
pub async fn serve(stream: TlsStream, client: Client, worker: Arc<Worker>, deadline: Instant) {
    let _open = worker.instance.metrics.client_connections.hold();
    if stream.alpn() == Some(HTTP2_ALPN) {
        // Boxed: an HTTP/1.1 connection would hold the room that this one needs.
        Box::pin(serve_http2(stream, Arc::new(client), worker, deadline)).await;
    } else {
        serve_http1(Http1Connection::new(stream, deadline), &client, &worker).await;
    }
}

async fn serve_http1(mut connection: Http1Connection, client: &Client, worker: &Worker) {
    let mut ending = worker.instance.clients.ending();
    let patience = Patience::new(&worker.instance, client);
    loop {
        let head = tokio::select! {
            head = connection.next_head(&patience) => head,
            // A draining gateway goes on reading open connections until its deadline.
            () = &mut ending => Err(HeadEnd::Closed),
        };
        let head = match head {
            Ok(head) => head,
            Err(HeadEnd::Closed) => return,
            Err(HeadEnd::Idle) => return connection.close().await,
            Err(HeadEnd::Refused(refusal)) => {
                let Some(answer) = request_path::refuse_head(worker, client, refusal) else { return };
                return connection.refuse_and_close(&answer).await;
            }
        };
        let keep_alive = head.keep_alive && !worker.instance.clients.is_stopping();
        let mut exchange = Http1Exchange::new(&mut connection, head.body, keep_alive, head.expects_continue);
        request_path::serve(worker, client, client_request(head), &mut exchange, &mut ending).await;
        if exchange.is_cut() {
            return;
        }
        if !exchange.may_continue() {
            return connection.close().await;
        }
    }
}

fn client_request(head: RequestHead) -> ClientRequest {
    let RequestHead { method, target, version: _, host, fields, body, keep_alive: _, expects_continue } = head;
    ClientRequest { method, target, host, fields, body, expects_continue }
}

async fn serve_http2(stream: TlsStream, client: Arc<Client>, worker: Arc<Worker>, deadline: Instant) {
    let (lent, lender) = http2_edge::lend(stream);
    let patience = Patience::new(&worker.instance, &client);
    let parting = serve_streams(lent, Arc::clone(&client), Arc::clone(&worker), deadline, &patience).await;
    if parting == Parting::InOrder {
        let _ = timeout(patience.farewell(), lender.linger()).await;
    }
}

/// How an HTTP/2 connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parting {
    /// Everything was said; the client may still be reading it.
    InOrder,
    Broken,
}

async fn serve_streams(
    stream: Lent,
    client: Arc<Client>,
    worker: Arc<Worker>,
    deadline: Instant,
    patience: &Patience<'_>,
) -> Parting {
    let handshake = http2_edge::settings().handshake(stream);
    let Ok(Ok(mut connection)) = timeout_at(deadline, handshake).await else { return Parting::Broken };
    let tasks = worker.instance.clients.clone();
    let alive = connection.ping_pong().map(|ping_pong| tasks.spawn("http/2 liveness", stays_alive(ping_pong)));
    let mut dead = std::pin::pin!(async {
        match alive {
            Some(alive) => alive.await.unwrap_or_default(),
            None => pending().await,
        }
    });
    let (mut stopping, mut ending) = (tasks.stopping(), tasks.ending());
    let (end, mut end_told) = watch::channel(ConnectionEnd::No);
    let end = Arc::new(end);
    let mut is_stopping = false;
    let mut first_by = Some(deadline);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopping, if !is_stopping => {
                is_stopping = true;
                connection.graceful_shutdown();
                continue;
            }
            () = &mut ending => {
                last_words(connection).await;
                return Parting::InOrder;
            }
            () = &mut dead => return Parting::Broken,
            Ok(()) = end_told.changed() => match *end_told.borrow_and_update() {
                ConnectionEnd::AtOnce => return Parting::Broken,
                ConnectionEnd::Graceful | ConnectionEnd::No => {
                    connection.graceful_shutdown();
                    continue;
                }
            },
            accepted = next_stream(&mut connection, first_by, patience) => accepted,
        };
        first_by = None;
        let (request, respond) = match accepted {
            Ok(Some(stream)) => stream,
            Ok(None) => return Parting::InOrder,
            Err(error) => {
                connection_failed(&worker, &client, &error);
                return Parting::Broken;
            }
        };
        let exchange = serve_stream(request, respond, Arc::clone(&client), Arc::clone(&worker), Arc::clone(&end));
        tasks.spawn("http/2 exchange", exchange).detach();
    }
}

/// The next exchange; `None` when the connection has ended or has been idle for too long. The first one has the time
/// that TLS left.
async fn next_stream(
    connection: &mut Connection<Lent, Bytes>,
    first_by: Option<Instant>,
    patience: &Patience<'_>,
) -> Result<Option<Stream>, h2::Error> {
    let (mut idle_since, mut said_goodbye) = (Instant::now(), false);
    loop {
        let left = if said_goodbye { None } else { patience.left(idle_since) };
        if left.is_none() && !said_goodbye {
            // What the client begins at this moment is served all the same.
            connection.graceful_shutdown();
            said_goodbye = true;
        }
        let deadline = first_by.unwrap_or_else(|| Instant::now() + left.unwrap_or(limits::LINGER));
        match timeout_at(deadline, connection.accept()).await {
            Ok(Some(stream)) => return stream.map(Some),
            Ok(None) => return Ok(None),
            Err(_) if first_by.is_some() => return Ok(None),
            Err(_) if connection.has_streams() => idle_since = Instant::now(),
            Err(_) if said_goodbye => return Ok(None),
            Err(_) => {}
        }
    }
}

/// A connection that broke, or that h2 ended for what came over it: GOAWAY has no room for a code.
fn connection_failed(worker: &Worker, client: &Client, error: &h2::Error) {
    let kind = error.is_library().then_some(RefusalKind::BadRequest);
    let code = worker.instance.metrics.refused_without_answer(kind);
    match code {
        Some(code) => {
            tracing::info!(client_address = client.address_text, code, %error, "an HTTP/2 connection was refused")
        }
        None => tracing::debug!(client_address = client.address_text, %error, "an HTTP/2 connection broke"),
    }
}

type Stream = (Request<RecvStream>, SendResponse<Bytes>);

/// Lets the exchanges that were just ended write why.
async fn last_words(mut connection: Connection<Lent, Bytes>) {
    connection.graceful_shutdown();
    let rest = async { while let Some(Ok(_)) = connection.accept().await {} };
    let _ = timeout(limits::OWN_ANSWER, rest).await;
}

/// Ends when the client answers no ping: a client that vanished would otherwise be held for hours.
async fn stays_alive(mut ping_pong: PingPong) {
    loop {
        sleep(limits::CLIENT_PING_EVERY).await;
        match timeout(limits::CLIENT_PING_TIMEOUT, ping_pong.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

async fn serve_stream(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    client: Arc<Client>,
    worker: Arc<Worker>,
    end: Arc<watch::Sender<ConnectionEnd>>,
) {
    let judged = http2_edge::client_request(&request);
    let awaits_continue = judged.as_ref().is_ok_and(|request| request.expects_continue);
    let mut exchange = Http2Exchange::new(request.into_body(), respond, awaits_continue);
    match judged {
        Ok(request) => {
            let mut ending = worker.instance.clients.ending();
            request_path::serve(&worker, &client, request, &mut exchange, &mut ending).await;
        }
        Err(refusal) => request_path::refuse(&worker, &client, refusal, &mut exchange).await,
    }
    if exchange.connection_end() != ConnectionEnd::No {
        end.send_replace(exchange.connection_end());
    }
}
