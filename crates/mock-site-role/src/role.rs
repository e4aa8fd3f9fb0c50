//! What every connection of the mock shares.

use std::sync::Arc;

use crate::gates::Gates;
use crate::ledger::{Ledger, Peer};
use crate::site::Site;
use cmg_core::metrics::CounterFamily;
use cmg_core::shutdown::Tasks;

pub struct Role {
    pub ledger: Ledger,
    pub gates: Gates,
    pub site: Site,
    pub tasks: Tasks,
    /// By listener and behaviour.
    pub requests: CounterFamily<2>,
}

/// What one connection is.
#[derive(Clone)]
pub struct Link {
    pub role: Arc<Role>,
    pub peer: Arc<Peer>,
    /// Requests go to the site, not to behaviours.
    pub is_site: bool,
}
