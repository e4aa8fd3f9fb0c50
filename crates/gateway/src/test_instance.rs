//! A whole instance without sockets, for tests of the path of a request: one site in force, a client that a test makes,
//! and connection points whose far ends a test plays.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cmg_core::configuration::{Document, Overrides};
use cmg_core::deadline::Deadline;
use cmg_core::fields::Fields;
use cmg_core::http1::BodyLength;
use cmg_core::request_id::RequestId;
use cmg_core::shutdown::{TaskHandle, Tasks};
use cmg_core::tls::Pulse;
use cmg_core::tunnel::calling::{self, Opening};
use cmg_core::tunnel::message::{ClientProof, Lane, RequestHead};
use cmg_core::worker::{WorkerIndex, Workers};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::UnixTime;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use crate::client::Client;
use crate::edge::{BodyError, BodyPart, ClientAnswer, ClientGone, ClientRequest, Edge};
use crate::filter::AllowedRequest;
use crate::instance::Worker;
use crate::program;
use crate::registry::{Newcomer, Process, Registration};
use crate::request_path::serve;
use crate::settings::GatewaySettings;
use crate::test_site::{Authority, SERVICE, authenticated, client, published, role};

/// What a client sees of an exchange.
#[derive(Default)]
pub struct TestEdge {
    /// Where this exchange panics.
    pub panics_in_body: bool,
    pub panics_in_answer: bool,
    /// What it sends, chunk by chunk.
    pub sends: VecDeque<Bytes>,
    /// The last chunk is sent when this tells it to.
    pub last_waits: Option<oneshot::Receiver<()>>,
    /// Then the body never ends, and this tells that the client has left.
    pub leaves: Option<oneshot::Receiver<()>>,
    /// It reads nothing of its answer: either it is given nothing, or what it is given never leaves us.
    pub takes_nothing: bool,
    pub never_flushes: bool,
    /// Its connection ends with this exchange.
    pub is_last: bool,
    pub status: Option<u16>,
    pub fields: Fields,
    pub body: Vec<u8>,
    pub trailers: Fields,
    pub has_ended: bool,
    pub is_cut: bool,
    pub deadline: Option<Deadline>,
}

impl TestEdge {
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.is(name)).map(|field| &field.value[..])
    }
}

impl Edge for TestEdge {
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyPart, BodyError>> {
        assert!(!self.panics_in_body, "a fault of ours");
        if self.sends.len() == 1
            && let Some(waits) = &mut self.last_waits
        {
            ready!(Pin::new(waits).poll(cx)).unwrap();
            self.last_waits = None;
        }
        if let Some(chunk) = self.sends.pop_front() {
            return Poll::Ready(Ok(BodyPart::Data(chunk)));
        }
        let Some(leaves) = &mut self.leaves else { return Poll::Ready(Ok(BodyPart::End(Fields::new()))) };
        Pin::new(leaves).poll(cx).map(|_| Err(BodyError::ClientGone))
    }

    fn take_end(&mut self) -> Option<Fields> {
        None
    }

    fn give_up_body(&mut self) {}

    fn end_connection(&mut self) {
        self.is_last = true;
    }

    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn send_continue(&mut self) -> Result<(), ClientGone> {
        Ok(())
    }

    fn has_answered(&self) -> bool {
        self.status.is_some()
    }

    fn send_head(&mut self, answer: ClientAnswer) -> Result<(), ClientGone> {
        assert!(!self.has_answered(), "two answers to one request");
        (self.status, self.fields) = (Some(answer.status), answer.fields);
        Ok(())
    }

    fn poll_room(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        if self.takes_nothing { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn send_data(&mut self, data: Bytes) -> Result<(), ClientGone> {
        assert!(!self.panics_in_answer, "a fault of ours");
        self.body.extend_from_slice(&data);
        Ok(())
    }

    fn send_end(&mut self, trailers: Fields) -> Result<(), ClientGone> {
        (self.trailers, self.has_ended) = (trailers, true);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        if self.never_flushes { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn deadline(&mut self) -> &mut Deadline {
        self.deadline.get_or_insert_with(|| Deadline::after(Duration::from_secs(60)))
    }

    fn cut(&mut self) {
        self.is_cut = true;
    }
}

/// An instance with one site in force, and connection points which are what a test makes of their far ends.
pub struct TestInstance {
    pub worker: Worker,
    pub trusted: Authority,
    pub client: Client,
    pub points: Vec<TestPoint>,
    pub keeper_tasks: Tasks,
    _workers: Workers,
    _folder: tempfile::TempDir,
}

/// A connection point with one tunnel.
pub struct TestPoint {
    pub tunnel: Registration,
    /// What its socket tells.
    pub pulse: Arc<Pulse>,
    /// Open and silent unless somebody speaks there.
    pub far_end: Option<DuplexStream>,
    /// Ends with the connection.
    pub driven: TaskHandle<()>,
}

impl TestPoint {
    /// Its connection ends, and nobody has noticed yet.
    pub async fn leave(&mut self) {
        self.far_end = Some(tokio::io::duplex(1).0);
        (&mut self.driven).await.unwrap();
    }
}

/// A request without a body, as it leaves on a tunnel.
pub fn opening() -> Opening {
    let head = RequestHead {
        method: Bytes::from_static(b"GET"),
        target: Bytes::from_static(b"/"),
        fields: Fields::new(),
        request_id: RequestId::random(),
        role_id: 5,
        deadline: None,
        lane: Lane::Interactive,
        content_length: None,
        client_connection: 1,
        proof: ClientProof::Certificate,
        client_chain: Vec::new(),
    };
    Opening::new(head, Bytes::new(), Some(Fields::new()))
}

impl TestInstance {
    pub async fn start() -> Self {
        Self::with_points(1).await
    }

    pub async fn with_points(count: usize) -> Self {
        Self::new(count, "").await
    }

    /// These keys are in its `[limits]`.
    pub async fn with_limits(limits: &str) -> Self {
        Self::new(0, limits).await
    }

    async fn new(count: usize, limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), limits);
        let (workers, keeper_tasks) = (Workers::start(1, "test").unwrap(), Tasks::new());
        let instance = program::build(settings, &workers, &keeper_tasks).unwrap();
        let trusted = Authority::root("R");
        instance.published_cell().store(published(&trusted, &[role(5, "management-point", "")]).into());
        let mut points = Vec::new();
        for number in 1..=count {
            let (stream, far_end) = tokio::io::duplex(1024);
            let (caller, driver) = calling::open(stream, Arc::default(), Lane::Interactive).await.unwrap();
            let driven = keeper_tasks.spawn("tunnel", async { drop(driver.await) });
            let identity = format!("cmg:PS1/cp{number}/{number:032x}").parse().unwrap();
            let process = Process { boot_id: [1; 16], started_micros: 0, address: ([127, 0, 0, 1], 443).into() };
            let pulse = Arc::new(Pulse::new());
            let heard = Arc::clone(&pulse);
            let newcomer = Newcomer { lane: Lane::Interactive, caller, pulse: heard, process, max_active: 10 };
            let tunnel = instance.registry.place(identity).register(newcomer).unwrap_or_else(|_| panic!("sent away"));
            points.push(TestPoint { tunnel, pulse, far_end: Some(far_end), driven });
        }
        let worker = Worker { index: WorkerIndex(0), instance };
        let client = client([trusted.leaf("device")]);
        Self { worker, client, trusted, points, keeper_tasks, _workers: workers, _folder: folder }
    }

    pub async fn serve(&self, method: &'static str, target: &'static str, edge: TestEdge) -> TestEdge {
        self.serve_with(Fields::new(), method, target, edge).await
    }

    pub async fn serve_with(
        &self,
        fields: Fields,
        method: &'static str,
        target: &'static str,
        mut edge: TestEdge,
    ) -> TestEdge {
        let request = ClientRequest {
            method: Bytes::from_static(method.as_bytes()),
            target: Bytes::from_static(target.as_bytes()),
            host: Some(Bytes::from_static(SERVICE.as_bytes())),
            fields,
            body: BodyLength::Chunked,
            expects_continue: false,
        };
        serve(&self.worker, &self.client, request, &mut edge, &mut Tasks::new().ending()).await;
        edge
    }

    /// A request that may be sent, of this instance's client.
    pub fn allowed(&self, method: &str, target: &str) -> AllowedRequest {
        let request = authenticated(&self.worker.instance.published(), target, &self.client);
        AllowedRequest::filter(request, method.as_bytes(), BodyLength::Chunked, u64::MAX, Instant::now()).unwrap()
    }

    /// Of all series of a metric.
    pub fn sum(&self, metric: &str) -> u64 {
        let rendered = self.worker.instance.metrics.registry.render();
        let series = rendered.lines().filter(|line| line.starts_with(metric));
        series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    pub fn metric(&self, line: &str) -> bool {
        self.worker.instance.metrics.registry.render().lines().any(|said| said == line)
    }
}

/// A gateway's file that holds everything by itself or beside it.
fn settings(folder: &std::path::Path, limits: &str) -> GatewaySettings {
    use std::os::unix::fs::PermissionsExt;
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.pem", &params.self_signed(&key).unwrap().pem());
    let authority = Issuer::new(params, key);
    let (params, key) = (CertificateParams::new([SERVICE.to_owned()]).unwrap(), KeyPair::generate().unwrap());
    write("own.pem", &params.signed_by(&key, &authority).unwrap().pem());
    write("own.key", &key.serialize_pem());
    let own = "certificate = \"own.pem\"\nkey = \"own.key\"\n";
    let text = format!(
        "[instance]\nname = \"gw-1\"\nstate_directory = '{}'\n[listen]\nclient = [\"127.0.0.1:0\"]\n\
         [tunnel]\nca = \"ca.pem\"\n{own}[[services]]\nname = \"{SERVICE}\"\n{own}[log]\nformat = \"json\"\n\
         [limits]\n{limits}\n",
        folder.display()
    );
    let document = Document::parse("gateway.toml", &text, Some(folder), Overrides::none()).unwrap();
    GatewaySettings::read(document, UnixTime::now()).unwrap_or_else(|problems| panic!("{problems}"))
}
