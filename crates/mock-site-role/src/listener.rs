//! Accepts connections, makes TLS of them, and serves each in a task of its own; or misbehaves before TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::connection;
use crate::ledger::Peer;
use crate::limits;
use crate::role::{Link, Role};
use crate::settings::{Fault, Listener, Serves};
use crate::wire::hex;

/// A listener that is bound and not yet served.
pub struct Bound {
    pub address: SocketAddr,
    listener: TcpListener,
    settings: Listener,
}

/// What every connection of a listener needs.
#[derive(Clone)]
struct Accepting {
    tls: TlsAcceptor,
    name: Arc<str>,
    is_site: bool,
    role: Arc<Role>,
}

impl Bound {
    pub async fn bind(settings: Listener) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        Ok(Self { address: listener.local_addr()?, listener, settings })
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Accepts until the role stops.
    pub async fn serve(self, role: Arc<Role>) {
        let fault = self.settings.fault;
        let accepting = Accepting {
            tls: TlsAcceptor::from(self.settings.tls),
            name: self.settings.name.into(),
            is_site: self.settings.serves == Serves::Site,
            role: role.clone(),
        };
        if fault == Fault::NoAccept {
            // The kernel completes connections; nobody ever takes them.
            return role.tasks.stopping().await;
        }
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = role.tasks.stopping() => return,
            };
            match accepted {
                Ok((stream, client)) => accepting.start(stream, client, fault),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Accepting {
    fn start(&self, stream: TcpStream, client: SocketAddr, fault: Fault) {
        let accepting = self.clone();
        let ending = self.role.tasks.ending();
        let serving = async move {
            tokio::select! {
                () = accepting.serve(stream, client, fault) => {}
                () = ending => {}
            }
        };
        self.role.tasks.spawn("connection", serving).detach();
    }

    async fn serve(self, mut stream: TcpStream, client: SocketAddr, fault: Fault) {
        match fault {
            Fault::None => self.serve_tls(stream, client).await,
            Fault::Close | Fault::NoAccept => {}
            Fault::Silent => read_to_end(&mut stream).await,
            Fault::Plain => {
                let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let mut first = [0; 1];
                if stream.read(&mut first).await.is_ok() && stream.write_all(answer).await.is_ok() {
                    read_to_end(&mut stream).await;
                }
            }
        }
    }

    async fn serve_tls(self, stream: TcpStream, client: SocketAddr) {
        // Without it answers would wait for acknowledgements; it is refused only by a socket that has died.
        let _ = stream.set_nodelay(true);
        let socket = match tokio::time::timeout(limits::HANDSHAKE, self.tls.accept(stream)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return tracing::debug!(listener = %self.name, %client, %error, "no TLS with a client"),
            Err(_) => return tracing::debug!(listener = %self.name, %client, "a client was too slow with TLS"),
        };
        let open = self.role.ledger.open_connection();
        let (_, session) = socket.get_ref();
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let peer = Peer {
            listener: self.name.to_string(),
            connection: open.number,
            address: client.to_string(),
            server_name: session.server_name().map(str::to_owned),
            certificate: leaf.map(|leaf| hex(digest(&SHA256, leaf).as_ref())),
        };
        let link = Link { role: self.role.clone(), peer: Arc::new(peer), is_site: self.is_site };
        connection::serve(socket, link).await;
    }
}

async fn read_to_end(stream: &mut TcpStream) {
    let mut buffer = vec![0; limits::PIECE];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}
