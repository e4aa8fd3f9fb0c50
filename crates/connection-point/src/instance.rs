//! One gateway instance as this connection point knows it: where it is, what it said of itself, which site
//! configuration it has in force, and how each place for a tunnel to it fares.

use std::time::SystemTime;

use cmg_core::configuration::HostPort;
use cmg_core::limits;
use cmg_core::site::{GatewayInstance, SiteGateway};
use cmg_core::tunnel::control::{ConfigurationInForce, ConfigurationVerdict};
use cmg_core::tunnel::handshake::{BOOT_ID, GatewayHello};
use cmg_core::tunnel::message::Lane;
use cmg_core::tunnel::publication::Digest;
use rustls::pki_types::ServerName;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub struct Instance {
    pub gateway: String,
    pub name: String,
    /// The name that its tunnel certificate must have.
    pub tunnel_name: ServerName<'static>,
    /// In the order of preference.
    pub addresses: Vec<HostPort>,
    /// Cancelled when its tunnels are to be drained: the process stops, or the site uses it no longer.
    pub retiring: CancellationToken,
    facts: watch::Sender<Facts>,
    places: watch::Sender<Vec<PlaceStatus>>,
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

/// A place for one tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceId {
    pub lane: Lane,
    pub number: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceState {
    Waiting,
    Dialing,
    Up,
    Draining,
}

impl PlaceState {
    pub const fn name(self) -> &'static str {
        match self {
            PlaceState::Waiting => "waiting",
            PlaceState::Dialing => "dialing",
            PlaceState::Up => "up",
            PlaceState::Draining => "draining",
        }
    }
}

#[derive(Clone, Debug)]
pub struct PlaceStatus {
    pub id: PlaceId,
    pub state: PlaceState,
    pub since: SystemTime,
    /// Of the tunnel that is up.
    pub address: Option<String>,
    pub last_error: Option<String>,
}

impl Instance {
    pub fn new(gateway: &SiteGateway, instance: &GatewayInstance, retiring: CancellationToken) -> Self {
        Self {
            gateway: gateway.name.clone(),
            name: instance.name.clone(),
            tunnel_name: gateway.tunnel_name.server_name(),
            addresses: instance.addresses.clone(),
            retiring,
            facts: watch::Sender::default(),
            places: watch::Sender::default(),
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
        self.places.borrow().clone()
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

    pub fn heard_drain(&self) {
        self.facts.send_modify(|facts| facts.is_draining = true);
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

    pub fn place_is(&self, id: PlaceId, state: PlaceState, address: Option<String>) {
        self.with_place(id, |place| {
            (place.state, place.since, place.address) = (state, SystemTime::now(), address);
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

    pub fn place_is_gone(&self, id: PlaceId) {
        self.places.send_modify(|places| places.retain(|place| place.id != id));
    }

    fn with_place(&self, id: PlaceId, change: impl FnOnce(&mut PlaceStatus)) {
        self.places.send_modify(|places| match places.iter_mut().find(|place| place.id == id) {
            Some(place) => change(place),
            None => {
                let (state, since) = (PlaceState::Waiting, SystemTime::now());
                let mut place = PlaceStatus { id, state, since, address: None, last_error: None };
                change(&mut place);
                places.push(place);
            }
        });
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
