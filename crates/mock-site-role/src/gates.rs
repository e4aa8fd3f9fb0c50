//! Gates: a behaviour waits at a named gate until another request opens it, so that tests need no sleeps.
//! Opening counts: each of the opened turns lets one waiter through, also one that comes later.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

use crate::limits;

#[derive(Clone, Default)]
pub struct Gates {
    gates: Arc<Mutex<HashMap<String, Gate>>>,
}

#[derive(Clone)]
struct Gate {
    turns: Arc<Semaphore>,
    /// Turns that nobody has taken yet.
    owed: Arc<AtomicUsize>,
    waiting: watch::Sender<usize>,
}

/// Counts a waiter for as long as it waits.
struct Waiter(watch::Sender<usize>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

impl Gate {
    fn owe(&self, turns: usize) {
        self.owed.fetch_add(turns, Relaxed);
        self.turns.add_permits(turns);
    }
}

impl Gates {
    /// Waits for one turn; for ever when there are too many gates.
    pub async fn pass(&self, key: &str) {
        let Some(gate) = self.gate(key) else { return std::future::pending().await };
        gate.waiting.send_modify(|waiting| *waiting += 1);
        let waiter = Waiter(gate.waiting.clone());
        if let Ok(turn) = gate.turns.acquire().await {
            turn.forget();
            // Waits no more before its turn is taken: nobody takes it for one that waits without.
            drop(waiter);
            gate.owed.fetch_sub(1, Relaxed);
        }
    }

    /// Lets so many through.
    pub fn release(&self, key: &str, turns: usize) {
        if let Some(gate) = self.gate(key) {
            gate.owe(turns.min(Semaphore::MAX_PERMITS / 2));
        }
    }

    /// Lets so many of those through that wait now, and nobody who comes later.
    pub fn release_waiting(&self, key: &str, turns: usize) {
        if let Some(gate) = self.gate(key) {
            let without_turn = gate.waiting.borrow().saturating_sub(gate.owed.load(Relaxed));
            gate.owe(turns.min(without_turn));
        }
    }

    /// Completes when at least so many wait at the gate.
    pub async fn waited_for(&self, key: &str, waiters: usize) {
        let Some(gate) = self.gate(key) else { return std::future::pending().await };
        // The sender lives in the gate, so waiting ends only by the condition.
        let _ = gate.waiting.subscribe().wait_for(|waiting| *waiting >= waiters).await;
    }

    /// How many wait, by gate; gates where nobody waits are left out.
    pub fn waiting(&self) -> HashMap<String, usize> {
        let waiting = |(key, gate): (&String, &Gate)| (key.clone(), *gate.waiting.borrow());
        self.gates().iter().map(waiting).filter(|(_, count)| *count > 0).collect()
    }

    fn gate(&self, key: &str) -> Option<Gate> {
        let mut gates = self.gates();
        if gates.len() >= limits::GATES && !gates.contains_key(key) {
            return None;
        }
        let new = || Gate {
            turns: Arc::new(Semaphore::new(0)),
            owed: Arc::new(AtomicUsize::new(0)),
            waiting: watch::Sender::new(0),
        };
        Some(gates.entry(key.to_owned()).or_insert_with(new).clone())
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<String, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn turns_are_counted_before_and_after_waiting() {
        let gates = Gates::default();
        gates.release("a", 1);
        gates.pass("a").await;
        let waiting = gates.clone();
        tokio::join!(waiting.pass("a"), async {
            gates.waited_for("a", 1).await;
            assert_eq!(gates.waiting(), HashMap::from([("a".to_owned(), 1)]));
            gates.release("a", 1);
        });
        assert!(gates.waiting().is_empty());
    }

    #[tokio::test]
    async fn turns_for_those_who_wait_are_not_kept_for_others() {
        let gates = Gates::default();
        gates.release_waiting("a", 5);
        let waiting = gates.clone();
        tokio::join!(waiting.pass("a"), async {
            gates.waited_for("a", 1).await;
            gates.release_waiting("a", 5);
            gates.release_waiting("a", 5);
        });
        assert!(gates.pass("a").now_or_never().is_none(), "a turn was left over");
    }
}
