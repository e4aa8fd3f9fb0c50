//! One exchange on an HTTP/1.1 connection. Knows whether the connection may serve another one after it.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use cmg_core::deadline::Deadline;
use cmg_core::fields::{Field, Fields};
use cmg_core::http1::{
    AnswerFraming, BodyDecoder, BodyLength, BodyPiece, write_answer_head, write_chunk_prefix, write_chunk_suffix,
    write_continue, write_last_chunk,
};
use cmg_core::limits;

use super::connection::Http1Connection;
use crate::edge::{BodyError, BodyPart, ClientAnswer, ClientAnswerBody, ClientGone, Edge};
use crate::refusal_answer;

pub struct Http1Exchange<'a> {
    connection: &'a mut Http1Connection,
    decoder: BodyDecoder,
    /// `End` has been given out.
    body_ended: bool,
    awaits_continue: bool,
    keep_alive: bool,
    answer: Answer,
}

/// How far the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    NotBegun,
    Chunked,
    /// With a length in the head, or nothing behind it.
    Plain,
    Ended,
    Cut,
}

impl<'a> Http1Exchange<'a> {
    pub fn new(connection: &'a mut Http1Connection, body: BodyLength, keep_alive: bool, awaits_continue: bool) -> Self {
        let decoder = BodyDecoder::for_request(body);
        Self { connection, decoder, body_ended: false, awaits_continue, keep_alive, answer: Answer::NotBegun }
    }

    /// Whether the answer was delivered whole and another request may follow on the connection.
    pub fn may_continue(&self) -> bool {
        self.keep_alive && self.answer == Answer::Ended && self.body_ended
    }

    /// The connection must break visibly.
    pub fn is_cut(&self) -> bool {
        !matches!(self.answer, Answer::Ended | Answer::NotBegun)
    }

    fn take_piece(&mut self) -> Result<Option<BodyPart>, BodyError> {
        let piece = self.decoder.take_joined(&mut self.connection.received, limits::TUNNEL_CHUNK);
        match piece.map_err(|fault| BodyError::Refused(refusal_answer::of_body_fault(&fault)))? {
            BodyPiece::Data(data) => Ok(Some(BodyPart::Data(data))),
            BodyPiece::End(trailers) => {
                self.body_ended = true;
                Ok(Some(BodyPart::End(trailers)))
            }
            BodyPiece::NeedMore => Ok(None),
        }
    }
}

impl Edge for Http1Exchange<'_> {
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodyPart, BodyError>> {
        loop {
            if let Some(part) = self.take_piece()? {
                return Poll::Ready(Ok(part));
            }
            let received = ready!(self.connection.poll_receive(cx));
            if !matches!(received, Ok(1..)) {
                return Poll::Ready(Err(BodyError::ClientGone));
            }
        }
    }

    fn take_end(&mut self) -> Option<Fields> {
        // A fault shows again when the body is read on.
        let trailers = self.decoder.take_end(&mut self.connection.received).ok().flatten()?;
        self.body_ended = true;
        Some(trailers)
    }

    fn give_up_body(&mut self) {
        while !self.body_ended {
            match self.take_piece() {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    self.keep_alive = false;
                    return;
                }
            }
        }
    }

    fn end_connection(&mut self) {
        self.keep_alive = false;
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A next request that has come already cannot be a goodbye.
        if !self.connection.is_silent() {
            return Poll::Pending;
        }
        match self.connection.stream.poll_plaintext_ready(cx) {
            Poll::Ready(Ok(1..)) | Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
        }
    }

    fn send_continue(&mut self) -> Result<(), ClientGone> {
        if self.awaits_continue {
            self.awaits_continue = false;
            write_continue(&mut self.connection.before);
        }
        Ok(())
    }

    fn has_answered(&self) -> bool {
        self.answer != Answer::NotBegun
    }

    fn send_head(&mut self, mut answer: ClientAnswer) -> Result<(), ClientGone> {
        // A client that still waits for 100 would take the next request's bytes for its body's, or the reverse.
        self.keep_alive &= !self.awaits_continue;
        let (framing, state) = match answer.body {
            ClientAnswerBody::Nothing { told_length } => {
                if let Some(length) = told_length {
                    answer.fields.push(Field::new("Content-Length", length.to_string()));
                }
                (AnswerFraming::None, Answer::Plain)
            }
            ClientAnswerBody::Known(length) => (AnswerFraming::Known(length), Answer::Plain),
            ClientAnswerBody::Streamed => (AnswerFraming::Chunked, Answer::Chunked),
        };
        let out = &mut self.connection.before;
        write_answer_head(out, answer.status, &answer.reason, &answer.fields, framing, self.keep_alive);
        self.answer = state;
        Ok(())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        // What was sent last has to be with the TLS stream before its place is used again. A head alone waits
        // for its first data, so that both leave in one record.
        if self.connection.data.is_empty() && self.connection.after.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.connection.poll_hand_over(cx)
    }

    fn send_data(&mut self, data: Bytes) -> Result<(), ClientGone> {
        match self.answer {
            Answer::Chunked => {
                write_chunk_prefix(&mut self.connection.before, data.len());
                write_chunk_suffix(&mut self.connection.after);
            }
            Answer::Plain => {}
            Answer::NotBegun | Answer::Ended | Answer::Cut => return Err(self.cut_short()),
        }
        self.connection.data = data;
        Ok(())
    }

    fn send_end(&mut self, trailers: Fields) -> Result<(), ClientGone> {
        match self.answer {
            Answer::Chunked => write_last_chunk(&mut self.connection.after, &trailers),
            Answer::Plain => {}
            Answer::NotBegun | Answer::Ended | Answer::Cut => return Err(self.cut_short()),
        }
        self.answer = Answer::Ended;
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        self.connection.poll_flush(cx)
    }

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.connection.deadline
    }

    fn cut(&mut self) {
        self.answer = Answer::Cut;
        self.connection.before = BytesMut::new();
        self.connection.after = BytesMut::new();
    }
}

impl Http1Exchange<'_> {
    fn cut_short(&mut self) -> ClientGone {
        self.cut();
        ClientGone
    }
}
