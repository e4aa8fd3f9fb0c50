//! Moves one exchange between a client and a tunnel: `Lease` + body -> answer. Both directions are polled by
//! the client's own task; neither waits for the other, nothing is held beyond a chunk in each direction.

use std::future::poll_fn;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cmg_core::fields::{Field, Fields};
use cmg_core::headers;
use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::tunnel::TunnelBroken;
use cmg_core::tunnel::calling::Calling;
use cmg_core::tunnel::exchange::Received;
use cmg_core::tunnel::frame::Event;
use cmg_core::tunnel::message::{AnswerHead, RequestHead};

use crate::attempt::{Attempt, Failure};
use crate::edge::{BodyError, BodyPart, ClientAnswer, ClientAnswerBody, Edge};

/// Why an exchange ended before its answer was delivered whole.
#[derive(Debug)]
pub enum Stop {
    /// The client gets this refusal instead of an answer, if none has begun.
    Refused(Refusal),
    /// The client went away first, or took nothing of its answer for too long.
    ClientGone,
    /// The answer had begun: the client's connection is cut.
    Cut(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

/// Why no head of an answer came.
enum NoHead {
    Stop(Stop),
    /// Of this connection point; another one may have one.
    Failed(Failure),
}

/// How far the upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Running,
    Done,
    /// The inside reads no further; the answer decides what that means.
    Abandoned,
}

/// Bytes of bodies that have passed, and trailers that have not. Atomic only because the exchange, a future that may
/// move between threads, holds a reference to it beside the one that reads it at the end.
#[derive(Debug, Default)]
pub struct Passed {
    pub request_bytes: AtomicU64,
    pub answer_bytes: AtomicU64,
    pub dropped_trailers: AtomicU64,
}

/// What bounds an exchange in size and time.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub request_body: u64,
    /// For the answer's head, since the last byte of the request moved.
    pub answer: Duration,
    /// Without a byte of a body in either direction.
    pub idle: Duration,
}

/// An exchange that has been started.
pub struct Relay<'a, E> {
    edge: &'a mut E,
    attempt: Attempt<'a>,
    calling: Calling,
    bounds: Bounds,
    upload: Upload,
    passed: &'a Passed,
    /// Of a known length, what the answer still owes.
    owed: Option<u64>,
    /// The names in the answer's Trailer, if the client asked for trailers.
    announced: Option<Fields>,
    /// How long nothing may move, as it is now.
    patience: Duration,
    /// The tunnel takes no more of the upload for now.
    is_blocked: bool,
}

impl<'a, E: Edge> Relay<'a, E> {
    /// Sends head and first bytes of the body down the leased tunnel.
    pub async fn start(
        edge: &'a mut E,
        mut attempt: Attempt<'a>,
        head: RequestHead,
        bounds: Bounds,
        passed: &'a Passed,
    ) -> Result<Self, Stop> {
        let (data, end) = first_part(edge).await?;
        count_request(passed, data.len(), bounds.request_body)?;
        let upload = if end.is_some() { Upload::Done } else { Upload::Running };
        let calling = attempt.start(head, data, end)?;
        let patience = bounds.answer;
        edge.deadline().set(patience);
        let (owed, announced, is_blocked) = (None, None, false);
        Ok(Self { edge, attempt, calling, bounds, upload, passed, owed, announced, patience, is_blocked })
    }

    /// Waits for the role's head; the upload goes on meanwhile. Without an answer the request is sent once more where
    /// that is safe.
    pub async fn answer_head(&mut self) -> Result<AnswerHead, Stop> {
        loop {
            match poll_fn(|cx| self.poll_head(cx)).await {
                Ok(head) => {
                    self.attempt.answered();
                    self.patience = self.bounds.idle;
                    self.moved();
                    return Ok(head);
                }
                Err(NoHead::Failed(failure)) => self.go_elsewhere(failure)?,
                Err(NoHead::Stop(stop)) => return Err(stop),
            }
        }
    }

    /// The way that the request has taken.
    pub fn attempt(&self) -> &Attempt<'a> {
        &self.attempt
    }

    fn go_elsewhere(&mut self, failure: Failure) -> Result<(), Stop> {
        self.calling = self.attempt.elsewhere(failure)?;
        if self.upload == Upload::Abandoned {
            self.upload = Upload::Running;
        }
        self.moved();
        Ok(())
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnswerHead, NoHead>> {
        let before = self.upload;
        self.poll_upload(cx).map_err(NoHead::Stop)?;
        if before == Upload::Running && self.upload != before {
            self.patience = self.patience_for_head();
            self.moved();
        }
        loop {
            let failure = match self.calling.poll_event(cx) {
                Poll::Ready(Ok(Event::Head(head))) => return Poll::Ready(Ok(head)),
                Poll::Ready(Ok(Event::HandedToRole)) => {
                    self.attempt.handed_to_role();
                    continue;
                }
                Poll::Ready(Ok(Event::Refused(refused))) => {
                    self.attempt.lease().tunnel().health.answered();
                    Failure::refused(refused)
                }
                Poll::Ready(Ok(event @ (Event::Data(_) | Event::End(_)))) => {
                    self.attempt.lost_without_answer(&event.out_of_place(Received::AwaitHead).into())
                }
                Poll::Ready(Err(broken)) => self.attempt.lost_without_answer(&broken),
                Poll::Pending => break,
            };
            return Poll::Ready(Err(NoHead::Failed(failure)));
        }
        if self.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(NoHead::Stop(Stop::ClientGone)));
        }
        self.edge.deadline().poll_passed(cx).map(|()| Err(NoHead::Stop(self.head_overdue().into())))
    }

    /// When the upload is over: the role reads first what the tunnel still holds of it, and nothing of that is seen
    /// from here.
    fn patience_for_head(&self) -> Duration {
        let held = self.passed.request_bytes.load(Relaxed).min(limits::BULK_WINDOW.into());
        self.bounds.answer + Duration::from_secs(held / limits::SLOWEST_ROLE)
    }

    fn head_overdue(&self) -> Refusal {
        match self.upload {
            Upload::Running if !self.is_blocked => Refusal::new(RefusalKind::RequestTimeout, "the body stopped coming"),
            Upload::Running | Upload::Done | Upload::Abandoned => {
                self.attempt.unanswered();
                Refusal::new(RefusalKind::TunnelTimeout, "the connection point gave no answer in time")
            }
        }
    }

    /// Streams the answer to the client. The upload may outlast it and is seen to its end.
    pub async fn deliver(&mut self, answer: ClientAnswer, wants_trailers: bool) -> Result<(), Stop> {
        self.owed = match answer.body {
            ClientAnswerBody::Nothing { .. } => Some(0),
            ClientAnswerBody::Known(length) => Some(length),
            ClientAnswerBody::Streamed => None,
        };
        let announces = |field: &&Field| field.is("trailer");
        self.announced = wants_trailers.then(|| answer.fields.iter().filter(announces).cloned().collect());
        self.edge.send_head(answer).map_err(|_| Stop::ClientGone)?;
        poll_fn(|cx| self.poll_deliver(cx)).await?;
        poll_fn(|cx| self.poll_rest_of_upload(cx)).await
    }

    fn poll_deliver(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        self.poll_upload(cx)?;
        loop {
            match self.edge.poll_room(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Stop::ClientGone)),
                Poll::Pending => return self.poll_not_taken(cx),
            }
            match self.calling.poll_event(cx) {
                Poll::Ready(Ok(Event::Data(data))) => self.send_data(data)?,
                Poll::Ready(Ok(Event::End(trailers))) => return Poll::Ready(self.send_end(trailers)),
                Poll::Ready(Ok(event @ (Event::Head(_) | Event::HandedToRole | Event::Refused(_)))) => {
                    return Poll::Ready(Err(self.attempt.lost(&event.out_of_place(Received::Body).into()).into()));
                }
                Poll::Ready(Err(broken)) if self.is_whole_without(&broken) => {
                    return Poll::Ready(self.send_end(Fields::new()));
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(self.broken_off(broken).into())),
                Poll::Pending => {
                    if let Poll::Ready(Err(_)) = self.edge.poll_flush(cx) {
                        return Poll::Ready(Err(Stop::ClientGone));
                    }
                    if self.poll_gone(cx).is_ready() {
                        return Poll::Ready(Err(Stop::ClientGone));
                    }
                    return self.poll_idle(cx);
                }
            }
        }
    }

    fn send_data(&mut self, data: Bytes) -> Result<(), Stop> {
        let length = data.len() as u64;
        self.passed.answer_bytes.fetch_add(length, Relaxed);
        self.moved();
        if let Some(owed) = &mut self.owed {
            *owed = owed.checked_sub(length).ok_or_else(|| wrong_length("longer"))?;
        }
        self.edge.send_data(data).map_err(|_| Stop::ClientGone)
    }

    fn send_end(&mut self, mut trailers: Fields) -> Result<(), Stop> {
        if self.owed.is_some_and(|owed| owed > 0) {
            return Err(wrong_length("shorter").into());
        }
        let before = trailers.len();
        match &self.announced {
            Some(announced) => {
                headers::clean_trailers(&mut trailers);
                headers::keep_announced_trailers(announced, &mut trailers);
            }
            None => trailers = Fields::new(),
        }
        self.passed.dropped_trailers.fetch_add((before - trailers.len()) as u64, Relaxed);
        self.edge.send_end(trailers).map_err(|_| Stop::ClientGone)
    }

    /// A client that has every byte it was told of has the whole answer, and must not learn otherwise because the tunnel
    /// was lost before it said that this was all.
    fn is_whole_without(&self, broken: &TunnelBroken) -> bool {
        let is_lost = matches!(broken, TunnelBroken::Stream(_) | TunnelBroken::Closed);
        let awaits_trailers = self.announced.as_ref().is_some_and(|announced| !announced.is_empty());
        is_lost && self.owed == Some(0) && !awaits_trailers
    }

    /// An answer that the connection point could not complete, or that was lost on the way.
    fn broken_off(&self, broken: TunnelBroken) -> Refusal {
        match broken {
            TunnelBroken::Status { message, .. } => Refusal::new(RefusalKind::RoleAborted, message),
            TunnelBroken::Stream(_) | TunnelBroken::Frame(_) | TunnelBroken::Closed => self.attempt.lost(&broken),
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let overdue = || Refusal::new(RefusalKind::TunnelTimeout, "no byte of a body moved in time");
        self.edge.deadline().poll_passed(cx).map(|()| Err(overdue().into()))
    }

    /// A client that takes nothing of its answer for so long is as good as gone: no tunnel is to blame.
    fn poll_not_taken(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        self.edge.deadline().poll_passed(cx).map(|()| Err(Stop::ClientGone))
    }

    /// A client whose body is still being read shows there that it has gone.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.upload {
            Upload::Running if !self.is_blocked => Poll::Pending,
            Upload::Running | Upload::Done | Upload::Abandoned => self.edge.poll_gone(cx),
        }
    }

    /// A byte of a body moved: the wait begins anew.
    fn moved(&mut self) {
        self.edge.deadline().set(self.patience);
    }

    fn poll_rest_of_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        let flushed = self.edge.poll_flush(cx).map_err(|_| Stop::ClientGone)?;
        self.poll_upload(cx)?;
        if flushed.is_ready() && self.upload != Upload::Running {
            return Poll::Ready(Ok(()));
        }
        if flushed.is_ready() { self.poll_idle(cx) } else { self.poll_not_taken(cx) }
    }

    /// Moves what there is of the body. Only the client's faults are errors here.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        while self.upload == Upload::Running {
            let room = self.calling.poll_room(cx);
            self.is_blocked = room.is_pending();
            match room {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => {
                    self.upload = Upload::Abandoned;
                    break;
                }
                Poll::Pending => break,
            }
            let Poll::Ready(part) = self.edge.poll_body(cx) else { break };
            self.moved();
            let (data, end) = match part.map_err(body_stop)? {
                BodyPart::Data(data) => (data, None),
                BodyPart::End(trailers) => (Bytes::new(), Some(clean(trailers))),
            };
            count_request(self.passed, data.len(), self.bounds.request_body)?;
            self.attempt.keep(&data, end.as_ref());
            let is_end = end.is_some();
            self.upload = match self.calling.send(data, end) {
                _ if is_end => Upload::Done,
                Ok(()) => Upload::Running,
                Err(_) => Upload::Abandoned,
            };
        }
        Ok(())
    }
}

/// What is there of the body at once, so that a small request is one message.
async fn first_part<E: Edge>(edge: &mut E) -> Result<(Bytes, Option<Fields>), Stop> {
    poll_fn(|cx| {
        let data = match edge.poll_body(cx).map_err(body_stop)? {
            Poll::Ready(BodyPart::Data(data)) => data,
            Poll::Ready(BodyPart::End(trailers)) => return Poll::Ready(Ok((Bytes::new(), Some(clean(trailers))))),
            Poll::Pending => return Poll::Ready(Ok((Bytes::new(), None))),
        };
        Poll::Ready(Ok((data, edge.take_end().map(clean))))
    })
    .await
}

/// Without what may not be a trailer: neither end lets a client smuggle a field past its checks behind a body.
fn clean(mut trailers: Fields) -> Fields {
    headers::clean_trailers(&mut trailers);
    trailers
}

fn count_request(passed: &Passed, bytes: usize, most: u64) -> Result<(), Refusal> {
    let now = passed.request_bytes.fetch_add(bytes as u64, Relaxed) + bytes as u64;
    if now > most {
        return Err(Refusal::new(RefusalKind::ContentTooLarge, format!("the body is longer than {most} bytes")));
    }
    Ok(())
}

fn body_stop(error: BodyError) -> Stop {
    match error {
        BodyError::Refused(refusal) => Stop::Refused(refusal),
        BodyError::ClientGone => Stop::ClientGone,
    }
}

/// An answer that is not as long as announced cannot be delivered whole.
fn wrong_length(how: &str) -> Refusal {
    Refusal::new(RefusalKind::RoleAborted, format!("the answer is {how} than its Content-Length"))
}
