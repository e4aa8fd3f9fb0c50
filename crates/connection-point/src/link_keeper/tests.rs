//! A link against a gateway that the test plays: the check of every minute and the return to a better address.

use std::net::Ipv4Addr;
use std::time::Duration;

use cmg_core::tunnel::handshake::GatewayHello;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::dialer::tests::{GatewayEnd, Stage, hello, place};
use crate::link_health::LinkState;

/// A keeper of a link to an instance with two addresses: the stage's, which is preferred, and this one.
async fn with_fallback(stage: &Stage) -> (LinkKeeper, TcpListener) {
    let fallback = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let ports = [&stage.listener, &fallback].map(|listener| listener.local_addr().unwrap().port());
    let instance = Arc::clone(&place(&stage.point, &ports).0.instance);
    (LinkKeeper::new(Arc::clone(&stage.point), instance), fallback)
}

/// The preferred address hangs up on a dial, which comes to the other one then.
async fn turned_away(stage: &Stage, fallback: &TcpListener, hello: &GatewayHello) -> GatewayEnd {
    drop(stage.listener.accept().await.unwrap());
    stage.connected_at(fallback, hello).await
}

impl LinkKeeper {
    async fn until_up(&self, count: usize) {
        let up = || self.instance.health().lanes.iter().map(|lane| lane.up).sum::<usize>();
        while up() < count {
            let _ = timeout(Duration::from_millis(1), pending::<()>()).await;
        }
    }

    async fn until_decided(&mut self) -> bool {
        let worked = decided(&self.instance, self.trial).await;
        self.end_trial(worked);
        worked
    }
}

/// Asserts that no connection has come that was not accepted.
async fn nobody_waits(listener: &TcpListener) {
    let own = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (_, first) = listener.accept().await.unwrap();
    assert_eq!(first, own.local_addr().unwrap(), "somebody else had connected");
}

#[tokio::test]
async fn one_tunnel_tries_a_better_address_for_all() {
    let stage = Stage::new().await;
    let (mut keeper, fallback) = with_fallback(&stage).await;
    let two = GatewayHello { workers: 2, ..hello() };
    keeper.follow_hello();
    let _first = turned_away(&stage, &fallback, &two).await;
    keeper.until_up(1).await;
    keeper.follow_hello();
    let _second = turned_away(&stage, &fallback, &two).await;
    keeper.until_up(2).await;
    for _ in 0..2 {
        keeper.check();
        drop(stage.listener.accept().await.unwrap());
        assert!(!keeper.until_decided().await);
        nobody_waits(&stage.listener).await;
        assert_eq!(keeper.instance.places().len(), 2, "nothing is left of what was tried");
    }
    keeper.check();
    // Looks that come meanwhile try nothing beside it.
    keeper.check();
    let third = stage.connected(&two).await;
    assert!(keeper.until_decided().await);
    let fourth = stage.connected(&two).await;
    keeper.until_up(4).await;
    keeper.check();
    assert!(keeper.trial.is_none(), "every tunnel has a successor");
    nobody_waits(&stage.listener).await;
    drop((third, fourth));
}

#[tokio::test]
async fn a_link_that_leaves_with_its_gateway_tries_nothing() {
    let stage = Stage::new().await;
    let (mut keeper, fallback) = with_fallback(&stage).await;
    keeper.follow_hello();
    let now = hello();
    let _tunnel = turned_away(&stage, &fallback, &now).await;
    keeper.until_up(1).await;
    keeper.instance.heard_drain(&now);
    keeper.check();
    assert!(keeper.trial.is_none());
}

/// Two processes share a port for a while, and the new one is known already when the old one says that it stops.
#[tokio::test]
async fn a_drain_of_a_process_that_has_a_successor_is_no_drain_of_the_instance() {
    let stage = Stage::new().await;
    let instance = &stage.place.instance;
    let (old, new) = (hello(), hello());
    instance.heard_hello(&old);
    instance.heard_hello(&new);
    instance.heard_drain(&old);
    assert!(!instance.facts().borrow().is_draining);
    instance.heard_drain(&new);
    assert!(instance.facts().borrow().is_draining);
}

#[tokio::test]
async fn what_is_missing_is_found_and_found_again_when_it_is_there() {
    let stage = Stage::new().await;
    let (mut keeper, _fallback) = with_fallback(&stage).await;
    keeper.follow_hello();
    let tunnel = stage.connected(&GatewayHello { workers: 2, bulk_connections: 1, ..hello() }).await;
    keeper.until_up(1).await;
    keeper.check();
    let (what, _) = keeper.instance.last_check().unwrap().missing.unwrap();
    assert_eq!(what, "1 of 2 interactive tunnels and 1 of 1 bulk tunnels");
    assert_eq!(keeper.instance.health().state(), LinkState::Degraded);
    assert_eq!(keeper.instance.without_tunnel(), Duration::ZERO);
    keeper.follow_hello();
    let others = [stage.connected(&hello()).await, stage.connected(&hello()).await];
    drop((tunnel, others));
}

/// Without any tunnel, for the whole time.
#[tokio::test(start_paused = true)]
async fn a_link_is_checked_every_minute() {
    let stage = Stage::new().await;
    let (keeper, fallback) = with_fallback(&stage).await;
    let instance = Arc::clone(&keeper.instance);
    drop(fallback);
    let _kept = stage.point.background.spawn("keeper", keep(Arc::clone(&stage.point), Arc::clone(&instance)));
    let mut seen = None;
    for _ in 0..3 {
        let checked = async {
            while instance.last_check().map(|check| check.at) == seen {
                let _ = timeout(Duration::from_secs(1), pending::<()>()).await;
            }
        };
        timeout(limits::LINK_CHECK * 2, checked).await.unwrap();
        seen = instance.last_check().map(|check| check.at);
    }
    assert!(instance.last_check().unwrap().missing.is_some());
    assert_eq!(instance.health().state(), LinkState::Down);
    assert!(instance.without_tunnel() >= limits::LINK_CHECK * 2);
}
