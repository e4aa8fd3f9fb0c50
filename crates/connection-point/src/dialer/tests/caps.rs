//! Gateways that accept and never answer: so many connections and no more, and other instances are dialed (T-05).

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::*;

/// What a listener that never answers has seen.
#[derive(Default)]
struct Seen {
    open: AtomicUsize,
    most: AtomicUsize,
    ever: AtomicUsize,
}

impl Seen {
    async fn hold(self: Arc<Self>, mut tcp: TcpStream) {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(open, Ordering::Relaxed);
        self.ever.fetch_add(1, Ordering::Relaxed);
        let _ = tcp.read_to_end(&mut Vec::new()).await;
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// As many places as the largest instance has, each kept.
fn keep_many(stage: &Stage, instance: &Arc<Instance>) {
    for _ in 0..limits::WORKERS {
        let open = instance.open_place(Lane::Interactive);
        let retiring = stage.point.tasks.child_token();
        let place = Place { instance: Arc::clone(instance), id: open.id, retiring, ..stage.place.clone() };
        stage.point.background.spawn("place", keep(place, open)).detach();
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_never_answers_keeps_few_connections() {
    let stage = Stage::new().await;
    let seen = Arc::new(Seen::default());
    keep_many(&stage, &stage.place.instance);
    let rounds = limits::INSTANCE_DIALS * 3;
    while seen.ever.load(Ordering::Relaxed) < rounds {
        let (tcp, _) = stage.listener.accept().await.unwrap();
        stage.point.background.spawn("silent", Arc::clone(&seen).hold(tcp)).detach();
    }
    assert_eq!(seen.most.load(Ordering::Relaxed), limits::INSTANCE_DIALS);
}

#[tokio::test(start_paused = true)]
async fn gateways_that_never_answer_share_what_a_process_dials() {
    let stage = Stage::new().await;
    let seen = Arc::new(Seen::default());
    let port = stage.listener.local_addr().unwrap().port();
    for _ in 0..2 * limits::DIALS / limits::INSTANCE_DIALS {
        keep_many(&stage, &place(&stage.point, &[port]).0.instance);
    }
    while seen.ever.load(Ordering::Relaxed) < limits::DIALS * 3 {
        let (tcp, _) = stage.listener.accept().await.unwrap();
        stage.point.background.spawn("silent", Arc::clone(&seen).hold(tcp)).detach();
    }
    assert_eq!(seen.most.load(Ordering::Relaxed), limits::DIALS);
}

/// Each may hold some hundred KiB of an answer that nobody reads, whatever the gateway counts.
#[tokio::test]
async fn a_gateway_that_does_not_count_is_refused() {
    let stage = Stage::new().await;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    stage.site_with(3, &silent.local_addr().unwrap().to_string(), "methods = [\"GET\"]");
    let open = stage.place.instance.open_place(Lane::Bulk);
    let place = Place { id: open.id, ..stage.place.clone() };
    let play = async {
        let mut gateway = stage.connected(&hello()).await;
        gateway.apply(3).await;
        let opening = || Opening::new(request("GET", "/open/x"), Bytes::new(), Some(Fields::new()));
        let most = limits::ACTIVE_SLACK * limits::BULK_EXCHANGES;
        let _running: Vec<_> = (0..most).map(|_| gateway.caller.start(opening()).unwrap()).collect();
        let refused = gateway.refused(request("GET", "/open/x")).await;
        assert_eq!((refused.reason, refused.not_started), (RefusedReason::Full, true));
    };
    let both = timeout(limits::TUNNEL_ESTABLISH, play);
    tokio::select! {
        played = both => played.expect("it runs all the same"),
        () = keep(place, open) => panic!("the place was given up"),
    }
}
