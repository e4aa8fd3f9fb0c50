//! Decides for each packet of one direction whether it arrives and when. Pure: no clock, no device.

use std::time::Duration;

use tokio::time::Instant;

/// How a cable carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// From one end to the other.
    pub delay: Duration,
    /// At most so much more or less; packets do not overtake each other for it.
    pub jitter: Duration,
    /// So many of a thousand packets are lost.
    pub loss_per_mille: u64,
    /// So many of a thousand packets are so late that others overtake them.
    pub late_per_mille: u64,
    /// What the cable carries, without end if it is not said.
    pub bytes_a_second: Option<u64>,
    /// How long a packet waits for its turn before it is dropped.
    pub queue: Duration,
}

impl Quality {
    /// Everything arrives at once.
    pub const GOOD: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss_per_mille: 0,
        late_per_mille: 0,
        bytes_a_second: None,
        queue: Duration::from_millis(200),
    };
}

/// How late a late packet is: several others pass it at any rate worth the name.
const LATE: Duration = Duration::from_millis(20);

/// What one direction remembers.
pub(super) struct Way {
    random: u64,
    /// When the last packet has left the sender.
    free_at: Instant,
    /// When the last packet in order arrives.
    last_due: Instant,
}

impl Way {
    pub fn new(seed: u64, now: Instant) -> Self {
        Self { random: seed, free_at: now, last_due: now }
    }

    /// When a packet of this length arrives; never if it is lost.
    pub fn due(&mut self, quality: &Quality, length: usize, now: Instant) -> Option<Instant> {
        let begins = self.free_at.max(now);
        if self.one_of_a_thousand(quality.loss_per_mille) || begins - now > quality.queue {
            return None;
        }
        let takes = quality
            .bytes_a_second
            .map_or(Duration::ZERO, |rate| Duration::from_secs_f64(length as f64 / rate.max(1) as f64));
        self.free_at = begins + takes;
        let spread = quality.jitter * 2;
        let arrives = self.free_at + (quality.delay + spread.mul_f64(self.part())).saturating_sub(quality.jitter);
        if self.one_of_a_thousand(quality.late_per_mille) {
            return Some(arrives + LATE);
        }
        self.last_due = self.last_due.max(arrives);
        Some(self.last_due)
    }

    fn one_of_a_thousand(&mut self, many: u64) -> bool {
        self.number() % 1000 < many
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        (self.number() % 1024) as f64 / 1024.0
    }

    /// SplitMix64: the same losses for the same packets.
    fn number(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1000;

    /// When each of so many packets arrives that are sent at once, in milliseconds.
    fn arrivals(quality: &Quality, packets: usize) -> Vec<Option<u128>> {
        let now = Instant::now();
        let mut way = Way::new(1, now);
        (0..packets).map(|_| way.due(quality, PACKET, now).map(|due| (due - now).as_millis())).collect()
    }

    #[test]
    fn a_good_cable_carries_everything_at_once() {
        assert_eq!(arrivals(&Quality::GOOD, 100), vec![Some(0); 100]);
    }

    #[test]
    fn delay_varies_within_its_jitter_and_keeps_the_order() {
        let ms = Duration::from_millis;
        let came: Vec<_> = arrivals(&Quality { delay: ms(100), jitter: ms(40), ..Quality::GOOD }, 100);
        let came: Vec<_> = came.into_iter().flatten().collect();
        assert_eq!(came.len(), 100);
        assert!(came.is_sorted() && came.iter().all(|ms| (60..=140).contains(ms)), "{came:?}");
        assert!(came[0] != came[99], "{came:?}");
    }

    #[test]
    fn some_are_lost_and_some_are_overtaken() {
        let came = arrivals(&Quality { loss_per_mille: 100, late_per_mille: 100, ..Quality::GOOD }, 1000);
        let lost = came.iter().filter(|due| due.is_none()).count();
        let late = came.iter().flatten().filter(|ms| **ms == LATE.as_millis()).count();
        assert!((50..150).contains(&lost) && (50..150).contains(&late), "{lost} lost, {late} late");
    }

    #[test]
    fn a_rate_spreads_packets_and_its_queue_is_bounded() {
        let slow = Quality { bytes_a_second: Some(100_000), queue: Duration::from_millis(45), ..Quality::GOOD };
        let came = arrivals(&slow, 10);
        assert_eq!(came[..5], [Some(10), Some(20), Some(30), Some(40), Some(50)]);
        assert_eq!(came[5..], [None; 5], "the queue's tail is dropped");
    }
}
