//! A server that takes no connection: nobody accepts at its port and the queue there is full, so that the kernel drops
//! every SYN. The one way to that without a rule of a firewall.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// For as long as it lives.
pub struct FullQueue {
    pub address: SocketAddr,
    _listener: TcpListener,
    waiting: Vec<TcpStream>,
}

/// Far more than any queue that a listener gets without asking.
const MOST: usize = 10_000;
/// The kernel takes a connection of this machine at once or not at all.
const TAKEN_WITHIN: Duration = Duration::from_millis(300);

impl FullQueue {
    /// Blocks until the queue is full.
    pub fn fill() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let address = listener.local_addr()?;
        let mut waiting = Vec::new();
        loop {
            match TcpStream::connect_timeout(&address, TAKEN_WITHIN) {
                Ok(stream) => waiting.push(stream),
                // Silence is what is wanted; anything else would be an answer.
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                Err(error) => return Err(error).context("the queue answers instead of being full"),
            }
            ensure!(waiting.len() <= MOST, "the queue of {address} takes more than {MOST} connections");
        }
        Ok(Self { address, _listener: listener, waiting })
    }

    /// Connections that it took to fill it.
    pub fn connections(&self) -> usize {
        self.waiting.len()
    }
}
