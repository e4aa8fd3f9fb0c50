//! Opening TCP connections outwards: the name is resolved anew each time and every address is tried, a late one
//! beside the next, so that a dead address costs a quarter of a second. The caller sets the deadline.

use std::io;
use std::net::SocketAddr;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use crate::limits;

/// The addresses of a name, at least one.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let after = limits::RESOLVE;
    let found = match timeout(after, lookup_host((host, port))).await {
        Ok(found) => found?,
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {after:?}"))),
    };
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

/// The first address that takes the connection; the error of the last one if none does.
pub async fn connect_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    loop {
        attempts.extend(waiting.next().map(|address| TcpStream::connect(*address)));
        if attempts.is_empty() {
            return Err(last);
        }
        tokio::select! {
            Some(attempt) = attempts.next() => match attempt {
                Ok(tcp) => return Ok(tcp),
                Err(failure) => last = failure,
            },
            () = sleep(limits::NEXT_ADDRESS), if waiting.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::{TcpListener, TcpSocket};

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_living_one() {
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let alive = listener.local_addr().unwrap();
        assert_eq!(connect_any(&[gone, alive]).await.unwrap().peer_addr().unwrap(), alive);
        assert!(connect_any(&[gone]).await.is_err());
        assert!(connect_any(&[]).await.is_err());
    }

    /// A full queue of connections that nobody accepts is silent to the next: the clock stands still unless everybody
    /// waits for it, so an address that answers is never late.
    #[tokio::test(start_paused = true)]
    async fn a_silent_address_does_not_hide_a_living_one() {
        let full = TcpSocket::new_v4().unwrap();
        full.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let full = full.listen(0).unwrap();
        let silent = full.local_addr().unwrap();
        let _queued = TcpStream::connect(silent).await.unwrap();
        let patience = limits::NEXT_ADDRESS * 4;
        assert!(timeout(patience, connect_any(&[silent])).await.is_err(), "it is not silent");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let alive = listener.local_addr().unwrap();
        let connected = timeout(patience, connect_any(&[silent, alive])).await.expect("the silent one kept us");
        assert_eq!(connected.unwrap().peer_addr().unwrap(), alive);
    }

    #[tokio::test]
    async fn names_and_addresses_resolve() {
        assert_eq!(resolve("127.0.0.1", 7).await.unwrap(), [SocketAddr::from((Ipv4Addr::LOCALHOST, 7))]);
        assert!(!resolve("localhost", 7).await.unwrap().is_empty());
        assert!(resolve("no such host", 7).await.is_err());
    }
}
