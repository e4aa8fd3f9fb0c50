//! The sending half of an exchange over h2. h2 takes whatever it is given, so back-pressure is here:
//! nothing is sent before there is room.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

use super::TunnelBroken;
use super::piece::Piece;
use crate::limits;
use crate::tls::Pulse;

/// Waits until the stream takes another chunk. At most one chunk more than the window allows is queued.
pub fn poll_room(stream: &mut SendStream<Piece>, cx: &mut Context<'_>) -> Poll<Result<(), TunnelBroken>> {
    while stream.capacity() == 0 {
        stream.reserve_capacity(limits::TUNNEL_CHUNK);
        match ready!(stream.poll_capacity(cx)) {
            Some(capacity) => capacity.map(|_| ())?,
            None => return Poll::Ready(Err(TunnelBroken::Closed)),
        }
    }
    Poll::Ready(Ok(()))
}

/// Parts off what has to leave by itself, so that others have their turn behind it: nothing on a fast connection.
pub fn part(data: &mut Bytes, pulse: &Pulse) -> Option<Bytes> {
    (data.len() > limits::TUNNEL_PART && pulse.is_slow()).then(|| data.split_to(limits::TUNNEL_PART))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chunk_leaves_in_parts_on_a_slow_connection_only() {
        let (pulse, mut data) = (Pulse::new(), Bytes::from(vec![7; limits::TUNNEL_CHUNK]));
        assert_eq!(part(&mut data, &pulse), None);
        pulse.slow(true);
        let parts: Vec<_> = std::iter::from_fn(|| part(&mut data, &pulse)).map(|part| part.len()).collect();
        assert_eq!(parts, vec![limits::TUNNEL_PART; limits::TUNNEL_CHUNK / limits::TUNNEL_PART - 1]);
        assert_eq!(data.len(), limits::TUNNEL_PART, "the last one leaves with what else there is");
    }
}
