//! A place on a tunnel, counted for as long as its exchange runs. Given back, it goes to who waits for one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Tunnel;
use crate::filter::AllowedRequest;

/// Which places an exchange needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Active,
    /// Of an endpoint that waits, to the end of its answer: the connection point sees to it that few are long.
    Waiting,
}

impl Place {
    pub fn of(request: &AllowedRequest) -> Self {
        if request.waits() { Place::Waiting } else { Place::Active }
    }
}

/// Where a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    OtherPoints,
    /// The other tunnels of the same connection point too.
    OtherTunnels,
}

/// A place on a tunnel for one exchange, given back when dropped.
pub struct Lease {
    tunnel: Arc<Tunnel>,
    place: Place,
}

impl Lease {
    /// Of a place that has been counted.
    pub(super) fn new(tunnel: Arc<Tunnel>, place: Place) -> Self {
        Self { tunnel, place }
    }

    pub fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// The role's head has come: the tunnel lives.
    pub fn head_arrived(&self) {
        self.tunnel.health.answered();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let count = match self.place {
            Place::Active => &self.tunnel.active,
            Place::Waiting => &self.tunnel.waiting,
        };
        count.fetch_sub(1, Ordering::SeqCst);
        self.tunnel.lines.freed(self.place);
    }
}
