//! An HTTP proxy that knows CONNECT and nothing else. It looks names up in a list of its own, may want a login,
//! counts who comes and what for, and can be stopped and started again on its port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A head that is longer than this is none.
const HEAD: usize = 8 * 1024;

#[derive(Default)]
struct State {
    /// What a target stands for; any other is taken as an address.
    names: BTreeMap<String, SocketAddr>,
    /// How often each target was asked for.
    asked: BTreeMap<String, u64>,
    connections: u64,
    /// Connections that were made to a target.
    made: u64,
}

pub struct ConnectProxy {
    pub address: SocketAddr,
    /// The only value of Proxy-Authorization that it takes.
    login: Option<&'static str>,
    state: Arc<watch::Sender<State>>,
    /// Dropped to end every connection.
    serving: Option<JoinSet<()>>,
}

impl ConnectProxy {
    /// Listens on a free port, for everybody or for those with this login.
    pub async fn start(login: Option<&'static str>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on the loopback address")?;
        let address = listener.local_addr()?;
        let mut proxy = Self { address, login, state: Arc::default(), serving: None };
        proxy.serve(listener);
        Ok(proxy)
    }

    /// Ends every connection, and takes no new one.
    pub async fn stop(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            serving.shutdown().await;
        }
    }

    /// Listens again where it did.
    pub async fn start_again(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await.context("cannot listen where the proxy did")?;
        self.serve(listener);
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it knows what this target, a name with a port, stands for.
    pub fn knows(&self, target: &str, address: SocketAddr) {
        self.state.send_modify(|state| {
            state.names.insert(target.to_owned(), address);
        });
    }

    /// Connections that came, and those that were made for them.
    pub fn connections(&self) -> (u64, u64) {
        let state = self.state.borrow();
        (state.connections, state.made)
    }

    /// Everything that was ever asked for.
    pub fn targets(&self) -> Vec<String> {
        self.state.borrow().asked.keys().cloned().collect()
    }

    fn serve(&mut self, listener: TcpListener) {
        let (state, login) = (Arc::clone(&self.state), self.login);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                state.send_modify(|state| state.connections += 1);
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    // Whoever leaves early costs only itself.
                    let _ = connection(client, login, &state).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        self.serving = Some(serving);
    }
}

async fn connection(mut client: TcpStream, login: Option<&str>, state: &watch::Sender<State>) -> Result<()> {
    let _ = client.set_nodelay(true);
    let head = read_head(&mut client).await?;
    let (line, fields) = head.split_once("\r\n").context("a head of one line")?;
    let target = line.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    let Some(target) = target else {
        client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\n\r\n").await?;
        return Ok(());
    };
    let shown = fields.lines().find_map(|field| field.strip_prefix("Proxy-Authorization: "));
    if login.is_some() && shown != login {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\r\n";
        client.write_all(answer).await?;
        return Ok(());
    }
    state.send_modify(|state| *state.asked.entry(target.to_owned()).or_default() += 1);
    let known = state.borrow().names.get(target).copied();
    let address = known.map_or_else(|| target.parse().ok(), Some);
    let server = match address {
        Some(address) => TcpStream::connect(address).await.ok(),
        None => None,
    };
    let Some(mut server) = server else {
        client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await?;
        return Ok(());
    };
    let _ = server.set_nodelay(true);
    state.send_modify(|state| state.made += 1);
    client.write_all(b"HTTP/1.0 200 Connection established\r\nVia: 1.0 test\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// To the empty line. What comes behind it waits for the answer, so nothing is read beyond.
async fn read_head(client: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD {
        head.push(client.read_u8().await?);
    }
    String::from_utf8(head).context("a head that is no text")
}
