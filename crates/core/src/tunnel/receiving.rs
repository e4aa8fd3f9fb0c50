//! The receiving half of an exchange over h2: chunks in, checked events out, flow control credited as the
//! bytes are taken. What is kept of a message that is not whole is not credited: together with what h2 keeps it
//! fits into the connection's window, however many streams the other end begins.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;

use super::TunnelBroken;
use super::exchange::Received;
use super::frame::{Direction, Event, FrameError, Reader};
use super::message::short;

pub struct Receiving<D> {
    stream: RecvStream,
    reader: Reader<D>,
    /// Taken and not credited.
    owed: usize,
}

impl<D: Direction> Receiving<D> {
    pub fn new(stream: RecvStream) -> Self {
        Self { stream, reader: Reader::default(), owed: 0 }
    }

    /// The next event. After `End` or `Refused` only [`Receiving::poll_finished`] may follow.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event<D::Head>, TunnelBroken>> {
        loop {
            let event = self.reader.next_event()?;
            if !self.reader.keeps_a_part() {
                self.credit()?;
            }
            if let Some(event) = event {
                return Poll::Ready(Ok(event));
            }
            match ready!(self.poll_chunk(cx)?) {
                Some(chunk) => self.reader.feed(chunk),
                None => {
                    // A status says more than the missing end.
                    let trailers = ready!(self.stream.poll_trailers(cx))?;
                    trailers.as_ref().map_or(Ok(()), grpc_status)?;
                    self.reader.at_end_of_stream()?;
                    // The last event has been given out, and there is no other.
                    return Poll::Ready(Err(FrameError::Truncated.into()));
                }
            }
        }
    }

    /// Reads the stream to its end, after the last event. A gRPC status other than 0 is an error.
    pub fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TunnelBroken>> {
        while let Some(chunk) = ready!(self.poll_chunk(cx)?) {
            self.reader.feed(chunk);
            if let Some(event) = self.reader.next_event()? {
                return Poll::Ready(Err(event.out_of_place(Received::Ended).into()));
            }
            self.credit()?;
        }
        let trailers = ready!(self.stream.poll_trailers(cx))?;
        Poll::Ready(trailers.as_ref().map_or(Ok(()), grpc_status))
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, TunnelBroken>> {
        let Some(chunk) = ready!(self.stream.poll_data(cx)) else { return Poll::Ready(Ok(None)) };
        let chunk = chunk?;
        self.owed += chunk.len();
        Poll::Ready(Ok(Some(chunk)))
    }

    /// h2 takes its lock even to credit nothing, and most events bring no bytes of their own.
    fn credit(&mut self) -> Result<(), h2::Error> {
        if self.owed == 0 {
            return Ok(());
        }
        self.stream.flow_control().release_capacity(std::mem::take(&mut self.owed))
    }
}

/// The status in trailers, or in the headers of an answer that is nothing but a status.
pub fn grpc_status(fields: &http::HeaderMap) -> Result<(), TunnelBroken> {
    let text = |name| fields.get(name).map(|value| short(&String::from_utf8_lossy(value.as_bytes())));
    match text("grpc-status") {
        Some(code) if code != "0" => {
            Err(TunnelBroken::Status { code, message: text("grpc-message").unwrap_or_default() })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::super::frame::Requests;
    use super::*;
    use crate::limits;
    use tokio::time::timeout;

    /// A peer that begins heads and ends none has used up its own window.
    #[tokio::test(start_paused = true)]
    async fn a_head_is_credited_when_it_is_whole() {
        const SENT: usize = 60_000;
        let (here, there) = tokio::io::duplex(1 << 20);
        let (client, server) = tokio::join!(h2::client::handshake(here), h2::server::handshake(there));
        let ((mut calls, connection), mut server) = (client.unwrap(), server.unwrap());
        let play = async move {
            let (_answer, mut stream) = calls.send_request(http::Request::new(()), false).unwrap();
            let mut head = vec![0];
            head.extend_from_slice(&(limits::TUNNEL_HEAD as u32).to_be_bytes());
            head.push(0x0a);
            prost::encoding::encode_varint(limits::TUNNEL_HEAD as u64 - 4, &mut head);
            head.resize(SENT, 0);
            stream.send_data(head.into(), false).unwrap();
            let _ = connection.await;
            drop(stream);
        };
        let receive = async {
            let (request, _respond) = server.accept().await.unwrap().unwrap();
            let mut receiving = Receiving::<Requests>::new(request.into_body());
            let driven = async { while server.accept().await.is_some() {} };
            let all_came = poll_fn(|cx| {
                let polled = receiving.poll_event(cx);
                assert!(polled.is_pending(), "{polled:?}");
                if receiving.owed == SENT { Poll::Ready(()) } else { Poll::Pending }
            });
            tokio::select! {
                came = timeout(limits::TUNNEL_ESTABLISH, all_came) => came.expect("it was credited as it came"),
                () = driven => panic!("the connection ended"),
            }
            assert_eq!(receiving.stream.flow_control().used_capacity(), SENT);
        };
        tokio::select! { () = play => panic!("the connection ended"), () = receive => {} }
    }
}
