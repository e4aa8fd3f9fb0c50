//! Where a request is sent: to the connection point whose turn it is, and once more to another one if the first surely
//! did nothing with it, or if doing it twice does no harm (T-12). The silence of a lost tunnel proves nothing.

use bytes::{Bytes, BytesMut};
use cmg_core::fields::Fields;
use cmg_core::http1;
use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::tunnel::TunnelBroken;
use cmg_core::tunnel::calling::{Calling, Opening};
use cmg_core::tunnel::message::{Refused, RefusedReason, RequestHead};

use crate::filter::AllowedRequest;
use crate::instance::Worker;
use crate::registry::{Elsewhere, Lease};

/// What proves that a connection point has started nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// The tunnel handed the request back before a byte of it was written.
    Unwritten,
    Draining,
    Full,
    RoleUnreachable,
    RoleTlsFailed,
}

/// Why a request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentAgain {
    Because(NotStarted),
    /// Its tunnel was lost, and a second run does no harm.
    Repeatable,
}

/// Why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSentAgain {
    MayHaveStarted,
    BodyNotKept,
    SecondTime,
    NobodyElse,
}

impl SentAgain {
    pub const LABELS: [&str; 6] =
        ["unwritten", "draining", "full", "role unreachable", "role tls failed", "repeatable"];

    pub const fn label(self) -> &'static str {
        match self {
            SentAgain::Because(NotStarted::Unwritten) => "unwritten",
            SentAgain::Because(NotStarted::Draining) => "draining",
            SentAgain::Because(NotStarted::Full) => "full",
            SentAgain::Because(NotStarted::RoleUnreachable) => "role unreachable",
            SentAgain::Because(NotStarted::RoleTlsFailed) => "role tls failed",
            SentAgain::Repeatable => "repeatable",
        }
    }

    /// What of the site's tunnels may be tried. What is wrong between a connection point and a role is wrong on each
    /// of its tunnels.
    const fn where_to(self) -> Elsewhere {
        match self {
            SentAgain::Because(NotStarted::RoleUnreachable | NotStarted::RoleTlsFailed) => Elsewhere::OtherPoints,
            SentAgain::Because(NotStarted::Unwritten | NotStarted::Draining | NotStarted::Full)
            | SentAgain::Repeatable => Elsewhere::OtherTunnels,
        }
    }
}

impl NotSentAgain {
    pub const LABELS: [&str; 4] = ["may have started", "body not kept", "second time", "nobody else"];

    pub const fn label(self) -> &'static str {
        match self {
            NotSentAgain::MayHaveStarted => "may have started",
            NotSentAgain::BodyNotKept => "body not kept",
            NotSentAgain::SecondTime => "second time",
            NotSentAgain::NobodyElse => "nobody else",
        }
    }
}

/// A connection point has no answer to give.
#[derive(Debug)]
pub struct Failure {
    refusal: Refusal,
    proof: Option<NotStarted>,
}

impl Failure {
    /// The connection point says so.
    pub fn refused(refused: Refused) -> Self {
        let proof = match refused.reason {
            RefusedReason::Draining => Some(NotStarted::Draining),
            RefusedReason::Full => Some(NotStarted::Full),
            RefusedReason::RoleUnreachable => Some(NotStarted::RoleUnreachable),
            RefusedReason::RoleTlsFailed => Some(NotStarted::RoleTlsFailed),
            RefusedReason::NotMapped
            | RefusedReason::Refused
            | RefusedReason::RoleAborted
            | RefusedReason::RoleAnswerInvalid
            | RefusedReason::RoleTimeout
            | RefusedReason::RequestAborted => None,
        };
        let refusal = Refusal::new(refused.reason.refusal(), refused.detail);
        Self { refusal, proof: proof.filter(|_| refused.not_started) }
    }

    fn unwritten(broken: &TunnelBroken) -> Self {
        let detail = format!("the request was not written: {broken}");
        Self { refusal: Refusal::new(RefusalKind::NoConnectionPoint, detail), proof: Some(NotStarted::Unwritten) }
    }

    fn is_lost(&self) -> bool {
        matches!(self.refusal.kind, RefusalKind::TunnelLost | RefusalKind::EndedByDrain)
    }
}

/// One request on its way to a connection point, or to a second one.
pub struct Attempt<'a> {
    worker: &'a Worker,
    request: &'a AllowedRequest,
    lease: Lease,
    /// Run twice it does no harm.
    is_repeatable: bool,
    sent: Option<Sent>,
    again: Option<SentAgain>,
    /// The first connection point may have run it all the same.
    may_have_run: bool,
}

/// What has been sent of a request, for as long as it may be sent again.
struct Sent {
    opening: Opening,
    data: Vec<Bytes>,
    /// Small pieces that follow, copied: each by itself would cost more than what it holds.
    small: BytesMut,
    end: Option<Fields>,
    bytes: usize,
}

impl Sent {
    fn keep(&mut self, data: &Bytes) {
        if data.len() < limits::SMALL_CHUNK {
            return self.small.extend_from_slice(data);
        }
        self.join_small();
        self.data.push(data.clone());
    }

    fn join_small(&mut self) {
        if !self.small.is_empty() {
            self.data.push(self.small.split().freeze());
        }
    }

    /// What is kept is far less than a stream takes without being asked. An error is no proof of anything: a role may
    /// have the beginning by now, and the answer, or its absence, will tell.
    fn send_rest(&self, calling: &mut Calling) {
        let small = (!self.small.is_empty()).then(|| Bytes::copy_from_slice(&self.small));
        for data in self.data.iter().chain(&small) {
            let _ = calling.send(data.clone(), None);
        }
        if let Some(end) = &self.end {
            let _ = calling.send(Bytes::new(), Some(end.clone()));
        }
    }
}

impl<'a> Attempt<'a> {
    pub fn new(worker: &'a Worker, request: &'a AllowedRequest, lease: Lease) -> Self {
        Self { worker, request, lease, is_repeatable: false, sent: None, again: None, may_have_run: false }
    }

    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The tunnel was lost, or what came over it is no answer. One that had said that it leaves has met its drain's deadline.
    pub fn lost(&self, broken: &TunnelBroken) -> Refusal {
        match self.lease.tunnel().leaving.is_cancelled() {
            true => Refusal::new(RefusalKind::EndedByDrain, format!("the connection point has stopped: {broken}")),
            false => Refusal::new(RefusalKind::TunnelLost, broken.to_string()),
        }
    }

    /// Why this is the second connection point, if it is.
    pub fn again(&self) -> Option<SentAgain> {
        self.again
    }

    /// Sends head, first bytes of the body and its end if that is known.
    pub fn start(&mut self, head: RequestHead, data: Bytes, end: Option<Fields>) -> Result<Calling, Refusal> {
        self.is_repeatable = http1::is_repeatable(&head.method);
        let bytes = data.len();
        let opening = Opening::new(head, data, end);
        let fits = bytes <= limits::KEPT_BODY;
        self.sent =
            fits.then(|| Sent { opening: opening.clone(), data: Vec::new(), small: BytesMut::new(), end: None, bytes });
        match self.lease.tunnel().start(opening) {
            Ok(calling) => Ok(calling),
            Err(broken) => self.elsewhere(Failure::unwritten(&broken)),
        }
    }

    /// The body goes on with this.
    pub fn keep(&mut self, data: &Bytes, end: Option<&Fields>) {
        let Some(sent) = &mut self.sent else { return };
        sent.bytes += data.len();
        if sent.bytes > limits::KEPT_BODY {
            self.sent = None;
            return;
        }
        sent.keep(data);
        sent.end = end.cloned();
    }

    /// A role has the request, or its answer has begun: what was kept is needed no more, but for a second run that
    /// does no harm.
    pub fn handed_to_role(&mut self) {
        if !self.is_repeatable {
            self.sent = None;
        }
    }

    /// Nothing has come of it in its time.
    pub fn unanswered(&self) {
        let tunnel = self.lease.tunnel();
        if tunnel.health.unanswered() {
            let (identity, lane) = (&tunnel.identity, tunnel.lane.name());
            self.worker.instance.metrics.tunnels.stalled.increment();
            tracing::warn!(%identity, lane, "a tunnel answers nothing that it is given: others are given the work");
        }
    }

    /// The answer has begun.
    pub fn answered(&mut self) {
        self.sent = None;
        self.lease.head_arrived();
    }

    /// The tunnel was lost before the answer began.
    pub fn lost_without_answer(&self, broken: &TunnelBroken) -> Failure {
        Failure { refusal: self.lost(broken), proof: None }
    }

    /// Sends the request again if that is safe and somebody is there; otherwise the client gets this refusal.
    pub fn elsewhere(&mut self, failure: Failure) -> Result<Calling, Refusal> {
        let metrics = &self.worker.instance.metrics.sending_again;
        self.may_have_run |= failure.proof.is_none();
        match self.decide(&failure).and_then(|why| Ok((why, self.start_again(why)?))) {
            Ok((why, (lease, calling))) => {
                metrics.sent.with([why.label()]).increment();
                (self.again, self.lease) = (Some(why), lease);
                Ok(calling)
            }
            Err(why_not) => {
                metrics.not_sent.with([why_not.label()]).increment();
                Err(self.give_up(failure))
            }
        }
    }

    fn decide(&self, failure: &Failure) -> Result<SentAgain, NotSentAgain> {
        if self.again.is_some() {
            return Err(NotSentAgain::SecondTime);
        }
        match failure.proof {
            Some(proof) => Ok(SentAgain::Because(proof)),
            None if self.is_repeatable && failure.is_lost() => Ok(SentAgain::Repeatable),
            None => Err(NotSentAgain::MayHaveStarted),
        }
    }

    /// A tunnel that hands the request back has not been tried; it is leased to nobody after that.
    fn start_again(&self, why: SentAgain) -> Result<(Lease, Calling), NotSentAgain> {
        let sent = self.sent.as_ref().ok_or(NotSentAgain::BodyNotKept)?;
        let registry = &self.worker.instance.registry;
        loop {
            let failed = (self.lease.tunnel(), why.where_to());
            let lease = registry.lease_elsewhere(self.request, self.worker.index, failed);
            let lease = lease.ok_or(NotSentAgain::NobodyElse)?;
            if let Ok(mut calling) = lease.tunnel().start(sent.opening.clone()) {
                sent.send_rest(&mut calling);
                return Ok((lease, calling));
            }
        }
    }

    /// Our 503 promises that nothing was executed: it must not tell the second connection point's innocence when the
    /// first may have run the request.
    fn give_up(&self, failure: Failure) -> Refusal {
        let Failure { refusal, .. } = failure;
        if self.may_have_run && refusal.kind.promises_no_execution() {
            let detail = format!("a connection point may have run it before one said: {}", refusal.detail);
            return Refusal::new(RefusalKind::TunnelLost, detail);
        }
        refusal
    }
}

#[cfg(test)]
mod tests;
