//! A port that leads to one of the loopback address in a namespace: the admin pages of a program there are found where
//! it says that they are, whoever asks, and a server there may be asked over the cable.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::task::{JoinSet, spawn_blocking};

use super::Namespace;

/// Closed when it is dropped, with everything that goes through.
pub struct Door {
    _passing: JoinSet<()>,
}

impl Door {
    /// From this address where we are to the same address in the namespace.
    pub async fn open(address: SocketAddr, inside: Arc<Namespace>) -> Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("{address} is taken on this side"))?;
        Ok(Self::before(listener, address, inside))
    }

    /// From a free port of an outer address of the namespace to this address in it; and the port's own address.
    pub fn outward(inside: Arc<Namespace>, at: Ipv4Addr, to: SocketAddr) -> Result<(Self, SocketAddr)> {
        let listener = inside.inside(|| std::net::TcpListener::bind((at, 0)))??;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((Self::before(TcpListener::from_std(listener)?, to, inside), address))
    }

    fn before(listener: TcpListener, address: SocketAddr, inside: Arc<Namespace>) -> Self {
        let mut passing = JoinSet::new();
        passing.spawn(accept(listener, address, inside));
        Self { _passing: passing }
    }
}

async fn accept(listener: TcpListener, address: SocketAddr, inside: Arc<Namespace>) {
    let mut passing = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        passing.spawn(pass(near, address, inside.clone()));
        while passing.try_join_next().is_some() {}
    }
}

async fn pass(mut near: tokio::net::TcpStream, address: SocketAddr, inside: Arc<Namespace>) {
    let connecting = spawn_blocking(move || {
        let far = inside.inside(|| TcpStream::connect(address))??;
        far.set_nonblocking(true)?;
        anyhow::Ok(far)
    });
    // Whoever asked sees a connection that closes.
    if let Ok(Ok(far)) = connecting.await
        && let Ok(mut far) = tokio::net::TcpStream::from_std(far)
    {
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}
