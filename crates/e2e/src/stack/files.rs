//! The configuration files of a stack, as text. The same keys that an administrator would write.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::builder::{Builder, TunnelAddresses};
use crate::pki::{Identity, Pki, TUNNEL_NAME};
use crate::program::Program;

pub const SERVICE_NAME: &str = "gateway.example.net";
pub const SITE: &str = "PS1";
/// Role id of the management point: the common form, a site's number in the top byte.
pub const MANAGEMENT_POINT: u64 = 72_057_594_037_927_941;
pub const SOFTWARE_UPDATE_POINT: u64 = 72_057_594_037_927_942;
pub const DISTRIBUTION_POINT: u64 = 72_057_594_037_927_943;
/// A custom role whose endpoints take every verb; under `/open/`, with certificate, and `/files/`, for anyone.
pub const CUSTOM: u64 = 8;
/// Where the first of them lies.
pub const CUSTOM_PREFIX: &str = "/open";
/// The server that `--internal-url` publishes.
const INTERNAL: u64 = 9;

/// Where gateways have their names, for those who are told names.
pub const TUNNEL_DOMAIN: &str = "tunnels.example";

/// What a gateway asks for unless its file says otherwise.
pub(super) const BULK_CONNECTIONS: usize = 1;

pub(super) const SITE_FILE: &str = "site.toml";
pub(super) const SITE_ROLE_FILE: &str = "site-role.toml";

/// An HTTPS server that is there already.
#[derive(Clone, Debug)]
pub struct InternalServer {
    pub url: String,
    pub authority: Option<PathBuf>,
}

pub(super) fn file_of(program: &str) -> String {
    format!("{program}.toml")
}

/// The name and the connection id of a connection point, counted from 1.
pub fn connection_point(number: usize) -> (String, String) {
    (format!("cp{number}"), format!("{number:032x}"))
}

/// How many connection points a gateway's file lists: more than any stack starts at first.
const LISTED: usize = 16;

pub(super) fn gateway(builder: &Builder, pki: &Pki, name: &str, state: &Path) -> String {
    let mut text = format!(
        r#"[instance]
name = "{name}"
state_directory = "{state}"
workers = {workers}

[listen]
client = ["127.0.0.1:0"]
tunnel = ["127.0.0.1:0"]

[admin]
listen = "127.0.0.1:0"

[limits]
# As much as one endpoint of the site asks for.
request_body_cap = "1TiB"
# A handful of certificates and one address stand for thousands of devices here; what tests these limits sets them.
identity_exchanges = 100000
identity_requests_per_second = 1000000
identity_burst = 1000000
address_handshakes_per_second = 1000000
address_handshake_burst = 1000000
address_refusals_per_second = 1000000
address_refusal_burst = 1000000

[drain]
delay = "0s"

[[services]]
name = "{SERVICE_NAME}"
certificate = "{certificate}"
key = "{key}"

[tunnel]
ca = "{tunnel_ca}"
certificate = "{tunnel_certificate}"
key = "{tunnel_key}"

[[sites]]
code = "{SITE}"
roles = ["1-99", "{MANAGEMENT_POINT}-{DISTRIBUTION_POINT}"]
prefixes = ["/open/", "/files/", "/bench/", "/extra/"]
"#,
        state = state.display(),
        workers = builder.workers,
        certificate = pki.service.certificate.display(),
        key = pki.service.key.display(),
        tunnel_ca = pki.tunnel_ca.certificate.display(),
        tunnel_certificate = pki.gateway_tunnel.certificate.display(),
        tunnel_key = pki.gateway_tunnel.key.display(),
    );
    for (name, id) in (1..=LISTED).map(connection_point) {
        let _ = write!(text, "\n[[sites.connection_points]]\nname = \"{name}\"\nid = \"{id}\"\n");
    }
    text
}

pub(super) fn connection_point_file(
    builder: &Builder,
    pki: &Pki,
    name: &str,
    shown: &Identity,
    source: &str,
    state: &Path,
) -> String {
    let mut roots = vec![format!("{:?}", pki.internal_ca.certificate.display().to_string())];
    let internal = builder.internal.as_ref().and_then(|internal| internal.authority.as_ref());
    roots.extend(internal.map(|path| format!("{:?}", path.display().to_string())));
    let source_root = match source.starts_with("https://") {
        true => format!("root = \"{}\"\n", pki.internal_ca.certificate.display()),
        false => String::new(),
    };
    format!(
        r#"[connection_point]
site = "{SITE}"
name = "{name}"
state_directory = "{state}"
workers = {workers}

[site]
source = "{source}"
poll = "1s"
{source_root}
[tunnel]
ca = "{tunnel_ca}"
certificate = "{certificate}"
key = "{key}"

[roles_tls]
roots = [{roots}]

[admin]
listen = "127.0.0.1:0"

[drain]
delay = "0s"
"#,
        state = state.display(),
        workers = builder.workers,
        tunnel_ca = pki.tunnel_ca.certificate.display(),
        certificate = shown.certificate.display(),
        key = shown.key.display(),
        roots = roots.join(", "),
    )
}

/// The mock's listeners: a good role, the site, and roles that go wrong before HTTP, each in its own way.
const ROLE_LISTENERS: &[(&str, &str)] = &[
    ("roles", ""),
    ("site", "serves = \"site\"\n"),
    ("mutual-site", "serves = \"site\"\nclient_certificates = \"required\"\nclient_ca = \"{internal_ca}\"\n"),
    ("mutual", "client_certificates = \"required\"\nclient_ca = \"{internal_ca}\"\n"),
    ("plain", "fault = \"plain\"\n"),
    ("close", "fault = \"close\"\n"),
    ("silent", "fault = \"silent\"\n"),
    ("stranger", ""),
];

pub(super) fn site_role(pki: &Pki, site: &Path) -> String {
    let mut text = format!("[admin]\nlisten = \"127.0.0.1:0\"\n\n[site]\nconfiguration = \"{}\"\n", site.display());
    for (name, more) in ROLE_LISTENERS {
        let shown = if *name == "stranger" { &pki.stranger } else { &pki.role };
        let more = more.replace("{internal_ca}", &pki.internal_ca.certificate.display().to_string());
        let _ = write!(
            text,
            "\n[[listeners]]\nname = \"{name}\"\ncertificate = \"{}\"\nkey = \"{}\"\n{more}",
            shown.certificate.display(),
            shown.key.display(),
        );
    }
    text
}

/// The site's configuration, in this version.
pub(super) fn site(
    builder: &Builder,
    pki: &Pki,
    site_role: &Program,
    (roles_at, tunnels): (SocketAddr, &TunnelAddresses),
    version: u64,
    more: &str,
) -> Result<String> {
    let role = format!("https://localhost:{}", roles_at.port());
    let [root, intermediate] = [&pki.client_ca, &pki.client_intermediate].map(|authority| {
        // What comes from a URL has no folder that a path could be in.
        if builder.site_over_https { authority.pem().to_owned() } else { authority.certificate.display().to_string() }
    });
    let mut text = format!(
        "version = {version}\n\n[site]\ncode = \"{SITE}\"\n\n\
         [client_trust]\nroots = ['''{root}''']\nintermediates = ['''{intermediate}''']\n"
    );
    text.push_str(&roles(&role));
    text.push_str(&gateways(tunnels));
    if let Some(internal) = &builder.internal {
        text.push_str(&internal_server(internal));
    }
    text.push_str(&builder.site);
    text.push_str(more);
    for (name, _) in ROLE_LISTENERS {
        text = text.replace(&format!("{{{name}}}"), &role_url(site_role, name)?);
    }
    Ok(text)
}

/// One role of each kind that is needed, all played by the mock.
fn roles(role: &str) -> String {
    format!(
        r#"
[[roles]]
id = {MANAGEMENT_POINT}
kind = "management-point"
internal_url = "{role}"

[[roles]]
id = {SOFTWARE_UPDATE_POINT}
kind = "software-update-point"
internal_url = "{role}"

[[roles]]
id = {DISTRIBUTION_POINT}
kind = "distribution-point"
internal_url = "{role}"
enabled = true

[[roles]]
id = {CUSTOM}
kind = "custom"
internal_url = "{role}"

[[roles.custom]]
name = "open"
external_prefix = "{CUSTOM_PREFIX}/"
methods = {every_method}
max_request_body = "1TiB"
# Tests hold answers back for longer than anybody should have to wait for one.
answer_timeout = "15m"

[[roles.custom]]
name = "files"
external_prefix = "/files/"
methods = ["GET", "HEAD"]
authentication = "anonymous"
allow_anonymous = true
encoded = "relaxed"
"#,
        every_method = r#"["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "CCM_POST", "BITS_POST"]"#,
    )
}

fn role_url(site_role: &Program, listener: &str) -> Result<String> {
    Ok(format!("https://localhost:{}", site_role.listener(listener)?.port()))
}

fn gateways(tunnels: &TunnelAddresses) -> String {
    let mut text = format!(
        "\n[[gateways]]\nname = \"gateway\"\nservice_names = [\"{SERVICE_NAME}\"]\ntunnel_name = \"{TUNNEL_NAME}\"\n"
    );
    for (name, address) in tunnels {
        let _ = write!(text, "\n[[gateways.instances]]\nname = \"{name}\"\naddresses = [\"{address}\"]\n");
    }
    text
}

fn internal_server(internal: &InternalServer) -> String {
    format!(
        r#"
[[roles]]
id = {INTERNAL}
kind = "custom"
internal_url = "{url}"

[[roles.custom]]
name = "bench"
external_prefix = "/bench/"
internal_path = "/"
methods = ["GET", "HEAD", "POST"]
max_request_body = "1TiB"
"#,
        url = internal.url,
    )
}
