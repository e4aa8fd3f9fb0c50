//! Settings that name a place: an address to listen on, a host to dial, a file.

use super::{Fault, Value, quoted};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

impl Value for SocketAddr {
    fn kind() -> String {
        "address".to_owned()
    }
    fn example() -> String {
        "\"0.0.0.0:443\" or \"[::]:443\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        text.parse().map_err(|_| {
            let instead = match text.strip_prefix(':').or_else(|| text.strip_prefix("*:")) {
                Some(port) => format!("write \"[::]:{port}\" for all addresses or \"127.0.0.1:{port}\" for loopback"),
                None => "write an IP address and a port, for example \"0.0.0.0:443\" or \"[::]:443\"".to_owned(),
            };
            Fault::new(format!("{} is not an address", quoted(text)), instead)
        })
    }
    fn print(&self) -> String {
        format!("\"{self}\"")
    }
}

/// A name or address and a port, to dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Value for HostPort {
    fn kind() -> String {
        "host and port".to_owned()
    }
    fn example() -> String {
        "\"gateway.example.net:443\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        let fault = || {
            Fault::new(
                format!("{} is not a host and a port", quoted(text)),
                format!("write for example {}", Self::example()),
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(fault)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bracketed {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => Ok(Self { host: inner.to_owned(), port }),
            None if rustls::pki_types::ServerName::try_from(host).is_ok() && !host.contains(':') => {
                Ok(Self { host: host.to_owned(), port })
            }
            _ => Err(fault()),
        }
    }
    fn print(&self) -> String {
        format!("\"{self}\"")
    }
}

/// A DNS name or an IP address, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    pub fn parse(text: &str) -> Option<Self> {
        rustls::pki_types::ServerName::try_from(text).is_ok().then(|| Self(text.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As rustls takes it.
    pub fn server_name(&self) -> rustls::pki_types::ServerName<'static> {
        let name = rustls::pki_types::ServerName::try_from(self.0.clone());
        name.expect("the only constructor accepts what is a server name, and case does not matter")
    }
}

impl std::fmt::Display for HostName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for HostName {
    fn kind() -> String {
        "name".to_owned()
    }
    fn example() -> String {
        "\"gateway.example.net\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        Self::parse(text).ok_or_else(|| {
            let instead = format!(
                "write a DNS name or an IP address, without scheme, port or path, for example {}",
                Self::example()
            );
            Fault::new(format!("{} is not a name", quoted(text)), instead)
        })
    }
    fn print(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for PathBuf {
    fn kind() -> String {
        "path".to_owned()
    }
    fn example() -> String {
        "\"path/to/it\"".to_owned()
    }
    fn from_text(text: &str, base: Option<&Path>) -> Result<Self, Fault> {
        let text = String::from_text(text, base)?;
        Ok(base.map_or_else(|| PathBuf::from(&text), |base| base.join(&text)))
    }
    fn print(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}
