//! This process as its workers see it: settings, what is published, who is connected. Read without locks; what
//! changes is swapped whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use cmg_core::refusal::{Refusal, Side};
use cmg_core::shutdown::Tasks;
use cmg_core::tunnel::handshake::{BOOT_ID, new_boot_id};
use cmg_core::worker::{Spawner, WorkerIndex};
use rustls::ServerConfig;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::client::Client;
use crate::fairness::{Addresses, Identities, Manner};
use crate::metrics::GatewayMetrics;
use crate::pace::Paces;
use crate::places::Places;
use crate::published::Published;
use crate::registry::Registry;
use crate::service_names::ServiceNames;
use crate::settings::GatewaySettings;
use crate::site_keeper::SiteKeeper;
use crate::waiting_room::WaitingRoom;

pub struct Instance {
    /// As they were at start; a reload takes over what it can.
    pub settings: GatewaySettings,
    reloaded: ArcSwapOption<GatewaySettings>,
    pub metrics: GatewayMetrics,
    pub registry: Arc<Registry>,
    pub identities: Arc<Identities>,
    pub addresses: Addresses,
    pub waiting_room: WaitingRoom,
    pub keeper: SiteKeeper,
    /// Listeners and clients: these are drained.
    pub clients: Tasks,
    /// Tunnels: these live until the clients have gone.
    pub tunnels: Tasks,
    pub spawner: Spawner,
    pub boot_id: [u8; BOOT_ID],
    names: ArcSwap<ServiceNames>,
    client_tls: ArcSwap<ServerConfig>,
    tunnel_tls: ArcSwap<ServerConfig>,
    published: Arc<ArcSwap<Published>>,
    /// Of connections.
    pub places: Places,
    handshakes: Arc<Semaphore>,
    /// Of tunnels' handshakes.
    pub paces: Paces,
    last_connection: AtomicU64,
}

/// What an instance is made of.
pub struct Parts {
    pub settings: GatewaySettings,
    pub metrics: GatewayMetrics,
    pub keeper: SiteKeeper,
    pub published: Arc<ArcSwap<Published>>,
    pub spawner: Spawner,
    pub client_tls: Arc<ServerConfig>,
    pub tunnel_tls: Arc<ServerConfig>,
}

impl Instance {
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { settings, metrics, keeper, published, spawner, client_tls, tunnel_tls } = parts;
        Arc::new(Self {
            registry: Registry::new(spawner.count()),
            identities: Arc::new(Identities::new(settings.limits.identity)),
            addresses: Addresses::new(settings.limits.address),
            waiting_room: WaitingRoom::new(settings.limits.queue, metrics.queue.clone()),
            keeper,
            clients: Tasks::new(),
            tunnels: Tasks::new(),
            boot_id: new_boot_id(),
            names: ArcSwap::from_pointee(names_of(&settings)),
            client_tls: ArcSwap::new(client_tls),
            tunnel_tls: ArcSwap::new(tunnel_tls),
            published,
            places: Places::new(settings.limits.connections),
            handshakes: Arc::new(Semaphore::new(settings.limits.handshakes)),
            paces: Paces::new(settings.limits.tunnel_handshakes_per_second),
            last_connection: AtomicU64::new(0),
            settings,
            reloaded: ArcSwapOption::empty(),
            metrics,
            spawner,
        })
    }

    pub fn name(&self) -> &str {
        &self.settings.instance.name
    }

    pub fn names(&self) -> Guard<Arc<ServiceNames>> {
        self.names.load()
    }

    pub fn published(&self) -> Guard<Arc<Published>> {
        self.published.load()
    }

    /// For TLS settings, which judge each handshake by what is in force when it comes.
    pub fn published_cell(&self) -> &Arc<ArcSwap<Published>> {
        &self.published
    }

    /// New handshakes use these from now on, and requests the names of the services; tickets of old sessions end with
    /// the old settings.
    pub fn take_over(&self, client: Arc<ServerConfig>, tunnel: Arc<ServerConfig>, settings: GatewaySettings) {
        self.names.store(Arc::new(names_of(&settings)));
        self.client_tls.store(client);
        self.tunnel_tls.store(tunnel);
        self.reloaded.store(Some(Arc::new(settings)));
    }

    /// The certificates that are in use now, by the settings that named them.
    pub fn with_settings_in_force(&self, look: impl FnOnce(&GatewaySettings)) {
        match &*self.reloaded.load() {
            Some(reloaded) => look(reloaded),
            None => look(&self.settings),
        }
    }

    pub fn client_tls(&self) -> Arc<ServerConfig> {
        self.client_tls.load_full()
    }

    pub fn tunnel_tls(&self) -> Arc<ServerConfig> {
        self.tunnel_tls.load_full()
    }

    pub fn request_body_cap(&self) -> u64 {
        self.settings.limits.request_body_cap
    }

    /// A place for a handshake, as soon as there is one. Nobody closes the semaphore.
    pub async fn admit_handshake(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.handshakes).acquire_owned().await.ok()
    }

    /// How a refusal is told. What a believed client is refused never counts for the address that it shares.
    pub fn manner_of(&self, refusal: &Refusal, client: &Client) -> Manner {
        if refusal.kind.side() != Side::Client || client.is_believed() {
            return Manner::Answer;
        }
        // Now, and not when the request began: after a long upload one refusal meanwhile would look like much debt.
        let manner = self.addresses.refuse(client.address, Instant::now().into_std());
        match manner {
            Manner::Answer => {}
            Manner::LastAnswer => self.metrics.turned_away.refusals_closing.increment(),
            Manner::Silence => self.metrics.turned_away.refusals_unanswered.increment(),
        }
        manner
    }

    pub fn next_connection_number(&self) -> u64 {
        self.last_connection.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn names_of(settings: &GatewaySettings) -> ServiceNames {
    ServiceNames::new(settings.services.iter().map(|service| service.name.to_string()))
}

/// An instance as one of its workers sees it.
pub struct Worker {
    pub index: WorkerIndex,
    pub instance: Arc<Instance>,
}
