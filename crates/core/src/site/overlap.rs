//! Finds external paths that two roles or two sites claim. Pure, and quick for as many claims as a publication
//! can hold: a peer decides how many there are.

use super::endpoint::{Endpoint, ExternalPath};
use super::names::RoleId;
use std::collections::HashSet;

/// An endpoint of a role, as a claim to an external path.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    pub role: RoleId,
    pub endpoint: &'a Endpoint,
}

/// A claim that cannot hold, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    /// The claim that is to blame, and the one that it clashes with, as they were counted.
    pub(super) later: usize,
    pub(super) earlier: usize,
    pub(super) message: String,
}

/// The claims of one site that cannot hold together. Within one role a longer prefix may lie inside a shorter
/// one: the longest wins. Between roles it may not, because one would take part of the other's requests.
pub(super) fn clashes(claims: &[Claim<'_>]) -> Vec<Clash> {
    let mut clashes = twice_behind_a_role(claims);
    let prefixes = claims.iter().enumerate().filter_map(|(at, claim)| Some((prefix(claim)?, at)));
    for ((outer, outer_at), (inner, inner_at)) in nested(prefixes) {
        let role = |at: usize| claims.get(at).map_or(RoleId(0), |claim| claim.role);
        let (outer_role, inner_role) = (role(outer_at), role(inner_at));
        let message = if outer.eq_ignore_ascii_case(inner) {
            format!("the path {outer} is claimed by role {outer_role} and role {inner_role}")
        } else if outer_role != inner_role {
            format!("the paths {inner} of role {inner_role} and {outer} of role {outer_role} overlap")
        } else {
            continue;
        };
        clashes.push(Clash { later: outer_at.max(inner_at), earlier: outer_at.min(inner_at), message });
    }
    clashes.sort_by_key(|clash| (clash.later, clash.earlier));
    clashes
}

pub(super) fn prefix<'a>(claim: &Claim<'a>) -> Option<&'a str> {
    match &claim.endpoint.external_path {
        ExternalPath::Prefix(prefix) => Some(prefix),
        ExternalPath::BehindRole(_) => None,
    }
}

fn twice_behind_a_role(claims: &[Claim<'_>]) -> Vec<Clash> {
    let mut seen = std::collections::HashMap::new();
    let behind = claims.iter().enumerate().filter_map(|(at, claim)| match &claim.endpoint.external_path {
        ExternalPath::BehindRole(name) => Some((at, claim.role, name)),
        ExternalPath::Prefix(_) => None,
    });
    let clashes = behind.filter_map(|(later, role, name)| {
        let earlier = *seen.entry((role, name.to_ascii_lowercase())).or_insert(later);
        let message = format!("the path {name} of role {role} is claimed twice");
        (earlier != later).then_some(Clash { later, earlier, message })
    });
    clashes.collect()
}

/// A prefix and whose it is.
type Owned<'a, O> = (&'a str, O);

/// Pairs of prefixes of which the second is equal to the first or lies inside it, ignoring case. A path that
/// is there several times is compared by its first owner.
pub(super) fn nested<'a, O: Copy>(
    prefixes: impl IntoIterator<Item = Owned<'a, O>>,
) -> Vec<(Owned<'a, O>, Owned<'a, O>)> {
    let mut sorted: Vec<(String, &'a str, O)> =
        prefixes.into_iter().map(|(path, owner)| (path.to_ascii_lowercase(), path, owner)).collect();
    // Stable, and whatever lies inside a prefix comes right behind it.
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut around: Vec<&(String, &'a str, O)> = Vec::new();
    let mut pairs = Vec::new();
    for one in &sorted {
        while around.last().is_some_and(|outer| !one.0.starts_with(outer.0.as_str())) {
            around.pop();
        }
        pairs.extend(around.iter().map(|outer| ((outer.1, outer.2), (one.1, one.2))));
        if around.last().is_none_or(|outer| outer.0 != one.0) {
            around.push(one);
        }
    }
    pairs
}

/// Ids that are there more than once.
pub(super) fn twice(ids: impl IntoIterator<Item = RoleId>) -> Vec<RoleId> {
    let mut seen = HashSet::new();
    ids.into_iter().filter(|id| !seen.insert(*id)).collect()
}

/// Whether a prefix begins with another; both end with a slash, so whole segments are compared.
pub(super) fn inside(prefix: &str, outer: &str) -> bool {
    prefix.as_bytes().get(..outer.len()).is_some_and(|start| start.eq_ignore_ascii_case(outer.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_are_found_through_several_levels() {
        let pairs = nested([("/b/", 1), ("/a/b/c/", 2), ("/a/", 3), ("/A/B/", 4), ("/ab/", 5), ("/a/b/", 6)]);
        let pairs: Vec<(i32, i32)> = pairs.into_iter().map(|(outer, inner)| (outer.1, inner.1)).collect();
        assert_eq!(pairs, [(3, 4), (3, 6), (4, 6), (3, 2), (4, 2)]);
    }

    proptest! {
        #[test]
        fn no_pair_is_missed(paths in proptest::collection::vec("/([abAB]{1,2}/){0,3}", 0..12)) {
            let pairs = nested(paths.iter().enumerate().map(|(at, path)| (path.as_str(), at)));
            for (at, path) in paths.iter().enumerate() {
                let clashes = paths.iter().enumerate().any(|(other, outer)| other != at && inside(path, outer));
                let outer_of = paths.iter().enumerate().any(|(other, inner)| other != at && inside(inner, path));
                let found = pairs.iter().any(|(outer, inner)| outer.1 == at || inner.1 == at);
                // Of equal paths only the first is compared further in, but each is in a pair.
                prop_assert_eq!(found, clashes || outer_of, "{:?}", path);
            }
        }
    }
}
