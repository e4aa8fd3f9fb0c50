//! Puts a gateway together and takes it down in order: state, workers, listeners, admin pages, the ready line;
//! then signals; then the drain.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cmg_core::admin::{AdminError, AdminListener, Readiness, ReloadRequests, reload_channel};
use cmg_core::limits;
use cmg_core::logs::Logs;
use cmg_core::shutdown::{DrainEnd, ExitCode, Signal, Signals, TaskHandle, Tasks};
use cmg_core::tls::chain::ChainFault;
use cmg_core::tls::client_verifier::Unauthenticated;
use cmg_core::tls::configs::{self, ConfigFault};
use cmg_core::tls::service_certificates::ServiceCertificates;
use cmg_core::tunnel::publication::digest_number;
use cmg_core::worker::{WorkerIndex, Workers};
use rustls::ServerConfig;
use serde_json::json;
use tokio::time::{interval, timeout};

use crate::PROGRAM;
use crate::accept::{self, Closed, Port};
use crate::admin_pages;
use crate::expiry;
use crate::instance::{Instance, Parts, Worker};
use crate::load_watch;
use crate::metrics::GatewayMetrics;
use crate::published::Published;
use crate::reload::Reloader;
use crate::settings::{self, GatewaySettings, ListenSettings};
use crate::site_keeper::{SiteKeeper, StoreError};

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{address} could not be listened on: {error}; free the port or change [listen]")]
    Listen { address: SocketAddr, error: io::Error },
    #[error(
        "the worker threads could not be started: {0}; allow the process more threads, or write fewer in instance.workers"
    )]
    Workers(io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tls(#[from] ConfigFault),
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl StartError {
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            StartError::Tls(_) => ExitCode::Certificate,
            StartError::Listen { .. } | StartError::Workers(_) | StartError::Store(_) | StartError::Admin(_) => {
                ExitCode::RunTimeFailure
            }
        }
    }
}

/// Where settings come from beside the environment; a reload reads them again.
pub struct Source {
    pub file: PathBuf,
    /// `--set key=value`.
    pub set: Vec<(String, String)>,
}

/// A gateway that runs.
pub struct Running {
    instance: Arc<Instance>,
    readiness: Readiness,
    reloads: ReloadRequests,
    reloader: Reloader,
    background: Tasks,
    /// Dropped, they end.
    _watches: Vec<TaskHandle<()>>,
    _admin: Vec<AdminListener>,
    /// Dropped last: it ends the threads.
    _workers: Workers,
}

/// Starts everything; what it needs from others comes to it.
pub async fn start(source: Source, settings: GatewaySettings, logs: &Arc<Logs>) -> Result<Running, StartError> {
    let workers = Workers::start(settings.instance.workers, PROGRAM).map_err(StartError::Workers)?;
    let background = Tasks::new();
    let instance = build(settings, &workers, &background)?;
    let (clients, tunnels) = (bind(&instance, Port::Clients)?, bind(&instance, Port::Tunnels)?);
    let (client, tunnel) = (clients.addresses.clone(), tunnels.addresses.clone());
    let readiness = Readiness::new();
    // Before anybody can ask.
    judge_readiness(&instance, &readiness);
    tunnels.listen(&instance)?;
    let (trigger, reloads) = reload_channel();
    let admin = admin_pages::open(&instance, &readiness, trigger, logs).await?;
    expiry::report(&instance.settings, &instance.metrics);
    let mut watches = vec![
        background.spawn("expiry", expiry::watch(Arc::clone(&instance))),
        background.spawn("readiness", watch_readiness(Arc::clone(&instance), readiness.clone())),
        background.spawn("load", load_watch::watch(Arc::clone(&instance))),
    ];
    if waits_for_tunnel(&instance.settings.listen) {
        readiness.block("listening", "clients are let in when a connection point is connected");
        let let_in = let_clients_in(clients, Arc::clone(&instance), readiness.clone());
        watches.push(background.spawn("listening", let_in));
    } else {
        clients.listen(&instance)?;
    }
    let reloader = Reloader { source, logs: Arc::clone(logs), instance: Arc::clone(&instance) };
    say_ready(&client, &tunnel, &admin);
    let (_watches, _admin, _workers) = (watches, admin, workers);
    Ok(Running { instance, readiness, reloads, reloader, background, _watches, _admin, _workers })
}

impl Running {
    /// Follows signals and reloads until it is told to stop.
    pub async fn until_stopped(&mut self, signals: &mut Signals) {
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Drain | Signal::EndAtOnce => return,
                    // The outcome is in the log.
                    Signal::Reload => drop(self.reloader.reload()),
                },
                request = self.reloads.next() => request.answer(self.reloader.reload()),
            }
        }
    }

    /// Lets the clients finish, then says goodbye to the connection points, and ends.
    pub async fn drain(self, signals: &mut Signals) -> DrainEnd {
        let instance = &self.instance;
        let end = instance.settings.drain.run(&instance.clients, &self.readiness, signals.end_at_once()).await;
        instance.tunnels.stop();
        // The goodbyes leave; what does not go in time dies with the process.
        let _ = timeout(limits::HANG_UP * 2, instance.tunnels.closed()).await;
        instance.tunnels.end();
        self.background.end();
        end
    }
}

/// Everything but listeners.
pub(crate) fn build(
    settings: GatewaySettings,
    workers: &Workers,
    background: &Tasks,
) -> Result<Arc<Instance>, StartError> {
    let metrics = GatewayMetrics::new();
    let published = Arc::new(ArcSwap::from_pointee(Published::default()));
    let (applied, refused) = (metrics.configurations_applied.clone(), metrics.configurations_refused.clone());
    let keeper = SiteKeeper::start(
        &settings.instance.state_directory,
        settings.sites.clone(),
        Arc::clone(&published),
        move |verdict| if verdict.applied { applied.increment() } else { refused.increment() },
        tell_in_force(&metrics, &settings),
        background,
    )?;
    let client_tls = client_tls(&settings, &published)?;
    let tunnel_tls = tunnel_tls(&settings)?;
    let spawner = workers.spawner();
    let instance = Instance::new(Parts { settings, metrics, keeper, published, spawner, client_tls, tunnel_tls });
    let (identities, rated) = (Arc::clone(&instance.identities), instance.settings.limits.rated_clients as f64);
    instance.metrics.tell_clients(move || identities.connected(), rated);
    let registry = Arc::clone(&instance.registry);
    instance.metrics.tell_tunnels(move || registry.usable_tunnels());
    Ok(instance)
}

/// Keeps the metrics of what is in force, for every site that this gateway knows.
fn tell_in_force(metrics: &GatewayMetrics, settings: &GatewaySettings) -> impl Fn(&Published) + Send + use<> {
    let gauges = |code: &str| (metrics.site_version.with([code]), metrics.site_digest.with([code]));
    let sites = settings.sites.iter().map(|site| (site.site.as_str().to_owned(), gauges(site.site.as_str())));
    let sites: Vec<_> = sites.collect();
    move |published| {
        for (code, (version, digest)) in &sites {
            let site = published.site(code);
            version.set(site.map_or(0, |site| i64::try_from(site.version).unwrap_or(i64::MAX)));
            digest.set(site.map_or(0, |site| digest_number(&site.digest)));
        }
    }
}

/// What tunnels are accepted with.
pub fn tunnel_tls(settings: &GatewaySettings) -> Result<Arc<ServerConfig>, ConfigFault> {
    configs::tunnel_listener(Arc::clone(&settings.tunnel.certificate), &settings.tunnel.authorities)
}

/// What clients are accepted with.
pub fn client_tls(
    settings: &GatewaySettings,
    published: &Arc<ArcSwap<Published>>,
) -> Result<Arc<ServerConfig>, ConfigFault> {
    let certificates: Vec<_> = settings.services.iter().map(|service| service.certificate.clone()).collect();
    let unauthenticated = match settings.unauthenticated {
        settings::Unauthenticated::Explain => Unauthenticated::Explain,
        settings::Unauthenticated::Abort => {
            let published = Arc::clone(published);
            // In the handshake any site's trust will do; the request is judged by its own site's.
            Unauthenticated::Abort(Arc::new(move |chain, now| {
                let mut refused = ChainFault::NoCertificate;
                for site in published.load().sites() {
                    match site.trust.judge(chain, now) {
                        Ok(_) => return Ok(()),
                        Err(fault) => refused = fault,
                    }
                }
                Err(refused)
            }))
        }
    };
    configs::client_listener(settings.tls_minimum, ServiceCertificates::new(&certificates), unauthenticated)
}

/// The sockets of a port, with their addresses: each once per worker, and the kernel spreads connections over them.
struct Bound {
    port: Port,
    addresses: Vec<SocketAddr>,
    sockets: Vec<(WorkerIndex, SocketAddr, Closed)>,
}

fn bind(instance: &Instance, port: Port) -> Result<Bound, StartError> {
    let addresses = match port {
        Port::Clients => &instance.settings.listen.client,
        Port::Tunnels => &instance.settings.listen.tunnel,
    };
    let mut all = Bound { port, addresses: Vec::new(), sockets: Vec::new() };
    for address in addresses {
        let fault = |error| StartError::Listen { address: *address, error };
        let mut bound = *address;
        for index in 0..instance.spawner.count() {
            let socket = accept::bind(bound).map_err(fault)?;
            // The first one decides a free port; the others share it.
            bound = socket.address().map_err(fault)?;
            all.sockets.push((WorkerIndex(index), bound, socket));
        }
        all.addresses.push(bound);
    }
    Ok(all)
}

impl Bound {
    fn listen(self, instance: &Arc<Instance>) -> Result<(), StartError> {
        for (at, address, socket) in self.sockets {
            let listener = socket.listen().map_err(|error| StartError::Listen { address, error })?;
            let worker = Arc::new(Worker { index: at, instance: Arc::clone(instance) });
            let port = self.port;
            let run = async move {
                if let Err(error) = accept::run(listener, port, worker).await {
                    tracing::error!(%error, "a listener failed");
                }
            };
            instance.spawner.spawn(at, &instance.clients, "listener", run).detach();
        }
        Ok(())
    }
}

/// Never where tunnels come to the clients' port.
fn waits_for_tunnel(listen: &ListenSettings) -> bool {
    !listen.tunnel.is_empty() && !listen.wait_for_tunnel.is_zero()
}

/// An instance that has nobody to serve its clients yet refuses their connections: whoever has the address of another
/// one tries that. Not for long, for a refusal in words says more.
async fn let_clients_in(clients: Bound, instance: Arc<Instance>, readiness: Readiness) {
    let mut look = interval(limits::IDLE_LOOK);
    let useful = async {
        while !can_serve(&instance) {
            look.tick().await;
        }
    };
    if timeout(instance.settings.listen.wait_for_tunnel, useful).await.is_err() {
        tracing::warn!("no connection point has come: clients are let in and refused until there is one");
    }
    match clients.listen(&instance) {
        Ok(()) => readiness.clear("listening"),
        Err(error) => tracing::error!(%error, "clients cannot be let in; restart this instance"),
    }
}

async fn watch_readiness(instance: Arc<Instance>, readiness: Readiness) {
    let mut tick = interval(limits::READINESS_CHECK);
    loop {
        tick.tick().await;
        judge_readiness(&instance, &readiness);
    }
}

/// Ready means: at least one site is in force and has a connection point that may be given work.
fn judge_readiness(instance: &Instance, readiness: &Readiness) {
    match is_configured(instance) {
        true => readiness.clear("configuration"),
        false => readiness.block("configuration", "no site configuration is in force yet"),
    }
    match can_serve(instance) {
        true => readiness.clear("tunnel"),
        false => readiness.block("tunnel", "no connection point is connected"),
    }
}

fn is_configured(instance: &Instance) -> bool {
    instance.published().sites().next().is_some()
}

fn can_serve(instance: &Instance) -> bool {
    instance.published().sites().any(|site| instance.registry.usable(&site.code) > 0)
}

/// One line on stdout, for whoever started the process.
fn say_ready(client: &[SocketAddr], tunnel: &[SocketAddr], admin: &[AdminListener]) {
    let admin = admin.iter().find_map(|listener| listener.address);
    println!("{}", json!({ "ready": true, "client": client, "tunnel": tunnel, "admin": admin }));
    let admin = admin.map(|address| address.to_string());
    tracing::info!(?client, ?tunnel, admin, "the gateway listens");
}
