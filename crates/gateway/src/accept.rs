//! Listening: socket -> ClientHello -> client or tunnel. The loop takes a permit, starts a task and goes on; TLS
//! and the first head have one deadline together. The place where passthrough by SNI will branch off.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cmg_core::limits;
use cmg_core::refusal::RefusalKind;
use cmg_core::tls::configs::TUNNEL_ALPN;
use cmg_core::tls::{self, BegunHandshake, ClientHello, FlushRule, HandshakeFault, HelloFault, TlsStream};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::Client;
use crate::fairness::{Peer, Welcome};
use crate::instance::{Instance, Worker};
use crate::{client_connection, tunnel_link};

/// What may come in on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Clients, and tunnels told apart by ALPN.
    Clients,
    Tunnels,
}

/// A socket that has its address and does not listen yet: who comes is refused by the system and tries elsewhere. Every
/// worker may have one of the same address.
pub struct Closed(Socket);

impl Closed {
    pub fn address(&self) -> io::Result<SocketAddr> {
        let address = self.0.local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    pub fn listen(self) -> io::Result<std::net::TcpListener> {
        self.0.listen(limits::LISTEN_BACKLOG)?;
        Ok(self.0.into())
    }
}

pub fn bind(address: SocketAddr) -> io::Result<Closed> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(Closed(socket))
}

/// Accepts until the instance stops accepting, and then what is in the queue already: closing on those connections would
/// reset them. An error of the system backs off; it never ends the loop.
pub async fn run(listener: std::net::TcpListener, port: Port, worker: Arc<Worker>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut backoff = Duration::ZERO;
    loop {
        let accepted = tokio::select! {
            biased;
            () = worker.instance.clients.stopping() => return accept_rest(listener.into_std()?, port, &worker),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, address)) => {
                backoff = Duration::ZERO;
                start(socket, address, port, &worker);
            }
            Err(error) => {
                worker.instance.metrics.accept_errors.increment();
                backoff = (backoff * 2).clamp(limits::ACCEPT_BACKOFF_FIRST, limits::ACCEPT_BACKOFF_LONGEST);
                tracing::warn!(%error, ?backoff, "a connection could not be accepted");
                sleep(backoff).await;
            }
        }
    }
}

/// For their clients these connections are open; some have sent a request on them.
fn accept_rest(listener: std::net::TcpListener, port: Port, worker: &Arc<Worker>) -> io::Result<()> {
    while let Ok((socket, address)) = listener.accept() {
        socket.set_nonblocking(true)?;
        start(TcpStream::from_std(socket)?, address, port, worker);
    }
    Ok(())
}

fn start(socket: TcpStream, address: SocketAddr, port: Port, worker: &Arc<Worker>) {
    let instance = &worker.instance;
    let Some(permit) = instance.places.take(port) else {
        instance.metrics.connections_refused.increment();
        return;
    };
    // Before it has said anything: whoever says nothing holds a place too.
    let peer = match port {
        Port::Clients => Peer::Client,
        Port::Tunnels => Peer::ConnectionPoint,
    };
    if !is_welcome(instance, address, peer) {
        return;
    }
    let worker = Arc::clone(worker);
    let tasks = instance.clients.clone();
    let serve = serve_connection(socket, permit, address, port, worker);
    tasks.spawn("connection", serve).detach();
}

/// The permit is given back when the client, or the tunnel, is gone.
async fn serve_connection(
    mut socket: TcpStream,
    permit: OwnedSemaphorePermit,
    address: SocketAddr,
    port: Port,
    worker: Arc<Worker>,
) {
    let deadline = Instant::now() + limits::ESTABLISH;
    let instance = &worker.instance;
    let hello = match ClientHello::read(&mut socket, deadline).await {
        Ok(hello) => hello,
        Err(fault) => return hello_failed(instance, port, address, &fault),
    };
    let is_tunnel = hello.offers(TUNNEL_ALPN);
    if port == Port::Tunnels && !is_tunnel {
        instance.metrics.handshakes_failed.tunnels.increment();
        return tracing::info!(%address, "a connection on the tunnel port did not offer cmg-tunnel/1");
    }
    if port == Port::Clients && is_tunnel && !is_welcome(instance, address, Peer::ConnectionPoint) {
        return;
    }
    let peer = if is_tunnel { Peer::ConnectionPoint } else { Peer::Client };
    let Some(permit) = instance.places.keep(permit, port, peer) else {
        return instance.metrics.connections_refused.increment();
    };
    if is_tunnel && !takes_its_turn(instance, port, address).await {
        return;
    }
    let (config, rule) = match is_tunnel {
        true => (instance.tunnel_tls(), FlushRule::EverySecondTurn),
        false => (instance.client_tls(), FlushRule::AtOnce),
    };
    let Some(begun) = begin(socket, hello, config, rule, deadline, instance).await else { return };
    if is_tunnel {
        return Box::pin(tunnel_link::accept_tunnel(begun, permit, address, deadline, instance)).await;
    }
    // Boxed, like the tunnel's: an open connection would hold the room of its handshake for as long as it lives.
    let Some(stream) = Box::pin(client_tls(begun, address, deadline, &worker)).await else { return };
    let chain = stream.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
    let client = Client::new(instance.next_connection_number(), address, chain, Arc::clone(&instance.identities));
    client_connection::serve(stream, client, worker, deadline).await;
    drop(permit);
}

/// Tunnels come at a pace that leaves the processor to clients; who would have to wait too long is closed.
async fn takes_its_turn(instance: &Instance, port: Port, address: SocketAddr) -> bool {
    match instance.paces.of(port).turn().await {
        Some(waited) => {
            if waited {
                instance.metrics.tunnels.handshakes_paced.increment();
            }
            true
        }
        None => {
            instance.metrics.connections_refused.increment();
            tracing::info!(%address, "too many tunnels come at once: this one was closed and will be dialled again");
            false
        }
    }
}

/// Whether this address may have another handshake. Closed otherwise, before anything is computed for it; the log
/// hears of an address once in a while.
fn is_welcome(instance: &Instance, address: SocketAddr, peer: Peer) -> bool {
    let welcome = instance.addresses.welcome(address.ip(), peer, std::time::Instant::now());
    if welcome == Welcome::Yes {
        return true;
    }
    instance.metrics.turned_away.handshakes.increment();
    if welcome == Welcome::NoAndSaySo {
        tracing::warn!(%address, ?peer, "too many handshakes from one address; the rest is turned away");
    }
    false
}

/// Computes our part of a handshake. After so many of them open connections have a turn; the place is given back
/// then, before anything is waited for, so that nobody holds one by silence. `None` when none came free in time.
async fn begin(
    socket: TcpStream,
    hello: ClientHello,
    config: Arc<ServerConfig>,
    rule: FlushRule,
    deadline: Instant,
    instance: &Instance,
) -> Option<Result<BegunHandshake, HandshakeFault>> {
    let Ok(place) = timeout_at(deadline, instance.admit_handshake()).await else {
        instance.metrics.connections_refused.increment();
        return None;
    };
    let begun = tls::begin(socket, hello, config, rule);
    yield_now().await;
    drop(place);
    Some(begun)
}

async fn client_tls(
    begun: Result<BegunHandshake, HandshakeFault>,
    address: SocketAddr,
    deadline: Instant,
    worker: &Worker,
) -> Option<TlsStream> {
    let metrics = &worker.instance.metrics;
    let _running = metrics.handshakes_running.hold();
    let (why, code) = match timeout_at(deadline, async { begun?.finish().await }).await {
        Ok(Ok(stream)) => {
            metrics.handshakes.increment();
            if stream.is_resumed() {
                metrics.handshakes_resumed.increment();
            }
            return Some(stream);
        }
        Ok(Err(fault)) => (fault.explain("the client"), fault.refusal()),
        Err(_) => ("the client did not finish the TLS handshake in time".to_owned(), Some(RefusalKind::RequestTimeout)),
    };
    metrics.handshakes_failed.clients.increment();
    tracing::info!(%address, why, code = metrics.refused_without_answer(code), "TLS handshake with a client failed");
    None
}

fn hello_failed(instance: &Instance, port: Port, address: SocketAddr, fault: &HelloFault) {
    if fault.is_quiet() {
        return tracing::debug!(%address, %fault, "a connection ended before its ClientHello");
    }
    let metrics = &instance.metrics;
    match port {
        Port::Clients => metrics.handshakes_failed.clients.increment(),
        Port::Tunnels => metrics.handshakes_failed.tunnels.increment(),
    }
    let code = metrics.refused_without_answer(fault.refusal());
    tracing::info!(%address, %fault, code, "a connection did not begin with a usable ClientHello");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_instance::TestInstance;

    /// Whoever says nothing holds a place too.
    #[tokio::test]
    async fn a_connection_counts_for_its_address_though_it_says_nothing() {
        let few = "address_handshakes_per_second = 1\naddress_handshake_burst = 3";
        let gateway = TestInstance::with_limits(few).await;
        let worker = Arc::new(gateway.worker);
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap().listen().unwrap();
        let address = listener.local_addr().unwrap();
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        worker.instance.clients.stop();
        run(listener, Port::Clients, Arc::clone(&worker)).await.unwrap();
        let turned_away = worker.instance.metrics.turned_away.handshakes.get() as usize;
        assert!(turned_away > 0, "an address may hold as many as it likes");
        assert_eq!(worker.instance.clients.running(), silent.len() - turned_away);
        worker.instance.clients.end();
    }

    /// A listener that is closed on connections of its queue resets them, requests and all.
    #[tokio::test]
    async fn what_waits_in_the_queue_is_accepted_when_accepting_ends() {
        let gateway = TestInstance::start().await;
        let worker = Arc::new(gateway.worker);
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap().listen().unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        for _ in 0..10 {
            queued.push(TcpStream::connect(address).await.unwrap());
        }
        worker.instance.clients.stop();
        run(listener, Port::Clients, Arc::clone(&worker)).await.unwrap();
        assert_eq!(worker.instance.clients.running(), queued.len());
        assert!(TcpStream::connect(address).await.is_err(), "it listens on");
        worker.instance.clients.end();
    }
}
