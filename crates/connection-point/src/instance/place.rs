//! The places for tunnels to one instance, as they are shown: an entry for each that is kept, no longer than it is
//! kept. Knows when a tunnel was up last.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cmg_core::tunnel::message::Lane;
use tokio::time::Instant;

use super::Instance;

/// A place for one tunnel. The number is free again when the place is kept no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceId {
    pub lane: Lane,
    pub number: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceState {
    Waiting,
    Dialing,
    Up,
    Draining,
}

impl PlaceState {
    pub const fn name(self) -> &'static str {
        match self {
            PlaceState::Waiting => "waiting",
            PlaceState::Dialing => "dialing",
            PlaceState::Up => "up",
            PlaceState::Draining => "draining",
        }
    }
}

#[derive(Clone, Debug)]
pub struct PlaceStatus {
    pub id: PlaceId,
    pub state: PlaceState,
    pub since: SystemTime,
    /// Since when there is no tunnel here; none while there is.
    pub without_since: Option<SystemTime>,
    /// Of the tunnel that is up.
    pub address: Option<String>,
    pub last_error: Option<String>,
    /// While it waits.
    pub next_dial: Option<NextDial>,
}

#[derive(Clone, Copy, Debug)]
pub struct NextDial {
    pub at: SystemTime,
    /// The part of the wait that the gateway asked for.
    pub told: Duration,
}

/// A place is open, and shown, for as long as this lives.
pub struct OpenPlace {
    pub(super) instance: Arc<Instance>,
    pub id: PlaceId,
}

impl Drop for OpenPlace {
    fn drop(&mut self) {
        let id = self.id;
        self.instance.places.send_modify(|places| places.change(|open| open.retain(|place| place.id != id)));
    }
}

/// All places of an instance.
#[derive(Debug)]
pub(super) struct Places {
    open: Vec<PlaceStatus>,
    last_good: Instant,
}

impl Default for Places {
    fn default() -> Self {
        Self { open: Vec::new(), last_good: Instant::now() }
    }
}

impl Places {
    pub fn open(&self) -> &[PlaceStatus] {
        &self.open
    }

    pub fn state_of(&self, id: PlaceId) -> Option<PlaceState> {
        self.open.iter().find(|place| place.id == id).map(|place| place.state)
    }

    /// Opens the place with the lowest number that is free in its lane.
    pub fn open_one(&mut self, lane: Lane) -> PlaceId {
        let number = (0..).find(|number| self.state_of(PlaceId { lane, number: *number }).is_none());
        let id = PlaceId { lane, number: number.unwrap_or_default() };
        let now = SystemTime::now();
        let place = PlaceStatus {
            id,
            state: PlaceState::Waiting,
            since: now,
            without_since: Some(now),
            address: None,
            last_error: None,
            next_dial: None,
        };
        self.change(|open| open.push(place));
        id
    }

    pub fn change_one(&mut self, id: PlaceId, change: impl FnOnce(&mut PlaceStatus)) {
        self.change(|open| {
            if let Some(place) = open.iter_mut().find(|place| place.id == id) {
                change(place);
            }
        });
    }

    /// How long ago a tunnel was up last, or the first place was opened; zero while one is.
    pub fn without_tunnel(&self) -> Duration {
        if self.has_tunnel() { Duration::ZERO } else { self.last_good.elapsed() }
    }

    /// The only way to change them: what is lost with a change was good until now.
    fn change(&mut self, change: impl FnOnce(&mut Vec<PlaceStatus>)) {
        if self.has_tunnel() {
            self.last_good = Instant::now();
        }
        change(&mut self.open);
    }

    pub fn has_tunnel(&self) -> bool {
        self.open.iter().any(|place| place.state == PlaceState::Up)
    }
}

impl PlaceStatus {
    pub(super) fn becomes(&mut self, state: PlaceState, address: Option<String>) {
        let now = SystemTime::now();
        self.without_since = match state {
            PlaceState::Up => None,
            _ => Some(self.without_since.unwrap_or(now)),
        };
        (self.state, self.since, self.address, self.next_dial) = (state, now, address, None);
    }
}
