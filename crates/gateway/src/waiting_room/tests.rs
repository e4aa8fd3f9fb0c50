//! The queue without sockets, on a clock that stands still: the tunnels here lead nowhere.

use std::sync::Arc;
use std::task::Context;

use bytes::Bytes;
use cmg_core::deadline::Deadline;
use cmg_core::fields::Fields;
use cmg_core::http1::BodyLength;
use cmg_core::limits;
use cmg_core::tls::Pulse;
use cmg_core::tunnel::calling;
use cmg_core::tunnel::message::Lane;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::*;
use crate::client::Client;
use crate::edge::{BodyError, BodyPart, ClientAnswer, ClientGone};
use crate::metrics::GatewayMetrics;
use crate::published::Published;
use crate::registry::{Newcomer, Process, Registration};
use crate::test_site::{Authority, authenticated, client, published, role};

const HERE: WorkerIndex = WorkerIndex(0);

/// A client that asks, waits, and may leave. Nothing is read of it and nothing told while it waits.
struct WaitingClient {
    deadline: Deadline,
    leaves: oneshot::Receiver<()>,
    _stays: Option<oneshot::Sender<()>>,
}

impl WaitingClient {
    fn new() -> Self {
        let (stays, leaves) = oneshot::channel();
        Self { deadline: Deadline::after(limits::HEAD_TIMEOUT), leaves, _stays: Some(stays) }
    }
}

impl Edge for WaitingClient {
    fn poll_body(&mut self, _: &mut Context<'_>) -> Poll<Result<BodyPart, BodyError>> {
        panic!("a body is not read before there is a lease")
    }
    fn take_end(&mut self) -> Option<Fields> {
        panic!("a body is not read before there is a lease")
    }
    fn give_up_body(&mut self) {}
    fn end_connection(&mut self) {}
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.leaves.poll_unpin(cx).map(drop)
    }
    fn send_continue(&mut self) -> Result<(), ClientGone> {
        panic!("a body is not asked for before there is a lease")
    }
    fn has_answered(&self) -> bool {
        false
    }
    fn send_head(&mut self, _: ClientAnswer) -> Result<(), ClientGone> {
        panic!("no answer")
    }
    fn poll_room(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        panic!("no answer")
    }
    fn send_data(&mut self, _: Bytes) -> Result<(), ClientGone> {
        panic!("no answer")
    }
    fn send_end(&mut self, _: Fields) -> Result<(), ClientGone> {
        panic!("no answer")
    }
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientGone>> {
        panic!("no answer")
    }
    fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }
    fn cut(&mut self) {}
}

struct House {
    registry: Arc<Registry>,
    room: WaitingRoom,
    published: Published,
    authority: Authority,
    client: Client,
    metrics: GatewayMetrics,
}

impl House {
    fn new() -> Self {
        let (authority, metrics) = (Authority::root("R"), GatewayMetrics::new());
        let limits = QueueLimits { places: limits::QUEUE, patience: limits::QUEUE_TIMEOUT };
        Self {
            registry: Registry::new(1),
            room: WaitingRoom::new(limits, metrics.queue.clone()),
            published: published(&authority, &[role(1, "management-point", "")]),
            client: client([authority.leaf("device")]),
            authority,
            metrics,
        }
    }

    async fn connection_point(&self, name: &str, places: usize) -> Registration {
        self.process(1, name, places).await
    }

    /// A connection point as the process with this boot id.
    async fn process(&self, boot_id: u8, name: &str, max_active: usize) -> Registration {
        let (stream, other) = tokio::io::duplex(1024);
        std::mem::forget(other);
        let caller = calling::open(stream, Arc::default(), Lane::Interactive).await.unwrap().0;
        let identity = format!("cmg:PS1/{name}/{:032x}", name.len()).parse().unwrap();
        let address = ([127, 0, 0, 1], 443).into();
        let process = Process { boot_id: [boot_id; 16], started_micros: 0, address };
        let newcomer = Newcomer { lane: Lane::Interactive, caller, pulse: Arc::new(Pulse::new()), process, max_active };
        self.registry.place(identity).register(newcomer).unwrap_or_else(|_| panic!("sent away"))
    }

    fn request(&self, endpoint: &str) -> AllowedRequest {
        let path = format!("/CCM_Proxy_MutualAuth/1/{endpoint}");
        let request = authenticated(&self.published, &path, &self.client);
        AllowedRequest::filter(request, b"GET", BodyLength::None, 0, Instant::now()).unwrap()
    }

    /// A request whose answer the test looks for when it wants to.
    fn ask<'a>(&'a self, client: &'a mut WaitingClient, endpoint: &'a str) -> Asking<'a> {
        let asking = async move {
            let request = self.request(endpoint);
            self.room.lease(&self.registry, &request, HERE, client).await
        };
        Box::pin(asking)
    }
}

type Asking<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Lease, Stop>> + 'a>>;

fn refusal(ended: Result<Lease, Stop>) -> Refusal {
    match ended {
        Err(Stop::Refused(refusal)) => refusal,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("a lease"),
    }
}

#[tokio::test(start_paused = true)]
async fn places_are_given_in_the_order_of_coming() {
    let house = House::new();
    let _point = house.connection_point("a", 1).await;
    let mut clients: Vec<_> = (0..4).map(|_| WaitingClient::new()).collect();
    let [first, second, third, newcomer] = clients.get_disjoint_mut([0, 1, 2, 3]).unwrap();
    let held = house.ask(first, "CCM_System").await.unwrap();
    assert_eq!(house.metrics.queue.joined.get(), 0, "there was room");
    let (mut second, mut third) = (house.ask(second, "CCM_System"), house.ask(third, "CCM_System"));
    assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
    assert_eq!((house.metrics.queue.waiting.get(), house.room.load().0), (2, 2));
    drop(held);
    // The place is the second one's already, though nobody has woken it yet.
    let mut newcomer = house.ask(newcomer, "CCM_System");
    assert!((&mut newcomer).now_or_never().is_none() && (&mut third).now_or_never().is_none());
    let held = (&mut second).now_or_never().unwrap().unwrap();
    drop(held);
    assert!((&mut newcomer).now_or_never().is_none(), "it overtook");
    let held = (&mut third).now_or_never().unwrap().unwrap();
    drop(held);
    drop((&mut newcomer).now_or_never().unwrap().unwrap());
    assert_eq!((house.metrics.queue.waiting.get(), house.room.load().0), (0, 0));
    assert_eq!(house.metrics.queue.waited.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_after_ten_seconds() {
    let house = House::new();
    let _point = house.connection_point("a", 1).await;
    let (mut first, mut second) = (WaitingClient::new(), WaitingClient::new());
    let _held = house.ask(&mut first, "CCM_System").await.unwrap();
    let begun = tokio::time::Instant::now();
    let refusal = refusal(house.ask(&mut second, "CCM_System").await);
    assert_eq!((refusal.kind, begun.elapsed()), (RefusalKind::Overloaded, Duration::from_secs(10)));
    assert_eq!((house.metrics.queue.expired.get(), house.metrics.queue.waiting.get()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_new_tunnel_serves_who_waits_and_a_lost_one_sends_them_away() {
    let house = House::new();
    let point = house.connection_point("a", 1).await;
    let mut clients: Vec<_> = (0..3).map(|_| WaitingClient::new()).collect();
    let [first, second, third] = clients.get_disjoint_mut([0, 1, 2]).unwrap();
    let _held = house.ask(first, "CCM_System").await.unwrap();
    let (mut second, mut third) = (house.ask(second, "CCM_System"), house.ask(third, "CCM_System"));
    assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
    let other = house.connection_point("bb", 1).await;
    let served = (&mut second).now_or_never().unwrap().unwrap();
    assert_eq!(served.tunnel().identity.connection_point, "bb");
    drop(point);
    assert!((&mut third).now_or_never().is_none(), "one is still connected");
    other.tunnel().drain();
    let refusal = refusal((&mut third).now_or_never().expect("nobody is left to wait for"));
    assert_eq!(refusal.kind, RefusalKind::NoConnectionPoint);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_replaces_another_serves_who_waited_for_it() {
    let house = House::new();
    let _ghost = house.connection_point("a", 1).await;
    let (mut first, mut second) = (WaitingClient::new(), WaitingClient::new());
    let _held = house.ask(&mut first, "CCM_System").await.unwrap();
    let mut second = house.ask(&mut second, "CCM_System");
    assert!((&mut second).now_or_never().is_none());
    let _new = house.process(2, "a", 1).await;
    assert!((&mut second).now_or_never().expect("it waits on").is_ok(), "it was sent away");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_up_its_place_at_once() {
    let house = House::new();
    let _point = house.connection_point("a", 1).await;
    let mut clients: Vec<_> = (0..4).map(|_| WaitingClient::new()).collect();
    let [first, second, third, fourth] = clients.get_disjoint_mut([0, 1, 2, 3]).unwrap();
    let held = house.ask(first, "CCM_System").await.unwrap();
    second._stays = None;
    let gone = house.ask(second, "CCM_System").now_or_never().expect("it waits though its client is gone");
    assert!(matches!(gone, Err(Stop::ClientGone)));
    assert_eq!(house.room.load().0, 0);
    // And one that was given a lease and never took it hands it on.
    let (mut third, mut fourth) = (house.ask(third, "CCM_System"), house.ask(fourth, "CCM_System"));
    assert!((&mut third).now_or_never().is_none() && (&mut fourth).now_or_never().is_none());
    drop(held);
    drop(third);
    assert!((&mut fourth).now_or_never().unwrap().is_ok(), "the lease was lost with its client");
}

/// Those that wait for a head have places of their own, and stand behind nobody who wants another kind.
#[tokio::test(start_paused = true)]
async fn polls_do_not_queue_behind_others() {
    let house = House::new();
    let _point = house.connection_point("a", 1).await;
    let mut clients: Vec<_> = (0..3).map(|_| WaitingClient::new()).collect();
    let [first, second, poll] = clients.get_disjoint_mut([0, 1, 2]).unwrap();
    let _held = house.ask(first, "CCM_System").await.unwrap();
    let mut second = house.ask(second, "CCM_System");
    assert!((&mut second).now_or_never().is_none());
    assert!(house.ask(poll, "BGB").now_or_never().expect("it queued").is_ok());
    assert!((&mut second).now_or_never().is_none(), "it was given a poll's place");
}

#[tokio::test(start_paused = true)]
async fn the_513th_is_refused_at_once() {
    let house = House::new();
    let point = house.connection_point("a", 1).await;
    let mut first = WaitingClient::new();
    let held = house.ask(&mut first, "CCM_System").await.unwrap();
    let mut clients: Vec<_> = (0..limits::QUEUE + 1).map(|_| WaitingClient::new()).collect();
    let requests: Vec<_> = (0..limits::QUEUE + 1).map(|_| stranger(&house)).collect();
    let mut waiting: Vec<_> = clients
        .iter_mut()
        .zip(&requests)
        .map(|(client, request)| Box::pin(house.room.lease(&house.registry, request, HERE, client)))
        .collect();
    let mut last = waiting.pop().unwrap();
    assert!(waiting.iter_mut().all(|asking| asking.now_or_never().is_none()));
    let refusal = refusal((&mut last).now_or_never().expect("it waits though the queue is full"));
    assert_eq!((refusal.kind, house.metrics.queue.full.get()), (RefusalKind::Overloaded, 1));
    drop(held);
    let _served = waiting.iter_mut().next().unwrap().now_or_never().unwrap().unwrap();
    drop(point);
    for asking in waiting.into_iter().skip(1) {
        assert_eq!(self::refusal(asking.await).kind, RefusalKind::NoConnectionPoint);
    }
    assert_eq!(house.room.load().0, 0);
}

/// A request of somebody else each time.
fn stranger(house: &House) -> AllowedRequest {
    let other = client([house.authority.leaf("device")]);
    let request = authenticated(&house.published, "/CCM_Proxy_MutualAuth/1/CCM_System", &other);
    AllowedRequest::filter(request, b"GET", BodyLength::None, 0, Instant::now()).unwrap()
}
