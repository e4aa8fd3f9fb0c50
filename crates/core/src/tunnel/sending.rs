//! The sending half of an exchange over h2. h2 takes whatever it is given, so back-pressure is here:
//! nothing is sent before there is room.

use std::task::{Context, Poll, ready};

use h2::SendStream;

use super::TunnelBroken;
use super::piece::Piece;
use crate::limits;

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
