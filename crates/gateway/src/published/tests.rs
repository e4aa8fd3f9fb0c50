//! What each kind publishes, as clients reach it (S-07, S-08).

use cmg_core::request_target::RequestTarget;

use super::*;
use crate::test_site::{self, Authority, custom, in_force, publication, role};

fn finds(published: &Published, path: &str) -> Option<String> {
    let target = RequestTarget::parse(path.to_owned().into()).unwrap();
    published.routes().find(&target).map(|route| route.value().endpoint.name.clone())
}

#[test]
fn kinds_publish_their_endpoints_and_never_the_servers_own() {
    let kinds: [(&str, &[&str]); 6] = [
        ("management-point", &["CCM_System", "CCM_Incoming", "SMS_MP", "CCM_STS", "CCM_Client", "BGB"]),
        (
            "software-update-point",
            &["ClientWebService", "SimpleAuthWebService", "ReportingWebService", "SelfUpdate", "Content"],
        ),
        ("distribution-point", &["SMS_DP_SMSPKG$", "SMS_DP_SMSSIG$"]),
        ("fallback-status-point", &["SMS_FSP"]),
        ("enrollment-proxy-point", &["EnrollmentServer"]),
        ("policy-module", &["CMCertificateRegistration"]),
    ];
    let never = [
        "DssAuthWebService",
        "ServerSyncWebService",
        "ApiRemoting30",
        "CMUserService",
        "CMUserService_WindowsAuth",
        "CCM_System_WindowsAuth",
        "SMS_MP_WindowsAuth",
        "CCM_System_TokenAuth",
        "SMS_MP_TokenAuth",
        "",
    ];
    let authority = Authority::root("R");
    for (kind, endpoints) in kinds {
        let published = test_site::published(&authority, &[role(9, kind, "enabled = true")]);
        let site = published.site("PS1").unwrap();
        let named: Vec<&str> = site.publication.roles[0].endpoints.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(named, endpoints, "{kind}");
        for endpoint in endpoints {
            let path = format!("/CCM_Proxy_MutualAuth/9/{}/rest?query", endpoint.to_lowercase());
            assert_eq!(finds(&published, &path).as_deref(), Some(*endpoint), "{kind}");
        }
        for endpoint in never {
            assert_eq!(finds(&published, &format!("/CCM_Proxy_MutualAuth/9/{endpoint}")), None, "{kind}");
        }
    }
}

#[test]
fn only_management_and_software_update_points_are_on_by_themselves() {
    let authority = Authority::root("R");
    for (kind, is_on) in [
        ("management-point", true),
        ("software-update-point", true),
        ("distribution-point", false),
        ("policy-module", false),
        ("application-catalog", false),
    ] {
        let roles = [role(9, kind, ""), custom(1, "/a/", "")];
        let text = test_site::publication("PS1", &authority, &roles);
        assert_eq!(text.roles.iter().any(|role| role.id.0 == 9), is_on, "{kind}");
    }
}

#[test]
fn the_table_holds_every_site_by_its_code() {
    let authority = Authority::root("R");
    let sites = [("PS1", 1), ("PS2", 2)]
        .map(|(code, id)| in_force(publication(code, &authority, &[role(id, "management-point", "")])));
    let published = Published::new(sites);
    assert_eq!(published.sites().map(|site| site.code.as_str()).collect::<Vec<_>>(), ["PS1", "PS2"]);
    assert!(published.site("PS1").is_some() && published.site("PS3").is_none());
    assert!(Published::default().sites().next().is_none());
}
