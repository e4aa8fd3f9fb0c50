//! How many tunnel handshakes an instance begins in a second on each kind of port (T-06): a fleet that comes back after an outage takes its
//! turns, and what clients need of the processor is left to them. Who waits holds a connection and no more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cmg_core::limits;
use tokio::time::{Instant, sleep_until};

use crate::accept::Port;

/// A bucket that holds the turns of one second.
pub struct Pace {
    began: Instant,
    /// Microseconds between two turns.
    gap: u64,
    /// When the bucket would be full again, microseconds from the beginning.
    full_at: AtomicU64,
}

/// One for each kind of port: a crowd on the clients' port, where anybody may come, keeps none waiting on the tunnels' own.
pub struct Paces {
    clients: Pace,
    tunnels: Pace,
}

impl Paces {
    pub fn new(per_second: u32) -> Self {
        Self { clients: Pace::new(per_second), tunnels: Pace::new(per_second) }
    }

    pub fn of(&self, port: Port) -> &Pace {
        match port {
            Port::Clients => &self.clients,
            Port::Tunnels => &self.tunnels,
        }
    }
}

/// A second, in microseconds.
const SECOND: u64 = 1_000_000;

impl Pace {
    pub fn new(per_second: u32) -> Self {
        let gap = SECOND / u64::from(per_second.max(1));
        Self { began: Instant::now(), gap, full_at: AtomicU64::new(0) }
    }

    /// Waits for a turn and says whether it had to be waited for; `None` when it would come too late, and then none is
    /// taken. With it the number of those that wait is bounded too.
    pub async fn turn(&self) -> Option<bool> {
        let now = self.micros(Instant::now());
        let latest = now + u64::try_from(limits::TUNNEL_TURN.as_micros()).unwrap_or(u64::MAX);
        let at = |full_at: u64| (full_at.max(now) + self.gap).saturating_sub(SECOND);
        let take = |full_at: u64| (at(full_at) <= latest).then(|| full_at.max(now) + self.gap);
        let at = at(self.full_at.fetch_update(Relaxed, Relaxed, take).ok()?);
        if at <= now {
            return Some(false);
        }
        sleep_until(self.began + Duration::from_micros(at)).await;
        Some(true)
    }

    fn micros(&self, time: Instant) -> u64 {
        u64::try_from((time - self.began).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::{Pin, pin};
    use std::task::Poll;

    use futures_util::future::join_all;

    use super::*;
    use crate::fairness::{Addresses, Peer, Welcome};
    use crate::test_site::address_limits;

    async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_takes_its_turns_and_the_rest_is_turned_away() {
        let pace = Pace::new(10);
        let began = Instant::now();
        for _ in 0..10 {
            assert_eq!(pace.turn().await, Some(false), "a second's worth at once");
        }
        let mut waits: Vec<_> = (0..50).map(|_| Box::pin(pace.turn())).collect();
        for wait in &mut waits {
            assert!(is_pending(wait.as_mut()).await);
        }
        assert_eq!(pace.turn().await, None, "it would have waited for more than its time");
        for (number, wait) in waits.into_iter().enumerate() {
            assert_eq!(wait.await, Some(true));
            let after = began.elapsed();
            let due = Duration::from_millis(100) * (number as u32 + 1);
            assert!(after >= due && after <= due + Duration::from_millis(2), "{number}: {after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_on_the_clients_port_keeps_nobody_waiting_on_the_tunnels_own() {
        let paces = Paces::new(1);
        let mut crowd: Vec<_> = (0..7).map(|_| Box::pin(paces.of(Port::Clients).turn())).collect();
        let waiting = join_all(crowd.iter_mut().map(|turn| is_pending(turn.as_mut()))).await;
        assert_eq!(waiting.iter().filter(|waits| **waits).count(), 5);
        assert_eq!(paces.of(Port::Tunnels).turn().await, Some(false));
    }

    /// An address that comes as often as it may takes no more than a part of the turns.
    #[tokio::test(start_paused = true)]
    async fn one_address_leaves_turns_for_others() {
        let (pace, addresses) = (Pace::new(limits::TUNNEL_HANDSHAKES), Addresses::new(address_limits()));
        let address = [198, 51, 100, 7].into();
        let (began, began_here) = (std::time::Instant::now(), Instant::now());
        let mut turns = Vec::new();
        for second in 0..60 {
            let now = began + began_here.elapsed();
            for _ in 0..200 {
                if addresses.welcome(address, Peer::ConnectionPoint, now) == Welcome::Yes {
                    turns.push(Box::pin(pace.turn()));
                    let _ = is_pending(turns.last_mut().unwrap().as_mut()).await;
                }
            }
            let mut other = Box::pin(pace.turn());
            let came = Instant::now();
            assert!(other.as_mut().await.is_some(), "second {second}: sent away");
            assert!(came.elapsed() <= limits::TUNNEL_TURN / 2, "second {second}: {:?}", came.elapsed());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_was_not_taken_is_not_paid_for() {
        let pace = Pace::new(1);
        assert_eq!(pace.turn().await, Some(false));
        let waits = join_all((0..5).map(|_| pace.turn()));
        let mut waits = pin!(waits);
        assert!(is_pending(waits.as_mut()).await);
        for _ in 0..1000 {
            assert_eq!(pace.turn().await, None);
        }
        waits.await;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pace.turn().await, Some(false), "the turned away left nothing behind");
    }
}
