//! The half of an exchange that reads: interim answers dropped and counted, one head, its body, and whether
//! the connection may be kept. Small chunks that have arrived together are passed on together, and nothing
//! waits for more (G-18).

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::connection::RoleConnection;
use super::exchange::RolePiece;
use super::failure::Silence;
use super::pool::RoleCounters;
use crate::fields::Fields;
use crate::http1::{AnswerHead, BodyDecoder, BodyPiece, take_answer_head};
use crate::limits;

pub(super) enum Answer {
    AwaitHead,
    Body(AnswerBodyReader),
    Done { keep: Option<Duration> },
}

pub(super) struct AnswerBodyReader {
    decoder: BodyDecoder,
    /// How long the connection may be kept after this, if at all.
    keep: Option<Duration>,
}

impl Answer {
    /// Reads on until the final head.
    pub(super) fn poll_head(
        &mut self,
        connection: &mut RoleConnection,
        method: &[u8],
        counters: &RoleCounters,
        cx: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, Silence>> {
        loop {
            match take_answer_head(&mut connection.unread, method) {
                Ok(Some(head)) if head.status < 200 => {
                    counters.informational_dropped.increment();
                    connection.has_spoken = true;
                    continue;
                }
                Ok(Some(head)) => {
                    let (decoder, keep) = (BodyDecoder::for_answer(head.body), keep_for(&head));
                    *self = Answer::Body(AnswerBodyReader { decoder, keep });
                    return Poll::Ready(Ok(head));
                }
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Err(Silence::Nonsense(fault.detail))),
            }
            match ready!(connection.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(Silence::closed(connection.has_spoken))),
                Ok(_) => connection.has_spoken = true,
                Err(failure) => return Poll::Ready(Err(Silence::broken(failure, connection.has_spoken))),
            }
        }
    }

    /// The next of the body.
    pub(super) fn poll_body(
        &mut self,
        connection: &mut RoleConnection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<RolePiece, Unwhole>> {
        let Answer::Body(body) = self else { return Poll::Ready(Ok(RolePiece::End(Fields::new()))) };
        let piece = ready!(body.poll_piece(connection, cx))?;
        if let RolePiece::End(_) = piece {
            let keep = body.keep.filter(|_| connection.unread.is_empty());
            *self = Answer::Done { keep };
        }
        Poll::Ready(Ok(piece))
    }
}

impl AnswerBodyReader {
    fn poll_piece(
        &mut self,
        connection: &mut RoleConnection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<RolePiece, Unwhole>> {
        loop {
            match self.decoder.take_joined(&mut connection.unread, limits::TUNNEL_CHUNK) {
                Ok(BodyPiece::Data(data)) => return Poll::Ready(Ok(RolePiece::Data(data))),
                Ok(BodyPiece::End(trailers)) => return Poll::Ready(Ok(RolePiece::End(trailers))),
                Ok(BodyPiece::NeedMore) => {}
                Err(fault) => return Poll::Ready(Err(Unwhole::Malformed(fault.to_string()))),
            }
            match ready!(connection.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(self.at_clean_end()),
                Ok(_) => {}
                Err(failure) => return Poll::Ready(Err(Unwhole::BrokenOff(words_of(&failure)))),
            }
        }
    }

    /// close_notify came: the end of a body that goes until then, too early for any other.
    fn at_clean_end(&mut self) -> Result<RolePiece, Unwhole> {
        self.keep = None;
        let ended = self.decoder.at_eof().map(|()| RolePiece::End(Fields::new()));
        ended.map_err(|fault| Unwhole::BrokenOff(fault.to_string()))
    }
}

/// Why an answer is not whole.
#[derive(Debug)]
pub(super) enum Unwhole {
    BrokenOff(String),
    /// Its framing is not that of HTTP.
    Malformed(String),
}

fn words_of(failure: &io::Error) -> String {
    match failure.kind() {
        io::ErrorKind::UnexpectedEof => "the connection was cut without close_notify".into(),
        _ => failure.to_string(),
    }
}

/// How long a connection may be kept after this answer: shorter than the role said it would keep it, because
/// a request that meets the role's close is lost.
fn keep_for(head: &AnswerHead) -> Option<Duration> {
    if !head.keep_alive {
        return None;
    }
    let told = head.fields.first("keep-alive").and_then(|value| {
        let text = std::str::from_utf8(value).ok()?;
        let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
        seconds.trim().parse().ok().map(Duration::from_secs)
    });
    match told {
        Some(told) => told.checked_sub(limits::ROLE_IDLE_MARGIN).map(|wait| wait.min(limits::ROLE_IDLE)),
        None => Some(limits::ROLE_IDLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    use crate::fields::Field;
    use crate::http1::AnswerBody;

    #[test]
    fn a_connection_is_kept_for_less_than_the_role_keeps_it() {
        let mut head = AnswerHead {
            status: 200,
            reason: Bytes::new(),
            fields: Fields::new(),
            body: AnswerBody::None,
            content_length: None,
            keep_alive: true,
        };
        assert_eq!(keep_for(&head), Some(limits::ROLE_IDLE));
        for (told, kept) in [
            ("timeout=5, max=100", Some(Duration::from_secs(4))),
            ("max=3, timeout=1", Some(Duration::ZERO)),
            ("timeout=0", None),
            ("timeout=900", Some(limits::ROLE_IDLE)),
            ("timeout=soon", Some(limits::ROLE_IDLE)),
        ] {
            head.fields = [Field::new("Keep-Alive", told)].into_iter().collect();
            assert_eq!(keep_for(&head), kept, "{told}");
        }
        head.keep_alive = false;
        assert_eq!(keep_for(&head), None);
    }
}
