//! The program from settings to drain: binds everything, says on stdout where, serves, stops in order.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use cmg_core::admin::{Admin, AdminError, AdminListener, Readiness};
use cmg_core::metrics::Registry;
use cmg_core::shutdown::{Drain, DrainEnd, Signal, Signals, Tasks};
use serde_json::json;

use crate::admin;
use crate::gates::Gates;
use crate::ledger::Ledger;
use crate::listener::Bound;
use crate::role::Role;
use crate::settings::Settings;
use crate::site::Site;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("listener {name:?} could not be opened at {address}: {source}")]
    Listener { name: String, address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    #[error("the addresses could not be written to stdout: {0}")]
    Stdout(io::Error),
}

/// A role that serves.
pub struct Running {
    role: Arc<Role>,
    readiness: Readiness,
    drain: Drain,
    addresses: Vec<(String, SocketAddr)>,
    admin: AdminListener,
}

impl Running {
    /// Opens every listener and starts to serve.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let metrics = Registry::new("cmg-mock-site-role");
        let role = Arc::new(Role {
            ledger: Ledger::new(settings.ledger_entries, settings.ledger_fields),
            gates: Gates::default(),
            site: Site::new(settings.site_configuration),
            tasks: Tasks::new(),
            requests: metrics.counters(
                "cmg_role_requests_total",
                "Requests that were seen.",
                ["listener", "behaviour"],
            ),
        });
        register_gauges(&metrics, &role);
        let mut bound = Vec::new();
        for listener in settings.listeners {
            let (name, address) = (listener.name.clone(), listener.listen);
            let failed = |source| StartError::Listener { name, address, source };
            bound.push(Bound::bind(listener).await.map_err(failed)?);
        }
        let addresses: Vec<_> = bound.iter().map(|bound| (bound.name().to_owned(), bound.address)).collect();
        let readiness = Readiness::new();
        let (status_of, listeners) = (role.clone(), addresses_json(&addresses));
        let status = move || json!({ "listeners": listeners, "ledger": status_of.ledger.totals() });
        let pages = admin::pages(role.clone());
        let admin = Admin::new(readiness.clone(), metrics, status).with_pages(pages).listen(settings.admin).await?;
        for listener in bound {
            role.tasks.spawn("listener", listener.serve(role.clone())).detach();
        }
        Ok(Self { role, readiness, drain: settings.drain, addresses, admin })
    }

    /// The address of a listener.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(other, _)| other == name).map(|(_, address)| *address)
    }

    /// The address of the admin pages.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.address
    }

    /// Says on stdout, in one line of JSON, that everything is open, and where.
    pub fn announce(&self) -> Result<(), StartError> {
        let listeners = addresses_json(&self.addresses);
        let line = json!({ "ready": true, "listeners": listeners, "admin": self.admin.address });
        let mut stdout = io::stdout();
        writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(StartError::Stdout)
    }

    /// Serves until the first SIGTERM or SIGINT, then drains.
    pub async fn until_stopped(self, mut signals: Signals) -> DrainEnd {
        while signals.next().await == Signal::Reload {
            tracing::info!("nothing to reload: the site's configuration is read at every request");
        }
        self.drain.run(&self.role.tasks, &self.readiness, signals.end_at_once()).await
    }
}

fn addresses_json(addresses: &[(String, SocketAddr)]) -> serde_json::Value {
    addresses.iter().map(|(name, address)| (name.clone(), json!(address))).collect::<serde_json::Map<_, _>>().into()
}

fn register_gauges(metrics: &Registry, role: &Arc<Role>) {
    let ledger = role.ledger.clone();
    metrics.gauge_from("cmg_role_open_connections", "Connections that are open.", move || Some(ledger.open().0 as f64));
    let ledger = role.ledger.clone();
    metrics.gauge_from("cmg_role_open_requests", "Requests without an end.", move || Some(ledger.open().1 as f64));
}
