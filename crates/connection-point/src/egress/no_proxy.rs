//! `NO_PROXY`: names, addresses and networks that are reached without a proxy. A name stands for itself and all below
//! it, `*` for everything, an entry with a port for that port alone.

use std::net::IpAddr;

use cmg_core::configuration::HostPort;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// In lower case, without dots at its ends.
    Name(String),
    Network {
        address: IpAddr,
        prefix: u32,
    },
}

impl NoProxy {
    /// The text of the variable. An entry that means nothing excepts nothing.
    pub fn parse(text: &str) -> Self {
        let entries = text.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
        Self { entries: entries.map(Entry::parse).collect() }
    }

    pub fn holds(&self, place: &HostPort) -> bool {
        self.entries.iter().any(|entry| entry.holds(place))
    }
}

impl Entry {
    fn parse(text: &str) -> Self {
        if let Some(hosts) = Hosts::parse(text) {
            return Self { hosts, port: None };
        }
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        let (host, port) = port.parse().map_or((text, None), |port| (host, Some(port)));
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = || Hosts::Name(bare.trim_start_matches('*').trim_matches('.').to_ascii_lowercase());
        Self { hosts: Hosts::parse(bare).unwrap_or_else(name), port }
    }

    fn holds(&self, place: &HostPort) -> bool {
        self.port.is_none_or(|port| port == place.port) && self.hosts.hold(&place.host)
    }
}

impl Hosts {
    /// What is no name.
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let whole = if address.is_ipv4() { u32::BITS } else { u128::BITS };
        let prefix = prefix.map_or(Some(whole), |prefix| prefix.parse().ok())?;
        (prefix <= whole).then_some(Self::Network { address, prefix })
    }

    fn hold(&self, host: &str) -> bool {
        match self {
            Hosts::All => true,
            Hosts::Name(name) => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                let below = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                !name.is_empty() && below
            }
            Hosts::Network { address, prefix } => match (address, host.parse()) {
                (IpAddr::V4(network), Ok(IpAddr::V4(host))) => {
                    let differing = network.to_bits() ^ host.to_bits();
                    differing.leading_zeros() >= *prefix
                }
                (IpAddr::V6(network), Ok(IpAddr::V6(host))) => {
                    let differing = network.to_bits() ^ host.to_bits();
                    differing.leading_zeros() >= *prefix
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_except_what_they_name() {
        for (entry, host, port, is_excepted) in [
            ("gateway.example.net", "gateway.example.net", 443, true),
            ("GATEWAY.example.net", "gateway.Example.net", 443, true),
            ("example.net", "gateway.example.net", 443, true),
            (".example.net", "gateway.example.net", 443, true),
            ("*.example.net", "gateway.example.net", 443, true),
            ("example.net", "badexample.net", 443, false),
            ("example.net", "example.net.evil.example", 443, false),
            ("gateway.example.net", "example.net", 443, false),
            ("example.net:10140", "gateway.example.net", 10140, true),
            ("example.net:10140", "gateway.example.net", 443, false),
            ("*", "gateway.example.net", 443, true),
            ("10.0.0.0/8", "10.9.8.7", 443, true),
            ("10.0.0.0/8", "11.9.8.7", 443, false),
            ("0.0.0.0/0", "11.9.8.7", 443, true),
            ("10.9.8.7", "10.9.8.7", 443, true),
            ("10.9.8.7:443", "10.9.8.7", 443, true),
            ("10.9.8.7:443", "10.9.8.7", 444, false),
            ("10.9.8.7/33", "10.9.8.7", 443, false),
            ("10.0.0.0/8", "gateway.example.net", 443, false),
            ("2001:db8::/32", "2001:db8::1", 443, true),
            ("2001:db8::/32", "2001:db9::1", 443, false),
            ("[2001:db8::1]:443", "2001:db8::1", 443, true),
            ("other.example, , 10.0.0.1,gateway.example.net", "gateway.example.net", 443, true),
            (".", "gateway.example.net", 443, false),
            ("", "gateway.example.net", 443, false),
        ] {
            let held = NoProxy::parse(entry).holds(&HostPort { host: host.into(), port });
            assert_eq!(held, is_excepted, "{entry:?} {host}:{port}");
        }
    }
}
