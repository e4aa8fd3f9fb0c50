//! Who is connected, and whose turn it is: `AllowedRequest` -> [`Lease`]. Strict round robin over the
//! connection points of a site, skipping those that are draining, stalled or full. Its lock is for changes; the
//! path of a request reads a snapshot and takes none.

mod health;
mod lease;
mod line;
mod placement;
mod point;
mod succession;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use cmg_core::limits;
use cmg_core::refusal::{Refusal, RefusalKind};
use cmg_core::tls::Pulse;
use cmg_core::tls::identity::TunnelIdentity;
use cmg_core::tunnel::TunnelBroken;
use cmg_core::tunnel::calling::{Caller, Calling, Opening};
use cmg_core::tunnel::message::Lane;
use cmg_core::worker::WorkerIndex;
use tokio_util::sync::CancellationToken;

use crate::filter::AllowedRequest;
use health::Health;
use lease::Place;
pub use lease::{Elsewhere, Lease};
use line::Lines;
pub use line::Turn;
pub use placement::{Placement, Registration};
use point::ConnectionPoint;
use succession::Succession;
pub use succession::{Conflict, Process};

/// One connection of a connection point.
pub struct Tunnel {
    pub identity: Arc<TunnelIdentity>,
    pub lane: Lane,
    pub worker: WorkerIndex,
    pub since: Instant,
    pub health: Health,
    pub process: Process,
    /// Cancelled when another process has taken over.
    pub replaced: CancellationToken,
    /// Cancelled when it has handed a request back, and will do so with every other.
    pub retired: CancellationToken,
    /// Cancelled when its other end has said that it leaves, as planned.
    pub leaving: CancellationToken,
    caller: Caller,
    /// Number in the life of this instance.
    number: usize,
    max_active: usize,
    active: AtomicUsize,
    waiting: AtomicUsize,
    draining: AtomicBool,
    /// Of its site: who waits for a place.
    lines: Arc<Lines>,
}

impl Tunnel {
    /// No new exchanges on this tunnel from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.lines.changed();
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Starts an exchange. One that is handed back unwritten is the tunnel's last: its stream ids have run out, or the
    /// other end has said GOAWAY. Its connection and control call may live on all the same, so that nothing else
    /// would ever end it.
    pub fn start(&self, opening: Opening) -> Result<Calling, TunnelBroken> {
        self.caller.start(opening).inspect_err(|_| {
            self.drain();
            self.retired.cancel();
        })
    }

    /// Exchanges that hold a place: active and waiting ones.
    pub fn load(&self) -> (usize, usize) {
        (self.active.load(Ordering::Relaxed), self.waiting.load(Ordering::Relaxed))
    }

    /// As many of each as may be.
    pub fn most(&self) -> (usize, usize) {
        (self.max_active, limits::WAITING_EXCHANGES)
    }

    /// Unique in the life of this instance.
    pub fn number(&self) -> usize {
        self.number
    }

    fn lease(self: &Arc<Self>, place: Place) -> Option<Lease> {
        let (count, most) = match place {
            Place::Active => (&self.active, self.max_active),
            Place::Waiting => (&self.waiting, limits::WAITING_EXCHANGES),
        };
        let taken = count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| (now < most).then_some(now + 1));
        taken.is_ok().then(|| Lease::new(Arc::clone(self), place))
    }
}

fn nobody(site: &str) -> Refusal {
    Refusal::new(RefusalKind::NoConnectionPoint, format!("site {site} has no connection point"))
}

fn full(site: &str) -> Refusal {
    Refusal::new(RefusalKind::Overloaded, format!("every connection point of site {site} is full"))
}

/// What a worker reads: never changed, only replaced.
#[derive(Default)]
struct Snapshot {
    sites: HashMap<String, SitePoints>,
}

struct SitePoints {
    points: Vec<ConnectionPoint>,
    /// Whose turn it is, for each worker its own.
    turns: Arc<[AtomicUsize]>,
    lines: Arc<Lines>,
}

impl SitePoints {
    /// Strictly in turns, passing over those that drain, stall or are full.
    fn take_turn(&self, site: &str, worker: WorkerIndex, lane: Lane, place: Place) -> Result<Lease, Refusal> {
        let (points, turn) = (&self.points, self.turns.get(worker.0).ok_or_else(|| nobody(site))?);
        let first = turn.load(Ordering::Relaxed);
        let next = |stalled_too| {
            (0..points.len()).find_map(|offset| {
                let at = first.wrapping_add(offset) % points.len();
                let lease = points.get(at)?.lease(worker, lane, place, stalled_too)?;
                turn.store(at + 1, Ordering::Relaxed);
                Some(lease)
            })
        };
        if let Some(lease) = next(false) {
            return Ok(lease);
        }
        let mut left = points.iter().flat_map(|point| &point.tunnels).filter(|tunnel| !tunnel.is_draining()).peekable();
        if left.peek().is_none() {
            return Err(nobody(site));
        }
        // A stall is a suspicion: most that stall come back, and one that is dead is gone within seconds. Nobody else
        // could serve, so a try costs little and a refusal would make an outage of every pause of the only link.
        if left.all(|tunnel| tunnel.health.is_stalled())
            && let Some(lease) = next(true)
        {
            return Ok(lease);
        }
        Err(full(site))
    }
}

#[derive(Default)]
struct Register {
    tunnels: BTreeMap<usize, Arc<Tunnel>>,
    /// Places on workers given to tunnels that are not registered yet.
    placed: Vec<(Arc<TunnelIdentity>, WorkerIndex)>,
    turns: HashMap<String, Arc<[AtomicUsize]>>,
    succession: Succession,
    lines: HashMap<String, Arc<Lines>>,
    last_number: usize,
}

/// The connection points that are connected to this instance.
pub struct Registry {
    workers: usize,
    register: Mutex<Register>,
    snapshot: ArcSwap<Snapshot>,
}

impl Registry {
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self { workers, register: Mutex::default(), snapshot: ArcSwap::default() })
    }

    /// Whose turn it is. Refuses at once when nobody is there, everybody is full, or others wait for a place already.
    pub fn lease(&self, request: &AllowedRequest, worker: WorkerIndex) -> Result<Lease, Refusal> {
        let (snapshot, site, place) = (self.snapshot.load(), request.site(), Place::of(request));
        let points = snapshot.sites.get(site).ok_or_else(|| nobody(site))?;
        if points.lines.is_empty(place) {
            points.take_turn(site, worker, request.lane(), place)
        } else {
            Err(full(site))
        }
    }

    /// Waits for a place in the order of coming.
    pub fn line_up(&self, request: &AllowedRequest, worker: WorkerIndex) -> Result<Turn, Refusal> {
        let snapshot = self.snapshot.load();
        let site = snapshot.sites.get(request.site()).ok_or_else(|| nobody(request.site()))?;
        Ok(site.lines.join(Place::of(request), worker, request.lane()))
    }

    /// A place on another tunnel than one that has failed, if there is one: on another connection point rather than on
    /// the same.
    pub fn lease_elsewhere(
        &self,
        request: &AllowedRequest,
        worker: WorkerIndex,
        (failed, elsewhere): (&Tunnel, Elsewhere),
    ) -> Option<Lease> {
        let place = Place::of(request);
        let snapshot = self.snapshot.load();
        let site = snapshot.sites.get(request.site())?;
        let turn = site.turns.get(worker.0)?;
        let is_same = |point: &&ConnectionPoint| point.is(&failed.identity);
        let first = turn.load(Ordering::Relaxed);
        let others = (0..site.points.len()).filter_map(|offset| site.points.get((first + offset) % site.points.len()));
        let lease =
            others.filter(|point| !is_same(point)).find_map(|point| point.lease(worker, request.lane(), place, false));
        if lease.is_some() || elsewhere == Elsewhere::OtherPoints {
            return lease;
        }
        let same = site.points.iter().find(is_same)?;
        same.lease_beside(failed, worker, request.lane(), place)
    }

    fn take_turn(&self, site: &str, worker: WorkerIndex, lane: Lane, place: Place) -> Result<Lease, Refusal> {
        let snapshot = self.snapshot.load();
        snapshot.sites.get(site).ok_or_else(|| nobody(site))?.take_turn(site, worker, lane, place)
    }

    /// The worker for a new tunnel of this connection point: the one that has the fewest of its interactive
    /// tunnels, then the fewest of all of its tunnels.
    pub fn place(self: &Arc<Self>, identity: TunnelIdentity) -> Placement {
        let identity = Arc::new(identity);
        let mut register = self.lock();
        let load = |worker: &WorkerIndex| {
            let here = |tunnel: &&Arc<Tunnel>| tunnel.worker == *worker && *tunnel.identity == *identity;
            let all = register.tunnels.values().filter(here).count();
            let bulk = register.tunnels.values().filter(here).filter(|tunnel| tunnel.lane == Lane::Bulk).count();
            let coming = register.placed.iter().filter(|(who, at)| at == worker && **who == *identity).count();
            (all - bulk + coming, all + coming)
        };
        let worker = (0..self.workers).map(WorkerIndex).min_by_key(load).unwrap_or(WorkerIndex(0));
        register.placed.push((Arc::clone(&identity), worker));
        Placement { registry: Arc::clone(self), identity, worker }
    }

    /// How many tunnels a connection point has, those included that have not said hello yet.
    pub fn tunnels_of(&self, identity: &TunnelIdentity) -> usize {
        let register = self.lock();
        let up = register.tunnels.values().filter(|tunnel| *tunnel.identity == *identity).count();
        up + register.placed.iter().filter(|(who, _)| **who == *identity).count()
    }

    /// How many connection points of a site may be given work.
    pub fn usable(&self, site: &str) -> usize {
        let snapshot = self.snapshot.load();
        let is_usable = |point: &&ConnectionPoint| point.tunnels.iter().any(|tunnel| !tunnel.is_draining());
        snapshot.sites.get(site).map_or(0, |site| site.points.iter().filter(is_usable).count())
    }

    /// How many tunnels may be given work.
    pub fn usable_tunnels(&self) -> usize {
        self.lock().tunnels.values().filter(|tunnel| !tunnel.is_draining()).count()
    }

    /// Gives those in line what nobody has told them of: a tunnel that is heard again, or may be tried again.
    pub fn serve_lines(&self) {
        for site in self.snapshot.load().sites.values() {
            site.lines.changed();
        }
    }

    /// Every tunnel, in the order of their coming.
    pub fn tunnels(&self) -> Vec<Arc<Tunnel>> {
        self.lock().tunnels.values().cloned().collect()
    }

    /// The connection points of which two processes replace each other.
    pub fn conflicts(&self) -> Vec<Conflict> {
        self.lock().succession.conflicts()
    }

    fn register(self: &Arc<Self>, arrival: Arrival) -> Result<Registration, StaysAway> {
        let mut register = self.lock();
        if let Some(wait) = register.succession.stays_away(&arrival.identity, &arrival.newcomer.process.boot_id) {
            return Err(StaysAway(wait));
        }
        let new_lines = || Lines::new(Arc::downgrade(self), arrival.identity.site.clone());
        let lines = Arc::clone(register.lines.entry(arrival.identity.site.clone()).or_insert_with(new_lines));
        register.last_number += 1;
        let tunnel = Arc::new(Tunnel {
            identity: arrival.identity,
            lane: arrival.newcomer.lane,
            worker: arrival.worker,
            since: Instant::now(),
            health: Health::new(arrival.newcomer.pulse),
            process: arrival.newcomer.process,
            replaced: CancellationToken::new(),
            retired: CancellationToken::new(),
            leaving: CancellationToken::new(),
            caller: arrival.newcomer.caller,
            number: register.last_number,
            max_active: arrival.newcomer.max_active.clamp(1, arrival.newcomer.lane.active_exchanges()),
            active: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            lines: Arc::clone(&lines),
        });
        register.tunnels.insert(tunnel.number, Arc::clone(&tunnel));
        self.publish(&mut register);
        // After the newcomer can be seen: other workers read meanwhile, and there is never a moment without anybody.
        let took_over = register.take_over(&tunnel);
        drop(register);
        lines.changed();
        Ok(Registration { registry: Arc::clone(self), tunnel, took_over })
    }

    fn remove(&self, number: usize) {
        let mut register = self.lock();
        let removed = register.tunnels.remove(&number);
        self.publish(&mut register);
        drop(register);
        if let Some(tunnel) = removed {
            tunnel.lines.changed();
        }
    }

    fn give_back_place(&self, identity: &Arc<TunnelIdentity>, worker: WorkerIndex) {
        let mut register = self.lock();
        if let Some(at) = register.placed.iter().position(|(who, at)| Arc::ptr_eq(who, identity) && *at == worker) {
            register.placed.swap_remove(at);
        }
    }

    fn publish(&self, register: &mut Register) {
        let mut points: BTreeMap<(String, String), Vec<Arc<Tunnel>>> = BTreeMap::new();
        for tunnel in register.tunnels.values() {
            let key = (tunnel.identity.site.clone(), tunnel.identity.connection_point.clone());
            points.entry(key).or_default().push(Arc::clone(tunnel));
        }
        let mut snapshot = Snapshot::default();
        for ((site, _), tunnels) in points {
            let new_turns = || (0..self.workers).map(|_| AtomicUsize::new(0)).collect();
            let turns = Arc::clone(register.turns.entry(site.clone()).or_insert_with(new_turns));
            let lines = tunnels.first().map(|tunnel| Arc::clone(&tunnel.lines));
            let Some(lines) = lines else { continue };
            let site = snapshot.sites.entry(site).or_insert_with(|| SitePoints { points: Vec::new(), turns, lines });
            site.points.push(ConnectionPoint::new(tunnels, self.workers));
        }
        self.snapshot.store(Arc::new(snapshot));
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        // Nothing inside can panic half-way: a poisoned register is still whole.
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register {
    /// Drains the tunnels of the processes whose place a newcomer takes, if it takes one.
    fn take_over(&mut self, newcomer: &Tunnel) -> Option<Conflict> {
        let (identity, to) = (&newcomer.identity, newcomer.process);
        let is_another = |tunnel: &&Arc<Tunnel>| {
            tunnel.identity == *identity && tunnel.process.boot_id != to.boot_id && !tunnel.replaced.is_cancelled()
        };
        let mut from = None;
        for tunnel in self.tunnels.values().filter(is_another) {
            // Nobody in line is told: the newcomer serves them.
            tunnel.draining.store(true, Ordering::Release);
            tunnel.replaced.cancel();
            from = Some(tunnel.process);
        }
        from.map(|from| self.succession.note(identity, from, to))
    }
}

/// What the hello has told about a placed tunnel.
struct Arrival {
    identity: Arc<TunnelIdentity>,
    worker: WorkerIndex,
    newcomer: Newcomer,
}

/// A tunnel whose hello has come.
pub struct Newcomer {
    pub lane: Lane,
    pub caller: Caller,
    pub pulse: Arc<Pulse>,
    pub process: Process,
    pub max_active: usize,
}

/// Its process was replaced so short a time ago that it is not taken for a newer one yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaysAway(pub Duration);

#[cfg(test)]
mod tests;
