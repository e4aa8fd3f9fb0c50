//! Whether a tunnel that is up is worth a request: it is passed over while it is silent, or takes requests and answers
//! none. A read of two atomics as long as all is well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use cmg_core::limits;
use cmg_core::tls::Pulse;
use tokio::time::Instant;

pub struct Health {
    pulse: Arc<Pulse>,
    /// Exchanges in a row that ended without any answer in their time.
    unanswered: AtomicUsize,
    began: Instant,
    /// When one more request may find out whether it answers again, milliseconds from the beginning.
    next_try: AtomicU64,
}

impl Health {
    pub fn new(pulse: Arc<Pulse>) -> Self {
        Self { pulse, unanswered: AtomicUsize::new(0), began: Instant::now(), next_try: AtomicU64::new(0) }
    }

    /// The connection point said something about a request.
    pub fn answered(&self) {
        if self.unanswered.load(Relaxed) > 0 {
            self.unanswered.store(0, Relaxed);
        }
    }

    /// A request ended without a word in its time. Says whether the tunnel is passed over because of this one.
    pub fn unanswered(&self) -> bool {
        let in_a_row = self.unanswered.fetch_add(1, Relaxed) + 1;
        if in_a_row >= limits::UNANSWERED {
            self.next_try.store(self.now() + limits::UNANSWERED_PROBE.as_millis() as u64, Relaxed);
        }
        in_a_row == limits::UNANSWERED
    }

    pub fn is_stalled(&self) -> bool {
        self.pulse.is_stalled() || self.swallows()
    }

    /// Whether the next request may go here; one of those that find out takes the right to with it.
    pub fn may_be_tried(&self) -> bool {
        !self.pulse.is_stalled() && (!self.swallows() || self.takes_a_try())
    }

    fn swallows(&self) -> bool {
        self.unanswered.load(Relaxed) >= limits::UNANSWERED
    }

    fn takes_a_try(&self) -> bool {
        let (now, due) = (self.now(), self.next_try.load(Relaxed));
        let next = now + limits::UNANSWERED_PROBE.as_millis() as u64;
        now >= due && self.next_try.compare_exchange(due, next, Relaxed, Relaxed).is_ok()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
