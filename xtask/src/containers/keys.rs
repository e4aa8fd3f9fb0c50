//! What is mounted into each container beside its configuration file: its own keys and certificates and no others', and
//! for the site role what it serves as the site's configuration. Keys can be read by the container's user alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cmg_e2e::pki::{Identity, Pki};
use cmg_e2e::stack::{SERVICE_NAME, SITE};

use crate::root;

/// Where the text of a certificate belongs in site.toml: what comes from a URL has no folder with other files.
const CLIENT_AUTHORITY: &str = "@client-ca.pem@";

/// Makes all keys, and a folder for each container under `folder`.
pub fn make(folder: &Path) -> Result<Pki> {
    let pki = Pki::make(&folder.join("pki"), SERVICE_NAME)?;
    fs::set_permissions(&pki.folder, fs::Permissions::from_mode(0o700))?;
    for gateway in ["gateway-1", "gateway-2"] {
        let mounted = Mounted::make(folder, gateway)?;
        mounted.identity("service", &pki.service)?;
        mounted.identity("tunnel", &pki.gateway_tunnel)?;
        mounted.copy("tunnel-ca.pem", &pki.tunnel_ca.certificate)?;
    }
    for (name, id) in connection_points()? {
        let mounted = Mounted::make(folder, &name)?;
        mounted.identity("tunnel", &pki.connection_point(SITE, &name, &id)?)?;
        mounted.copy("tunnel-ca.pem", &pki.tunnel_ca.certificate)?;
        mounted.copy("internal-root.pem", &pki.internal_ca.certificate)?;
    }
    let mounted = Mounted::make(folder, "site-role")?;
    mounted.identity("role", &pki.role)?;
    let site = configuration("site.toml")?.replace(CLIENT_AUTHORITY, pki.client_ca.pem());
    mounted.write("site.toml", &site)?;
    Ok(pki)
}

/// A file of deploy/compose.
pub fn configuration(name: &str) -> Result<String> {
    let path = root::work_tree().join("deploy/compose").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Name and connection id of the connection points that the gateways let in.
fn connection_points() -> Result<Vec<(String, String)>> {
    let file: toml::Table = configuration("gateway.toml")?.parse().context("gateway.toml is no TOML")?;
    let listed = file.get("sites").and_then(|sites| sites.get(0)?.get("connection_points")?.as_array());
    let text = |entry: &toml::Value, key| entry.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let listed = listed.context("gateway.toml lists no connection points")?;
    listed
        .iter()
        .map(|entry| text(entry, "name").zip(text(entry, "id")).context("a connection point without name or id"))
        .collect()
}

/// The folder that one container sees.
struct Mounted {
    folder: PathBuf,
}

impl Mounted {
    fn make(folder: &Path, container: &str) -> Result<Self> {
        let folder = folder.join(container);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        Ok(Self { folder })
    }

    fn identity(&self, name: &str, identity: &Identity) -> Result<()> {
        self.copy(&format!("{name}.pem"), &identity.certificate)?;
        self.copy(&format!("{name}.key"), &identity.key)
    }

    fn copy(&self, name: &str, from: &Path) -> Result<()> {
        let text = fs::read_to_string(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(name, &text)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        let mode = if name.ends_with(".key") { 0o600 } else { 0o644 };
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cmg_e2e::stack::MANAGEMENT_POINT;
    use toml::Value;

    use super::*;

    /// Every text anywhere in a file.
    fn texts(value: &Value) -> Vec<String> {
        match value {
            Value::String(text) => vec![text.clone()],
            Value::Array(values) => values.iter().flat_map(texts).collect(),
            Value::Table(table) => table.iter().flat_map(|(_, value)| texts(value)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_file_that_a_container_reads_is_there() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path()).unwrap();
        let mut found = 0;
        for (container, file) in [
            ("gateway-1", "gateway.toml"),
            ("gateway-2", "gateway.toml"),
            ("connection-point-1", "connection-point.toml"),
            ("connection-point-2", "connection-point.toml"),
            ("site-role", "site-role.toml"),
        ] {
            let table: toml::Table = configuration(file).unwrap().parse().unwrap();
            let named: BTreeSet<_> = texts(&Value::Table(table))
                .into_iter()
                .filter_map(|text| text.strip_prefix("keys/").map(str::to_owned))
                .collect();
            let present: BTreeSet<_> = fs::read_dir(folder.path().join(container))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            assert_eq!(named, present, "{container} reads some files and finds others");
            found += named.len();
        }
        assert_eq!(found, 21);
    }

    #[test]
    fn keys_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path()).unwrap();
        for key in ["gateway-1/service.key", "connection-point-2/tunnel.key", "site-role/role.key"] {
            let mode = fs::metadata(folder.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
        assert_eq!(fs::metadata(folder.path().join("pki")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_site_publishes_what_the_gateways_allow_and_the_steps_ask_for() {
        let folder = tempfile::tempdir().unwrap();
        let pki = make(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join("site-role/site.toml")).unwrap();
        let site: toml::Table = text.parse().unwrap();
        assert_eq!(site["client_trust"]["roots"][0].as_str().unwrap().trim(), pki.client_ca.pem().trim());
        let id = i64::try_from(MANAGEMENT_POINT).unwrap();
        assert_eq!(site["roles"][0]["id"].as_integer(), Some(id));
        let gateway: toml::Table = configuration("gateway.toml").unwrap().parse().unwrap();
        assert_eq!(gateway["sites"][0]["roles"][0].as_integer(), Some(id));
        assert_eq!(gateway["services"][0]["name"].as_str(), Some(SERVICE_NAME));
        assert_eq!(site["gateways"][0]["tunnel_name"].as_str(), Some(cmg_e2e::pki::TUNNEL_NAME));
    }

    #[test]
    fn connection_points_dial_the_ports_on_which_the_instances_of_those_names_listen() {
        let compose = fs::read_to_string(root::work_tree().join("deploy/docker-compose.yml")).unwrap();
        let site: toml::Table = configuration("site.toml").unwrap().parse().unwrap();
        let mut dialled = 0;
        for instance in site["gateways"][0]["instances"].as_array().unwrap() {
            let name = instance["name"].as_str().unwrap();
            let (_, service) = compose.split_once(&format!("\n  {name}:\n")).unwrap();
            let ports = instance["addresses"].as_array().unwrap().iter().map(|address| {
                let (host, port) = address.as_str().unwrap().split_once(':').unwrap();
                assert_eq!(host, name);
                format!("0.0.0.0:{port}")
            });
            let listened = format!("LISTEN__TUNNEL: {}\n", ports.collect::<Vec<_>>().join(","));
            assert!(service.split("\n\n").next().unwrap().contains(&listened), "{name}: {listened}");
            dialled += 1;
        }
        assert_eq!(dialled, 2);
    }
}
