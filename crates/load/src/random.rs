//! Numbers that look random and are the same for the same seed, so that a run can be had again.

use crate::content;

pub struct Random(u64);

impl Random {
    /// A sequence of its own for each pair.
    pub fn new(seed: u64, number: u64) -> Self {
        Self(content::mixed(seed ^ content::mixed(number)))
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(content::GOLDEN);
        content::mixed(self.0)
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.number() % (most - least + 1)
    }

    /// The same, where each doubling is as likely as the next.
    pub fn magnitude(&mut self, least: u64, most: u64) -> u64 {
        let doublings = most.div_ceil(least).next_power_of_two().trailing_zeros().max(1);
        let low = least << self.between(0, u64::from(doublings) - 1);
        self.between(low, low * 2).min(most)
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.number().is_multiple_of(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_again_and_within_its_bounds() {
        let numbers = |seed| -> Vec<u64> {
            let mut random = Random::new(seed, 3);
            (0..100).map(|_| random.magnitude(16, 4096)).collect()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert!(numbers(1).iter().all(|number| (16..=4096).contains(number)));
        assert!(numbers(1).iter().any(|number| *number < 64) && numbers(1).iter().any(|number| *number > 1024));
    }
}
