//! Moves one exchange between a tunnel and a role. Both directions are polled by the exchange's own task; neither
//! waits for the other, and nothing is held beyond a chunk in each direction. A small answer leaves as one
//! message.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use cmg_core::fields::Fields;
use cmg_core::headers;
use cmg_core::http1;
use cmg_core::site_role::{RoleError, RoleExchange, RolePiece};
use cmg_core::tunnel::message::AnswerHead;
use cmg_core::tunnel::serving::{Answering, Incoming, Part};
use cmg_core::url_mapping::Mapped;

use crate::admission::within;
use crate::exchange::Stop;
use crate::long_answer::LongAnswer;

/// What has passed: bytes of bodies, and the request a second time if a kept connection to the role had died under it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    pub request_bytes: u64,
    pub answer_bytes: u64,
    pub sent_again: bool,
}

pub struct Relay<'a> {
    role: RoleExchange,
    body: &'a mut Incoming,
    answer: &'a mut Answering,
    mapped: &'a Mapped,
    passed: &'a mut Passed,
    long_answer: LongAnswer,
    /// Of the body, taken and not yet given to the role.
    first: Option<Part>,
    /// The end of the body has come.
    body_ended: bool,
    /// The gateway knows that the request cannot be sent again.
    told_handed_over: bool,
    /// Of the answer, taken and not yet sent.
    ahead: Option<Result<RolePiece, RoleError>>,
}

/// What is there of a body at once: the first part often came with the head.
pub async fn first_part(body: &mut Incoming) -> Result<Option<Part>, Stop> {
    poll_fn(|cx| match body.poll_part(cx) {
        Poll::Ready(part) => Poll::Ready(part.map(Some).map_err(|_| Stop::Cancelled)),
        Poll::Pending => Poll::Ready(Ok(None)),
    })
    .await
}

impl<'a> Relay<'a> {
    pub fn new(
        role: RoleExchange,
        body: &'a mut Incoming,
        answer: &'a mut Answering,
        first: Option<Part>,
        mapped: &'a Mapped,
        passed: &'a mut Passed,
        long_answer: LongAnswer,
    ) -> Self {
        let (body_ended, told_handed_over, ahead) = (false, false, None);
        Self { role, body, answer, mapped, passed, long_answer, first, body_ended, told_handed_over, ahead }
    }

    /// Uploads until the head of the role's answer has come.
    pub async fn answer_head(&mut self) -> Result<http1::AnswerHead, Stop> {
        poll_fn(|cx| {
            self.poll_upload(cx)?;
            let head = self.role.poll_head(cx);
            self.passed.sent_again = self.role.was_sent_again();
            if let Poll::Ready(head) = head {
                return Poll::Ready(Ok(head?));
            }
            self.tell_handed_over();
            self.answer.poll_cancelled(cx).map(|()| Err(Stop::Cancelled))
        })
        .await
    }

    /// Streams the answer, the upload going on beside it. The upload may outlast it and is seen to its end.
    pub async fn deliver(&mut self, head: AnswerHead) -> Result<(), Stop> {
        let mut head = Some(head);
        poll_fn(|cx| self.poll_deliver(&mut head, cx)).await?;
        poll_fn(|cx| self.poll_rest_of_upload(cx)).await;
        Ok(())
    }

    fn poll_deliver(&mut self, head: &mut Option<AnswerHead>, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        self.poll_upload(cx).map_err(cut)?;
        loop {
            match self.answer.poll_room(cx) {
                Poll::Ready(room) => room.map_err(|_| Stop::Cancelled)?,
                Poll::Pending => return self.poll_stuck(cx),
            }
            let piece = match self.poll_piece(cx) {
                Poll::Ready(Ok(piece)) => piece,
                Poll::Ready(Err(error)) if head.is_some() => return Poll::Ready(Err(error.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Stop::Cut(error.to_string()))),
                Poll::Pending => {
                    if self.poll_send_head(head, cx)?.is_pending() {
                        return self.poll_stuck(cx);
                    }
                    return self.answer.poll_cancelled(cx).map(|()| Err(Stop::Cancelled));
                }
            };
            if self.long_answer.poll_send(|| length_of_head(head) + length_of(&piece), cx).is_pending() {
                self.ahead = Some(Ok(piece));
                let _ = self.poll_send_head(head, cx)?;
                return self.poll_stuck(cx);
            }
            match piece {
                RolePiece::End(trailers) => return Poll::Ready(self.send(head, Bytes::new(), Some(trailers))),
                RolePiece::Data(data) => {
                    let end = self.take_end(cx);
                    let is_end = end.is_some();
                    self.send(head, data, end)?;
                    if is_end {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }

    /// The answer is whole: what goes wrong with the rest of the upload is between the client and the role.
    fn poll_rest_of_upload(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.poll_upload(cx) {
            Ok(()) => self.role.poll_uploaded(cx),
            Err(_) => Poll::Ready(()),
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<RolePiece, RoleError>> {
        match self.ahead.take() {
            Some(piece) => Poll::Ready(piece),
            None => self.role.poll_body(cx),
        }
    }

    /// Looks ahead, once: the end of a small answer is usually there with its data.
    fn take_end(&mut self, cx: &mut Context<'_>) -> Option<Fields> {
        match self.role.poll_body(cx) {
            Poll::Ready(Ok(RolePiece::End(trailers))) => Some(trailers),
            Poll::Ready(other) => {
                self.ahead = Some(other);
                None
            }
            Poll::Pending => None,
        }
    }

    /// The head by itself, if it has not been sent yet.
    fn poll_send_head(&mut self, head: &mut Option<AnswerHead>, cx: &mut Context<'_>) -> Result<Poll<()>, Stop> {
        if head.is_none() {
            return Ok(Poll::Ready(()));
        }
        if self.long_answer.poll_send(|| length_of_head(head), cx).is_pending() {
            return Ok(Poll::Pending);
        }
        self.send(head, Bytes::new(), None)?;
        Ok(Poll::Ready(()))
    }

    fn send(&mut self, head: &mut Option<AnswerHead>, data: Bytes, end: Option<Fields>) -> Result<(), Stop> {
        self.passed.answer_bytes += data.len() as u64;
        self.answer.send(head.take(), data, end).map_err(|_| Stop::Cancelled)
    }

    /// The tunnel takes nothing: the client reads slowly, nobody reads any more, or too many answers are long.
    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if self.answer.poll_cancelled(cx).is_ready() {
            return Poll::Ready(Err(Stop::Cancelled));
        }
        self.role.poll_late::<()>(cx).map_err(|error| Stop::Cut(error.to_string()))
    }

    /// Moves what there is of the body, while the role takes it.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        loop {
            let takes_more = match self.role.poll_room(cx) {
                Poll::Ready(takes_more) => takes_more,
                Poll::Pending => return Ok(()),
            };
            // A role that was told of no body takes nothing, and the end of nothing has to be read all the same.
            if self.body_ended || (!takes_more && !self.role.is_handed_over()) {
                return Ok(());
            }
            let part = match self.first.take() {
                Some(part) => part,
                None => match self.body.poll_part(cx) {
                    Poll::Ready(part) => part.map_err(|_| Stop::Cancelled)?,
                    Poll::Pending => return Ok(()),
                },
            };
            self.upload(part)?;
        }
    }

    fn upload(&mut self, part: Part) -> Result<(), Stop> {
        match part {
            Part::Data(data) => {
                self.passed.request_bytes += data.len() as u64;
                within(self.passed.request_bytes, self.mapped)?;
                self.role.part(data).map_err(RoleError::from)?;
            }
            Part::End(mut trailers) => {
                headers::clean_trailers(&mut trailers);
                self.body_ended = true;
                self.role.end(trailers).map_err(RoleError::from)?;
            }
        }
        Ok(())
    }

    /// An exchange that waits long for its answer lets the gateway forget the body.
    fn tell_handed_over(&mut self) {
        let waits = self.mapped.endpoint.waits && self.passed.request_bytes > 0;
        if waits && !self.told_handed_over && self.role.is_handed_over() {
            self.told_handed_over = true;
            // An error shows as a cancellation.
            let _ = self.answer.handed_to_role();
        }
    }
}

fn length_of_head(head: &Option<AnswerHead>) -> usize {
    head.as_ref().map_or(0, |head| head.reason.len() + head.fields.wire_length())
}

fn length_of(piece: &RolePiece) -> usize {
    match piece {
        RolePiece::Data(data) => data.len(),
        RolePiece::End(trailers) => trailers.wire_length(),
    }
}

/// After the answer has begun a refusal can only be shown by breaking off.
fn cut(stop: Stop) -> Stop {
    match stop {
        Stop::Refused(_, inside) => Stop::Cut(inside),
        Stop::Violation(_) | Stop::Cut(_) | Stop::Cancelled => stop,
    }
}
