//! What is known about an exchange while it runs, and the one log line and the counts that are made of it at
//! its end. Never a secret, never a body; the query is left out because it may hold one.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use cmg_core::logs;
use cmg_core::metrics::Held;
use cmg_core::refusal::RefusalKind;
use cmg_core::request_id::RequestId;
use cmg_core::tls::identity::TunnelIdentity;
use cmg_core::tunnel::message::AnswerHead;
use tokio::time::Instant;
use tracing::Level;

use crate::attempt::{Attempt, SentAgain};
use crate::client::Client;
use crate::edge::ClientRequest;
use crate::instance::Worker;
use crate::published::PublishedRoute;
use crate::registry::Lease;
use crate::relay::{Passed, Stop};
use crate::selection::Selection;

pub struct ExchangeRecord<'a> {
    worker: &'a Worker,
    client: &'a Client,
    request_id: RequestId,
    started: Instant,
    method: Bytes,
    target: Bytes,
    route: Option<Arc<PublishedRoute>>,
    connection_point: Option<Arc<TunnelIdentity>>,
    sent_again: Option<SentAgain>,
    status: u16,
    to_head: Option<Duration>,
    at_role: Option<Duration>,
    _running: Held,
}

impl<'a> ExchangeRecord<'a> {
    pub fn start(worker: &'a Worker, client: &'a Client, request: &ClientRequest) -> Self {
        let (method, target) = (request.method.clone(), request.target.clone());
        Self { method, target, ..Self::without_request(worker, client) }
    }

    /// Of something that could not be read as a request.
    pub fn without_request(worker: &'a Worker, client: &'a Client) -> Self {
        Self {
            worker,
            client,
            request_id: RequestId::random(),
            started: Instant::now(),
            method: Bytes::new(),
            target: Bytes::new(),
            route: None,
            connection_point: None,
            sent_again: None,
            status: 0,
            to_head: None,
            at_role: None,
            _running: worker.instance.metrics.exchanges_running.hold(),
        }
    }

    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    pub fn selected(&mut self, selection: &Selection) {
        self.route = Some(Arc::clone(selection.route()));
    }

    pub fn leased(&mut self, lease: &Lease) {
        self.connection_point = Some(Arc::clone(&lease.tunnel().identity));
    }

    /// The request may have been sent to a second connection point.
    pub fn attempted(&mut self, attempt: &Attempt<'_>) {
        if let Some(again) = attempt.again() {
            self.leased(attempt.lease());
            self.sent_again = Some(again);
        }
    }

    pub fn head_arrived(&mut self, answer: &AnswerHead) {
        self.status = answer.status;
        self.to_head = Some(self.started.elapsed());
        self.at_role = Some(Duration::from_micros(answer.role_micros.into()));
    }

    /// No role answers this one, but we do.
    pub fn answered_by_us(&mut self, status: u16) {
        self.status = status;
    }

    /// Counts the exchange and logs its one line.
    pub fn end(self, ended: &Result<(), Stop>, passed: &Passed) {
        let total = self.started.elapsed();
        let (outcome, code, detail) = match ended {
            Ok(()) => ("answered", None, None),
            Err(Stop::Refused(refusal)) => ("refused", Some(refusal.kind), Some(refusal.detail.as_str())),
            Err(Stop::Cut(refusal)) => ("cut", Some(refusal.kind), Some(refusal.detail.as_str())),
            Err(Stop::ClientGone) => ("client gone", None, None),
        };
        self.count(outcome, code, total, passed);
        logs::exchange(level(ended), |line| {
            line.display("request_id", self.request_id)
                .text("client_address", &self.client.address_text)
                .text_if("client", self.client.thumbprint());
            if let Some(route) = &self.route {
                line.text("site", &route.site.code)
                    .number("role", route.role.id.0)
                    .text("endpoint", &route.endpoint.name);
            }
            line.bytes("method", &self.method)
                .bytes("path", path_of(&self.target))
                .number("status", self.status.into())
                .text("outcome", outcome)
                .text_if("code", code.map(RefusalKind::code))
                .text_if("side", code.map(|kind| kind.side().name()))
                .text_if("detail", detail)
                .number("request_bytes", passed.request_bytes.load(Relaxed))
                .number("answer_bytes", passed.answer_bytes.load(Relaxed))
                .milliseconds("ms", total);
            if let (Some(to_head), Some(at_role)) = (self.to_head, self.at_role) {
                line.milliseconds("ms_to_head", to_head)
                    .milliseconds("ms_role", at_role)
                    .milliseconds("ms_tunnel", to_head.saturating_sub(at_role));
            }
            line.text_if("connection_point", self.connection_point.as_ref().map(|who| who.connection_point.as_str()))
                .text_if("sent_again", self.sent_again.map(SentAgain::label));
        });
    }

    fn count(&self, outcome: &'static str, code: Option<RefusalKind>, total: Duration, passed: &Passed) {
        let metrics = &self.worker.instance.metrics;
        metrics.ended(outcome, self.status);
        if let Some(kind) = code {
            metrics.refused(kind);
        }
        metrics.duration.observe(total);
        metrics.request_bytes.add(passed.request_bytes.load(Relaxed));
        metrics.answer_bytes.add(passed.answer_bytes.load(Relaxed));
        metrics.trailers_dropped.add(passed.dropped_trailers.load(Relaxed));
    }
}

/// Our own faults are errors, broken answers warnings, refusals and answers information; a client that leaves
/// early is nobody's fault.
fn level(ended: &Result<(), Stop>) -> Level {
    match ended {
        Err(Stop::Refused(refusal)) if refusal.kind.is_our_fault() => Level::ERROR,
        Err(Stop::Cut(_)) => Level::WARN,
        Ok(()) | Err(Stop::Refused(_) | Stop::ClientGone) => Level::INFO,
    }
}

fn path_of(target: &[u8]) -> &[u8] {
    target.split(|byte| *byte == b'?').next().unwrap_or_default()
}
