//! Places for connections. However many clients come, they leave room for tunnels: on a port of their own tunnels have
//! places of their own, and on the clients' port the last places are for who has not said yet what he is.

use std::sync::Arc;

use cmg_core::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::accept::Port;
use crate::fairness::Peer;

pub struct Places {
    /// Of the clients' port.
    clients: Arc<Semaphore>,
    tunnels: Arc<Semaphore>,
    /// Connections that clients may have.
    most: usize,
}

impl Places {
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS - limits::TUNNEL_PLACES);
        let clients = Arc::new(Semaphore::new(most + limits::TUNNEL_PLACES));
        Self { clients, tunnels: Arc::new(Semaphore::new(limits::TUNNEL_PLACES)), most }
    }

    /// A place for a connection that comes to this port; `None` when all are taken.
    pub fn take(&self, port: Port) -> Option<OwnedSemaphorePermit> {
        let places = match port {
            Port::Clients => &self.clients,
            Port::Tunnels => &self.tunnels,
        };
        Arc::clone(places).try_acquire_owned().ok()
    }

    /// The place of a connection that came to this port, once it is known what it is; `None` when it has to go.
    pub fn keep(&self, taken: OwnedSemaphorePermit, port: Port, peer: Peer) -> Option<OwnedSemaphorePermit> {
        match (port, peer) {
            (Port::Clients, Peer::Client) => (self.load().0 <= self.most).then_some(taken),
            (Port::Clients, Peer::ConnectionPoint) => self.take(Port::Tunnels),
            (Port::Tunnels, _) => Some(taken),
        }
    }

    /// Who holds a place and is nobody has to make room now.
    pub fn are_scarce(&self) -> bool {
        let (taken, most) = self.load();
        taken.saturating_mul(100) >= most.saturating_mul(limits::NEAR_LIMIT)
    }

    /// Connections that the clients' port has, and how many of them clients may have.
    pub fn load(&self) -> (usize, usize) {
        ((self.most + limits::TUNNEL_PLACES).saturating_sub(self.clients.available_permits()), self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(places: &Places, peer: Peer) -> Option<OwnedSemaphorePermit> {
        places.keep(places.take(Port::Clients).expect("nobody knows what it is"), Port::Clients, peer)
    }

    #[test]
    fn clients_leave_room_for_tunnels_on_either_port() {
        let places = Places::new(3);
        let clients: Vec<_> = (0..3).map(|_| keeps(&places, Peer::Client).unwrap()).collect();
        assert!(places.are_scarce());
        assert!(keeps(&places, Peer::Client).is_none(), "a fourth client");
        let tunnel = keeps(&places, Peer::ConnectionPoint).expect("a tunnel on the clients' port");
        assert_eq!(places.load(), (3, 3), "it has a place among tunnels");
        let mut silent = Vec::new();
        while let Some(place) = places.take(Port::Clients) {
            silent.push(place);
        }
        let own = places.take(Port::Tunnels).expect("a tunnel on a port of its own");
        let own = places.keep(own, Port::Tunnels, Peer::ConnectionPoint).unwrap();
        drop((silent, clients));
        assert!(!places.are_scarce(), "tunnels count among tunnels");
        assert_eq!(places.tunnels.available_permits(), limits::TUNNEL_PLACES - 2);
        drop((tunnel, own));
    }
}
