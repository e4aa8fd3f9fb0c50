//! Which process of a connection point is the one that counts (T-06), without a clock of theirs: who comes last is the
//! newer one, for clocks jump. Two that replace each other again and again are two that live, which is a mistake.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cmg_core::limits;
use cmg_core::tls::identity::TunnelIdentity;
use cmg_core::tunnel::handshake::BOOT_ID;
use tokio::time::Instant;

/// A process of a connection point, as its hello tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub boot_id: [u8; BOOT_ID],
    /// By its own clock, microseconds since 1970: for people, decides nothing.
    pub started_micros: u64,
    pub address: SocketAddr,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot_id, started_micros, address } = self;
        let boot_id = u128::from_be_bytes(*boot_id);
        write!(f, "{address} (boot id {boot_id:032x}, started at {} s since 1970)", started_micros / 1_000_000)
    }
}

/// A process took the place of another.
#[derive(Clone, Copy, Debug)]
pub struct TakeOver {
    at: Instant,
    pub from: Process,
    pub to: Process,
}

/// Two processes that have replaced each other.
#[derive(Clone, Debug)]
pub struct Conflict {
    pub identity: Arc<TunnelIdentity>,
    pub last: TakeOver,
    /// How often within [`limits::CONFLICT_WITHIN`].
    pub times: usize,
}

/// The take-overs of the last while.
#[derive(Default)]
pub struct Succession {
    recent: HashMap<Arc<TunnelIdentity>, Vec<TakeOver>>,
}

impl Succession {
    /// How long a process that was replaced has still to stay away: those of its tunnels that were on their way
    /// must not replace who replaced it.
    pub fn stays_away(&self, identity: &TunnelIdentity, boot_id: &[u8; BOOT_ID]) -> Option<Duration> {
        let last = self.recent.get(identity)?.last()?;
        let left = limits::REPLACED_RETRY.checked_sub(last.at.elapsed())?;
        (last.from.boot_id == *boot_id && !left.is_zero()).then_some(left)
    }

    /// One took the place of another; says how often these two have done so.
    pub fn note(&mut self, identity: &Arc<TunnelIdentity>, from: Process, to: Process) -> Conflict {
        self.forget();
        let recent = self.recent.entry(Arc::clone(identity)).or_default();
        if recent.len() == limits::TAKE_OVERS {
            recent.remove(0);
        }
        let last = TakeOver { at: Instant::now(), from, to };
        recent.push(last);
        Conflict { identity: Arc::clone(identity), last, times: times(recent, &last) }
    }

    /// Those that go on now.
    pub fn conflicts(&mut self) -> Vec<Conflict> {
        self.forget();
        let conflict = |(identity, recent): (&Arc<TunnelIdentity>, &Vec<TakeOver>)| {
            let last = *recent.last()?;
            Some(Conflict { identity: Arc::clone(identity), last, times: times(recent, &last) })
        };
        self.recent.iter().filter_map(conflict).filter(Conflict::is_alarming).collect()
    }

    fn forget(&mut self) {
        self.recent.retain(|_, recent| {
            recent.retain(|take_over| take_over.at.elapsed() <= limits::CONFLICT_WITHIN);
            !recent.is_empty()
        });
    }
}

impl Conflict {
    /// A process that starts again and again has another boot id each time; these two are both alive.
    pub fn is_alarming(&self) -> bool {
        self.times >= limits::CONFLICT_AFTER
    }
}

fn times(recent: &[TakeOver], last: &TakeOver) -> usize {
    let pair = |take_over: &TakeOver| {
        let mut pair = [take_over.from.boot_id, take_over.to.boot_id];
        pair.sort_unstable();
        pair
    };
    recent.iter().filter(|take_over| pair(take_over) == pair(last)).count()
}
