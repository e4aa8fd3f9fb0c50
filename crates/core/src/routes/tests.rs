//! What matches, what does not, and where the rest begins.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn routes() -> Routes<&'static str> {
    let mut routes = Routes::default();
    for (role, path, value) in [
        (8, "SMS_MP", "mp"),
        (8, "SMS_DP_SMSPKG$", "packages"),
        (u64::MAX, "SMS_MP", "other mp"),
        (9, "/bench/", "bench"),
        (9, "/bench/slow/", "slow"),
        (9, "/a.b/c/", "deep"),
    ] {
        routes.insert(RoleId(role), &ExternalPath::parse(path).unwrap(), value);
    }
    routes
}

/// Value, proof, and what follows the match.
fn find(target: &str) -> Option<(&'static str, Option<Proof>, String)> {
    let target = RequestTarget::parse(Bytes::from(target.to_owned())).unwrap();
    let routes = routes();
    let route = routes.find(&target)?;
    let rest = target.origin_form().get(route.rest_at()..).unwrap();
    Some((*route.value(), route.proof(), String::from_utf8(rest.to_vec()).unwrap()))
}

#[test]
fn roles_are_found_by_id_and_endpoint_in_any_case() {
    let (certificate, token) = (Some(Proof::Certificate), Some(Proof::Token));
    for (target, value, proof, rest) in [
        ("/CCM_Proxy_MutualAuth/8/SMS_MP", "mp", certificate, ""),
        ("/CCM_Proxy_MutualAuth/8/SMS_MP?MPLIST", "mp", certificate, "?MPLIST"),
        ("/ccm_PROXY_mutualauth/8/sms_mp/.sms_aut?MPLIST", "mp", certificate, "/.sms_aut?MPLIST"),
        ("/CCM_Proxy_ServerAuth/8/SMS_MP/", "mp", token, "/"),
        ("/CCM_Proxy_MutualAuth/18446744073709551615/SMS_MP/a//b", "other mp", certificate, "/a//b"),
        ("/CCM_Proxy_MutualAuth/8/SMS_DP_SMSPKG$/sccm?/file", "packages", certificate, "/sccm?/file"),
    ] {
        assert_eq!(find(target), Some((value, proof, rest.to_owned())), "{target}");
    }
}

#[test]
fn custom_prefixes_match_whole_segments_and_the_longest_wins() {
    for (target, value, rest) in [
        ("/bench", "bench", ""),
        ("/bench?q=/slow/", "bench", "?q=/slow/"),
        ("/Bench/", "bench", "/"),
        ("/bench/slower", "bench", "/slower"),
        ("/BENCH/slow/x?y", "slow", "/x?y"),
        ("/bench/slow", "slow", ""),
        ("/a.b/C/d", "deep", "/d"),
    ] {
        assert_eq!(find(target), Some((value, None, rest.to_owned())), "{target}");
    }
}

#[test]
fn nothing_else_is_found() {
    for target in [
        "/",
        "/benchmark/",
        "/bench%2F",
        "/b%65nch/",
        "/a.b/",
        "/SMS_MP/",
        "/8/SMS_MP",
        "/CCM_Proxy_MutualAuth",
        "/CCM_Proxy_MutualAuth/",
        "/CCM_Proxy_MutualAuth/8",
        "/CCM_Proxy_MutualAuth/8/",
        "/CCM_Proxy_MutualAuth/08/SMS_MP",
        "/CCM_Proxy_MutualAuth/+8/SMS_MP",
        "/CCM_Proxy_MutualAuth/7/SMS_MP",
        "/CCM_Proxy_MutualAuth/18446744073709551624/SMS_MP",
        "/CCM_Proxy_MutualAuth/8/SMS_MPX",
        "/CCM_Proxy_MutualAuth/8/SMS%5FMP",
        "/CCM_Proxy_MutualAuth/ServiceMetadata",
        "/CCM_Proxy_MutualAuthX/8/SMS_MP",
        "/CCM_Proxy_/8/SMS_MP",
    ] {
        assert_eq!(find(target), None, "{target}");
    }
}

#[test]
fn a_prefix_for_everything_leaves_the_roles_paths_alone() {
    let mut routes = routes();
    routes.insert(RoleId(9), &ExternalPath::parse("/").unwrap(), "all");
    let value = |path: &str| routes.find_path(path.as_bytes()).map(|route| (*route.value(), route.rest_at()));
    assert_eq!(value("/"), Some(("all", 0)));
    assert_eq!(value("/x/y"), Some(("all", 0)));
    assert_eq!(value("/bench/x"), Some(("bench", 6)));
    assert_eq!(value("/CCM_Proxy_MutualAuth/7/SMS_MP"), None);
    assert_eq!(value("/ccm_proxy_anything/"), None);
}

#[test]
fn a_path_asks_for_proof_whether_or_not_it_is_published() {
    for (path, proof) in [
        ("/CCM_Proxy_MutualAuth/", Some(Proof::Certificate)),
        ("/ccm_proxy_mutualauth/nothing/here", Some(Proof::Certificate)),
        ("/CCM_Proxy_ServerAuth/8/SMS_MP", Some(Proof::Token)),
        ("/CCM_Proxy_MutualAuth", None),
        ("/bench/", None),
    ] {
        assert_eq!(Proof::asked_by_path(path.as_bytes()), proof, "{path}");
    }
}

proptest! {
    #[test]
    fn a_found_rest_lies_inside_the_path_at_the_end_of_a_segment(
        path in "/(CCM_Proxy_(Mutual|Server)Auth/[0-9]{1,3}/(SMS_MP|x)|bench|bench/slow|a\\.b/c)?[/a-z.%$?]{0,12}",
    ) {
        if let Some(route) = routes().find_path(path.as_bytes()) {
            prop_assert!(matches!(path.as_bytes().get(route.rest_at()), None | Some(b'/')));
            prop_assert!(route.endpoint_at() <= route.rest_at());
        }
    }
}
