//! Finds external paths that two roles or two sites claim. Pure.

use super::endpoint::{Endpoint, ExternalPath};
use super::names::RoleId;

/// An endpoint of a role, as a claim to an external path.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    pub role: RoleId,
    pub endpoint: &'a Endpoint,
}

/// Says why two claims cannot both hold. Within one role a longer prefix may lie inside a shorter one: the
/// longest wins. Between roles it may not, because each would take part of the other's requests.
pub fn overlapping(one: Claim<'_>, other: Claim<'_>) -> Option<String> {
    let (a, b) = (one.endpoint.external_path.as_str(), other.endpoint.external_path.as_str());
    let same_role = one.role == other.role;
    match (&one.endpoint.external_path, &other.endpoint.external_path) {
        (ExternalPath::BehindRole(_), ExternalPath::BehindRole(_)) => (same_role && a.eq_ignore_ascii_case(b))
            .then(|| format!("the path {a} of role {} is claimed twice", one.role)),
        (ExternalPath::Prefix(_), ExternalPath::Prefix(_)) if a.eq_ignore_ascii_case(b) => {
            Some(format!("the path {a} is claimed by role {} and role {}", one.role, other.role))
        }
        (ExternalPath::Prefix(_), ExternalPath::Prefix(_)) => (!same_role && (inside(a, b) || inside(b, a)))
            .then(|| format!("the paths {a} of role {} and {b} of role {} overlap", one.role, other.role)),
        _ => None,
    }
}

/// Whether a prefix begins with another; both end with a slash, so whole segments are compared.
pub(super) fn inside(prefix: &str, outer: &str) -> bool {
    prefix.as_bytes().get(..outer.len()).is_some_and(|start| start.eq_ignore_ascii_case(outer.as_bytes()))
}
