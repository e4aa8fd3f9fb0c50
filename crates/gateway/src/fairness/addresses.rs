//! What each address may cost that is not believed to be anybody: handshakes, and answers that refuse it. Thousands of
//! devices may share an address, so the limits are a whole branch office's, and no request of a believed client counts.
//!
//! A handshake beyond the limit is not begun. A refusal beyond the limit ends its connection, so that the next try
//! costs a handshake, which is limited too; the answer is still told, because a device with a wrong certificate should
//! learn what is wrong with it. Far beyond the limit nothing is told any more: whoever asks that often does not read.
//!
//! The table has one size for ever. An address finds its entry in a set of a few, by a hash that nobody outside
//! knows; a new one takes the place of the one that there is least to remember of.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use cmg_core::limits;

use super::bucket::Pace;

#[derive(Clone, Copy, Debug)]
pub struct AddressLimits {
    pub handshakes_per_second: usize,
    pub handshake_burst: usize,
    pub tunnel_handshakes_per_second: usize,
    pub tunnel_handshake_burst: usize,
    pub refusals_per_second: usize,
    pub refusal_burst: usize,
}

/// How a refusal is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Answer,
    /// The connection ends with it.
    LastAnswer,
    /// The connection ends at once.
    Silence,
}

/// Whether a handshake may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Welcome {
    Yes,
    /// And nobody has been told for a while that this address asks for too much.
    NoAndSaySo,
    No,
}

/// Who wants a handshake. Counted apart: the devices behind an address must not keep out its connection points, and
/// whoever says he were one may begin far less: those take turns, which nobody may have all of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Client,
    ConnectionPoint,
}

/// What is remembered of an address: when each of its buckets will be full again.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    whose: Option<IpAddr>,
    clients: u64,
    connection_points: u64,
    refusals: u64,
    /// Until then its handshakes are turned away without a word in the log.
    said_until: u64,
}

impl Entry {
    fn full_at(&self) -> u64 {
        self.clients.max(self.connection_points).max(self.refusals)
    }
}

type Set = [Entry; limits::ADDRESS_WAYS];

#[derive(Debug)]
pub struct Addresses {
    handshakes: Pace,
    tunnel_handshakes: Pace,
    refusals: Pace,
    hasher: RandomState,
    sets: Vec<Mutex<Set>>,
}

impl Addresses {
    pub fn new(limits: AddressLimits) -> Self {
        Self {
            handshakes: Pace::new(limits.handshakes_per_second, limits.handshake_burst),
            tunnel_handshakes: Pace::new(limits.tunnel_handshakes_per_second, limits.tunnel_handshake_burst),
            refusals: Pace::new(limits.refusals_per_second, limits.refusal_burst),
            hasher: RandomState::new(),
            sets: (0..limits::ADDRESSES / limits::ADDRESS_WAYS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Counts a handshake that is about to begin.
    pub fn welcome(&self, address: IpAddr, peer: Peer, now: Instant) -> Welcome {
        let now = self.handshakes.moment(now);
        self.with(address, |entry| {
            let (pace, bucket) = match peer {
                Peer::Client => (&self.handshakes, &mut entry.clients),
                Peer::ConnectionPoint => (&self.tunnel_handshakes, &mut entry.connection_points),
            };
            if let Some(full_at) = pace.after_one(*bucket, now, 1) {
                *bucket = full_at;
                return Welcome::Yes;
            }
            if now < entry.said_until {
                return Welcome::No;
            }
            entry.said_until = now.saturating_add(pace.refill());
            Welcome::NoAndSaySo
        })
    }

    /// Counts a refusal of somebody who is not believed to be anybody.
    pub fn refuse(&self, address: IpAddr, now: Instant) -> Manner {
        let now = self.refusals.moment(now);
        self.with(address, |entry| {
            let Some(full_at) = self.refusals.after_one(entry.refusals, now, limits::ADDRESS_SILENCE_AT) else {
                return Manner::Silence;
            };
            let is_within = self.refusals.after_one(entry.refusals, now, 1).is_some();
            entry.refusals = full_at;
            if is_within { Manner::Answer } else { Manner::LastAnswer }
        })
    }

    #[cfg(test)]
    pub fn places(&self) -> usize {
        self.sets.iter().map(|set| set.lock().unwrap().len()).sum()
    }

    fn with<T>(&self, address: IpAddr, look: impl FnOnce(&mut Entry) -> T) -> T {
        let whose = prefix(address);
        let hash = usize::try_from(self.hasher.hash_one(whose) % self.sets.len().max(1) as u64).unwrap_or_default();
        let Some(set) = self.sets.get(hash) else { return look(&mut Entry::default()) };
        // Nothing inside can panic half-way: a poisoned set is still whole.
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = set.iter_mut().find(|entry| entry.whose == Some(whose)) {
            return look(known);
        }
        let mut fresh = Entry { whose: Some(whose), ..Entry::default() };
        let told = look(&mut fresh);
        if let Some(forgotten) = set.iter_mut().min_by_key(|entry| entry.full_at()) {
            *forgotten = fresh;
        }
        told
    }
}

/// An IPv4 address, or the /64 of which one party usually has all.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}
