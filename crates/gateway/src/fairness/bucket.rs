//! A bucket of tokens as one number: the moment at which it is full again. Asks no clock; who takes one says when.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How fast buckets fill, and how much each holds. Moments are nanoseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    made: Instant,
    /// What one token is worth.
    each: u64,
    /// What a full bucket is worth.
    full: u64,
}

impl Pace {
    /// Neither may be 0, which the settings see to.
    pub fn new(per_second: usize, burst: usize) -> Self {
        let each = nanoseconds(Duration::from_secs(1)) / (per_second as u64).max(1);
        Self { made: Instant::now(), each, full: each.saturating_mul(burst as u64) }
    }

    pub fn moment(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.made))
    }

    /// When a bucket will be full after one more was taken; `None` if it would then owe more than `times` a whole one.
    pub fn after_one(&self, full_at: u64, now: u64, times: u64) -> Option<u64> {
        let next = full_at.max(now).saturating_add(self.each);
        (next - now <= self.full.saturating_mul(times)).then_some(next)
    }

    /// From empty to full.
    pub fn refill(&self) -> u64 {
        self.full
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Full when it is made.
#[derive(Debug, Default)]
pub struct Bucket {
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes one out, if there is one.
    pub fn take(&self, pace: &Pace, now: Instant) -> bool {
        let now = pace.moment(now);
        self.full_at.fetch_update(Relaxed, Relaxed, |full_at| pace.after_one(full_at, now, 1)).is_ok()
    }

    /// There is nothing in it to remember.
    pub fn is_full(&self, pace: &Pace, now: Instant) -> bool {
        self.full_at.load(Relaxed) <= pace.moment(now)
    }
}
