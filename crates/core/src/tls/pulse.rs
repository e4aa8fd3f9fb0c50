//! What a connection's socket tells about its peer, for whoever judges the connection without touching it: when
//! bytes last came, and whether it takes ours. Written by the stream, read by others, never a lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Every byte counts, of whatever it is part: on a slow link a heartbeat comes behind megabytes of a transfer.
///
/// A read of the socket reads the clock, which costs a fiftieth of the read itself. A count of reads would cost
/// less and tell only that bytes came since somebody last looked, but not when.
#[derive(Debug)]
pub struct Pulse {
    began: Instant,
    /// When bytes last came, microseconds from the beginning.
    heard: AtomicU64,
    stalled: AtomicBool,
    blocked: AtomicBool,
    slow: AtomicBool,
}

impl Pulse {
    /// Begins now, as if bytes had just come.
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            heard: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            slow: AtomicBool::new(false),
        }
    }

    /// Bytes came. What was stalled is so no longer.
    pub fn beat(&self) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.heard.store(micros, Ordering::Relaxed);
        if self.is_stalled() {
            self.stalled.store(false, Ordering::Relaxed);
        }
    }

    pub fn heard_at(&self) -> Instant {
        self.began + Duration::from_micros(self.heard.load(Ordering::Relaxed))
    }

    /// How long nothing has come.
    pub fn silence(&self) -> Duration {
        self.heard_at().elapsed()
    }

    /// From now until the next byte.
    pub fn stall(&self) {
        self.stalled.store(true, Ordering::Relaxed);
    }

    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Whether the socket took all that it was given, when it was last given something.
    pub(crate) fn block(&self, blocked: bool) {
        if self.is_blocked() != blocked {
            self.blocked.store(blocked, Ordering::Relaxed);
        }
    }

    /// Bytes of ours wait for the socket.
    pub fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    pub(crate) fn slow(&self, slow: bool) {
        if self.is_slow() != slow {
            self.slow.store(slow, Ordering::Relaxed);
        }
    }

    /// Many write on this connection, and its socket has not lately shown that it is fast: whoever writes much does so in
    /// parts, so that others have their turn.
    pub fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}
