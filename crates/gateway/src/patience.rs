//! How long a client may keep its connection without a request. Whom a site believes has its time. Anybody else makes
//! room while places are scarce, however busy he was: nobody keeps others out by asking for what costs nothing (G-16).

use std::time::Duration;

use cmg_core::limits;
use tokio::time::Instant;

use crate::client::Client;
use crate::instance::Instance;

pub struct Patience<'a> {
    instance: &'a Instance,
    client: &'a Client,
    opened: Instant,
}

impl<'a> Patience<'a> {
    /// Of a connection that begins now.
    pub fn new(instance: &'a Instance, client: &'a Client) -> Self {
        Self { instance, client, opened: Instant::now() }
    }

    /// How long to wait for a request until this is asked again; `None`: the connection has to go.
    pub fn left(&self, idle_since: Instant) -> Option<Duration> {
        let left = not_zero(limits::CLIENT_IDLE.checked_sub(idle_since.elapsed()))?;
        if self.client.keeps_its_place() {
            return Some(left);
        }
        if self.makes_room() {
            self.instance.metrics.connections_refused.increment();
            return None;
        }
        let unharmed = not_zero(limits::STRANGER.checked_sub(self.opened.elapsed()));
        Some(left.min(unharmed.unwrap_or(limits::STRANGER)))
    }

    /// How long an HTTP/2 client that was told to go may read what was sent to it before.
    pub fn farewell(&self) -> Duration {
        if self.makes_room() { limits::LINGER } else { limits::HTTP2_LINGER }
    }

    fn makes_room(&self) -> bool {
        let is_stranger = !self.client.keeps_its_place() && self.opened.elapsed() >= limits::STRANGER;
        is_stranger && self.instance.places.are_scarce()
    }
}

fn not_zero(left: Option<Duration>) -> Option<Duration> {
    left.filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::UnixTime;
    use tokio::sync::OwnedSemaphorePermit;
    use tokio::time::advance;

    use super::*;
    use crate::accept::Port;
    use crate::test_instance::TestInstance;
    use crate::test_site::client;

    /// As many connections as make places scarce.
    fn crowd(instance: &Instance) -> Vec<OwnedSemaphorePermit> {
        let mut crowd = Vec::new();
        while !instance.places.are_scarce() {
            crowd.push(instance.places.take(Port::Clients).unwrap());
        }
        crowd
    }

    /// How long a connection that was opened some time ago stays without a request.
    async fn stays(patience: &Patience<'_>) -> Duration {
        let idle_since = Instant::now();
        while let Some(wait) = patience.left(idle_since) {
            advance(wait).await;
        }
        idle_since.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_make_room_when_places_are_scarce() {
        let gateway = TestInstance::start().await;
        let instance = &gateway.worker.instance;
        let stranger = client([]);
        let patience = Patience::new(instance, &stranger);
        assert_eq!(stays(&patience).await, limits::CLIENT_IDLE, "there is room for all");
        let crowd = crowd(instance);
        assert_eq!(stays(&patience).await, Duration::ZERO, "it is no newcomer");
        assert_eq!(patience.farewell(), limits::LINGER);
        assert_eq!(stays(&Patience::new(instance, &stranger)).await, limits::STRANGER);
        // One that is idle already notices.
        drop(crowd);
        let (patience, idle_since) = (Patience::new(instance, &stranger), Instant::now());
        advance(limits::STRANGER).await;
        let wait = patience.left(idle_since).unwrap();
        let _crowd = self::crowd(instance);
        advance(wait).await;
        assert_eq!(patience.left(idle_since), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_identity_keeps_so_many_connections_when_places_are_scarce() {
        let gateway = TestInstance::start().await;
        let instance = &gateway.worker.instance;
        let leaf = gateway.trusted.leaf("one of many");
        let published = instance.published();
        let connect = || {
            let client =
                Client::new(1, ([192, 0, 2, 1], 40_000).into(), vec![leaf.clone()], Arc::clone(&instance.identities));
            client.verdict(published.site("PS1").unwrap(), UnixTime::now()).unwrap();
            client
        };
        let _crowd = crowd(instance);
        let mut kept: Vec<_> = (0..limits::IDENTITY_CONNECTIONS).map(|_| connect()).collect();
        for client in &kept {
            assert!(client.keeps_its_place());
        }
        let one_more = connect();
        assert!(one_more.is_believed(), "it is served");
        assert_eq!(stays(&Patience::new(instance, &one_more)).await, limits::STRANGER);
        let patience = Patience::new(instance, &kept[0]);
        assert_eq!(stays(&patience).await, limits::CLIENT_IDLE);
        assert_eq!(patience.farewell(), limits::HTTP2_LINGER);
        kept.pop();
        assert!(connect().keeps_its_place(), "its place stays taken");
    }
}
