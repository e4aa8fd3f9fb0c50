//! HTTP/1.1 CONNECT, by hand on the socket. Takes nothing off the socket behind the proxy's head: those bytes are the
//! tunnel's. Each way to fail says who decided, why, and what to do.

use std::io;

use bytes::BytesMut;
use cmg_core::build_info::BUILD;
use cmg_core::configuration::HostPort;
use cmg_core::dial::{connect_any, resolve};
use cmg_core::http1::{AnswerHead, HeadFault, take_answer_head};
use cmg_core::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Proxy;

/// Why a proxy does not lead to a gateway.
#[derive(Debug, thiserror::Error)]
#[error("{gateway}: the proxy {proxy} of {named_by} {why}")]
pub struct ProxyFault {
    gateway: HostPort,
    proxy: String,
    named_by: String,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("has a name that does not resolve: {0}; correct it, or the resolver of this host")]
    Resolve(io::Error),
    #[error("takes no connection: {0}; is it running, and does every firewall let this host reach it?")]
    Connect(io::Error),
    #[error("broke the connection off: {0}; its log may say why")]
    Broken(io::Error),
    #[error("closed the connection without an answer; does it let this host use CONNECT?")]
    Closed,
    #[error("does not answer as an HTTP proxy does: {0}; is it the proxy's port?")]
    NotHttp(&'static str),
    #[error("wants a login ({0}); write egress.username and egress.password_file")]
    LoginWanted(String),
    #[error(
        "refused the login of {username} ({said}); correct egress.username and the password, and reload: the same login is presented again only after some minutes, so that it is not locked"
    )]
    LoginRefused { username: String, said: String },
    #[error(
        "takes logins by {schemes} only ({said}), and only Basic is supported; have it take Basic from this host, or no login"
    )]
    OtherLogin { schemes: String, said: String },
    #[error("does not allow it ({0}); have it allow CONNECT to this host and port")]
    Forbidden(String),
    #[error(
        "does not reach the gateway ({0}); is the gateway running, and may the proxy reach it by this name and port?"
    )]
    Unreachable(String),
    #[error("refused ({0}); have it allow CONNECT to this host and port")]
    Refused(String),
}

impl Why {
    fn of(self, proxy: &Proxy, gateway: &HostPort) -> ProxyFault {
        let (proxy, named_by) = (proxy.to_string(), proxy.named_by.clone());
        ProxyFault { gateway: gateway.clone(), proxy, named_by, why: self }
    }
}

impl ProxyFault {
    /// The proxy has refused this login, now or before.
    pub(super) fn login_refused(proxy: &Proxy, gateway: &HostPort, said: String) -> Self {
        let username = proxy.login.as_ref().map(|login| login.username.clone()).unwrap_or_default();
        Why::LoginRefused { username, said }.of(proxy, gateway)
    }

    /// What the proxy said, if it refused a login: it will refuse that for every gateway.
    pub fn refused_login(&self) -> Option<&str> {
        match &self.why {
            Why::LoginRefused { said, .. } => Some(said),
            _ => None,
        }
    }

    /// The proxy has answered.
    pub(super) fn is_answer(&self) -> bool {
        !matches!(self.why, Why::Resolve(_) | Why::Connect(_) | Why::Broken(_) | Why::Closed | Why::NotHttp(_))
    }
}

/// A connection to the proxy itself.
pub async fn reach(proxy: &Proxy, gateway: &HostPort) -> Result<TcpStream, ProxyFault> {
    let connect = async {
        let addresses = resolve(&proxy.address.host, proxy.address.port).await.map_err(Why::Resolve)?;
        connect_any(&addresses).await.map_err(Why::Connect)
    };
    connect.await.map_err(|why: Why| why.of(proxy, gateway))
}

/// Has the proxy make this connection one to the gateway.
pub async fn ask(proxy: &Proxy, gateway: &HostPort, mut tcp: TcpStream) -> Result<TcpStream, ProxyFault> {
    let asked = async {
        tcp.write_all(request(proxy, gateway).as_bytes()).await.map_err(Why::Broken)?;
        let head = read_head(&mut tcp).await?;
        if (200..300).contains(&head.status) { Ok(tcp) } else { Err(refused(proxy, &head)) }
    };
    asked.await.map_err(|why| why.of(proxy, gateway))
}

fn request(proxy: &Proxy, gateway: &HostPort) -> String {
    let version = BUILD.version;
    let login = proxy.login.as_ref().map(|login| format!("Proxy-Authorization: {}\r\n", login.credentials()));
    let login = login.unwrap_or_default();
    format!(
        "CONNECT {gateway} HTTP/1.1\r\nHost: {gateway}\r\nUser-Agent: cmg-connection-point/{version}\r\n{login}\r\n"
    )
}

/// The proxy's final head. What is behind it is only looked at, and stays in the socket.
async fn read_head(tcp: &mut TcpStream) -> Result<AnswerHead, Why> {
    let (mut head, mut seen) = (BytesMut::new(), vec![0; limits::PROXY_READ]);
    loop {
        let count = tcp.peek(&mut seen).await.map_err(Why::Broken)?;
        if count == 0 {
            return Err(Why::Closed);
        }
        head.extend_from_slice(seen.get(..count).unwrap_or_default());
        let answer = final_head(&mut head).map_err(|fault| Why::NotHttp(fault.detail))?;
        // With a head whole, what is left of the bytes is what came behind it.
        let behind = if answer.is_some() { head.len() } else { 0 };
        let taken = seen.get_mut(..count.saturating_sub(behind)).unwrap_or_default();
        tcp.read_exact(taken).await.map_err(Why::Broken)?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
    }
}

/// Passes over interim heads.
fn final_head(bytes: &mut BytesMut) -> Result<Option<AnswerHead>, HeadFault> {
    loop {
        match take_answer_head(bytes, b"CONNECT")? {
            Some(interim) if interim.status < 200 => {}
            head => return Ok(head),
        }
    }
}

fn refused(proxy: &Proxy, head: &AnswerHead) -> Why {
    let phrase: String = String::from_utf8_lossy(&head.reason).chars().take(limits::REASON_PHRASE).collect();
    let said = format!("{} {phrase}", head.status).trim_end().to_owned();
    match head.status {
        407 => match (other_schemes(head), &proxy.login) {
            (Some(schemes), _) => Why::OtherLogin { schemes, said },
            (None, Some(login)) => Why::LoginRefused { username: login.username.clone(), said },
            (None, None) => Why::LoginWanted(said),
        },
        403 => Why::Forbidden(said),
        502..=504 => Why::Unreachable(said),
        _ => Why::Refused(said),
    }
}

/// The ways to log in that the proxy names, if Basic is none of them.
fn other_schemes(head: &AnswerHead) -> Option<String> {
    let values = head.fields.all("proxy-authenticate").map(|value| String::from_utf8_lossy(value).into_owned());
    let mut schemes: Vec<String> = Vec::new();
    for value in values {
        let words = value.split(',').filter_map(|part| part.split_whitespace().next());
        // Parameters of a scheme are separated by commas too.
        let named = words.filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        schemes.extend(named.map(str::to_owned));
    }
    let has_basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
    let shown: String = schemes.join(", ").chars().take(limits::REASON_PHRASE).collect();
    (!has_basic && !schemes.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests;
