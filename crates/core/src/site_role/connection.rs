//! A connection to a role: our TLS stream, what was read of it and not yet understood, and its deadline.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use crate::deadline::Deadline;
use crate::limits;
use crate::metrics::Held;
use crate::tls::TlsStream;

pub(super) struct RoleConnection {
    pub(super) stream: TlsStream,
    pub(super) unread: BytesMut,
    pub(super) deadline: Deadline,
    /// An exchange has been completed on it.
    pub(super) is_reused: bool,
    /// The role has said something in this exchange.
    pub(super) has_spoken: bool,
    _open: Held,
}

impl RoleConnection {
    pub(super) fn new(stream: TlsStream, open: Held) -> Box<Self> {
        let deadline = Deadline::after(limits::ROLE_CONNECT);
        Box::new(Self { stream, unread: BytesMut::new(), deadline, is_reused: false, has_spoken: false, _open: open })
    }

    /// Reads what has come; 0 is an end by close_notify. Without anything to read it holds no memory.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let count = ready!(self.stream.poll_plaintext_ready(cx))?;
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        // A full record is seldom the last: then as much as one read of the socket brings.
        self.unread.reserve(if count < limits::SMALL_CHUNK { count } else { limits::TUNNEL_CHUNK });
        self.stream.poll_read_into(cx, &mut self.unread, limits::TUNNEL_CHUNK)
    }

    /// Neither closed nor talking out of turn: an exchange may begin.
    pub(super) fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        self.unread.is_empty() && self.stream.poll_plaintext_ready(cx).is_pending()
    }
}
