//! The values behind a metric: relaxed atomics on cache lines of their own, shared by cheap clones.

use std::fmt::{Debug, Formatter, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of a histogram of durations, in seconds: from a fast answer to a long poll.
pub const SECONDS: [f64; 16] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0];

/// Two workers that count different things never share a cache line.
#[repr(align(64))]
#[derive(Default)]
struct Padded<T>(T);

/// A number that only grows.
#[derive(Clone, Default)]
pub struct Counter(Arc<Padded<AtomicU64>>);

impl Counter {
    pub fn increment(&self) {
        self.add(1);
    }

    pub fn add(&self, count: u64) {
        self.0.0.fetch_add(count, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.0.load(Relaxed)
    }
}

impl Debug for Counter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Counter({})", self.get())
    }
}

/// A counter of the process, for places that no handle reaches.
#[derive(Debug)]
pub struct StaticCounter(AtomicU64);

impl StaticCounter {
    #[expect(clippy::new_without_default, reason = "only ever the value of a static")]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn increment(&self) {
        self.add(1);
    }

    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Default)]
pub struct Gauge(Arc<Padded<AtomicI64>>);

impl Gauge {
    pub fn set(&self, value: i64) {
        self.0.0.store(value, Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.0.load(Relaxed)
    }

    /// Counts one more until the guard is dropped.
    pub fn hold(&self) -> Held {
        self.0.0.fetch_add(1, Relaxed);
        Held { gauge: self.clone() }
    }
}

impl Debug for Gauge {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Gauge({})", self.get())
    }
}

/// What a gauge counts for as long as this lives.
#[must_use = "dropping the guard takes its count back"]
#[derive(Debug)]
pub struct Held {
    gauge: Gauge,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.0.0.fetch_sub(1, Relaxed);
    }
}

/// Durations, counted in the buckets of [`SECONDS`].
#[derive(Clone, Default)]
pub struct Histogram(Arc<Buckets>);

#[repr(align(64))]
#[derive(Default)]
struct Buckets {
    /// One more than [`SECONDS`]: what is above the last bound.
    counts: [AtomicU64; SECONDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let at = SECONDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.0.counts.get(at) {
            count.fetch_add(1, Relaxed);
        }
        self.0.nanoseconds.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How many durations were observed.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Per bucket, not cumulated; the last is what is above every bound.
    pub(super) fn counts(&self) -> [u64; SECONDS.len() + 1] {
        std::array::from_fn(|at| self.0.counts.get(at).map_or(0, |count| count.load(Relaxed)))
    }

    pub(super) fn sum_seconds(&self) -> f64 {
        Duration::from_nanos(self.0.nanoseconds.load(Relaxed)).as_secs_f64()
    }
}

impl Debug for Histogram {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Histogram({} observed)", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_counts_what_is_held() {
        let gauge = Gauge::default();
        let one = gauge.hold();
        let other = gauge.hold();
        assert_eq!(gauge.get(), 2);
        drop(one);
        assert_eq!(gauge.get(), 1);
        drop(other);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_micros(250));
        histogram.observe(Duration::from_micros(251));
        histogram.observe(Duration::from_secs(3600));
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[16]), (1, 1, 1));
        assert_eq!(histogram.count(), 3);
    }
}
