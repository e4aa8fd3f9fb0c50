//! Small writes that do not wait long behind large ones: a socket that has not shown that it is fast gets little at a
//! time, and the rest waits with its writers, who take turns.

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::limits;

/// Nothing on a connection of which one party writes everything.
#[derive(Debug, Default)]
pub(super) struct Promptness(Option<Pace>);

#[derive(Debug)]
struct Pace {
    is_fast: bool,
    /// Bytes that the socket took since then.
    taken: usize,
    since: Instant,
}

impl Promptness {
    /// Of a connection on which many parties write.
    pub fn of(tcp: &TcpStream) -> Self {
        let mut slow = Self(Some(Pace { is_fast: false, taken: 0, since: Instant::now() }));
        slow.judge(tcp, false);
        slow
    }

    pub fn is_slow(&self) -> bool {
        self.0.as_ref().is_some_and(|pace| !pace.is_fast)
    }

    /// The socket took so many bytes.
    pub fn took(&mut self, written: usize, tcp: &TcpStream) {
        let Some(pace) = &mut self.0 else { return };
        pace.taken += written;
        let is_fast = pace.taken >= limits::TUNNEL_FAST;
        let is_over = pace.since.elapsed() >= limits::TUNNEL_FAST_WITHIN;
        if is_over {
            (pace.taken, pace.since) = (0, Instant::now());
        }
        if is_fast != pace.is_fast && (is_fast || is_over) {
            self.judge(tcp, is_fast);
        }
    }

    fn judge(&mut self, tcp: &TcpStream, is_fast: bool) {
        if let Some(pace) = &mut self.0 {
            pace.is_fast = is_fast;
        }
        let unsent = if is_fast { limits::TLS_QUEUE } else { limits::TUNNEL_UNSENT };
        // A kernel that does not know the option holds more, which makes small writes wait and is no error.
        let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(unsent as u32);
    }

    /// Whether so much has to go to the socket before more is taken. Small writes are gathered on a slow connection too.
    pub fn is_enough(&self, gathered: usize, queued: usize) -> bool {
        if self.is_slow() { queued >= limits::TLS_GATHER_BELOW } else { gathered + queued >= limits::TLS_WRITE_AT }
    }

    /// So much waits at most, but for what came while it was fast.
    pub fn most(&self) -> usize {
        if self.is_slow() { limits::TLS_GATHER_BELOW + limits::TLS_RECORD } else { limits::TLS_QUEUE }
    }
}
