//! How a link fares: what its gateway's hello asks for, what is up, what is missing since when. Status, metrics and
//! the check of every minute judge by it; it looks at what is there and keeps no count of its own (T-04, T-05).

use std::time::SystemTime;

use cmg_core::tunnel::message::Lane;

use crate::instance::{Facts, PlaceState, PlaceStatus};

/// In the words that administrators of such tunnels know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    Healthy,
    Degraded,
    Down,
}

impl LinkState {
    pub const fn name(self) -> &'static str {
        match self {
            LinkState::Healthy => "healthy",
            LinkState::Degraded => "degraded",
            LinkState::Down => "down",
        }
    }
}

/// The tunnels of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneHealth {
    pub lane: Lane,
    pub wanted: usize,
    pub up: usize,
}

#[derive(Clone, Debug)]
pub struct LinkHealth {
    pub lanes: [LaneHealth; 2],
    is_draining: bool,
    /// Since when the place is empty that has been so for longest.
    empty_since: Option<SystemTime>,
}

impl LinkHealth {
    pub fn of(facts: &Facts, places: &[PlaceStatus]) -> Self {
        let lanes = wanted(facts).map(|(lane, wanted)| {
            let up = places.iter().filter(|place| place.id.lane == lane && place.state == PlaceState::Up).count();
            LaneHealth { lane, wanted, up }
        });
        let empty = places.iter().filter(|place| place.state != PlaceState::Draining);
        Self { lanes, is_draining: facts.is_draining, empty_since: empty.filter_map(|place| place.without_since).min() }
    }

    pub fn state(&self) -> LinkState {
        match self.missing() {
            None => LinkState::Healthy,
            Some(_) if self.lanes.iter().any(|lane| lane.up > 0) => LinkState::Degraded,
            Some(_) => LinkState::Down,
        }
    }

    /// In words; nothing when the link is whole.
    pub fn missing(&self) -> Option<String> {
        let lacking = self.lanes.iter().filter(|lane| lane.up < lane.wanted);
        let lacking = lacking.map(|lane| {
            let missing = lane.wanted - lane.up;
            format!("{missing} of {} {} tunnels", lane.wanted, lane.lane.name())
        });
        let leaving = self.is_draining.then(|| "the gateway, which is stopping".to_owned());
        let words: Vec<_> = lacking.chain(leaving).collect();
        (!words.is_empty()).then(|| words.join(" and "))
    }

    /// Since when something is missing, if it is.
    pub fn missing_since(&self) -> SystemTime {
        self.empty_since.unwrap_or_else(SystemTime::now)
    }
}

/// How many tunnels of each lane there should be: as many as the hello says; until then one, which brings the hello.
pub fn wanted(facts: &Facts) -> [(Lane, usize); 2] {
    let (interactive, bulk) = match &facts.hello {
        Some(hello) => (hello.workers as usize, hello.bulk_connections as usize),
        None => (1, 0),
    };
    [(Lane::Interactive, interactive), (Lane::Bulk, bulk)]
}

/// How many links are there at all, of how many: `3 of 3`.
pub fn coverage<'a>(links: impl IntoIterator<Item = &'a LinkHealth>) -> String {
    let states: Vec<_> = links.into_iter().map(LinkHealth::state).collect();
    let there = states.iter().filter(|state| **state != LinkState::Down).count();
    format!("{there} of {}", states.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialer::tests::hello;
    use crate::instance::PlaceId;
    use cmg_core::tunnel::handshake::GatewayHello;

    fn place(lane: Lane, number: usize, state: PlaceState) -> PlaceStatus {
        let since = SystemTime::UNIX_EPOCH;
        let without_since = (state != PlaceState::Up).then_some(since);
        let (address, last_error, next_dial) = (None, None, None);
        PlaceStatus { id: PlaceId { lane, number }, state, since, without_since, address, last_error, next_dial }
    }

    #[test]
    fn a_link_is_whole_when_each_lane_is() {
        use PlaceState::{Draining, Up, Waiting};
        let up = |lane, number| place(lane, number, Up);
        let (interactive, bulk) = (Lane::Interactive, Lane::Bulk);
        let hello = GatewayHello { workers: 2, bulk_connections: 1, ..hello() };
        let facts = Facts { hello: Some(hello), ..Facts::default() };
        for (places, state, missing) in [
            (vec![up(interactive, 0), up(interactive, 1), up(bulk, 0)], LinkState::Healthy, None),
            (vec![up(interactive, 0), up(interactive, 1)], LinkState::Degraded, Some("1 of 1 bulk tunnels")),
            // Two generations of one place are not two places.
            (
                vec![up(interactive, 0), place(interactive, 1, Draining), up(bulk, 0)],
                LinkState::Degraded,
                Some("1 of 2 interactive tunnels"),
            ),
            (
                vec![place(interactive, 0, Waiting)],
                LinkState::Down,
                Some("2 of 2 interactive tunnels and 1 of 1 bulk tunnels"),
            ),
        ] {
            let health = LinkHealth::of(&facts, &places);
            assert_eq!((health.state(), health.missing().as_deref()), (state, missing));
        }
        let leaving = Facts { is_draining: true, ..facts };
        let health = LinkHealth::of(&leaving, &[up(interactive, 0), up(interactive, 1), up(bulk, 0)]);
        assert_eq!(health.missing().as_deref(), Some("the gateway, which is stopping"));
        let unknown = LinkHealth::of(&Facts::default(), &[]);
        assert_eq!((unknown.state(), coverage([&health, &unknown])), (LinkState::Down, "1 of 2".to_owned()));
    }
}
