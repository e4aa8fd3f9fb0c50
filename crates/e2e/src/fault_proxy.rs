//! A TCP proxy that misbehaves on command: cuts, stalls, silence in one direction, half-open connections, slow
//! drains, wrong bits. It knows nothing of TLS; put it between any two programs and turn it by its handle. Delay, loss
//! and reordering are not for a proxy, which has both ends' TCP between them: see the cable.

mod relay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Which way bytes go, seen from the side that connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

/// What happens to the bytes of every connection, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass both ways.
    None,
    /// Nothing passes in either direction; connections stay open and new ones are accepted.
    Stall,
    /// Nothing passes from the side that connected.
    SilentUp,
    /// Nothing passes to the side that connected.
    SilentDown,
    /// Both directions pass at most this many bytes a second.
    Slow(u64),
    /// A few bytes at a time are read of what goes this way, so that every buffer before fills.
    SlowDrain(Direction),
    /// One bit is wrong in every so-manieth piece that goes this way.
    Flip(Direction, u64),
    /// Open connections are ended with a reset, and new ones at once.
    Cut,
    /// The far side is closed, the near side is not told.
    HalfOpen,
}

/// What the relays watch.
#[derive(Clone, Copy, Debug)]
struct State {
    fault: Fault,
    /// Grows with each cut, so that none is missed.
    cuts: u64,
}

pub struct FaultProxy {
    pub address: SocketAddr,
    state: watch::Sender<State>,
    counters: Arc<Counters>,
    /// Dropped with the proxy, which ends every connection through it.
    _connections: JoinSet<()>,
}

#[derive(Default)]
struct Counters {
    connections: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

impl FaultProxy {
    /// Listens on a free port and passes everything on to `target`.
    pub async fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on the loopback address")?;
        let address = listener.local_addr()?;
        let (state, watched) = watch::channel(State { fault: Fault::None, cuts: 0 });
        let counters = Arc::<Counters>::default();
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, target, watched, counters.clone()));
        Ok(Self { address, state, counters, _connections: connections })
    }

    /// From now on every connection suffers this.
    pub fn set(&self, fault: Fault) {
        self.state.send_modify(|state| {
            state.fault = fault;
            state.cuts += u64::from(fault == Fault::Cut);
        });
    }

    /// Ends every open connection with a reset and then behaves well again.
    pub fn cut_once(&self) {
        self.set(Fault::Cut);
        self.set(Fault::None);
    }

    /// Connections that were ever opened through the proxy.
    pub fn connections(&self) -> u64 {
        self.counters.connections.load(Ordering::Relaxed)
    }

    /// Bytes that passed from the side that connected, and back to it.
    pub fn bytes(&self) -> (u64, u64) {
        (self.counters.bytes_up.load(Ordering::Relaxed), self.counters.bytes_down.load(Ordering::Relaxed))
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: watch::Receiver<State>, counters: Arc<Counters>) {
    let mut relays = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        counters.connections.fetch_add(1, Ordering::Relaxed);
        let (state, counters) = (state.clone(), counters.clone());
        relays.spawn(async move {
            if state.borrow().fault == Fault::Cut {
                relay::reset(&near);
            } else if let Ok(far) = TcpStream::connect(target).await {
                relay::both_ways(near, far, state, &counters).await;
            }
        });
        while relays.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;
    use crate::until;

    /// A connection through a proxy to a server that gives every byte back.
    async fn echo() -> (FaultProxy, TcpStream, JoinSet<()>) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = FaultProxy::to(server.local_addr().unwrap()).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            }
        });
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        (proxy, stream, tasks)
    }

    async fn round_trip(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"ping").await?;
        stream.read_exact(&mut [0; 4]).await.map(drop)
    }

    #[tokio::test]
    async fn bytes_pass_and_are_counted() {
        let (proxy, mut stream, _tasks) = echo().await;
        round_trip(&mut stream).await.unwrap();
        assert_eq!(proxy.bytes(), (4, 4));
    }

    #[tokio::test]
    async fn a_cut_resets_open_connections_and_new_ones_live() {
        let (proxy, mut stream, _tasks) = echo().await;
        round_trip(&mut stream).await.unwrap();
        proxy.cut_once();
        let error = stream.read_exact(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let mut again = TcpStream::connect(proxy.address).await.unwrap();
        round_trip(&mut again).await.unwrap();
        assert_eq!(proxy.connections(), 2);
    }

    #[tokio::test]
    async fn stalled_and_silent_bytes_arrive_when_the_fault_is_over() {
        for fault in [Fault::Stall, Fault::SilentUp, Fault::SilentDown, Fault::HalfOpen] {
            let (proxy, mut stream, _tasks) = echo().await;
            round_trip(&mut stream).await.unwrap();
            proxy.set(fault);
            let quiet = timeout(Duration::from_millis(100), round_trip(&mut stream)).await;
            assert!(quiet.is_err(), "{fault:?} let bytes through");
            proxy.set(Fault::None);
            let mut rest = [0; 4];
            let after = stream.read_exact(&mut rest).await;
            assert_eq!(after.is_ok(), fault != Fault::HalfOpen, "{fault:?}: {after:?}");
        }
    }

    #[tokio::test]
    async fn every_second_piece_has_one_wrong_bit() {
        for direction in [Direction::Up, Direction::Down] {
            let (proxy, mut stream, _tasks) = echo().await;
            proxy.set(Fault::Flip(direction, 2));
            for piece in 1..=4 {
                let mut back = [0; 4];
                stream.write_all(b"ping").await.unwrap();
                stream.read_exact(&mut back).await.unwrap();
                let wrong: u32 = back.iter().zip(b"ping").map(|(got, sent)| (got ^ sent).count_ones()).sum();
                assert_eq!(wrong, u32::from(piece % 2 == 0), "{direction:?}, piece {piece}: {back:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_slow_drain_fills_the_buffers_before_it() {
        const MUCH: usize = 32 << 20;
        let (proxy, stream, mut tasks) = echo().await;
        proxy.set(Fault::SlowDrain(Direction::Up));
        let (mut read, mut write) = stream.into_split();
        let mut writing = JoinSet::new();
        writing.spawn(async move { write.write_all(&vec![7; MUCH]).await.map(|()| write) });
        assert!(timeout(Duration::from_millis(200), writing.join_next()).await.is_err(), "all of it found room");
        until(async || Ok(proxy.bytes().0 > 0)).await.unwrap();
        assert!(proxy.bytes().0 < 10_000, "{:?}", proxy.bytes());
        proxy.set(Fault::None);
        let mut back = vec![0; MUCH];
        read.read_exact(&mut back).await.unwrap();
        assert!(back.iter().all(|byte| *byte == 7));
        tasks.abort_all();
    }

    #[tokio::test]
    async fn a_slow_connection_is_slow() {
        let (proxy, mut stream, _tasks) = echo().await;
        proxy.set(Fault::Slow(20_000));
        let begin = std::time::Instant::now();
        stream.write_all(&[0; 4_000]).await.unwrap();
        stream.read_exact(&mut [0; 4_000]).await.unwrap();
        assert!(begin.elapsed() > Duration::from_millis(150), "{:?}", begin.elapsed());
    }
}
