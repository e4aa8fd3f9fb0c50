//! Finds external paths that two roles or two sites claim. Pure, and quick for as many claims as a publication
//! can hold: a peer decides how many there are.

use super::endpoint::{Endpoint, ExternalPath};
use super::names::RoleId;
use crate::limits;
use std::collections::{HashMap, HashSet};

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

/// The first claims that cannot hold, and how many more there are.
#[derive(Debug, Default)]
pub(super) struct Clashes {
    pub(super) named: Vec<Clash>,
    pub(super) more: usize,
}

impl Clashes {
    fn add(&mut self, one: usize, other: usize, message: impl FnOnce() -> String) {
        if self.named.len() < limits::VERDICT_PROBLEMS {
            self.named.push(Clash { later: one.max(other), earlier: one.min(other), message: message() });
        } else {
            self.more += 1;
        }
    }
}

/// The claims of one site that cannot hold together. Within one role a longer prefix may lie inside a shorter
/// one: the longest wins. Between roles it may not, because one would take part of the other's requests.
pub(super) fn clashes(claims: &[Claim<'_>]) -> Clashes {
    let mut clashes = Clashes::default();
    twice_behind_a_role(claims, &mut clashes);
    let prefixes = claims.iter().enumerate().filter_map(|(at, claim)| Some((prefix(claim)?, at)));
    each_nested(prefixes, |(outer, outer_at), (inner, inner_at)| {
        let role = |at: usize| claims.get(at).map_or(RoleId(0), |claim| claim.role);
        let (outer_role, inner_role) = (role(outer_at), role(inner_at));
        if outer.eq_ignore_ascii_case(inner) {
            clashes.add(outer_at, inner_at, || {
                format!("the path {outer} is claimed by role {outer_role} and role {inner_role}")
            });
        } else if outer_role != inner_role {
            clashes.add(outer_at, inner_at, || {
                format!("the paths {inner} of role {inner_role} and {outer} of role {outer_role} overlap")
            });
        }
    });
    clashes.named.sort_by_key(|clash| (clash.later, clash.earlier));
    clashes
}

pub(super) fn prefix<'a>(claim: &Claim<'a>) -> Option<&'a str> {
    match &claim.endpoint.external_path {
        ExternalPath::Prefix(prefix) => Some(prefix),
        ExternalPath::BehindRole(_) => None,
    }
}

fn twice_behind_a_role(claims: &[Claim<'_>], clashes: &mut Clashes) {
    let mut seen = HashMap::new();
    for (later, claim) in claims.iter().enumerate() {
        if let ExternalPath::BehindRole(name) = &claim.endpoint.external_path {
            let role = claim.role;
            let earlier = *seen.entry((role, name.to_ascii_lowercase())).or_insert(later);
            if earlier != later {
                clashes.add(later, earlier, || format!("the path {name} of role {role} is claimed twice"));
            }
        }
    }
}

/// A prefix and whose it is.
type Owned<'a, O> = (&'a str, O);

/// Calls with each pair of prefixes of which the second is equal to the first or lies inside it, ignoring case. A
/// path that is there several times is compared by its first owner. There may be as many pairs as the square of the
/// prefixes.
pub(super) fn each_nested<'a, O: Copy>(
    prefixes: impl IntoIterator<Item = Owned<'a, O>>,
    mut found: impl FnMut(Owned<'a, O>, Owned<'a, O>),
) {
    let mut sorted: Vec<(String, &'a str, O)> =
        prefixes.into_iter().map(|(path, owner)| (path.to_ascii_lowercase(), path, owner)).collect();
    // Stable, and whatever lies inside a prefix comes right behind it.
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut around: Vec<&(String, &'a str, O)> = Vec::new();
    for one in &sorted {
        while around.last().is_some_and(|outer| !one.0.starts_with(outer.0.as_str())) {
            around.pop();
        }
        around.iter().for_each(|outer| found((outer.1, outer.2), (one.1, one.2)));
        if around.last().is_none_or(|outer| outer.0 != one.0) {
            around.push(one);
        }
    }
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

    fn nested<'a, O: Copy>(prefixes: impl IntoIterator<Item = Owned<'a, O>>) -> Vec<(Owned<'a, O>, Owned<'a, O>)> {
        let mut pairs = Vec::new();
        each_nested(prefixes, |outer, inner| pairs.push((outer, inner)));
        pairs
    }

    #[test]
    fn only_the_first_clashes_are_put_into_words() {
        let (mut clashes, mut worded) = (Clashes::default(), 0);
        for at in 0..1000 {
            clashes.add(at, at + 1, || {
                worded += 1;
                String::new()
            });
        }
        assert_eq!(
            (worded, clashes.named.len(), clashes.more),
            (limits::VERDICT_PROBLEMS, limits::VERDICT_PROBLEMS, 900)
        );
    }

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
