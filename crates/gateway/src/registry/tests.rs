//! Whose turn it is, without sockets: the tunnels here lead nowhere.

use std::net::SocketAddr;
use std::task::{Context, Wake, Waker};

use super::*;

async fn caller() -> Caller {
    // The other end stays open and silent: the preface finds room in the buffer, and nothing follows.
    let (stream, other) = tokio::io::duplex(1024);
    std::mem::forget(other);
    cmg_core::tunnel::calling::open(stream, std::sync::Arc::default(), Lane::Interactive).await.unwrap().0
}

fn identity(connection_point: &str) -> TunnelIdentity {
    format!("cmg:PS1/{connection_point}/{:032x}", connection_point.len()).parse().unwrap()
}

async fn tunnel(registry: &Arc<Registry>, connection_point: &str, lane: Lane) -> Registration {
    tunnel_of(registry, connection_point, lane, limits::ACTIVE_EXCHANGES).await
}

async fn tunnel_of(registry: &Arc<Registry>, connection_point: &str, lane: Lane, most: usize) -> Registration {
    registry
        .place(identity(connection_point))
        .register(newcomer(1, lane, most).await)
        .unwrap_or_else(|_| panic!("away"))
}

/// A tunnel of the process with this boot id.
async fn newcomer(boot_id: u8, lane: Lane, max_active: usize) -> Newcomer {
    let address = SocketAddr::from(([127, 0, 0, 1], 443));
    let process = Process { boot_id: [boot_id; 16], started_micros: 0, address };
    Newcomer { lane, caller: caller().await, pulse: Arc::new(Pulse::new()), process, max_active }
}

fn lease_on(registry: &Registry, worker: usize, lane: Lane) -> Result<Lease, Refusal> {
    registry.take_turn("PS1", WorkerIndex(worker), lane, Place::Active)
}

fn point(lease: &Lease) -> String {
    lease.tunnel().identity.connection_point.clone()
}

#[tokio::test]
async fn turns_are_strict_among_healthy_connection_points() {
    let registry = Registry::new(2);
    let mut tunnels = Vec::new();
    for name in ["a", "bb", "ccc"] {
        for _worker in 0..2 {
            tunnels.push(tunnel(&registry, name, Lane::Interactive).await);
        }
    }
    for worker in 0..2 {
        let mut counts = HashMap::new();
        for _ in 0..1500 {
            let lease = lease_on(&registry, worker, Lane::Interactive).unwrap();
            assert_eq!(lease.tunnel().worker, WorkerIndex(worker), "a request stays on its worker");
            *counts.entry(point(&lease)).or_insert(0) += 1;
        }
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [500, 500, 500]);
    }
}

#[tokio::test]
async fn draining_and_full_ones_are_skipped() {
    let registry = Registry::new(1);
    let small = tunnel_of(&registry, "a", Lane::Interactive, 1).await;
    let draining = tunnel(&registry, "bb", Lane::Interactive).await;
    let good = tunnel(&registry, "ccc", Lane::Interactive).await;
    draining.tunnel().drain();
    let held = lease_on(&registry, 0, Lane::Interactive).unwrap();
    assert_eq!(point(&held), "a");
    for _ in 0..10 {
        assert_eq!(point(&lease_on(&registry, 0, Lane::Interactive).unwrap()), "ccc");
    }
    good.tunnel().drain();
    let full = lease_on(&registry, 0, Lane::Interactive).map(|_| ()).unwrap_err();
    assert_eq!(full.kind, RefusalKind::Overloaded);
    small.tunnel().drain();
    let none = lease_on(&registry, 0, Lane::Interactive).map(|_| ()).unwrap_err();
    assert_eq!(none.kind, RefusalKind::NoConnectionPoint);
    drop(held);
    assert_eq!(small.tunnel().load(), (0, 0));
}

#[tokio::test]
async fn nobody_connected_is_said_at_once() {
    let registry = Registry::new(1);
    let refusal = lease_on(&registry, 0, Lane::Interactive).map(|_| ()).unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NoConnectionPoint);
    let registration = tunnel(&registry, "a", Lane::Interactive).await;
    assert_eq!(registry.usable("PS1"), 1);
    drop(registration);
    assert_eq!(registry.usable("PS1"), 0);
    assert!(lease_on(&registry, 0, Lane::Interactive).is_err());
}

#[tokio::test]
async fn each_worker_gets_an_interactive_tunnel_of_each_connection_point() {
    let registry = Registry::new(2);
    // Two connection points that dial at the same time, their handshakes interleaved.
    let placements = ["a", "bb", "a", "bb"].map(|name| registry.place(identity(name)));
    let workers = placements.each_ref().map(|placement| placement.worker().0);
    assert_eq!(workers, [0, 0, 1, 1]);
    drop(placements);
    assert_eq!(registry.place(identity("a")).worker(), WorkerIndex(0), "places that were not taken are given back");
}

#[tokio::test]
async fn tunnels_are_counted_before_and_after_their_hello() {
    let registry = Registry::new(2);
    let placed = registry.place(identity("a"));
    let up = tunnel(&registry, "a", Lane::Bulk).await;
    let _other = tunnel(&registry, "bb", Lane::Interactive).await;
    assert_eq!(registry.tunnels_of(&identity("a")), 2);
    drop(placed);
    assert_eq!(registry.tunnels_of(&identity("a")), 1);
    drop(up);
    assert_eq!(registry.tunnels_of(&identity("a")), 0);
}

#[tokio::test]
async fn a_lane_without_a_connection_uses_the_other() {
    let registry = Registry::new(1);
    let _interactive = tunnel(&registry, "a", Lane::Interactive).await;
    assert_eq!(lease_on(&registry, 0, Lane::Bulk).unwrap().tunnel().lane, Lane::Interactive);
    let bulk = tunnel(&registry, "a", Lane::Bulk).await;
    assert_eq!(lease_on(&registry, 0, Lane::Bulk).unwrap().tunnel().lane, Lane::Bulk);
    assert_eq!(lease_on(&registry, 0, Lane::Interactive).unwrap().tunnel().lane, Lane::Interactive);
    bulk.tunnel().drain();
    assert_eq!(lease_on(&registry, 0, Lane::Bulk).unwrap().tunnel().lane, Lane::Interactive);
}

/// Files crowd out nothing, also where their connection is another worker's.
#[tokio::test]
async fn a_file_of_any_worker_takes_the_one_bulk_connection() {
    let registry = Registry::new(2);
    let _interactive =
        [tunnel(&registry, "a", Lane::Interactive).await, tunnel(&registry, "a", Lane::Interactive).await];
    let bulk = tunnel(&registry, "a", Lane::Bulk).await;
    for worker in 0..2 {
        let lease = lease_on(&registry, worker, Lane::Bulk).unwrap();
        assert_eq!(lease.tunnel().number, bulk.tunnel().number, "worker {worker}");
        let interactive = lease_on(&registry, worker, Lane::Interactive).unwrap();
        assert_eq!((interactive.tunnel().lane, interactive.tunnel().worker), (Lane::Interactive, WorkerIndex(worker)));
    }
}

/// However slow their readers are: below the number that would fill the connection's window.
#[tokio::test]
async fn transfers_beyond_what_a_bulk_connection_holds_use_the_other_lane() {
    let registry = Registry::new(1);
    let _interactive = tunnel(&registry, "a", Lane::Interactive).await;
    let bulk = tunnel(&registry, "a", Lane::Bulk).await;
    let transfers: Vec<_> = (0..=limits::BULK_EXCHANGES).map(|_| lease_on(&registry, 0, Lane::Bulk).unwrap()).collect();
    let (last, before) = transfers.split_last().unwrap();
    assert!(before.iter().all(|lease| lease.tunnel().lane == Lane::Bulk));
    assert_eq!(last.tunnel().lane, Lane::Interactive);
    assert_eq!(bulk.tunnel().load(), (limits::BULK_EXCHANGES, 0));
    assert!(limits::BULK_EXCHANGES * (limits::BULK_WINDOW as usize) < limits::CONNECTION_WINDOW as usize);
}

#[tokio::test]
async fn waiting_exchanges_have_places_of_their_own() {
    let registry = Registry::new(1);
    let registration = tunnel_of(&registry, "a", Lane::Interactive, 1).await;
    let _active = lease_on(&registry, 0, Lane::Interactive).unwrap();
    let waiting = registry.take_turn("PS1", WorkerIndex(0), Lane::Interactive, Place::Waiting).unwrap();
    assert_eq!(registration.tunnel().load(), (1, 1));
    drop(waiting);
    assert_eq!(registration.tunnel().load(), (1, 0));
}

/// A tunnel, and what its socket tells.
async fn watched(registry: &Arc<Registry>, connection_point: &str) -> (Registration, Arc<Pulse>) {
    let newcomer = newcomer(1, Lane::Interactive, limits::ACTIVE_EXCHANGES).await;
    let pulse = Arc::clone(&newcomer.pulse);
    (registry.place(identity(connection_point)).register(newcomer).unwrap_or_else(|_| panic!("away")), pulse)
}

#[tokio::test]
async fn a_stalled_one_is_passed_over_until_its_next_byte() {
    let registry = Registry::new(1);
    let (_first, pulse) = watched(&registry, "a").await;
    let (second, other_pulse) = watched(&registry, "bb").await;
    pulse.stall();
    for _ in 0..10 {
        assert_eq!(point(&lease_on(&registry, 0, Lane::Interactive).unwrap()), "bb");
    }
    other_pulse.stall();
    let both = [(); 2].map(|()| point(&lease_on(&registry, 0, Lane::Interactive).unwrap()));
    assert!(both.contains(&"a".to_owned()) && both.contains(&"bb".to_owned()), "better a try than a refusal: {both:?}");
    pulse.beat();
    for _ in 0..10 {
        assert_eq!(point(&lease_on(&registry, 0, Lane::Interactive).unwrap()), "a");
    }
    second.tunnel().drain();
    pulse.stall();
    assert_eq!(point(&lease_on(&registry, 0, Lane::Interactive).unwrap()), "a");
}

/// It says that it lives, and nothing ever comes of what it is given.
#[tokio::test(start_paused = true)]
async fn one_that_swallows_requests_is_passed_over_and_tried_now_and_then() {
    let registry = Registry::new(1);
    let (swallows, _pulse) = watched(&registry, "a").await;
    let (_serves, _other) = watched(&registry, "bb").await;
    let chosen =
        |name: &str| (0..10).filter(|_| point(&lease_on(&registry, 0, Lane::Interactive).unwrap()) == name).count();
    for _ in 1..limits::UNANSWERED {
        assert!(!swallows.tunnel().health.unanswered());
    }
    assert_eq!(chosen("a"), 5);
    swallows.tunnel().health.answered();
    for in_a_row in 1..=limits::UNANSWERED {
        assert_eq!(chosen("a"), 5, "not yet so many in a row");
        assert_eq!(swallows.tunnel().health.unanswered(), in_a_row == limits::UNANSWERED);
    }
    assert_eq!(chosen("a"), 0);
    tokio::time::advance(limits::UNANSWERED_PROBE).await;
    assert_eq!(chosen("a"), 1, "one finds out");
    assert!(!swallows.tunnel().health.unanswered(), "it is said once");
    assert_eq!(chosen("a"), 0);
    tokio::time::advance(limits::UNANSWERED_PROBE).await;
    let mut lease = (0..2).map(|_| lease_on(&registry, 0, Lane::Interactive).unwrap());
    lease.find(|lease| point(lease) == "a").unwrap().head_arrived();
    assert_eq!(chosen("a"), 5);
}

async fn arrives(registry: &Arc<Registry>, boot_id: u8) -> Result<Registration, StaysAway> {
    let newcomer = newcomer(boot_id, Lane::Interactive, limits::ACTIVE_EXCHANGES).await;
    registry.place(identity("a")).register(newcomer)
}

#[tokio::test(start_paused = true)]
async fn who_comes_last_takes_over_from_a_ghost_at_once() {
    let registry = Registry::new(1);
    let ghosts = [arrives(&registry, 1).await.ok().unwrap(), arrives(&registry, 1).await.ok().unwrap()];
    let (other, _pulse) = watched(&registry, "bb").await;
    let running = lease_on(&registry, 0, Lane::Interactive).unwrap();
    assert_eq!(point(&running), "a");
    let new = arrives(&registry, 2).await.ok().unwrap();
    assert!(ghosts.iter().all(|ghost| ghost.tunnel().is_draining() && ghost.tunnel().replaced.is_cancelled()));
    assert!(!other.tunnel().is_draining() && !new.tunnel().is_draining());
    let conflict = new.took_over.as_ref().unwrap();
    assert_eq!((conflict.last.from.boot_id, conflict.last.to.boot_id), ([1; 16], [2; 16]));
    assert!(!conflict.is_alarming(), "once is a restart");
    assert!(arrives(&registry, 2).await.ok().unwrap().took_over.is_none());
    // What was on its way when it was replaced stays away for as long as it is told.
    tokio::time::advance(limits::REPLACED_RETRY / 3).await;
    assert_eq!(arrives(&registry, 1).await.err(), Some(StaysAway(limits::REPLACED_RETRY / 3 * 2)));
    assert!(!new.tunnel().is_draining());
}

/// What another worker finds at the very moment at which the last of the old tunnels is told to go.
struct OtherWorker {
    registry: Arc<Registry>,
    found: Mutex<Option<Result<Lease, Refusal>>>,
}

impl Wake for OtherWorker {
    fn wake(self: Arc<Self>) {
        *self.found.lock().unwrap() = Some(lease_on(&self.registry, 0, Lane::Interactive));
    }
}

#[tokio::test(start_paused = true)]
async fn a_take_over_has_no_moment_without_anybody() {
    let registry = Registry::new(1);
    let old = arrives(&registry, 1).await.ok().unwrap();
    let other = Arc::new(OtherWorker { registry: Arc::clone(&registry), found: Mutex::default() });
    let mut replaced = Box::pin(old.tunnel().replaced.cancelled());
    assert!(replaced.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&other)))).is_pending());
    let new = arrives(&registry, 2).await.ok().unwrap();
    let found = other.found.lock().unwrap().take().expect("the old one was not told to go");
    let lease = found.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(lease.tunnel().number(), new.tunnel().number());
}

#[tokio::test]
async fn a_tunnel_that_drains_is_not_counted_as_usable() {
    let registry = Registry::new(1);
    let old = [arrives(&registry, 1).await.ok().unwrap(), arrives(&registry, 1).await.ok().unwrap()];
    assert_eq!(registry.usable_tunnels(), 2);
    let _new = arrives(&registry, 2).await.ok().unwrap();
    assert_eq!(registry.usable_tunnels(), 1, "those that were replaced stay for what runs on them");
    drop(old);
    assert_eq!(registry.usable_tunnels(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_that_replace_each_other_are_an_alarm_and_restarts_are_none() {
    let registry = Registry::new(1);
    let mut held = Vec::new();
    for boot_id in 1..10 {
        held.push(arrives(&registry, boot_id).await.ok().unwrap());
        let took_over = &held.last().unwrap().took_over;
        assert!(took_over.as_ref().is_none_or(|conflict| !conflict.is_alarming()), "{boot_id} only starts again");
    }
    held.clear();
    let mut alarms = Vec::new();
    for boot_id in [11, 12, 11, 12, 11] {
        tokio::time::advance(limits::REPLACED_RETRY).await;
        held.push(arrives(&registry, boot_id).await.ok().unwrap());
        alarms.push(held.last().unwrap().took_over.as_ref().is_some_and(Conflict::is_alarming));
    }
    assert_eq!(alarms, [false, false, false, true, true], "the third time within a minute");
    let conflicts = registry.conflicts();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].last.from.boot_id, [12; 16]);
    tokio::time::advance(limits::CONFLICT_WITHIN * 2).await;
    assert!(registry.conflicts().is_empty(), "it is over");
}
