//! This process as its parts see it: settings, the site configuration in force, gateway instances, workers. Read
//! without locks; what changes is swapped whole and announced.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use cmg_core::admin::Readiness;
use cmg_core::limits;
use cmg_core::metrics::Held;
use cmg_core::shutdown::Tasks;
use cmg_core::site_role::RolePool;
use cmg_core::tls::configs::{self, ConfigFault};
use cmg_core::tunnel::handshake::{BOOT_ID, new_boot_id};
use cmg_core::tunnel::publication::digest_number;
use cmg_core::worker::{Spawner, WorkerIndex};
use rustls::ClientConfig;
use tokio::sync::{Semaphore, watch};
use tokio::time::interval;

use crate::egress::LoginMemory;
use crate::instance::Instance;
use crate::link_metrics;
use crate::metrics::PointMetrics;
use crate::settings::ConnectionPointSettings;
use crate::site::Site;
use crate::site_source::SourceFacts;

pub struct ConnectionPoint {
    settings: ArcSwap<ConnectionPointSettings>,
    pub metrics: PointMetrics,
    pub readiness: Readiness,
    tunnel_tls: ArcSwap<ClientConfig>,
    /// Tunnels and exchanges: these are drained.
    pub tasks: Tasks,
    /// What serves them: ends when they have.
    pub background: Tasks,
    pub spawner: Spawner,
    pub boot_id: [u8; BOOT_ID],
    pub started: SystemTime,
    pub source: watch::Sender<SourceFacts>,
    pools: Vec<Arc<RolePool>>,
    site: ArcSwapOption<Site>,
    site_changes: watch::Sender<()>,
    instances: ArcSwap<Vec<Arc<Instance>>>,
    link_checks: watch::Sender<()>,
    tunnels: watch::Sender<usize>,
    /// Dials under way, over all instances.
    pub dials: Arc<Semaphore>,
    pub proxy_login: LoginMemory,
}

const NO_CONFIGURATION: &str = "configuration";
const NO_TUNNEL: &str = "tunnel";

impl ConnectionPoint {
    pub fn new(settings: ConnectionPointSettings, spawner: Spawner) -> Result<Arc<Self>, ConfigFault> {
        let tunnel_tls = tunnel_tls(&settings)?;
        let metrics = PointMetrics::new();
        let readiness = Readiness::new();
        readiness.block(NO_CONFIGURATION, "no site configuration has been read yet");
        readiness.block(NO_TUNNEL, "no gateway instance is connected");
        let point = Arc::new(Self {
            pools: (0..spawner.count()).map(|_| RolePool::new(Arc::clone(&metrics.roles))).collect(),
            source: watch::Sender::new(SourceFacts::default()),
            settings: ArcSwap::from_pointee(settings),
            metrics,
            readiness,
            tunnel_tls: ArcSwap::new(tunnel_tls),
            tasks: Tasks::new(),
            background: Tasks::new(),
            spawner,
            boot_id: new_boot_id(),
            started: SystemTime::now(),
            site: ArcSwapOption::empty(),
            site_changes: watch::Sender::new(()),
            instances: ArcSwap::default(),
            link_checks: watch::Sender::new(()),
            tunnels: watch::Sender::new(0),
            dials: Arc::new(Semaphore::new(limits::DIALS)),
            proxy_login: LoginMemory::default(),
        });
        link_metrics::register(&point);
        Ok(point)
    }

    /// As the file has them; the last good reload counts.
    pub fn settings(&self) -> Arc<ConnectionPointSettings> {
        self.settings.load_full()
    }

    /// What new tunnels are dialed with.
    pub fn tunnel_tls(&self) -> Arc<ClientConfig> {
        self.tunnel_tls.load_full()
    }

    /// Takes other settings over: for new tunnels and for new connections to roles. What is open stays as it is.
    pub fn take_over(&self, settings: ConnectionPointSettings) -> Result<(), ConfigFault> {
        let tunnel_tls = tunnel_tls(&settings)?;
        if !settings.roles_tls.is_like(&self.settings().roles_tls)
            && let Some(site) = &*self.site()
        {
            self.site.store(Some(Arc::new(site.with_roles_tls(&settings.roles_tls)?)));
        }
        self.tunnel_tls.store(tunnel_tls);
        self.settings.store(Arc::new(settings));
        self.proxy_login.forget();
        Ok(())
    }

    pub fn site(&self) -> Guard<Option<Arc<Site>>> {
        self.site.load()
    }

    /// Tells when another site configuration has come into force.
    pub fn site_changes(&self) -> watch::Receiver<()> {
        self.site_changes.subscribe()
    }

    /// Puts a site configuration in force, whole.
    pub fn apply(&self, site: Site) {
        self.metrics.site_version.set(i64::try_from(site.version).unwrap_or(i64::MAX));
        self.metrics.site_digest.set(digest_number(&site.digest));
        self.site.store(Some(Arc::new(site)));
        self.readiness.clear(NO_CONFIGURATION);
        self.site_changes.send_replace(());
    }

    pub fn instances(&self) -> Guard<Arc<Vec<Arc<Instance>>>> {
        self.instances.load()
    }

    pub fn set_instances(&self, instances: Vec<Arc<Instance>>) {
        self.instances.store(Arc::new(instances));
    }

    /// Has every link checked now.
    pub fn check_links(&self) {
        self.link_checks.send_replace(());
    }

    /// Tells when links are to be checked at once.
    pub fn link_checks(&self) -> watch::Receiver<()> {
        self.link_checks.subscribe()
    }

    /// The role connections of a worker. An index beyond the last wraps around, as it does for tasks.
    pub fn pool(&self, worker: WorkerIndex) -> Arc<RolePool> {
        Arc::clone(&self.pools[worker.0 % self.pools.len()])
    }

    pub fn idle_role_connections(&self) -> usize {
        self.pools.iter().map(|pool| pool.idle()).sum()
    }

    /// Has every worker look after its idle role connections.
    pub fn start_sweeping(&self) {
        for (index, pool) in self.pools.iter().enumerate() {
            let (pool, stopping) = (Arc::clone(pool), self.background.stopping());
            let sweep = async move {
                let mut tick = interval(limits::ROLE_SWEEP);
                let mut stopping = std::pin::pin!(stopping);
                loop {
                    tokio::select! {
                        _ = tick.tick() => pool.sweep(),
                        () = &mut stopping => return,
                    }
                }
            };
            self.spawner.spawn(WorkerIndex(index), &self.background, "role pool", sweep).detach();
        }
    }

    /// A tunnel is up for as long as this is held.
    pub fn tunnel_is_up(self: &Arc<Self>) -> TunnelUp {
        self.tunnels.send_modify(|count| *count += 1);
        self.readiness.clear(NO_TUNNEL);
        TunnelUp { point: Arc::clone(self), _counted: self.metrics.tunnels.hold() }
    }
}

/// What tunnels are dialed with.
pub fn tunnel_tls(settings: &ConnectionPointSettings) -> Result<Arc<ClientConfig>, ConfigFault> {
    let tunnel = &settings.tunnel;
    configs::tunnel_dialler(Arc::clone(&tunnel.certificate), &tunnel.authorities)
}

pub struct TunnelUp {
    point: Arc<ConnectionPoint>,
    _counted: Held,
}

impl Drop for TunnelUp {
    fn drop(&mut self) {
        let point = &self.point;
        point.metrics.tunnels_lost.increment();
        point.tunnels.send_modify(|count| {
            *count = count.saturating_sub(1);
            if *count == 0 {
                point.readiness.block(NO_TUNNEL, "no gateway instance is connected");
            }
        });
    }
}
