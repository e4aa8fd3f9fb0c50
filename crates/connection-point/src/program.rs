//! Puts a connection point together and takes it down in order: site configuration, admin pages, tunnels, the
//! ready line; then signals and reloads; then the drain.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use cmg_core::admin::{AdminError, AdminListener, ReloadRequest, ReloadRequests};
use cmg_core::limits;
use cmg_core::logs::Logs;
use cmg_core::shutdown::{DrainEnd, ExitCode, Signal, Signals};
use cmg_core::tls::configs::ConfigFault;
use cmg_core::worker::Workers;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::point::ConnectionPoint;
use crate::reload::{OwnFile, Reloader};
use crate::settings::ConnectionPointSettings;
use crate::site_source::{Look, SiteKeeper, SourceError};
use crate::{PROGRAM, admin_pages, gateways};

/// Why the connection point could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "the worker threads could not be started: {0}; allow the process more threads, or write fewer in connection_point.workers"
    )]
    Workers(io::Error),
    #[error("tunnel.ca or tunnel.certificate: {0}")]
    Tls(#[from] ConfigFault),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl StartError {
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            StartError::Tls(_) => ExitCode::Certificate,
            StartError::Source(fault) => fault.exit_code(),
            StartError::Workers(_) | StartError::Admin(_) => ExitCode::RunTimeFailure,
        }
    }
}

/// A connection point that runs.
pub struct Running {
    point: Arc<ConnectionPoint>,
    looks: mpsc::Sender<Look>,
    reloads: ReloadRequests,
    reloader: Reloader,
    _listeners: Vec<AdminListener>,
    /// Dropped last: it ends the threads.
    _workers: Workers,
}

/// Starts everything; what it needs from others it goes on trying to get.
pub async fn start(
    own_file: OwnFile,
    settings: ConnectionPointSettings,
    logs: &Arc<Logs>,
) -> Result<Running, StartError> {
    let workers = Workers::start(settings.workers, PROGRAM).map_err(StartError::Workers)?;
    let point = ConnectionPoint::new(settings, workers.spawner())?;
    let keeper = SiteKeeper::new(Arc::clone(&point))?;
    let (listeners, reloads) = admin_pages::open(&point, logs).await?;
    let (looks, wanted) = mpsc::channel(limits::CONTROL_QUEUE);
    point.background.spawn("site source", keeper.follow(wanted)).detach();
    point.background.spawn("gateways", gateways::follow(Arc::clone(&point))).detach();
    point.start_sweeping();
    if let Some(proxy) = &point.settings().egress.proxy {
        tracing::info!(%proxy, named_by = proxy.named_by, "tunnels go through a proxy");
    }
    say_started(&listeners);
    let reloader = Reloader::new(own_file, logs, &point);
    Ok(Running { point, looks, reloads, reloader, _listeners: listeners, _workers: workers })
}

/// One line on stdout, for whoever started the process.
fn say_started(listeners: &[AdminListener]) {
    let admin: Option<SocketAddr> = listeners.iter().find_map(|listener| listener.address);
    println!("{}", json!({ "ready": true, "admin": admin }));
    let admin = admin.map(|address| address.to_string());
    tracing::info!(admin, "the connection point runs");
}

impl Running {
    /// Follows signals and reloads until it is told to stop.
    pub async fn until_stopped(&mut self, signals: &mut Signals) {
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Drain | Signal::EndAtOnce => return,
                    Signal::Reload => self.reload(None),
                },
                request = self.reloads.next() => self.reload(Some(request)),
            }
        }
    }

    /// First the own file, then what it names as the source.
    fn reload(&self, answers: Option<ReloadRequest>) {
        match self.reloader.reload() {
            // A full queue means that it is looked at anyway, and who waits is told that nothing was done.
            Ok(reader) => drop(self.looks.try_send(Look { reader, answers })),
            Err(problems) => {
                if let Some(request) = answers {
                    request.answer(Err(problems));
                }
            }
        }
    }

    /// Tells the gateways, lets what runs finish, and ends.
    pub async fn drain(self, signals: &mut Signals) -> DrainEnd {
        let point = &self.point;
        let end = point.settings().drain.run(&point.tasks, &point.readiness, signals.end_at_once()).await;
        drop(self.looks);
        point.background.stop();
        let _ = timeout(limits::LAST_WORDS, point.background.closed()).await;
        end
    }
}
