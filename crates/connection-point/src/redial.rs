//! When to dial again (T-06): spread from the first time on, then full jitter under a bound that grows with every
//! loss, never ending, small again after a tunnel that lived. A delay that the gateway asked for comes on top.

use std::time::Duration;

use cmg_core::jitter::at_random;
use cmg_core::limits;

/// The memory of one place for a tunnel.
#[derive(Debug, Default)]
pub struct Redial {
    /// Tunnels that were lost and dials that failed since the last tunnel that lived.
    losses: u32,
}

impl Redial {
    /// The wait before the very first dial of a place. Short, because somebody waits for a start to be over, and no
    /// start loses a tunnel that all others lose too; those that do start together are spread by their start itself.
    pub fn at_start() -> Duration {
        at_random(limits::DIAL_AT_START)
    }

    /// The wait before the next dial, after a tunnel that lived this long (zero if it never came up).
    pub fn after(&mut self, lived: Duration, told: Duration) -> Duration {
        if lived >= limits::REDIAL_STABLE {
            self.losses = 0;
        }
        let wait = told.min(limits::REDIAL_TOLD) + at_random(self.bound());
        self.losses = self.losses.saturating_add(1);
        wait
    }

    /// The longest wait of our own.
    fn bound(&self) -> Duration {
        let Some(doublings) = self.losses.checked_sub(1) else { return limits::REDIAL_FIRST };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        limits::REDIAL_NEXT.saturating_mul(factor).min(limits::REDIAL_LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_from_the_first_and_grow_to_a_bound() {
        let mut redial = Redial::default();
        let mut bounds = vec![limits::REDIAL_FIRST, limits::REDIAL_NEXT];
        while bounds.last().is_some_and(|last| *last < limits::REDIAL_LONGEST) {
            bounds.extend(bounds.last().map(|last| (*last * 2).min(limits::REDIAL_LONGEST)));
        }
        bounds.extend([limits::REDIAL_LONGEST; 40]);
        for bound in bounds {
            assert_eq!(redial.bound(), bound);
            assert!(redial.after(Duration::ZERO, Duration::ZERO) <= bound);
        }
        let waits: Vec<_> = (0..1000).map(|_| redial.after(Duration::ZERO, Duration::ZERO)).collect();
        let quarter = limits::REDIAL_LONGEST / 4;
        for part in 0..4 {
            let within = waits.iter().filter(|wait| **wait >= quarter * part && **wait < quarter * (part + 1)).count();
            assert!((150..350).contains(&within), "{within} of 1000 in quarter {part}");
        }
        assert!((0..100).all(|_| Redial::at_start() <= limits::DIAL_AT_START));
    }

    #[test]
    fn a_tunnel_that_lived_makes_the_next_dial_a_first_one() {
        let mut redial = Redial::default();
        for _ in 0..10 {
            redial.after(limits::REDIAL_STABLE / 2, Duration::ZERO);
        }
        assert_eq!(redial.bound(), limits::REDIAL_LONGEST);
        assert!(redial.after(limits::REDIAL_STABLE, Duration::ZERO) <= limits::REDIAL_FIRST);
        assert_eq!(redial.bound(), limits::REDIAL_NEXT);
    }

    #[test]
    fn a_delay_that_was_told_is_kept_within_reason() {
        let told = limits::REDIAL_TOLD / 2;
        let wait = Redial::default().after(Duration::ZERO, told);
        assert!((told..=told + limits::REDIAL_LONGEST).contains(&wait));
        assert!(Redial::default().after(Duration::ZERO, Duration::MAX) <= limits::REDIAL_TOLD + limits::REDIAL_LONGEST);
    }
}
