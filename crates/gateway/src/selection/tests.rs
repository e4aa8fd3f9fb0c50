//! What is published is found, by every spelling that is allowed; everything else is refused.

use cmg_core::refusal::RefusalKind::{
    self, BadRequest, ClientCertificateExpired, ClientCertificateRequired, ClientCertificateUntrusted,
    MisdirectedRequest, NotPublished,
};
use proptest::prelude::*;
use rcgen::date_time_ymd;

use super::*;
use crate::test_site::{self, Authority, SERVICE, client, custom, in_force, names, publication, role, target};

const MP: u64 = 72_057_594_037_927_941;

fn ask(published: &Published, path: &str, client: &Client) -> Result<Selection, RefusalKind> {
    let host = Some(SERVICE.as_bytes());
    Selection::choose(published, &names(), target(path), host, client).map_err(|refusal| refusal.kind)
}

/// One that nobody trusts. What is published is selected all the same.
fn with_certificate() -> Client {
    client([vec![0x30, 0].into()])
}

fn without_certificate() -> Client {
    client([])
}

fn name_of(selection: &Selection) -> (String, u64, &str) {
    let route = selection.route();
    (selection.site().code.clone(), route.role.id.0, route.endpoint.name.as_str())
}

#[test]
fn an_empty_table_refuses_everything() {
    let published = Published::default();
    let behind_role = format!("/CCM_Proxy_MutualAuth/{MP}/SMS_MP/.sms_aut?MPLIST");
    for path in ["/", "/reports/", "/CCM_Proxy_ServerAuth/1/BGB", "/CCM_Proxy_", &behind_role] {
        assert_eq!(ask(&published, path, &with_certificate()).unwrap_err(), NotPublished, "{path}");
    }
    assert_eq!(ask(&published, &behind_role, &without_certificate()).unwrap_err(), ClientCertificateRequired);
    assert_eq!(ask(&published, "/", &without_certificate()).unwrap_err(), NotPublished);
}

#[test]
fn a_site_that_publishes_nothing_refuses_everything() {
    let root = Authority::root("R");
    let published = test_site::published(&root, &[role(MP, "management-point", "clients = \"intranet\"")]);
    let path = format!("/CCM_Proxy_MutualAuth/{MP}/CCM_System/request");
    assert_eq!(ask(&published, &path, &client([root.leaf("device")])).unwrap_err(), NotPublished);
}

/// Anyone can make a certificate: it tells no more of what is published than none.
#[test]
fn nobody_without_trust_can_probe_behind_the_certificates_prefix() {
    let (root, other) = (Authority::root("R"), Authority::root("S"));
    let published = Published::new([
        in_force(publication("PS1", &root, &[role(MP, "management-point", "")])),
        in_force(publication("PS2", &other, &[custom(2, "/two/", "")])),
    ]);
    let strangers = Authority::root("R");
    let expired = root.leaf_with("late", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let path = |rest: &str| format!("/CCM_Proxy_MutualAuth/{MP}/{rest}");
    for (client, told) in [
        (client([strangers.leaf("device")]), ClientCertificateUntrusted),
        (client([expired]), ClientCertificateExpired),
    ] {
        let published_path = ask(&published, &path("CCM_System/x"), &client).unwrap();
        let judged = crate::pre_auth::PreAuthenticated::judge(published_path, &client);
        assert_eq!(judged.unwrap_err().kind, told);
        for probed in [path("CCM_Nothing/x"), path("CCM_System/a%2Fb"), "/CCM_Proxy_MutualAuth/1/x".to_owned()] {
            assert_eq!(ask(&published, &probed, &client).unwrap_err(), told, "{probed}");
        }
        assert_eq!(ask(&published, "/nothing/", &client).unwrap_err(), NotPublished, "behind no prefix");
    }
    // Whom any site believes may know that there is nothing.
    for authority in [&root, &other] {
        let device = client([authority.leaf("device")]);
        assert_eq!(ask(&published, &path("CCM_Nothing/x"), &device).unwrap_err(), NotPublished);
    }
    assert_eq!(ask(&published, &path("CCM_System/a%2Fb"), &client([root.leaf("device")])).unwrap_err(), BadRequest);
}

/// The paths of the property below: what may stand at each place, published or nearly.
fn paths() -> impl Strategy<Value = String> {
    let prefix = prop_oneof![
        5 => Just("/CCM_Proxy_MutualAuth/"),
        1 => Just("/ccm_PROXY_mutualauth/"),
        1 => Just("/CCM_Proxy_MutualAut/"),
        1 => Just("/CCM_Proxy_MutualAuthX/"),
        2 => Just("/CCM_Proxy_ServerAuth/"),
        1 => Just("/a/CCM_Proxy_MutualAuth/"),
        1 => Just("/")
    ];
    let id = prop_oneof![
        5 => Just("72057594037927941".to_owned()),
        1 => Just("072057594037927941".to_owned()),
        1 => Just("7205759403792794".to_owned()),
        1 => Just("720575940379279411".to_owned()),
        1 => Just("+72057594037927941".to_owned()),
        1 => Just("%37".to_owned()),
        3 => Just("5".to_owned()),
        1 => any::<u64>().prop_map(|id| id.to_string()),
        1 => "[a-zA-Z0-9]{0,4}",
    ];
    let endpoint = prop_oneof![
        3 => Just("CCM_System".to_owned()),
        1 => Just("ccm_SYSTEM".to_owned()),
        1 => Just("CCM_System_WindowsAuth".to_owned()),
        1 => Just("CCM_Syste".to_owned()),
        1 => Just("CCM%5FSystem".to_owned()),
        3 => Just("SMS_FSP".to_owned()),
        1 => Just("reports".to_owned()),
        1 => Just("REPORTS".to_owned()),
        1 => Just("reports2".to_owned()),
        1 => "[a-zA-Z_]{0,6}",
    ];
    let rest = prop_oneof![Just(""), Just("/"), Just("/a/b"), Just("?MPLIST"), Just("/sccm?/file"), Just("x")];
    let shaped = (prefix, id, endpoint.clone(), rest.clone())
        .prop_map(|(prefix, id, endpoint, rest)| format!("{prefix}{id}/{endpoint}{rest}"));
    let short = (endpoint, rest).prop_map(|(endpoint, rest)| format!("/{endpoint}{rest}"));
    prop_oneof![3 => shaped, 1 => short, 1 => "/[!-~]{0,40}"]
}

/// The rules of the site below a second time, in the simplest way.
fn is_published(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        ["ccm_proxy_mutualauth", "72057594037927941", endpoint, ..] => {
            ["ccm_system", "ccm_incoming", "sms_mp", "ccm_sts", "ccm_client", "bgb"].contains(endpoint)
        }
        ["ccm_proxy_mutualauth" | "ccm_proxy_serverauth", "5", "sms_fsp", ..] => true,
        ["reports", ..] => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn whatever_no_rule_allows_is_refused(path in paths()) {
        thread_local! {
            static ROOT: Authority = Authority::root("R");
            static DEVICE: Client = ROOT.with(|root| client([root.leaf("device")]));
            static PUBLISHED: Published = ROOT.with(|root| test_site::published(root, &[
                role(MP, "management-point", ""),
                role(5, "fallback-status-point", "enabled = true"),
                custom(3456, "/reports/", ""),
            ]));
        }
        let Ok(target) = RequestTarget::parse(path.clone().into()) else { return Ok(()) };
        prop_assume!(target.needs_relaxed_encoding().is_none());
        let choose = |client: &Client| PUBLISHED.with(|published| {
            Selection::choose(published, &names(), target.clone(), Some(SERVICE.as_bytes()), client)
        });
        match DEVICE.with(choose) {
            Ok(selection) => {
                prop_assert!(is_published(&path), "{path} leads to {:?}", name_of(&selection));
                prop_assert_eq!(selection.target().origin_form().as_ref(), path.as_bytes());
            }
            Err(refusal) => {
                prop_assert!(!is_published(&path), "{path} was not found");
                prop_assert_eq!(refusal.kind, NotPublished);
            }
        }
        // Without a certificate nothing can be learned about what stands behind the certificate's prefix.
        if path.to_ascii_lowercase().starts_with("/ccm_proxy_mutualauth/") {
            let refusal = choose(&without_certificate()).unwrap_err();
            prop_assert_eq!((refusal.kind, refusal.detail.as_str()), (ClientCertificateRequired, "no client certificate was shown"));
        }
    }
}

#[test]
fn the_host_must_be_ours() {
    let published = test_site::published(&Authority::root("R"), &[custom(1, "/reports/", "")]);
    let choose = |target_text: &str, host: Option<&str>, client: &Client| {
        let host = host.map(str::as_bytes);
        Selection::choose(&published, &names(), target(target_text), host, client).map_err(|refusal| refusal.kind)
    };
    let client = with_certificate();
    for host in [SERVICE, "GATEWAY.example.NET", "gateway.example.net:443", "gateway.example.net:8443"] {
        assert!(choose("/reports/", Some(host), &client).is_ok(), "{host}");
        let absolute = format!("https://{host}/reports/");
        assert!(choose(&absolute, Some(SERVICE), &client).is_ok(), "{absolute}");
    }
    for host in [None, Some(""), Some("example.net"), Some("203.0.113.5"), Some("[::1]"), Some("gateway.example.net.")]
    {
        assert_eq!(choose("/reports/", host, &client).unwrap_err(), MisdirectedRequest, "{host:?}");
    }
    let elsewhere = "https://other.example.net/reports/";
    assert_eq!(choose(elsewhere, Some(SERVICE), &client).unwrap_err(), MisdirectedRequest);
    assert_eq!(choose("https://gateway.example.net/reports/", None, &client).unwrap_err(), MisdirectedRequest);
    // Before anything else is said about the path.
    let behind_role = "/CCM_Proxy_MutualAuth/1/x";
    let refused = choose(behind_role, Some("other.example.net"), &without_certificate());
    assert_eq!(refused.unwrap_err(), MisdirectedRequest);
}

#[test]
fn an_anonymous_endpoint_asks_for_nothing() {
    let anonymous = "authentication = \"anonymous\"\nallow_anonymous = true";
    let roles = [role(5, "fallback-status-point", "enabled = true"), custom(6, "/open/", anonymous)];
    let published = test_site::published(&Authority::root("R"), &roles);
    for client in [with_certificate(), without_certificate()] {
        for path in ["/CCM_Proxy_ServerAuth/5/SMS_FSP/upload", "/open/a"] {
            assert!(ask(&published, path, &client).is_ok(), "{path}");
        }
    }
    let by_certificate = "/CCM_Proxy_MutualAuth/5/SMS_FSP/upload";
    assert_eq!(ask(&published, by_certificate, &without_certificate()).unwrap_err(), ClientCertificateRequired);
    assert!(ask(&published, by_certificate, &with_certificate()).is_ok());
}

#[test]
fn the_prefix_of_tokens_serves_no_endpoint_that_asks_for_certificates() {
    let published = test_site::published(&Authority::root("R"), &[role(MP, "management-point", "")]);
    let path = format!("/CCM_Proxy_ServerAuth/{MP}/CCM_System/request");
    for client in [with_certificate(), without_certificate()] {
        assert_eq!(ask(&published, &path, &client).unwrap_err(), NotPublished);
    }
}

#[test]
fn relaxed_encoding_is_for_endpoints_that_allow_it() {
    let relaxed = "encoded = \"relaxed\"";
    let roles = [custom(1, "/strict/", ""), custom(2, "/relaxed/", relaxed)];
    let published = test_site::published(&Authority::root("R"), &roles);
    let client = with_certificate();
    for name in ["a%2Fb", "a%2541"] {
        assert!(ask(&published, &format!("/relaxed/{name}"), &client).is_ok(), "{name}");
        assert_eq!(ask(&published, &format!("/strict/{name}"), &client).unwrap_err(), BadRequest, "{name}");
        assert!(ask(&published, &format!("/strict/?{name}"), &client).is_ok(), "the query is data");
    }
    let refusal =
        Selection::choose(&published, &names(), target("/strict/a%2Fb"), Some(SERVICE.as_bytes()), &with_certificate());
    assert!(refusal.unwrap_err().detail.contains("%2F"), "what is wrong is said");
}

#[test]
fn the_role_id_decides_the_site() {
    let (one, two) = (Authority::root("1"), Authority::root("2"));
    let published = Published::new([
        in_force(publication("PS1", &one, &[role(MP, "management-point", ""), custom(1, "/one/", "")])),
        in_force(publication("PS2", &two, &[role(MP + 1, "management-point", ""), custom(2, "/one2/", "")])),
    ]);
    let client = with_certificate();
    let site_of = |path: &str| name_of(&ask(&published, path, &client).unwrap()).0;
    assert_eq!(site_of(&format!("/CCM_Proxy_MutualAuth/{MP}/CCM_STS")), "PS1");
    assert_eq!(site_of(&format!("/CCM_Proxy_MutualAuth/{}/CCM_STS", MP + 1)), "PS2");
    assert_eq!((site_of("/one/a").as_str(), site_of("/ONE2").as_str()), ("PS1", "PS2"));
}
