//! The way out of the site (T-07): direct, or through an HTTP proxy by CONNECT. Where a proxy is set nothing is tried
//! beside it: it gets the gateway's name and looks it up; we look up only its own. A password is never shown.

mod connect;
mod login;
mod no_proxy;

use std::fmt;

use cmg_core::base64;
use cmg_core::configuration::HostPort;

pub use connect::{ProxyFault, ask, reach};
pub use login::LoginMemory;
pub use no_proxy::NoProxy;

/// How tunnels leave.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    pub proxy: Option<Proxy>,
    /// Gateways that are reached without it, by the environment's word; a proxy of the file has no exceptions.
    pub except: NoProxy,
}

impl Egress {
    /// The proxy on the way to a gateway; none: the way is direct.
    pub fn way_to(&self, gateway: &HostPort) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !self.except.holds(gateway))
    }
}

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub address: HostPort,
    pub login: Option<Login>,
    /// The key or the variable that names it.
    pub named_by: String,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.address)
    }
}

/// A name and its password, for basic authentication (RFC 7617).
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    password: String,
}

impl Login {
    pub fn new(username: String, password: String) -> Self {
        Self { username, password }
    }

    /// The value of Proxy-Authorization.
    fn credentials(&self) -> String {
        format!("Basic {}", base64::encode(format!("{}:{}", self.username, self.password).as_bytes()))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}
