//! One gateway instance as this connection point knows it: where it is, what it said of itself, which site
//! configuration it has in force, and how each place for a tunnel to it fares.

mod place;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cmg_core::configuration::HostPort;
use cmg_core::limits;
use cmg_core::site::{GatewayInstance, SiteGateway};
use cmg_core::tunnel::control::{ConfigurationInForce, ConfigurationVerdict};
use cmg_core::tunnel::handshake::{BOOT_ID, GatewayHello};
use cmg_core::tunnel::message::Lane;
use cmg_core::tunnel::publication::Digest;
use rustls::pki_types::ServerName;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::link_health::LinkHealth;
use place::Places;
pub use place::{NextDial, OpenPlace, PlaceId, PlaceState, PlaceStatus};

pub struct Instance {
    pub gateway: String,
    pub name: String,
    /// The name that its tunnel certificate must have.
    pub tunnel_name: ServerName<'static>,
    /// In the order of preference.
    pub addresses: Vec<HostPort>,
    /// Cancelled when its tunnels are to be drained: the process stops, or the site uses it no longer.
    pub retiring: CancellationToken,
    /// Its share of the dials under way.
    pub dials: Arc<Semaphore>,
    facts: watch::Sender<Facts>,
    places: watch::Sender<Places>,
    checked: watch::Sender<Option<LinkCheck>>,
}

/// What the last check of the link found.
#[derive(Clone, Debug)]
pub struct LinkCheck {
    pub at: SystemTime,
    /// What is missing, and since when; none: the link is whole.
    pub missing: Option<(String, SystemTime)>,
}

/// What an instance has said.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub hello: Option<GatewayHello>,
    pub in_force: InForce,
    pub refused: Option<Refused>,
    /// One of its tunnels has published and awaits the verdict.
    pub is_publishing: bool,
    pub is_draining: bool,
}

/// The site configuration that an instance has in force; version 0 is none.
#[derive(Clone, Debug)]
pub struct InForce {
    pub version: u64,
    pub digest: Vec<u8>,
    since: Instant,
}

impl Default for InForce {
    fn default() -> Self {
        Self { version: 0, digest: Vec::new(), since: Instant::now() }
    }
}

/// What an instance would not apply, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub boot_id: [u8; BOOT_ID],
    pub version: u64,
    pub digest: Digest,
    pub problems: Vec<String>,
}

impl Instance {
    pub fn new(gateway: &SiteGateway, instance: &GatewayInstance, retiring: CancellationToken) -> Self {
        Self {
            gateway: gateway.name.clone(),
            name: instance.name.clone(),
            tunnel_name: gateway.tunnel_name.server_name(),
            addresses: instance.addresses.clone(),
            retiring,
            dials: Arc::new(Semaphore::new(limits::INSTANCE_DIALS)),
            facts: watch::Sender::default(),
            places: watch::Sender::default(),
            checked: watch::Sender::default(),
        }
    }

    /// Whether the configuration still means this instance.
    pub fn is(&self, gateway: &SiteGateway, instance: &GatewayInstance) -> bool {
        (&self.gateway, &self.name, &self.addresses) == (&gateway.name, &instance.name, &instance.addresses)
            && self.tunnel_name == gateway.tunnel_name.server_name()
    }

    pub fn facts(&self) -> watch::Receiver<Facts> {
        self.facts.subscribe()
    }

    pub fn places(&self) -> Vec<PlaceStatus> {
        self.places.borrow().open().to_vec()
    }

    pub fn health(&self) -> LinkHealth {
        LinkHealth::of(&self.facts.borrow(), self.places.borrow().open())
    }

    pub fn last_check(&self) -> Option<LinkCheck> {
        self.checked.borrow().clone()
    }

    /// Remembers a check, and gives the one before.
    pub fn was_checked(&self, check: LinkCheck) -> Option<LinkCheck> {
        self.checked.send_replace(Some(check))
    }

    /// A tunnel to it came up with this hello.
    pub fn heard_hello(&self, hello: &GatewayHello) {
        self.facts.send_modify(|facts| {
            let was = facts.hello.replace(hello.clone());
            if was.is_none_or(|was| was.boot_id != hello.boot_id) {
                (facts.refused, facts.is_draining) = (None, false);
            }
            facts.now_in_force(hello.configuration_version, &hello.configuration_digest);
        });
    }

    /// Another configuration came into force there, or none is any more; says whether that is news.
    pub fn heard_in_force(&self, in_force: &ConfigurationInForce) -> bool {
        self.facts.send_if_modified(|facts| facts.now_in_force(in_force.version, &in_force.digest))
    }

    /// A verdict; `published` is what was judged, if this tunnel had published it.
    pub fn heard_verdict(&self, verdict: &ConfigurationVerdict, published: Option<Digest>) {
        self.facts.send_modify(|facts| {
            facts.now_in_force(verdict.version_in_force, &verdict.digest_in_force);
            let Some(digest) = published else { return };
            let boot_id = facts.hello.as_ref().map(|hello| hello.boot_id).unwrap_or_default();
            let (version, problems) = (verdict.version, verdict.problems.clone());
            facts.refused = (!verdict.applied).then_some(Refused { boot_id, version, digest, problems });
        });
    }

    /// The process that said this hello stops. Its successor may have been heard already, through the same address.
    pub fn heard_drain(&self, of: &GatewayHello) {
        self.facts.send_modify(|facts| {
            facts.is_draining |= facts.hello.as_ref().is_some_and(|now| now.boot_id == of.boot_id);
        });
    }

    /// Takes the right to publish if `wants` says that there is something to publish and nobody does it already.
    pub fn begin_publishing(&self, wants: impl Fn(&Facts) -> bool) -> bool {
        self.facts.send_if_modified(|facts| {
            let begins = !facts.is_publishing && wants(facts);
            facts.is_publishing |= begins;
            begins
        })
    }

    pub fn end_publishing(&self) {
        self.facts.send_modify(|facts| facts.is_publishing = false);
    }

    /// Whether it had this configuration in force at that time, and for so long before that nothing admitted under
    /// another one was under way; and has it still.
    pub fn agreed_on(&self, digest: &Digest, at: Instant) -> bool {
        let facts = self.facts.borrow();
        facts.in_force.digest == digest && at.saturating_duration_since(facts.in_force.since) > limits::AGREED
    }

    /// Opens one more place of a lane.
    pub fn open_place(self: &Arc<Self>, lane: Lane) -> OpenPlace {
        let mut id = PlaceId { lane, number: 0 };
        self.places.send_modify(|places| id = places.open_one(lane));
        OpenPlace { instance: Arc::clone(self), id }
    }

    pub fn place_is(&self, id: PlaceId, state: PlaceState, address: Option<String>) {
        self.with_place(id, |place| place.becomes(state, address));
    }

    /// It waits so long before the next dial; of that the gateway asked for `told`.
    pub fn place_waits(&self, id: PlaceId, wait: Duration, told: Duration) {
        self.with_place(id, |place| {
            place.becomes(PlaceState::Waiting, None);
            place.next_dial = Some(NextDial { at: place.since + wait, told });
        });
    }

    /// Remembers why a tunnel ended or never came up; says whether that is news.
    pub fn place_failed(&self, id: PlaceId, error: String) -> bool {
        let mut is_news = false;
        self.with_place(id, |place| {
            is_news = place.last_error.as_ref() != Some(&error);
            place.last_error = Some(error);
        });
        is_news
    }

    /// Completes when it has had a tunnel for so long that it surely uses it.
    pub async fn until_settled(&self) {
        let mut places = self.places.subscribe();
        loop {
            // The sender lives as long as we do.
            let _ = places.wait_for(Places::has_tunnel).await;
            let lost = places.wait_for(|places| !places.has_tunnel());
            if timeout(limits::REPLACEMENT_SETTLES, lost).await.is_err() {
                return;
            }
        }
    }

    /// Completes when the tunnel of this place is up.
    pub async fn until_up(&self, id: PlaceId) {
        let mut places = self.places.subscribe();
        // The sender lives as long as we do.
        let _ = places.wait_for(|places| places.state_of(id) == Some(PlaceState::Up)).await;
    }

    /// Completes when the tunnel of this place is up, or when the place is closed: says which.
    pub async fn up_or_closed(&self, id: PlaceId) -> bool {
        let is_decided = |state| matches!(state, None | Some(PlaceState::Up));
        let mut places = self.places.subscribe();
        let decided = places.wait_for(|places| is_decided(places.state_of(id))).await;
        decided.is_ok_and(|places| places.state_of(id).is_some())
    }

    /// How long it has been without a tunnel that is up; zero while there is one.
    pub fn without_tunnel(&self) -> Duration {
        self.places.borrow().without_tunnel()
    }

    fn with_place(&self, id: PlaceId, change: impl FnOnce(&mut PlaceStatus)) {
        self.places.send_modify(|places| places.change_one(id, change));
    }
}

impl Facts {
    /// Says whether that is news. What was refused beside another configuration may be taken now.
    fn now_in_force(&mut self, version: u64, digest: &[u8]) -> bool {
        let is_news = (self.in_force.version, self.in_force.digest.as_slice()) != (version, digest);
        if is_news {
            self.in_force = InForce { version, digest: digest.to_vec(), since: Instant::now() };
            self.refused = None;
        }
        is_news
    }
}
