//! One tunnel while it lives: what its exchanges and its control call share. Counts the exchanges, and
//! carries a violation from one to the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cmg_core::limits;
use cmg_core::site_role::RolePool;
use cmg_core::tls::Pulse;
use cmg_core::tunnel::publication::Digest;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dialer::Place;

pub struct Link {
    pub place: Place,
    pub pool: Arc<RolePool>,
    pub address: String,
    pub pulse: Arc<Pulse>,
    /// Cancelled when no new exchanges are taken any more.
    pub closed: CancellationToken,
    /// Cancelled when the last word has been said and the gateway is to hang up.
    pub left: CancellationToken,
    /// For exchanges of endpoints that do not wait.
    active: Semaphore,
    /// For the answers of endpoints that wait, beyond what needs no place.
    pub long_answers: Arc<Semaphore>,
    violations: mpsc::Sender<Accusation>,
    exchanges: AtomicUsize,
    idle: Notify,
}

/// A request that the site does not allow, by a configuration that both ends had in force when it came.
#[derive(Debug)]
pub struct Accusation {
    pub what: String,
    pub came: Instant,
    pub judged_by: Digest,
}

/// Why a tunnel ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkEnd {
    #[error("gateway said: {detail}")]
    Goodbye { detail: String, retry_after: Duration },
    #[error("{0}")]
    Incompatible(String),
    #[error("the gateway broke the rules of the tunnel: {0}")]
    Violation(String),
    #[error("the gateway said no hello in time")]
    NoHello,
    #[error("nothing was heard from the gateway for too long")]
    Silent,
    #[error("the gateway hears nothing of what is sent to it")]
    Unheard,
    #[error("the connection ended")]
    Closed,
    #[error("{0}")]
    Broken(String),
    #[error("drained")]
    Drained,
}

impl LinkEnd {
    /// One of both ends meant it and said so.
    pub fn was_said(&self) -> bool {
        !matches!(self, LinkEnd::Closed | LinkEnd::Broken(_))
    }

    /// What is to be waited before the next dial: what the gateway asked for, or as long as it would ask for.
    pub fn retry_after(&self) -> Duration {
        match self {
            LinkEnd::Goodbye { retry_after, .. } => *retry_after,
            LinkEnd::Incompatible(_) => limits::REFUSED_RETRY,
            _ => Duration::ZERO,
        }
    }
}

impl Link {
    /// A link, and what its control call hears of violations.
    pub fn new(place: Place, address: String, pulse: Arc<Pulse>) -> (Arc<Self>, mpsc::Receiver<Accusation>) {
        let (violations, violated) = mpsc::channel(1);
        let link = Self {
            pool: place.point.pool(place.worker),
            active: Semaphore::new(limits::ACTIVE_SLACK * place.id.lane.active_exchanges()),
            long_answers: Arc::new(Semaphore::new(place.id.lane.long_answers())),
            place,
            address,
            pulse,
            closed: CancellationToken::new(),
            left: CancellationToken::new(),
            violations,
            exchanges: AtomicUsize::new(0),
            idle: Notify::new(),
        };
        (Arc::new(link), violated)
    }

    /// The control call ends the tunnel over it, unless the gateway's word of a change is still on its way.
    pub fn accuse(&self, accusation: Accusation) {
        // One is enough.
        let _ = self.violations.try_send(accusation);
    }

    /// Counts an exchange until the guard is dropped; `None` when there are too many.
    pub fn begin_exchange(self: &Arc<Self>, most: usize) -> Option<RunningExchange> {
        let running = RunningExchange { link: Arc::clone(self) };
        (self.exchanges.fetch_add(1, Ordering::Relaxed) < most).then_some(running)
    }

    /// A place for an exchange that holds more than its wait, while there is one.
    pub fn active_place(&self) -> Option<SemaphorePermit<'_>> {
        self.active.try_acquire().ok()
    }

    /// Completes when the tunnel takes no new exchanges and none is left.
    pub async fn drained(&self) {
        self.closed.cancelled().await;
        let (instance, running) = (&self.place.instance, self.exchanges.load(Ordering::Relaxed));
        tracing::info!(
            gateway = instance.gateway,
            instance = instance.name,
            lane = self.place.id.lane.name(),
            running,
            "a tunnel takes no new exchanges"
        );
        while self.exchanges.load(Ordering::Relaxed) > 0 {
            self.idle.notified().await;
        }
    }
}

pub struct RunningExchange {
    link: Arc<Link>,
}

impl Drop for RunningExchange {
    fn drop(&mut self) {
        if self.link.exchanges.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.link.idle.notify_one();
        }
    }
}
