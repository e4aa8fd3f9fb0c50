//! What operators and their tools ask a program: /healthz, /readyz, /metrics and /status, read-only, on
//! loopback (G-04, O-03); what changes anything goes over a Unix socket. Never reachable through a
//! listener for clients, and never a secret in an answer.

mod listener;
mod pages;
mod readiness;
mod reload;
mod unix_socket;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

pub use listener::{AdminError, AdminListener};
pub use readiness::Readiness;
pub use reload::{ReloadRequest, ReloadRequests, ReloadTrigger, reload_channel};

use crate::logs::Logs;
use crate::metrics::Registry;

type Status = dyn Fn() -> Value + Send + Sync;

/// Everything that the pages show; clones are the same.
#[derive(Clone)]
pub struct Admin {
    readiness: Readiness,
    metrics: Registry,
    status: Arc<Status>,
    own_pages: axum::Router,
    own_changes: axum::Router,
}

impl Admin {
    /// `status` is asked for at each request and must not wait for anything.
    pub fn new(readiness: Readiness, metrics: Registry, status: impl Fn() -> Value + Send + Sync + 'static) -> Self {
        Self {
            readiness,
            metrics,
            status: Arc::new(status),
            own_pages: axum::Router::new(),
            own_changes: axum::Router::new(),
        }
    }

    /// Adds pages of the program's own to the loopback listener and the Unix socket.
    pub fn with_pages(self, pages: axum::Router) -> Self {
        Self { own_pages: pages, ..self }
    }

    /// Adds what changes something in a way of the program's own; it is reached over the Unix socket alone.
    pub fn with_changes(self, changes: axum::Router) -> Self {
        Self { own_changes: changes, ..self }
    }

    /// Opens the read-only pages on a loopback address; any other is refused.
    pub async fn listen(&self, address: SocketAddr) -> Result<AdminListener, AdminError> {
        if !address.ip().is_loopback() {
            return Err(AdminError::NotLoopback { address });
        }
        listener::open_tcp(address, pages::all(self)).await
    }

    /// Opens /healthz and /readyz, and nothing else, on any address.
    pub async fn listen_health(&self, address: SocketAddr) -> Result<AdminListener, AdminError> {
        listener::open_tcp(address, pages::health(self)).await
    }

    /// Opens what changes something, and all pages, on a Unix socket that only its owner may use.
    pub fn listen_unix(
        &self,
        path: &Path,
        reload: ReloadTrigger,
        logs: Option<Arc<Logs>>,
    ) -> Result<AdminListener, AdminError> {
        listener::open_unix(path, pages::all(self).merge(pages::changes(reload, logs)).merge(self.own_changes.clone()))
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("readiness", &self.readiness).finish_non_exhaustive()
    }
}
