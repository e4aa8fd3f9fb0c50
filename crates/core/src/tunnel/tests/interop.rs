//! A plain tonic peer, generated code and hyper's HTTP/2 and nothing of ours, understands our exchanges and is
//! understood, in both roles. Over real sockets and TLS.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::Service;
use tonic::{Status, Streaming};

use super::super::calling::{self, Opening};
use super::super::frame::Event;
use super::super::generated as wire;
use super::super::generated::tunnel_client::TunnelClient;
use super::super::generated::tunnel_server::{Tunnel, TunnelServer};
use super::super::message::{AnswerHead, ClientProof, Lane, RefusedReason, RequestHead};
use super::super::serving::{Part, ServedExchange, serve};
use crate::fields::{Field, Fields};
use crate::request_id::RequestId;
use crate::shutdown::Tasks;
use crate::tls::{self, ClientHello, FlushRule, TlsStream};

/// A connected pair: the end that accepted and the end that dialled.
async fn connected() -> (TlsStream, TlsStream) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["tunnel".to_owned()]).unwrap().self_signed(&key).unwrap().der().clone();
    let (accepting, dialling) = configs(&certificate, &key);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let hello = ClientHello::read(&mut socket, Instant::now() + Duration::from_secs(60)).await.unwrap();
        tls::accept(socket, hello, accepting, FlushRule::EverySecondTurn).await.unwrap()
    };
    let dialled = async {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("tunnel").unwrap();
        tls::connect(socket, name, dialling, FlushRule::EverySecondTurn).await.unwrap()
    };
    tokio::join!(accepted, dialled)
}

fn configs(certificate: &CertificateDer<'static>, key: &KeyPair) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let own = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let server = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], own)
        .unwrap();
    let client = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Long enough for several messages, windows and frames.
fn body() -> Bytes {
    (0..700_000_u32).flat_map(u32::to_be_bytes).collect::<Vec<u8>>().into()
}

/// What both servers add to what they echo.
fn trailers() -> Fields {
    [Field::new("X-Sum", "42")].into_iter().collect()
}

// ---------------------------------------------------------------- tonic as the gateway

/// Hyper's HTTP/2 client as tonic calls it.
#[derive(Clone)]
struct PlainService(hyper::client::conn::http2::SendRequest<tonic::body::Body>);

impl Service<http::Request<tonic::body::Body>> for PlainService {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Our serving end's control call, which this test does not make.
struct NoControl;

type Answers<T> = Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Tunnel for NoControl {
    type ControlStream = Answers<wire::FromConnectionPoint>;
    type ExchangeStream = Answers<wire::ResponsePart>;
    type PassthroughStream = Answers<wire::Bytes>;

    async fn control(
        &self,
        _: tonic::Request<Streaming<wire::FromGateway>>,
    ) -> Result<tonic::Response<Self::ControlStream>, Status> {
        Err(Status::unimplemented("control"))
    }

    async fn exchange(
        &self,
        _: tonic::Request<Streaming<wire::RequestPart>>,
    ) -> Result<tonic::Response<Self::ExchangeStream>, Status> {
        Err(Status::unimplemented("exchange"))
    }

    async fn passthrough(
        &self,
        _: tonic::Request<Streaming<wire::Bytes>>,
    ) -> Result<tonic::Response<Self::PassthroughStream>, Status> {
        Err(Status::unimplemented("passthrough"))
    }
}

/// Sends back what comes, as it comes.
async fn echo(exchange: ServedExchange) {
    let ServedExchange { head, mut body, mut answer } = exchange;
    assert_eq!((&head.method[..], &head.target[..], head.role_id), (&b"CCM_POST"[..], &b"/x?y"[..], 8));
    let head = AnswerHead {
        status: 207,
        reason: Bytes::from_static(b"Multi-Status"),
        fields: head.fields,
        content_length: None,
        role_micros: 5,
    };
    answer.send(Some(head), Bytes::new(), None).unwrap();
    loop {
        match poll_fn(|cx| body.poll_part(cx)).await.unwrap() {
            Part::Data(data) => {
                poll_fn(|cx| answer.poll_room(cx)).await.unwrap();
                answer.send(None, data, None).unwrap();
            }
            Part::End(_) => return answer.send(None, Bytes::new(), Some(trailers())).unwrap(),
        }
    }
}

fn wire_head() -> wire::RequestHead {
    wire::RequestHead {
        method: Bytes::from_static(b"CCM_POST"),
        target: Bytes::from_static(b"/x?y"),
        fields: vec![wire::Field { name: Bytes::from_static(b"ETag"), value: Bytes::from_static(b"\"1\"") }],
        request_id: RequestId::random().to_string(),
        role_id: 8,
        proof: wire::ClientProof::Certificate.into(),
        ..Default::default()
    }
}

/// Raw frames of a connection point that leaves: a stream behind the last one that it takes was not started.
#[tokio::test]
async fn what_a_goaway_leaves_out_was_not_started() {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (here, mut there) = tokio::io::duplex(1 << 16);
    let (caller, connection) = calling::open(here, Arc::default(), Lane::Interactive).await.unwrap();
    let tasks = Tasks::new();
    let _driven = tasks.spawn("connection", async move { drop(connection.await) });
    let mut calling = caller.start(Opening::new(head(), Bytes::new(), Some(Fields::new()))).unwrap();
    there.write_all(&[&SETTINGS[..], &GOAWAY].concat()).await.unwrap();
    let event = poll_fn(|cx| calling.poll_event(cx)).await.unwrap();
    let Event::Refused(refused) = event else { panic!("{event:?}") };
    assert_eq!((refused.reason, refused.not_started), (RefusedReason::Draining, true));
}

#[tokio::test]
async fn a_plain_tonic_client_is_served() {
    let (accepted, dialled) = connected().await;
    let tasks = Tasks::new();
    let serving_tasks = tasks.clone();
    let control = TunnelServer::new(NoControl);
    let served =
        tasks.spawn("tunnel", async move { serve(dialled, Lane::Interactive, &serving_tasks, control, echo).await });
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(accepted)).await.unwrap();
    let _connection = tasks.spawn("client connection", connection);
    let origin = http::Uri::from_static("https://tunnel");
    let mut client = TunnelClient::with_origin(PlainService(sender), origin);

    let (parts, queue) = mpsc::channel(1);
    let sent = body();
    let writer = tasks.spawn("parts", {
        let sent = sent.clone();
        async move {
            let first = wire::RequestPart { head: Some(wire_head()), ..Default::default() };
            parts.send(first).await.unwrap();
            for chunk in sent.chunks(50_000) {
                let data = Bytes::copy_from_slice(chunk);
                parts.send(wire::RequestPart { data, ..Default::default() }).await.unwrap();
            }
            let end = Some(wire::End::default());
            parts.send(wire::RequestPart { end, ..Default::default() }).await.unwrap();
        }
    });
    let mut answer = client.exchange(ReceiverStream::new(queue)).await.unwrap().into_inner();
    let first = answer.message().await.unwrap().unwrap();
    let head = first.head.unwrap();
    assert_eq!((head.status, &head.reason[..]), (207, &b"Multi-Status"[..]));
    assert_eq!(head.fields, wire_head().fields);
    let mut received = first.data.to_vec();
    let mut end = first.end;
    while let Some(part) = answer.message().await.unwrap() {
        received.extend_from_slice(&part.data);
        end = part.end.or(end);
    }
    assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
    assert_eq!(end.unwrap().trailers.len(), 1);
    writer.await.unwrap();
    drop(client);
    assert!(!served.is_finished());
}

// ---------------------------------------------------------------- tonic as the connection point

/// A tonic server that echoes.
struct PlainEcho;

#[tonic::async_trait]
impl Tunnel for PlainEcho {
    type ControlStream = Answers<wire::FromConnectionPoint>;
    type ExchangeStream = Answers<wire::ResponsePart>;
    type PassthroughStream = Answers<wire::Bytes>;

    async fn control(
        &self,
        _: tonic::Request<Streaming<wire::FromGateway>>,
    ) -> Result<tonic::Response<Self::ControlStream>, Status> {
        Err(Status::unimplemented("control"))
    }

    async fn exchange(
        &self,
        request: tonic::Request<Streaming<wire::RequestPart>>,
    ) -> Result<tonic::Response<Self::ExchangeStream>, Status> {
        let parts = request.into_inner().map(|part| {
            let part = part?;
            let head = part.head.map(|head| wire::ResponseHead {
                status: 207,
                reason: Bytes::from_static(b"Multi-Status"),
                fields: head.fields,
                content_length: None,
                role_micros: 5,
            });
            let trailers = vec![wire::Field { name: "X-Sum".into(), value: "42".into() }];
            let end = part.end.map(|_| wire::End { trailers });
            Ok(wire::ResponsePart { head, end, data: part.data, ..Default::default() })
        });
        Ok(tonic::Response::new(Box::pin(parts)))
    }

    async fn passthrough(
        &self,
        _: tonic::Request<Streaming<wire::Bytes>>,
    ) -> Result<tonic::Response<Self::PassthroughStream>, Status> {
        Err(Status::unimplemented("passthrough"))
    }
}

fn head() -> RequestHead {
    RequestHead {
        method: Bytes::from_static(b"CCM_POST"),
        target: Bytes::from_static(b"/x?y"),
        fields: [Field::new("ETag", "\"1\"")].into_iter().collect(),
        request_id: RequestId::random(),
        role_id: 8,
        deadline: None,
        lane: Lane::Interactive,
        content_length: None,
        client_connection: 1,
        proof: ClientProof::Certificate,
        client_chain: Vec::new(),
    }
}

#[tokio::test]
async fn a_plain_tonic_server_is_called() {
    let (accepted, dialled) = connected().await;
    let tasks = Tasks::new();
    let server = TunnelServer::new(PlainEcho);
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let mut server = server.clone();
        async move { Ok::<_, Infallible>(server.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _served = tasks.spawn("server", builder.serve_connection(TokioIo::new(dialled), service));
    let (caller, connection) = calling::open(accepted, Arc::default(), Lane::Interactive).await.unwrap();
    let _connection = tasks.spawn("client connection", connection);

    let sent = body();
    let mut calling = caller.start(Opening::new(head(), Bytes::new(), None)).unwrap();
    let mut chunks = sent.chunks(60_000).map(Bytes::copy_from_slice).collect::<Vec<_>>().into_iter();
    let mut ended = false;
    let mut events = Vec::new();
    let mut received = Vec::new();
    loop {
        let event = poll_fn(|cx| {
            while !ended && calling.poll_room(cx)?.is_ready() {
                let chunk = chunks.next();
                ended = chunk.is_none();
                calling.send(chunk.unwrap_or_default(), ended.then(Fields::new))?;
            }
            calling.poll_event(cx)
        });
        match event.await.unwrap() {
            Event::Data(data) => received.extend_from_slice(&data),
            event => {
                let is_end = matches!(event, Event::End(_));
                events.push(event);
                if is_end {
                    break;
                }
            }
        }
    }
    assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
    let expected = AnswerHead {
        status: 207,
        reason: Bytes::from_static(b"Multi-Status"),
        fields: head().fields,
        content_length: None,
        role_micros: 5,
    };
    assert_eq!(events, [Event::Head(expected), Event::End(trailers())]);
}
