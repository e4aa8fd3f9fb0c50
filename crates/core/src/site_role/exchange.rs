//! One request to a role and its answer. Upload and answer are independent halves of one connection: an
//! early answer is delivered while the upload runs and also after it failed. The connection goes back to the
//! pool only when both halves are complete; dropping the exchange closes it.
//!
//! ```text
//!   link    Connecting ----> Open ----------------------> Closed (or back in the pool)
//!                ^ died, before a byte of the answer |
//!                +-----------------------------------+ once, if sending again is safe
//!   upload        head, part*, end      (a failed write ends it, not the exchange)
//!   answer        AwaitHead ----> Body ----> Done
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::answer::{Answer, Unwhole};
use super::connect::connect;
use super::connection::RoleConnection;
use super::failure::{LateCertificate, Silence};
use super::pool::RolePool;
use super::replay::Replay;
use super::upload::{BodyMismatch, Upload};
use super::{Patience, Role, RoleError, RoleRequest};
use crate::fields::Fields;
use crate::http1::AnswerHead;
use crate::limits;

pub struct RoleExchange {
    role: Arc<Role>,
    pool: Arc<RolePool>,
    request: RoleRequest,
    patience: Patience,
    link: Link,
    upload: Upload,
    answer: Answer,
    replay: Replay,
    was_sent_again: bool,
    /// A connection died on which the request may have reached the role.
    may_have_left: bool,
    /// How long the exchange waits now, as its deadline was last set.
    waits: Duration,
}

enum Link {
    /// Since when.
    Connecting(Connecting, Instant),
    Open(Box<RoleConnection>),
    Closed,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<RoleConnection>, RoleError>> + Send>>;

/// The next of an answer's body.
#[derive(Debug, PartialEq, Eq)]
pub enum RolePiece {
    Data(Bytes),
    End(Fields),
}

impl RoleExchange {
    /// Takes a kept connection or begins a new one. Nothing is written before the first poll.
    pub fn begin(pool: &Arc<RolePool>, role: &Arc<Role>, request: RoleRequest, patience: Patience) -> Self {
        let upload = Upload::new(&request);
        let (link, replay) = match pool.take(role) {
            Some(connection) => (Link::Open(connection), Replay::of(&request)),
            None => (connecting(role, pool), Replay::never()),
        };
        let (role, pool, waits) = (role.clone(), pool.clone(), patience.answer);
        let (answer, was_sent_again, may_have_left) = (Answer::AwaitHead, false, false);
        let mut exchange =
            Self { role, pool, request, patience, link, upload, answer, replay, was_sent_again, may_have_left, waits };
        exchange.moved();
        exchange
    }

    /// Whether the next part of the body may be given: `false` when the role takes no more. It must be asked
    /// beside [`RoleExchange::poll_head`] or [`RoleExchange::poll_body`], which drive the connection.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.push(cx);
        match (self.upload.wants_more(), self.upload.has_room()) {
            (false, _) => Poll::Ready(false),
            (true, true) => Poll::Ready(true),
            (true, false) => Poll::Pending,
        }
    }

    /// Gives a part of the body, when there is room for it.
    pub fn part(&mut self, data: Bytes) -> Result<(), BodyMismatch> {
        self.replay.keep(&data);
        self.upload.part(data)?;
        self.moved();
        Ok(())
    }

    /// Ends the body.
    pub fn end(&mut self, trailers: Fields) -> Result<(), BodyMismatch> {
        self.upload.end(&trailers)?;
        self.replay.end(trailers);
        self.moved();
        Ok(())
    }

    /// The whole request has been written to the role.
    pub fn is_handed_over(&self) -> bool {
        self.upload.is_finished()
    }

    /// A kept connection had died under it, and it went out a second time.
    pub fn was_sent_again(&self) -> bool {
        self.was_sent_again
    }

    /// The head of the answer, once.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnswerHead, RoleError>> {
        loop {
            ready!(self.poll_connected(cx))?;
            self.push(cx);
            let Link::Open(connection) = &mut self.link else { return Poll::Pending };
            let read = self.answer.poll_head(connection, &self.request.method, &self.pool.counters, cx);
            let silence = match read {
                Poll::Ready(Ok(head)) => {
                    self.replay = Replay::never();
                    self.moved();
                    return Poll::Ready(Ok(head));
                }
                Poll::Ready(Err(silence)) => silence,
                Poll::Pending => return self.poll_late(cx),
            };
            if !self.may_send_again(&silence) {
                return Poll::Ready(Err(self.explain(silence)));
            }
            self.send_again();
        }
    }

    /// The body of the answer, after its head. After `End` there is only `End` again.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<RolePiece, RoleError>> {
        self.push(cx);
        let Link::Open(connection) = &mut self.link else { return Poll::Ready(Ok(RolePiece::End(Fields::new()))) };
        match self.answer.poll_body(connection, cx) {
            Poll::Pending => self.poll_late(cx),
            Poll::Ready(Ok(RolePiece::Data(data))) => {
                self.moved();
                Poll::Ready(Ok(RolePiece::Data(data)))
            }
            Poll::Ready(Ok(end)) => {
                self.complete();
                Poll::Ready(Ok(end))
            }
            Poll::Ready(Err(unwhole)) => {
                self.close();
                let role = self.role.to_string();
                Poll::Ready(Err(match unwhole {
                    Unwhole::BrokenOff(why) => RoleError::AnswerBroken { role, why },
                    Unwhole::Malformed(why) => RoleError::AnswerInvalid { role, why },
                }))
            }
        }
    }

    /// Ready when there is nothing left to do for the upload of an answer that has ended: it was written, the role
    /// takes no more, or nothing moved for too long. To be asked beside [`RoleExchange::poll_room`].
    pub fn poll_uploaded(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.push(cx);
        if self.upload.is_running() {
            ready!(self.poll_late::<()>(cx)).ok();
        }
        self.complete();
        Poll::Ready(())
    }

    /// Ready when the exchange has waited too long. For an owner that for now asks for nothing else, because
    /// the other side of it takes nothing.
    pub fn poll_late<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RoleError>> {
        let Link::Open(connection) = &mut self.link else { return Poll::Pending };
        ready!(connection.deadline.poll_passed(cx));
        self.close();
        let (role, after) = (self.role.to_string(), self.waits);
        Poll::Ready(Err(match (&self.answer, self.upload.wants_more(), self.upload.is_written()) {
            (Answer::AwaitHead, false, true) => RoleError::AnswerTimeout { role, after },
            (Answer::AwaitHead, true, true) => RoleError::RequestStalled { after },
            (Answer::AwaitHead, _, false) => RoleError::UploadStalled { role, after },
            (Answer::Body(_) | Answer::Done { .. }, ..) => RoleError::AnswerStalled { after },
        }))
    }

    fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RoleError>> {
        if let Link::Connecting(connecting, since) = &mut self.link {
            let connected = ready!(connecting.as_mut().poll(cx));
            // The gateway's time runs too, and ours must be over first: it cannot tell a slow role from a dead tunnel.
            self.patience.answer -= since.elapsed().min(self.patience.answer / 2);
            self.link = Link::Closed;
            self.link = Link::Open(connected.map_err(|error| self.as_it_was_before(error))?);
            self.moved();
            // Whoever has the body found no room while we were connecting, and nothing else would wake it.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn push(&mut self, cx: &mut Context<'_>) {
        let Link::Open(connection) = &mut self.link else { return };
        if self.upload.push(&mut connection.stream, cx) {
            self.moved();
        }
    }

    /// A byte moved: the wait begins anew.
    fn moved(&mut self) {
        self.waits = match self.answer {
            Answer::AwaitHead if !self.upload.wants_more() => self.patience.answer,
            // A role that has answered and takes nothing for a moment will not read on.
            Answer::Done { .. } if !self.upload.is_written() => self.patience.idle.min(limits::LINGER),
            Answer::AwaitHead | Answer::Body(_) | Answer::Done { .. } => self.patience.idle,
        };
        if let Link::Open(connection) = &mut self.link {
            connection.deadline.set(self.waits);
        }
    }

    /// A kept connection died before it said anything: the role has closed it at the same moment.
    fn may_send_again(&self, silence: &Silence) -> bool {
        let Link::Open(connection) = &self.link else { return false };
        silence.is_death() && connection.is_reused && self.replay.is_allowed(self.upload.surely_nothing_left())
    }

    fn explain(&mut self, silence: Silence) -> RoleError {
        let certificate = match std::mem::replace(&mut self.link, Link::Closed) {
            Link::Open(open) if open.stream.refused_renegotiation() => LateCertificate::AskedFor,
            Link::Open(open) if !open.is_reused => LateCertificate::Possible,
            Link::Open(_) | Link::Connecting(..) | Link::Closed => LateCertificate::Unlikely,
        };
        silence.explain(&self.role, self.upload.failure(), certificate)
    }

    /// That there is no second connection proves nothing about what became of the request on the first.
    fn as_it_was_before(&self, error: RoleError) -> RoleError {
        if !self.may_have_left {
            return error;
        }
        let why = format!("it ended a kept connection, and then: {error}");
        RoleError::Aborted { role: self.role.to_string(), why }
    }

    fn send_again(&mut self) {
        self.pool.counters.sent_again.increment();
        self.was_sent_again = true;
        self.may_have_left = !self.upload.surely_nothing_left();
        self.upload = Upload::new(&self.request);
        let (body, end) = std::mem::replace(&mut self.replay, Replay::never()).take();
        // What was taken from the owner once is taken again: the lengths cannot differ.
        if !body.is_empty() {
            let _ = self.upload.part(body);
        }
        if let Some(trailers) = end {
            let _ = self.upload.end(&trailers);
        }
        self.link = connecting(&self.role, &self.pool);
    }

    /// Ends the connection. A role that is still owed a part of the request gets a reset: behind bytes that it does
    /// not read it would never see a plain end.
    fn close(&mut self) {
        if let Link::Open(connection) = std::mem::replace(&mut self.link, Link::Closed)
            && self.upload.is_running()
        {
            connection.stream.reset_when_dropped();
        }
    }

    /// Both halves are over, or this connection cannot be used again. A role that answers early may read on.
    fn complete(&mut self) {
        if self.upload.is_running() {
            return self.moved();
        }
        let Link::Open(connection) = std::mem::replace(&mut self.link, Link::Closed) else { return };
        if let Answer::Done { keep: Some(keep) } = self.answer
            && self.upload.is_finished()
        {
            self.pool.put(&self.role, connection, keep);
        }
    }
}

fn connecting(role: &Arc<Role>, pool: &Arc<RolePool>) -> Link {
    Link::Connecting(Box::pin(connect(role.clone(), pool.counters.clone())), Instant::now())
}

impl Drop for RoleExchange {
    fn drop(&mut self) {
        self.close();
    }
}
