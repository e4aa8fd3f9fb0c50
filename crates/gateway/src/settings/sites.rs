//! `[[sites]]`: which connection points may attach, and what their site may publish (S-12). What is not
//! written here is refused.

use super::Unauthenticated;
use cmg_core::configuration::Table;
use cmg_core::site::{AllowedConnectionPoint, SiteCode, SitePermissions};
use cmg_core::tls::identity::is_identity_name;

pub(super) fn read(root: &mut Table<'_>, unauthenticated: Unauthenticated) -> Vec<SitePermissions> {
    let mut codes: Vec<SiteCode> = Vec::new();
    root.tables("sites", |table| {
        let site = site(table, unauthenticated)?;
        if codes.contains(&site.site) {
            let message = format!("site {} is listed twice", site.site);
            table.problem("code", message, "write all that it may publish into one [[sites]]");
        }
        codes.push(site.site.clone());
        Some(site)
    })
}

fn site(table: &mut Table<'_>, unauthenticated: Unauthenticated) -> Option<SitePermissions> {
    let code = table.required("code");
    let connection_points = table.tables("connection_points", |table| {
        let (name, id) = (table.required::<String>("name"), table.required("id"));
        if name.as_ref().is_some_and(|name| !is_identity_name(name)) {
            let instead = "copy it from the SAN URI in the connection point's certificate";
            table.problem("name", "no connection point can have this name", instead);
        }
        Some(AllowedConnectionPoint { name: name?, id: id? })
    });
    for (index, one) in connection_points.iter().enumerate() {
        if connection_points.iter().take(index).any(|earlier| earlier.id == one.id) {
            let message = format!("connection id {} is listed twice", one.id);
            table.problem("connection_points", message, "each connection point has an id of its own");
        }
    }
    let roles = table.default("roles", Vec::new());
    let prefixes = table.default("prefixes", Vec::new());
    table.not_available(
        "hosts",
        "publishing by host name is not available yet",
        "leave it out; roles are reached under /CCM_Proxy_MutualAuth/<role id>/",
    );
    let anonymous = unauthenticated == Unauthenticated::Explain;
    Some(SitePermissions { site: code?, connection_points, roles, prefixes, anonymous })
}
