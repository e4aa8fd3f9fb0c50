//! The two holds of a tunnel on the registry: a place on a worker before its hello, its registration after it.

use std::sync::Arc;

use cmg_core::tls::identity::TunnelIdentity;
use cmg_core::worker::WorkerIndex;

use super::{Arrival, Conflict, Newcomer, Registry, StaysAway, Tunnel};

/// A worker chosen for a tunnel whose hello is still to come; given back when dropped.
pub struct Placement {
    pub(super) registry: Arc<Registry>,
    pub(super) identity: Arc<TunnelIdentity>,
    pub(super) worker: WorkerIndex,
}

impl Placement {
    pub fn worker(&self) -> WorkerIndex {
        self.worker
    }

    pub fn identity(&self) -> &Arc<TunnelIdentity> {
        &self.identity
    }

    /// The hello has come: exchanges may use the tunnel until the registration is dropped. The tunnels of other
    /// processes of the connection id are drained from now on.
    pub fn register(self, newcomer: Newcomer) -> Result<Registration, StaysAway> {
        let identity = Arc::clone(&self.identity);
        self.registry.register(Arrival { identity, worker: self.worker, newcomer })
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        self.registry.give_back_place(&self.identity, self.worker);
    }
}

/// A tunnel that may be given work; leaves the registry when dropped.
pub struct Registration {
    pub(super) registry: Arc<Registry>,
    pub(super) tunnel: Arc<Tunnel>,
    /// Whose place it took.
    pub took_over: Option<Conflict>,
}

impl Registration {
    pub fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.remove(self.tunnel.number);
    }
}
