//! What a gateway's own file lets a site publish. Judges a publication whole: one thing too many refuses all
//! of it, with every reason. What nobody allowed is refused.

use super::endpoint::{Authentication, ExternalPath};
use super::names::{RoleId, SiteCode};
use super::overlap::{each_nested, inside, prefix};
use super::publication::Publication;
use super::reasons::Reasons;
use crate::configuration::{Fault, Value};
use crate::tls::identity::{ConnectionId, TunnelIdentity};
use std::collections::HashSet;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitePermissions {
    pub site: SiteCode,
    pub connection_points: Vec<AllowedConnectionPoint>,
    pub roles: Vec<RoleRange>,
    /// External prefixes that custom endpoints may claim, and what lies below them.
    pub prefixes: Vec<ExternalPrefix>,
    /// False where the handshake already refuses clients without a certificate.
    pub anonymous: bool,
}

/// A connection point that may attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedConnectionPoint {
    pub name: String,
    pub id: ConnectionId,
}

impl Value for ConnectionId {
    fn kind() -> String {
        "connection id".to_owned()
    }
    fn example() -> String {
        "\"0123456789abcdef0123456789abcdef\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        let instead =
            "copy the 32 lower-case hex digits from the end of the SAN URI in the connection point's certificate";
        Self::parse(text).ok_or_else(|| Fault::new(format!("{text:?} is not a connection id"), instead))
    }
    fn print(&self) -> String {
        format!("\"{self}\"")
    }
}

/// Role ids from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleRange {
    pub first: RoleId,
    pub last: RoleId,
}

impl Value for RoleRange {
    fn kind() -> String {
        "role id or range".to_owned()
    }
    fn example() -> String {
        "72057594037927941 or \"8-99\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let ids = (RoleId::from_digits(first.trim().as_bytes()), RoleId::from_digits(last.trim().as_bytes()));
        match ids {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            (Some(_), Some(_)) => {
                Err(Fault::new(format!("{text:?} begins above its end"), "write the lower role id first"))
            }
            _ => Err(Fault::new(
                format!("{text:?} is not a role id or range"),
                format!("write for example {}", Self::example()),
            )),
        }
    }
    fn from_number(number: u64) -> Option<Result<Self, Fault>> {
        Some(Ok(Self { first: RoleId(number), last: RoleId(number) }))
    }
    fn print(&self) -> String {
        if self.first == self.last { self.first.to_string() } else { format!("\"{}-{}\"", self.first, self.last) }
    }
}

/// An external prefix, beginning and ending with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalPrefix(String);

impl ExternalPrefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for ExternalPrefix {
    fn kind() -> String {
        "path".to_owned()
    }
    fn example() -> String {
        "\"/bench/\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        let instead = "write for example \"/bench/\"";
        match ExternalPath::parse(text) {
            Ok(ExternalPath::Prefix(prefix)) => Ok(Self(prefix)),
            Ok(ExternalPath::BehindRole(_)) => {
                Err(Fault::new(format!("{text:?} must begin and end with a slash"), instead))
            }
            Err(message) => Err(Fault::new(format!("{text:?} {message}"), instead)),
        }
    }
    fn print(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl SitePermissions {
    /// Whether a connection point with this identity may attach for this site.
    pub fn allows(&self, identity: &TunnelIdentity) -> bool {
        let same = |allowed: &AllowedConnectionPoint| {
            allowed.name == identity.connection_point && allowed.id == identity.connection_id
        };
        identity.site == self.site.as_str() && self.connection_points.iter().any(same)
    }

    /// Every reason to refuse a publication.
    pub fn judge(&self, publication: &Publication) -> Reasons {
        let mut reasons = Reasons::default();
        let site = &publication.site;
        if *site != self.site {
            reasons.add(|| {
                let own = &self.site;
                let advice = "correct site.code, or its tunnel certificate";
                format!("a connection point of site {own} published for site {site}; {advice}")
            });
        }
        for role in &publication.roles {
            if !self.roles.iter().any(|range| (range.first..=range.last).contains(&role.id)) {
                reasons.add(|| not_allowed(format_args!("role id {}", role.id), site, "roles"));
            }
        }
        for claim in publication.claims() {
            let endpoint = claim.endpoint;
            let allowed = |prefix: &str| self.prefixes.iter().any(|allowed| inside(prefix, allowed.as_str()));
            if let Some(prefix) = prefix(&claim).filter(|prefix| !allowed(prefix)) {
                reasons.add(|| not_allowed(format_args!("the path {prefix}"), site, "prefixes"));
            }
            if endpoint.authentication == Authentication::Anonymous && !self.anonymous {
                reasons.add(|| {
                    let (name, role) = (&endpoint.name, claim.role);
                    let but = "but the gateway has unauthenticated = \"abort\"; switch one of them off";
                    format!("endpoint {name} of role {role} is anonymous, {but}")
                });
            }
        }
        reasons
    }
}

fn not_allowed(what: std::fmt::Arguments<'_>, site: &SiteCode, list: &str) -> String {
    let advice = format!("add it to sites[].{list} of the gateway's file, or take it out of site.toml");
    format!("{what} is not among those that the gateway allows site {site}; {advice}")
}

/// Says where a publication claims what another site has already. A publication of the same site is replaced
/// and does not count.
pub fn overlaps<'a>(publication: &Publication, others: impl IntoIterator<Item = &'a Publication>) -> Reasons {
    let mut reasons = Reasons::default();
    for other in others.into_iter().filter(|other| other.site != publication.site) {
        let taken: HashSet<RoleId> = other.roles.iter().map(|role| role.id).collect();
        let ids = publication.roles.iter().map(|role| role.id).filter(|id| taken.contains(id));
        let (site, advice) = (&other.site, "an id is one role's in the whole hierarchy");
        ids.for_each(|id| reasons.add(|| format!("role id {id} is already published by site {site}; {advice}")));
        let own = publication.claims().filter_map(|claim| Some((prefix(&claim)?, true)));
        let theirs = other.claims().filter_map(|claim| Some((prefix(&claim)?, false)));
        each_nested(own.chain(theirs), |(one, one_is_own), (two, two_is_own)| {
            let (mine, taken) = if one_is_own { (one, two) } else { (two, one) };
            if one_is_own != two_is_own {
                let what = format_args!("the path {mine} overlaps {taken}, which site {site} publishes already");
                reasons.add(|| format!("{what}; change one of them"));
            }
        });
    }
    reasons
}
