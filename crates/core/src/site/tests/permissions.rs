//! What a gateway lets a site publish.

use super::*;
use crate::configuration::Value;
use crate::tls::identity::ConnectionId;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn allowed(roles: &[&str], prefixes: &[&str]) -> SitePermissions {
    SitePermissions {
        site: SiteCode::parse("PS1").unwrap(),
        connection_points: vec![AllowedConnectionPoint {
            name: "cp-1".to_owned(),
            id: ConnectionId::parse(ID).unwrap(),
        }],
        roles: roles.iter().map(|range| RoleRange::from_text(range, None).unwrap()).collect(),
        prefixes: prefixes.iter().map(|prefix| ExternalPrefix::from_text(prefix, None).unwrap()).collect(),
        anonymous: true,
    }
}

#[test]
fn only_what_is_allowed_may_be_published() {
    let publication = whole().publication;
    let roles = ["1-9", "72057594037927936-72057594037927999"];
    assert_eq!(allowed(&roles, &["/BENCH/", "/kept/"]).judge(&publication).into_result(), Ok(()));
    assert_eq!(
        allowed(&roles, &["/bench/slow/"]).judge(&publication).into_result().unwrap_err(),
        [
            "the path /bench/ is not among those that the gateway allows site PS1; add it to sites[].prefixes of the gateway's file, or take it out of site.toml",
            "the path /kept/as/it-is/ is not among those that the gateway allows site PS1; add it to sites[].prefixes of the gateway's file, or take it out of site.toml"
        ]
    );
    assert_eq!(
        allowed(&["5-9", "72057594037927941"], &["/"]).judge(&publication).into_result().unwrap_err(),
        [
            "role id 72057594037927952 is not among those that the gateway allows site PS1; add it to sites[].roles of the gateway's file, or take it out of site.toml"
        ]
    );
    assert_eq!(
        allowed(&[], &[]).judge(&publication).into_result().unwrap_err().len(),
        4 + 3,
        "what nobody allowed is refused"
    );
    let mut strict = allowed(&roles, &["/"]);
    strict.anonymous = false;
    assert_eq!(
        strict.judge(&publication).into_result().unwrap_err(),
        [
            "endpoint SMS_FSP of role 5 is anonymous, but the gateway has unauthenticated = \"abort\"; switch one of them off",
            "endpoint Kept of role 9 is anonymous, but the gateway has unauthenticated = \"abort\"; switch one of them off"
        ]
    );
    let mut other = allowed(&roles, &["/"]);
    other.site = SiteCode::parse("PS2").unwrap();
    assert_eq!(
        other.judge(&publication).into_result().unwrap_err()[0],
        "a connection point of site PS2 published for site PS1; correct site.code, or its tunnel certificate"
    );
}

#[test]
fn a_connection_point_is_known_by_site_name_and_id() {
    let permissions = allowed(&[], &[]);
    let identity = |text: &str| permissions.allows(&text.parse().unwrap());
    assert!(identity(&format!("cmg:PS1/cp-1/{ID}")));
    for other in [
        format!("cmg:PS2/cp-1/{ID}"),
        format!("cmg:PS1/cp-2/{ID}"),
        "cmg:PS1/cp-1/0123456789abcdef0123456789abcdee".to_owned(),
    ] {
        assert!(!identity(&other), "{other}");
    }
}

#[test]
fn sites_do_not_take_from_each_other() {
    let publication = whole().publication;
    let mut other = publication.clone();
    assert_eq!(overlaps(&publication, [&other]).into_result(), Ok(()), "the same site is replaced");
    other.site = SiteCode::parse("PS2").unwrap();
    let taken = overlaps(&publication, [&other]).into_result().unwrap_err();
    assert!(
        taken.contains(
            &"role id 5 is already published by site PS2; an id is one role's in the whole hierarchy".to_owned()
        ),
        "{taken:?}"
    );
    assert!(
        taken.contains(
            &"the path /bench/ overlaps /bench/, which site PS2 publishes already; change one of them".to_owned()
        ),
        "{taken:?}"
    );
    for (role, id) in other.roles.iter_mut().zip(100..) {
        role.id = RoleId(id);
    }
    other.roles.retain(|role| role.kind == RoleKind::Custom);
    let overlap = overlaps(&publication, [&other]).into_result().unwrap_err();
    assert_eq!(overlap.len(), 4, "three equal paths, and /bench/slow/ inside /bench/: {overlap:?}");
    other.roles.clear();
    assert_eq!(overlaps(&publication, [&other]).into_result(), Ok(()));
}

#[test]
fn ranges_are_read() {
    for (text, expected) in [
        ("8", Some((8, 8))),
        ("8-99", Some((8, 99))),
        ("8 - 99", Some((8, 99))),
        ("9-8", None),
        ("-", None),
        ("a", None),
        ("1-2-3", None),
    ] {
        let range = RoleRange::from_text(text, None).ok().map(|range| (range.first.0, range.last.0));
        assert_eq!(range, expected, "{text}");
    }
}
