//! Tunnels that take no requests any more, and what is kept of requests that may have to be sent again.

use super::*;
use crate::test_instance;

/// An attempt that never was does not use up the second one.
#[tokio::test]
async fn tunnels_that_hand_requests_back_are_retired_and_the_next_is_asked() {
    let mut gateway = TestInstance::with_points(3).await;
    for point in &mut gateway.points[..2] {
        point.leave().await;
    }
    let got = Got::default();
    let third = play(gateway.points[2].far_end.take().unwrap(), Does::Answer, usize::MAX, &got);
    let edge = tokio::select! {
        edge = gateway.serve("POST", TARGET, TestEdge { sends: [Bytes::from_static(b"body")].into(), ..TestEdge::default() }) => edge,
        () = third => panic!("the connection point stopped playing"),
    };
    assert_eq!((edge.status, got.borrow().as_slice()), (Some(200), &[b"body".to_vec()][..]));
    let retired = gateway.points.iter().map(|point| point.tunnel.tunnel());
    let retired: Vec<_> = retired.map(|tunnel| (tunnel.is_draining(), tunnel.retired.is_cancelled())).collect();
    assert_eq!(retired, [(true, true), (true, true), (false, false)]);
    assert!(gateway.metric("cmg_requests_sent_again_total{reason=\"unwritten\"} 1"));
    gateway.keeper_tasks.end();
}

/// It says GOAWAY and keeps the connection for what runs: every request comes back unwritten, and nothing else shows it.
#[tokio::test]
async fn a_tunnel_that_was_told_to_go_away_is_retired() {
    let mut gateway = TestInstance::with_points(1).await;
    let (goes, told_to_go) = tokio::sync::oneshot::channel();
    let far_end = gateway.points[0].far_end.take().unwrap();
    let stays = async {
        let mut connection = h2::server::handshake(far_end).await.unwrap();
        let _held = connection.accept().await.unwrap().unwrap();
        told_to_go.await.unwrap();
        connection.graceful_shutdown();
        // What was sent before the word of it arrived.
        while connection.accept().await.is_some() {}
    };
    let tunnel = gateway.points[0].tunnel.tunnel();
    let running = tunnel.start(test_instance::opening()).unwrap();
    let asking = async {
        goes.send(()).unwrap();
        while !tunnel.retired.is_cancelled() {
            drop(tunnel.start(test_instance::opening()));
            tokio::task::yield_now().await;
        }
        assert!(tunnel.is_draining());
    };
    tokio::select! {
        () = asking => {}
        () = stays => panic!("the connection has ended"),
    }
    drop(running);
    gateway.keeper_tasks.end();
}

/// It may have begun to run there, whatever became of the rest.
#[tokio::test]
async fn the_rest_of_a_request_that_cannot_be_sent_is_no_proof() {
    let gateway = TestInstance::with_points(2).await;
    let request = gateway.allowed("GET", TARGET);
    let lease = gateway.worker.instance.registry.lease(&request, gateway.worker.index).unwrap();
    let mut attempt = Attempt::new(&gateway.worker, &request, lease);
    let (opening, data) = (test_instance::opening(), vec![Bytes::from_static(b"behind its end")]);
    attempt.sent = Some(Sent { opening, data, small: BytesMut::new(), end: None, bytes: 0 });
    let refused = Refused { reason: RefusedReason::Draining, detail: String::new(), not_started: true };
    assert!(attempt.elsewhere(Failure::refused(refused)).is_ok(), "a 503 that may be a lie");
    gateway.keeper_tasks.end();
}

/// A tunnel that is given no more work because it is dead was no planned stop for what ran on it.
#[tokio::test]
async fn only_who_has_said_that_it_leaves_was_stopped_as_planned() {
    let mut gateway = TestInstance::with_points(1).await;
    let request = gateway.allowed("POST", TARGET);
    let lease = gateway.worker.instance.registry.lease(&request, gateway.worker.index).unwrap();
    gateway.points[0].leave().await;
    let attempt = Attempt::new(&gateway.worker, &request, lease);
    let tunnel = gateway.points[0].tunnel.tunnel();
    assert!(tunnel.start(test_instance::opening()).is_err() && tunnel.is_draining());
    assert_eq!(attempt.lost(&TunnelBroken::Closed).kind, RefusalKind::TunnelLost);
    tunnel.leaving.cancel();
    assert_eq!(attempt.lost(&TunnelBroken::Closed).kind, RefusalKind::EndedByDrain);
    gateway.keeper_tasks.end();
}

/// A body in pieces of one byte would cost a hundred times what is kept of it.
#[tokio::test]
async fn small_pieces_are_kept_as_one() {
    let gateway = TestInstance::start().await;
    let request = gateway.allowed("GET", TARGET);
    let lease = gateway.worker.instance.registry.lease(&request, gateway.worker.index).unwrap();
    let mut attempt = Attempt::new(&gateway.worker, &request, lease);
    let (opening, small) = (test_instance::opening(), BytesMut::new());
    attempt.sent = Some(Sent { opening, data: Vec::new(), small, end: None, bytes: 0 });
    for _ in 0..limits::KEPT_BODY / 2 {
        attempt.keep(&Bytes::from_static(b"x"), None);
    }
    attempt.keep(&Bytes::from(vec![1; limits::SMALL_CHUNK]), None);
    attempt.keep(&Bytes::from_static(b"y"), None);
    let sent = attempt.sent.unwrap();
    let lengths: Vec<_> = sent.data.iter().map(Bytes::len).collect();
    assert_eq!((lengths, sent.small.len()), (vec![limits::KEPT_BODY / 2, limits::SMALL_CHUNK], 1));
    gateway.keeper_tasks.end();
}
