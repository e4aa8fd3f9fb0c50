//! The client towards roles against real TLS servers on loopback that the tests write byte by byte.

mod answers;
mod failures;
mod kept;
mod uploads;

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Patience, Role, RoleCounters, RoleError, RoleExchange, RolePiece, RolePool, RoleRequest};
use crate::fields::{Field, Fields};
use crate::http1::{AnswerHead, BodyLength};
use crate::tls::provider;

const PATIENT: Patience = Patience { answer: Duration::from_secs(30), idle: Duration::from_secs(30) };
const IMPATIENT: Patience = Patience { answer: Duration::from_millis(20), idle: Duration::from_millis(20) };

type Served = tokio_rustls::server::TlsStream<TcpStream>;

/// A listener that plays a role, and what a client needs to reach it.
struct Stage {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    role: Arc<Role>,
    pool: Arc<RolePool>,
    counters: Arc<RoleCounters>,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|server| server.with_no_client_auth()).await
    }

    async fn with(
        client_auth: impl FnOnce(
            rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>,
        ) -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["mp1.test".into()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let server = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let server = client_auth(server).with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let role = Role {
            id: 7,
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            server_name: ServerName::try_from("mp1.test").unwrap(),
            tls: Arc::new(client),
        };
        let counters = Arc::new(RoleCounters::default());
        let pool = RolePool::new(counters.clone());
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(server)), role: Arc::new(role), pool, counters }
    }

    /// The next connection, its handshake done.
    async fn accept(&self) -> Served {
        let (tcp, _) = self.listener.accept().await.unwrap();
        // Otherwise Nagle may hold an answer back, and a close over unread bytes would drop it unsent.
        tcp.set_nodelay(true).unwrap();
        self.acceptor.accept(tcp).await.unwrap()
    }

    fn begin(&self, request: RoleRequest, patience: Patience) -> RoleExchange {
        RoleExchange::begin(&self.pool, &self.role, request, patience)
    }

    /// A whole exchange without a request body.
    async fn get(&self, request: RoleRequest) -> Result<(AnswerHead, Vec<u8>), RoleError> {
        whole(&mut self.begin(request, PATIENT), Vec::new()).await
    }
}

fn request(method: &'static str, body: BodyLength) -> RoleRequest {
    let fields = [Field::new("Host", "mp1.test")].into_iter().collect();
    RoleRequest { method: method.into(), target: "/SMS_MP/.sms_aut?MPLIST".into(), fields, body }
}

fn get() -> RoleRequest {
    request("GET", BodyLength::None)
}

/// Gives the parts and the end as there is room, until the head of the answer has come.
async fn head(exchange: &mut RoleExchange, parts: &mut Vec<Bytes>) -> Result<AnswerHead, RoleError> {
    poll_fn(|cx| {
        feed(exchange, parts, cx);
        exchange.poll_head(cx)
    })
    .await
}

/// The same, and the whole body of the answer.
async fn whole(exchange: &mut RoleExchange, mut parts: Vec<Bytes>) -> Result<(AnswerHead, Vec<u8>), RoleError> {
    parts.reverse();
    let head = head(exchange, &mut parts).await?;
    let mut body = Vec::new();
    loop {
        let piece = poll_fn(|cx| {
            feed(exchange, &mut parts, cx);
            exchange.poll_body(cx)
        });
        match piece.await? {
            RolePiece::Data(data) => body.extend_from_slice(&data),
            RolePiece::End(_) => return Ok((head, body)),
        }
    }
}

/// `parts` is in reverse order.
fn feed(exchange: &mut RoleExchange, parts: &mut Vec<Bytes>, cx: &mut std::task::Context<'_>) {
    while exchange.poll_room(cx) == Poll::Ready(true) {
        match parts.pop() {
            Some(part) => exchange.part(part).unwrap(),
            None => exchange.end(Fields::new()).unwrap(),
        }
    }
}

/// Reads a request's head, byte by byte so that nothing behind it is lost.
async fn read_head(stream: &mut Served) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn write(stream: &mut Served, bytes: &str) {
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// Reads until the client is gone.
async fn until_gone(stream: &mut Served) {
    let mut scrap = [0; 4096];
    while !matches!(stream.read(&mut scrap).await, Ok(0) | Err(_)) {}
}
