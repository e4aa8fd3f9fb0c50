//! Reads one `[[roles]]`: what it is, where it is, and whether it is published.

use super::endpoints;
use crate::configuration::{ByteSize, Fault, HostName, Place, Table, Value};
use crate::limits;
use crate::site::kinds::RoleKind;
use crate::site::names::RoleId;
use crate::site::role::{Clients, InternalRole, SiteRole};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

pub(super) fn read(table: &mut Table<'_>, notes: &mut Vec<String>) -> Option<(SiteRole, Place)> {
    let id: Option<RoleId> = table.required("id");
    let kind: Option<RoleKind> = table.required("kind");
    let url: Option<InternalUrl> = table.required("internal_url");
    let host: Option<HostField> = table.described("host", "host and port of internal_url");
    let clients = table.default("clients", Clients::Both);
    let enabled: Option<bool> =
        table.described("enabled", "true for management-point, software-update-point and custom");
    let max_head = max_head(table);
    let form = table.described("client_certificate", "\"leaf\" for custom, \"none\" for the others");
    // The name-based path of clients on the internet: comes with publishing by host.
    table.not_available(
        "internet_fqdn",
        "publishing by host name is not available yet",
        "leave it out; the role is reached under /CCM_Proxy_MutualAuth/<role id>/",
    );
    let published = clients != Clients::Intranet && kind.is_none_or(|kind| enabled.unwrap_or(kind.on_by_default()));
    let built_in = endpoints::built_in(table, kind, published);
    let custom = endpoints::custom(table, kind);
    if let Some(kind) = kind {
        judge(table, kind, enabled, clients, published);
    }
    let (id, kind, url) = (id?, kind?, url?);
    if !published {
        let why = if clients == Clients::Intranet { "clients = \"intranet\"" } else { "it is not enabled" };
        notes.push(format!("role {id} ({}) is not published: {why}", kind.name()));
    }
    let host = host.map_or_else(|| url.host_field(), |host| Bytes::from(host.0));
    let internal = Arc::new(InternalRole { id, kind, server: url.server, port: url.port, host });
    let routes = built_in.into_iter().chain(custom).collect();
    let client_certificate = form.unwrap_or(kind.client_certificate());
    Some((SiteRole { id, kind, clients, published, internal, max_head, client_certificate, routes }, table.place()))
}

fn max_head(table: &mut Table<'_>) -> usize {
    const LEAST: u64 = 1000;
    let size = table.default("max_head", ByteSize(limits::ROLE_MAX_HEAD as u64));
    if size.0 < LEAST || size.0 > limits::ROLE_MAX_HEAD_CAP as u64 {
        let most = ByteSize(limits::ROLE_MAX_HEAD_CAP as u64).print();
        table.problem("max_head", "no service works with this", format!("write \"1kB\" to {most}"));
    }
    usize::try_from(size.0).unwrap_or(limits::ROLE_MAX_HEAD)
}

/// Kinds that are off unless somebody says otherwise, and kinds that cannot be on yet.
fn judge(table: &Table<'_>, kind: RoleKind, enabled: Option<bool>, clients: Clients, published: bool) {
    if kind.is_anonymous() && enabled.is_none() && clients != Clients::Intranet {
        table.problem(
            "kind",
            format!("a {} takes requests from anybody and is off until it is enabled by name", kind.name()),
            "write enabled = true to publish it, or enabled = false",
        );
    }
    if kind == RoleKind::ApplicationCatalog && published {
        table.problem(
            "kind",
            "an application-catalog is reached by host name or directly, and neither is available yet",
            "write enabled = false",
        );
    }
}

/// The server of a role: `https://name[:port]`.
#[derive(Clone, Debug)]
struct InternalUrl {
    server: HostName,
    port: u16,
    /// As it was written, for Host.
    authority: String,
}

impl InternalUrl {
    fn host_field(&self) -> Bytes {
        let port = format!(":{}", self.port);
        let without_default = if self.port == 443 { self.authority.strip_suffix(&port) } else { None };
        Bytes::from(without_default.unwrap_or(&self.authority).to_owned())
    }
}

impl Value for InternalUrl {
    fn kind() -> String {
        "https URL".to_owned()
    }
    fn example() -> String {
        "\"https://mp1.corp.example\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("http://") {
            return Err(Fault::new(
                "HTTPS outside and HTTP inside are not bridged: requests and certificates would travel in the clear",
                format!("give the role HTTPS and write \"https://{}\"", text.get(7..).unwrap_or_default()),
            ));
        }
        let example = format!("write for example {}", Self::example());
        if !lower.starts_with("https://") {
            return Err(Fault::new(format!("{text:?} is not an https URL"), example));
        }
        let rest = text.get(8..).unwrap_or_default();
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(Fault::new(
                "names a path, but a role is a server",
                "write scheme, name and port only; a custom endpoint has internal_path for the rest",
            ));
        }
        if authority.contains('@') {
            return Err(Fault::new("holds user or password", "write scheme, name and port only"));
        }
        let (server, port) =
            split(authority).ok_or_else(|| Fault::new(format!("{text:?} names no server"), example))?;
        Ok(Self { server, port, authority: authority.to_owned() })
    }
    fn print(&self) -> String {
        format!("\"https://{}\"", self.authority)
    }
}

fn split(authority: &str) -> Option<(HostName, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        let port = if after.is_empty() { 443 } else { port(after.strip_prefix(':')?)? };
        address.parse::<std::net::Ipv6Addr>().ok()?;
        return Some((HostName::parse(address)?, port));
    }
    let (name, port) = match authority.split_once(':') {
        Some((name, digits)) => (name, port(digits)?),
        None => (authority, 443),
    };
    Some((HostName::parse(name)?, port))
}

fn port(digits: &str) -> Option<u16> {
    let digits_only = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| digits_only && *port > 0)
}

/// A value for Host that is sent as it is.
#[derive(Clone, Debug)]
struct HostField(String);

impl Value for HostField {
    fn kind() -> String {
        "host".to_owned()
    }
    fn example() -> String {
        "\"mp1.corp.example\" or \"mp1.corp.example:8443\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        let fault = || Fault::new(format!("{text:?} is not a host"), format!("write for example {}", Self::example()));
        split(text).map(|_| Self(text.to_owned())).ok_or_else(fault)
    }
    fn print(&self) -> String {
        format!("{:?}", self.0)
    }
}
