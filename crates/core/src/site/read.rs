//! Reads site.toml into a `SiteConfiguration`: all problems together, nothing half valid. The one place where
//! the words of the file meet the types of a site.

mod endpoints;
mod role;
mod trust;

use super::names::{RoleId, SiteCode};
use super::overlap::{Claim, clashes};
use super::publication::Publication;
use super::role::{GatewayInstance, SiteGateway, SiteRole};
use crate::configuration::{Document, Overrides, Place, Problems, Reading, Table, Value};
use crate::{limits, named_setting};
use rustls::pki_types::UnixTime;
use std::collections::HashMap;
use std::path::Path;

/// A valid site configuration, with everything of the inside.
#[derive(Clone, Debug)]
pub struct SiteConfiguration {
    /// Counts up with every change.
    pub version: u64,
    pub code: SiteCode,
    pub kind: SiteKind,
    pub roles: Vec<SiteRole>,
    pub gateways: Vec<SiteGateway>,
    /// What the gateways are told.
    pub publication: Publication,
    /// What an administrator should know although nothing is wrong: roles that are not published, and why.
    pub notes: Vec<String>,
}

/// Which kind of site has connection points of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    Primary,
    Central,
    /// Refused: its clients are served by the primary site above it.
    Secondary,
}

named_setting!(
    SiteKind,
    [("primary", SiteKind::Primary), ("central", SiteKind::Central), ("secondary", SiteKind::Secondary)]
);

impl SiteConfiguration {
    /// Reads the text of a site.toml. `base` is the folder of the file, none when it came from a URL; `name`
    /// stands for the file in problems.
    pub fn parse(text: &str, base: Option<&Path>, name: &str) -> Result<Self, Problems> {
        Self::read(text, base, name, UnixTime::now()).map(|(configuration, _)| configuration)
    }

    /// The same at a given time, and with the record of keys and settings.
    pub fn read(text: &str, base: Option<&Path>, name: &str, now: UnixTime) -> Result<(Self, Reading), Problems> {
        Document::parse(name, text, base, Overrides::none())?.read(|root| root_table(root, now))
    }
}

fn root_table(root: &mut Table<'_>, now: UnixTime) -> Option<SiteConfiguration> {
    let version = root.required("version");
    if version == Some(0) {
        root.problem("version", "0 is no version", "count from 1, one up with every change");
    }
    let (code, kind) = root.table("site", site);
    let client_trust = root.table("client_trust", |table| trust::read(table, now));
    let gateways = root.tables("gateways", gateway);
    distinct(root, "gateways", gateways.iter().map(|(gateway, place)| (gateway.name.as_str(), place)));
    let mut notes = Vec::new();
    let roles = root.tables("roles", |table| role::read(table, &mut notes));
    judge_roles(root, &roles);
    let roles: Vec<SiteRole> = roles.into_iter().map(|(role, _)| role).collect();
    let code = code?;
    let publication = Publication::of(code.clone(), &roles, client_trust?);
    judge_whole(root, &publication);
    let gateways: Vec<SiteGateway> = gateways.into_iter().map(|(gateway, _)| gateway).collect();
    if gateways.is_empty() {
        notes.push("no [[gateways]]: connection points of this site have nothing to connect to".to_owned());
    }
    Some(SiteConfiguration { version: version?, code, kind: kind?, roles, gateways, publication, notes })
}

fn site(table: &mut Table<'_>) -> (Option<SiteCode>, Option<SiteKind>) {
    let code = table.required("code");
    let kind = table.default("kind", SiteKind::Primary);
    if kind == SiteKind::Secondary {
        table.problem(
            "kind",
            "a secondary site publishes nothing",
            "publish the roles in the configuration of its primary site",
        );
    }
    (code, Some(kind))
}

fn gateway(table: &mut Table<'_>) -> Option<(SiteGateway, Place)> {
    let name: Option<String> = table.required("name");
    let service_names: Vec<_> = table.default("service_names", Vec::new());
    let tunnel_name = table.described("tunnel_name", "the first service name");
    let instances = table.tables("instances", |table| {
        let (name, addresses) = (table.required("name"), table.required::<Vec<_>>("addresses"));
        if addresses.as_ref().is_some_and(Vec::is_empty) {
            table.problem("addresses", "is empty", "write the address of the instance's tunnel listener");
        }
        Some((GatewayInstance { name: name?, addresses: addresses? }, table.place()))
    });
    distinct(table, "instances", instances.iter().map(|(instance, place)| (instance.name.as_str(), place)));
    if instances.is_empty() && !table.is_silent() {
        let instead = "write instances = [{ name = \"gw-1\", addresses = [\"gateway.example.net:443\"] }]";
        table.problem("instances", "no instance is named", instead);
    }
    let tunnel_name = tunnel_name.or_else(|| service_names.first().cloned());
    if tunnel_name.is_none() && !table.has("tunnel_name") {
        let instead = "write tunnel_name = \"gateway.example.net\", the name in its tunnel certificate";
        table.problem("tunnel_name", "is missing, and so are service_names", instead);
    }
    let instances = instances.into_iter().map(|(instance, _)| instance).collect();
    Some((SiteGateway { name: name?, service_names, tunnel_name: tunnel_name?, instances }, table.place()))
}

/// Names of a list that has to have different ones.
fn distinct<'a>(table: &Table<'_>, key: &str, names: impl Iterator<Item = (&'a str, &'a Place)>) {
    let mut seen: Vec<(&str, &Place)> = Vec::new();
    for (name, place) in names {
        match seen.iter().find(|(earlier, _)| *earlier == name) {
            Some((_, first)) => {
                table.problem_at(
                    place,
                    key,
                    format!("{name:?} is named twice; first at {first}"),
                    "give each a name of its own",
                );
            }
            None => seen.push((name, place)),
        }
    }
}

/// Ids and external paths, over all roles of the file.
fn judge_roles(root: &Table<'_>, roles: &[(SiteRole, Place)]) {
    let mut seen: HashMap<RoleId, &Place> = HashMap::new();
    for (role, place) in roles {
        let first = *seen.entry(role.id).or_insert(place);
        if first != place {
            let message = format!("role id {} is used twice; first at {first}", role.id);
            root.problem_at(place, "roles", message, "role ids are unique in the whole hierarchy");
        }
    }
    let published = roles.iter().filter(|(role, _)| role.published);
    let (claims, places): (Vec<Claim<'_>>, Vec<&Place>) = published
        .flat_map(|(role, place)| {
            role.routes.iter().map(move |route| (Claim { role: role.id, endpoint: &route.endpoint }, place))
        })
        .unzip();
    let clashes = clashes(&claims);
    if clashes.more > 0 {
        root.problem("roles", format!("{} more paths overlap", clashes.more), "give each endpoint a path of its own");
    }
    for clash in clashes.named {
        if let (Some(place), Some(first)) = (places.get(clash.later), places.get(clash.earlier)) {
            let message = format!("{}; the other is at {first}", clash.message);
            root.problem_at(place, "roles", message, "give each endpoint an external path of its own");
        }
    }
}

/// What only shows when all parts are there.
fn judge_whole(root: &Table<'_>, publication: &Publication) {
    let asks = publication.claims().any(|claim| claim.endpoint.authentication != super::Authentication::Anonymous);
    if asks && publication.client_trust.roots().is_empty() {
        root.problem(
            "client_trust",
            "roots is empty, so no client could be let in",
            "name the root certificates of the clients' certification authorities in client_trust.roots",
        );
    }
    let bytes = crate::tunnel::publication::encode(publication).len();
    if bytes > limits::PUBLICATION {
        let size = crate::configuration::ByteSize(limits::PUBLICATION as u64).print();
        root.problem("roles", format!("what is to be published has {bytes} bytes, more than {size}"), "publish less");
    }
}

/// Body of a fuzz target: no bytes may panic, and what the inside accepts is what a gateway will accept.
pub fn fuzz_site_configuration(data: &[u8]) {
    use crate::tunnel::publication::{decode, encode};
    let Ok(text) = std::str::from_utf8(data) else { return };
    match SiteConfiguration::parse(text, None, "fuzz") {
        Ok(site) => assert_eq!(decode(&encode(&site.publication)), Ok(site.publication)),
        Err(problems) => assert!(!problems.is_empty() && !problems.to_string().is_empty()),
    }
}
