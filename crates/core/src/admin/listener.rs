//! Serves pages on a TCP or Unix socket. It is not part of the drain: it answers until it is dropped, so
//! that a draining program still says that it is not ready.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use super::unix_socket::{self, UnixSocket};
use crate::limits;
use crate::shutdown::{TaskHandle, Tasks};

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(
        "the admin listener may not be opened at {address}: it shows the inside of this program to anyone who \
         connects; write a loopback address such as 127.0.0.1:0, or use health.listen for health checks from \
         elsewhere"
    )]
    NotLoopback { address: SocketAddr },
    #[error("the listener at {address} could not be opened: {source}; free the port or write another address")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error(
        "the admin socket {} could not be opened: {source}; make its folder writable, or write another admin.socket",
        path.display()
    )]
    Socket { path: PathBuf, source: std::io::Error },
}

/// An open listener; dropping it closes it and its connections.
#[must_use = "dropping the listener closes it"]
#[derive(Debug)]
pub struct AdminListener {
    /// Where it really listens; none for a Unix socket.
    pub address: Option<SocketAddr>,
    tasks: Tasks,
    _accepting: TaskHandle<()>,
    _socket: Option<UnixSocket>,
}

impl Drop for AdminListener {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

pub async fn open_tcp(address: SocketAddr, pages: Router) -> Result<AdminListener, AdminError> {
    let bind = |source| AdminError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let serving = Serving::new(pages);
    let tasks = serving.tasks.clone();
    let accepting = tasks.clone().spawn("admin listener", async move {
        loop {
            let stream = listener.accept().await.map(|(stream, _)| stream);
            serving.take(stream).await;
        }
    });
    Ok(AdminListener { address: Some(address), tasks, _accepting: accepting, _socket: None })
}

pub fn open_unix(path: &Path, pages: Router) -> Result<AdminListener, AdminError> {
    let socket = |source| AdminError::Socket { path: path.to_owned(), source };
    let (listener, guard) = unix_socket::bind(path).map_err(socket)?;
    let listener = UnixListener::from_std(listener).map_err(socket)?;
    let serving = Serving::new(pages);
    let tasks = serving.tasks.clone();
    let accepting = tasks.clone().spawn("admin socket", async move {
        loop {
            let stream = listener.accept().await.map(|(stream, _)| stream);
            serving.take(stream).await;
        }
    });
    Ok(AdminListener { address: None, tasks, _accepting: accepting, _socket: Some(guard) })
}

/// What each accepted connection needs.
struct Serving {
    pages: Router,
    tasks: Tasks,
    connections: Arc<Semaphore>,
}

impl Serving {
    fn new(pages: Router) -> Self {
        let connections = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
        Self { pages, tasks: Tasks::new(), connections }
    }

    /// Serves one connection in its own task; waits while there are too many.
    async fn take<S>(&self, accepted: std::io::Result<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin listener could not accept a connection");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                return;
            }
        };
        // The semaphore is never closed.
        let Ok(permit) = self.connections.clone().acquire_owned().await else { return };
        let (pages, ending) = (TowerToHyperService::new(self.pages.clone()), self.tasks.ending());
        self.tasks
            .spawn("admin connection", async move {
                let _permit = permit;
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(limits::HEAD_TIMEOUT);
                let connection = http.serve_connection(TokioIo::new(stream), pages);
                tokio::select! {
                    served = connection => if let Err(error) = served {
                        tracing::debug!(%error, "an admin connection ended early");
                    },
                    () = ending => {}
                }
            })
            .detach();
    }
}

#[cfg(test)]
mod tests;
