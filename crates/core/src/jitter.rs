//! Chance, where many would otherwise do the same at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Any length of time up to this one, each as likely.
pub fn at_random(most: Duration) -> Duration {
    // Seeded by the system; jitter needs no better.
    let random = RandomState::new().build_hasher().finish();
    let share = random as f64 / u64::MAX as f64;
    most.mul_f64(share.clamp(0.0, 1.0))
}
