//! What each identity uses of this instance, over all its connections and every worker. Kept while it has a connection,
//! and after that until its bucket is full again: who comes back finds what he left.

use std::array;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::tls::certificate::Thumbprint;

use super::bucket::{Bucket, Pace};

/// Who asks, however many addresses and connections it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// By its leaf.
    Certificate(Thumbprint),
}

/// What each identity may use.
#[derive(Clone, Copy, Debug)]
pub struct IdentityLimits {
    pub exchanges: usize,
    pub requests_per_second: usize,
    pub burst: usize,
}

/// One identity's use of this instance.
#[derive(Debug)]
pub struct Account {
    limits: IdentityLimits,
    pace: Pace,
    running: AtomicUsize,
    kept: AtomicUsize,
    bucket: Bucket,
}

impl Account {
    /// Lets one more exchange begin, or refuses it for what the identity uses already.
    pub fn begin(self: &Arc<Self>, now: Instant) -> Result<Allowance, Refusal> {
        let most = self.limits.exchanges;
        let one_more = |running: usize| (running < most).then_some(running + 1);
        if self.running.fetch_update(Relaxed, Relaxed, one_more).is_err() {
            return Err(too_many(format!("{most} exchanges of this client run already")));
        }
        // Given back if the rate is too high. What is refused takes no token: a flood gets its rate and no more.
        let allowance = Allowance { account: Arc::clone(self) };
        if !self.bucket.take(&self.pace, now) {
            let (rate, burst) = (self.limits.requests_per_second, self.limits.burst);
            return Err(too_many(format!("this client asks more than {rate} times a second, and {burst} at once")));
        }
        Ok(allowance)
    }

    /// One more connection that keeps its place while others look for one; `None` when the identity has enough of them.
    pub fn keep_connection(self: &Arc<Self>) -> Option<KeptConnection> {
        let one_more = |kept: usize| (kept < limits::IDENTITY_CONNECTIONS).then_some(kept + 1);
        self.kept.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(KeptConnection { account: Arc::clone(self) })
    }
}

fn too_many(detail: String) -> Refusal {
    Refusal::new(RefusalKind::TooManyRequests, detail)
}

/// One of the exchanges that an identity may have at a time, given back when dropped.
#[derive(Debug)]
pub struct Allowance {
    account: Arc<Account>,
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.account.running.fetch_sub(1, Relaxed);
    }
}

/// One of the connections of an identity that keep their places, given back when dropped.
#[derive(Debug)]
pub struct KeptConnection {
    account: Arc<Account>,
}

impl Drop for KeptConnection {
    fn drop(&mut self) {
        self.account.kept.fetch_sub(1, Relaxed);
    }
}

type Accounts = HashMap<Identity, Arc<Account>>;

/// The accounts of an instance. A connection looks its own up once and keeps it.
#[derive(Debug)]
pub struct Identities {
    limits: IdentityLimits,
    pace: Pace,
    shards: [Mutex<Accounts>; limits::IDENTITY_SHARDS],
}

impl Identities {
    pub fn new(limits: IdentityLimits) -> Self {
        let pace = Pace::new(limits.requests_per_second, limits.burst);
        Self { limits, pace, shards: array::from_fn(|_| Mutex::default()) }
    }

    /// For a connection whose client is believed; the identity counts as connected for as long as it is kept.
    pub fn account(&self, identity: Identity) -> Arc<Account> {
        let Identity::Certificate(Thumbprint([first, ..])) = identity;
        let at = usize::from(first) % limits::IDENTITY_SHARDS;
        let fresh = || {
            Arc::new(Account {
                limits: self.limits,
                pace: self.pace,
                running: AtomicUsize::new(0),
                kept: AtomicUsize::new(0),
                bucket: Bucket::default(),
            })
        };
        match self.shards.get(at) {
            Some(shard) => Arc::clone(lock(shard).entry(identity).or_insert_with(fresh)),
            None => fresh(),
        }
    }

    /// Identities that have an open connection.
    pub fn connected(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).values().filter(|account| is_connected(account)).count()).sum()
    }

    /// Forgets whom nothing need be remembered of. To be called now and then: what comes in between is bounded by the
    /// handshakes that an instance can make in that time.
    pub fn sweep(&self, now: Instant) {
        for shard in &self.shards {
            lock(shard).retain(|_, account| is_connected(account) || !account.bucket.is_full(&self.pace, now));
        }
    }

    #[cfg(test)]
    pub fn remembered(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

/// A connection or an exchange holds it beside this table.
fn is_connected(account: &Arc<Account>) -> bool {
    Arc::strong_count(account) > 1
}

fn lock(shard: &Mutex<Accounts>) -> MutexGuard<'_, Accounts> {
    // Nothing inside can panic half-way: a poisoned table is still whole.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
