//! What is known about an exchange while it runs, and the one log line and the counts that are made of it at its
//! end. The inside's log may name the role; never a query, a body or a secret.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cmg_core::logs;
use cmg_core::metrics::Held;
use cmg_core::request_id::RequestId;
use cmg_core::site::Endpoint;
use cmg_core::tunnel::message::{RefusedReason, RequestHead};
use tracing::Level;

use crate::exchange::Stop;
use crate::link::Link;
use crate::metrics::EndpointCounters;
use crate::relay::Passed;

pub struct ExchangeRecord {
    link: Arc<Link>,
    request_id: RequestId,
    started: Instant,
    method: Bytes,
    role: u64,
    endpoint: Option<(Arc<Endpoint>, Arc<EndpointCounters>)>,
    status: u16,
    at_role: Option<Duration>,
    _running: Held,
}

impl ExchangeRecord {
    pub fn start(link: &Arc<Link>, head: &RequestHead) -> Self {
        Self {
            link: Arc::clone(link),
            request_id: head.request_id,
            started: Instant::now(),
            method: head.method.clone(),
            role: head.role_id,
            endpoint: None,
            status: 0,
            at_role: None,
            _running: link.place.point.metrics.exchanges_running.hold(),
        }
    }

    pub fn mapped(&mut self, endpoint: &Arc<Endpoint>, counters: &Arc<EndpointCounters>) {
        self.endpoint = Some((Arc::clone(endpoint), Arc::clone(counters)));
    }

    /// The role's head has come; gives the microseconds that it took.
    pub fn head_arrived(&mut self, status: u16) -> u32 {
        let at_role = self.started.elapsed();
        self.link.place.point.metrics.role_seconds.observe(at_role);
        (self.status, self.at_role) = (status, Some(at_role));
        u32::try_from(at_role.as_micros()).unwrap_or(u32::MAX)
    }

    /// Counts the exchange and logs its one line.
    pub fn end(self, ended: &Result<(), Stop>, passed: Passed) {
        let outcome = Outcome::of(ended);
        self.count(&outcome, passed);
        let place = &self.link.place;
        logs::exchange(outcome.level, |line| {
            line.display("request_id", self.request_id).number("role", self.role);
            line.text_if("endpoint", self.endpoint.as_ref().map(|(endpoint, _)| endpoint.name.as_str()))
                .bytes("method", &self.method)
                .number("status", self.status.into())
                .text("outcome", outcome.name)
                .text_if("code", outcome.reason.map(|reason| reason.refusal().code()))
                .text_if("detail", outcome.detail.as_deref())
                .number("request_bytes", passed.request_bytes)
                .number("answer_bytes", passed.answer_bytes)
                .milliseconds("ms", self.started.elapsed());
            if let Some(at_role) = self.at_role {
                line.milliseconds("ms_role", at_role);
            }
            line.text_if("sent_again", passed.sent_again.then_some("kept connection died"))
                .text("gateway", &place.instance.gateway)
                .text("instance", &place.instance.name)
                .text("lane", place.id.lane.name());
        });
    }

    fn count(&self, outcome: &Outcome, passed: Passed) {
        if let Some(reason) = outcome.reason {
            self.link.place.point.metrics.refused(reason);
        }
        let Some((_, counters)) = &self.endpoint else { return };
        match outcome.name {
            "answered" => counters.answered.increment(),
            "cut" => counters.cut.increment(),
            "cancelled" => counters.cancelled.increment(),
            _ => counters.refused.increment(),
        }
        counters.request_bytes.add(passed.request_bytes);
        counters.answer_bytes.add(passed.answer_bytes);
    }
}

/// How an exchange ended, for people and for numbers.
struct Outcome {
    name: &'static str,
    reason: Option<RefusedReason>,
    detail: Option<String>,
    level: Level,
}

impl Outcome {
    /// A gateway that breaks rules is an error, a role that fails a warning; a client that leaves early is
    /// nobody's fault.
    fn of(ended: &Result<(), Stop>) -> Self {
        let (name, reason, detail, level) = match ended {
            Ok(()) => ("answered", None, None, Level::INFO),
            Err(Stop::Refused(told, inside)) => ("refused", Some(told.reason), Some(inside.clone()), Level::WARN),
            Err(Stop::Violation(violation)) => {
                ("refused", Some(RefusedReason::Refused), Some(violation.to_string()), Level::ERROR)
            }
            Err(Stop::Cut(why)) => ("cut", None, Some(why.clone()), Level::WARN),
            Err(Stop::Cancelled) => ("cancelled", None, None, Level::INFO),
        };
        Self { name, reason, detail, level }
    }
}
