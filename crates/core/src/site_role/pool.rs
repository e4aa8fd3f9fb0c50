//! Idle connections to roles, kept by a worker for its own exchanges. The lock is held only to put one in or
//! take one out, and no other worker asks for it. Never lends a connection that is closed or has bytes nobody
//! asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::Role;
use super::connection::RoleConnection;
use crate::limits;
use crate::metrics::{Counter, Gauge};

/// What the connections to roles count; shared by all workers.
#[derive(Clone, Debug, Default)]
pub struct RoleCounters {
    /// Connections made.
    pub connected: Counter,
    /// Connections that could not be made.
    pub connect_failed: Counter,
    /// Exchanges begun on a connection that had served another.
    pub reused: Counter,
    /// Requests sent again because a kept connection had died.
    pub sent_again: Counter,
    /// 1xx answers of roles, all dropped.
    pub informational_dropped: Counter,
    /// Connections open now, idle ones too.
    pub open: Gauge,
}

/// The idle connections of one worker.
pub struct RolePool {
    idle: Mutex<ByRole>,
    pub(super) counters: Arc<RoleCounters>,
}

type ByRole = HashMap<u64, VecDeque<Idle>>;

struct Idle {
    connection: Box<RoleConnection>,
    role: Arc<Role>,
    until: Instant,
}

impl RolePool {
    pub fn new(counters: Arc<RoleCounters>) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), counters })
    }

    /// The connection that was used last and still is good.
    pub(super) fn take(&self, role: &Arc<Role>) -> Option<Box<RoleConnection>> {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let mut kept = self.lock().get_mut(&role.id)?.pop_back()?;
            let is_current = Arc::ptr_eq(&kept.role, role) && Instant::now() < kept.until;
            if is_current && kept.connection.is_quiet(&mut cx) {
                self.counters.reused.increment();
                return Some(kept.connection);
            }
        }
    }

    /// Keeps a connection whose exchange is complete in both directions.
    pub(super) fn put(&self, role: &Arc<Role>, mut connection: Box<RoleConnection>, keep: Duration) {
        (connection.is_reused, connection.has_spoken) = (true, false);
        let kept = Idle { connection, role: role.clone(), until: Instant::now() + keep };
        let mut idle = self.lock();
        let of_role = idle.entry(role.id).or_default();
        of_role.push_back(kept);
        let surplus = if of_role.len() > limits::ROLE_IDLE_CONNECTIONS { of_role.pop_front() } else { None };
        drop(idle);
        drop(surplus);
    }

    /// Closes what has been idle for too long or was closed by its role. For the worker's own clock.
    pub fn sweep(&self) {
        let kept = std::mem::take(&mut *self.lock());
        let (now, mut cx) = (Instant::now(), Context::from_waker(Waker::noop()));
        for (id, of_role) in kept {
            let alive = of_role.into_iter().filter_map(|mut kept| {
                let is_alive = now < kept.until && kept.connection.is_quiet(&mut cx);
                is_alive.then_some(kept)
            });
            let alive: VecDeque<_> = alive.collect();
            if !alive.is_empty() {
                self.lock().entry(id).or_default().extend(alive);
            }
        }
    }

    /// How many connections are idle.
    pub fn idle(&self) -> usize {
        self.lock().values().map(VecDeque::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, ByRole> {
        // A panic of another exchange cannot leave the map half-changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
