//! The tunnels of one connection point, in the order in which each worker tries them.

use std::cmp::Reverse;
use std::sync::Arc;

use cmg_core::tls::identity::TunnelIdentity;
use cmg_core::tunnel::message::Lane;
use cmg_core::worker::WorkerIndex;

use super::Tunnel;
use super::lease::{Lease, Place};

pub struct ConnectionPoint {
    pub tunnels: Vec<Arc<Tunnel>>,
    /// For each worker and lane the tunnels in the order in which to try them: of equal ones the newest first, for
    /// an older one may be dead without our knowing.
    preferred: Vec<[Vec<Arc<Tunnel>>; 2]>,
}

impl ConnectionPoint {
    pub fn new(tunnels: Vec<Arc<Tunnel>>, workers: usize) -> Self {
        let order = |worker, lane| {
            let mut tunnels = tunnels.clone();
            tunnels.sort_by_key(|tunnel| (tunnel.lane != lane, tunnel.worker != worker, Reverse(tunnel.number)));
            tunnels
        };
        let lanes = |worker| [order(worker, Lane::Interactive), order(worker, Lane::Bulk)];
        Self { preferred: (0..workers).map(|worker| lanes(WorkerIndex(worker))).collect(), tunnels }
    }

    pub fn lease(&self, worker: WorkerIndex, lane: Lane, place: Place, stalled_too: bool) -> Option<Lease> {
        self.usable(worker, lane, stalled_too).find_map(|tunnel| tunnel.lease(place))
    }

    pub fn lease_beside(&self, failed: &Tunnel, worker: WorkerIndex, lane: Lane, place: Place) -> Option<Lease> {
        let mut beside = self.usable(worker, lane, false).filter(|tunnel| tunnel.number != failed.number);
        beside.find_map(|tunnel| tunnel.lease(place))
    }

    pub fn usable(&self, worker: WorkerIndex, lane: Lane, stalled_too: bool) -> impl Iterator<Item = &Arc<Tunnel>> {
        let lanes = self.preferred.get(worker.0);
        let tunnels = lanes.map(|[interactive, bulk]| match lane {
            Lane::Interactive => interactive,
            Lane::Bulk => bulk,
        });
        let is_usable =
            move |tunnel: &&Arc<Tunnel>| !tunnel.is_draining() && (stalled_too || tunnel.health.may_be_tried());
        tunnels.into_iter().flatten().filter(is_usable)
    }

    pub fn is(&self, identity: &TunnelIdentity) -> bool {
        self.tunnels.first().is_some_and(|tunnel| tunnel.identity.connection_point == identity.connection_point)
    }
}
