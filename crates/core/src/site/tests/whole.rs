//! What becomes of a configuration that is right.

use super::*;
use crate::limits;
use std::time::Duration;

fn endpoint<'s>(site: &'s SiteConfiguration, role: u64, name: &str) -> &'s Endpoint {
    let role = site.publication.roles.iter().find(|published| published.id == RoleId(role)).unwrap();
    role.endpoints.iter().find(|endpoint| endpoint.name == name).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn built_in_kinds_bring_their_endpoints() {
    let site = whole();
    assert_eq!((site.version, site.code.as_str(), site.kind), (7, "PS1", SiteKind::Primary));
    let published: Vec<(u64, usize)> =
        site.publication.roles.iter().map(|role| (role.id.0, role.endpoints.len())).collect();
    assert_eq!(
        published,
        [(5, 1), (9, 4), (72_057_594_037_927_941, 5), (72_057_594_037_927_952, 5)],
        "management point: 6 with one switched off, no token or affinity endpoints"
    );
    let mp = |name| endpoint(&site, 72_057_594_037_927_941, name);
    let methods: Vec<&str> = mp("SMS_MP").methods.iter().collect();
    assert_eq!(methods, ["HEAD", "CCM_POST", "BITS_POST", "GET", "PROPFIND", "POST"]);
    assert_eq!(mp("SMS_MP").max_request_body, 32 << 20);
    assert_eq!(mp("SMS_MP").answer_timeout, Duration::from_secs(60));
    assert_eq!(mp("SMS_MP").idle_timeout, Duration::from_secs(60));
    assert!(mp("BGB").waits && !mp("SMS_MP").waits);
    assert_eq!(mp("BGB").answer_timeout, Duration::from_secs(20 * 60), "the file's, found without regard to case");
    assert_eq!(endpoint(&site, 5, "SMS_FSP").authentication, Authentication::Anonymous);
    assert_eq!(endpoint(&site, 5, "SMS_FSP").max_request_body, 1 << 20);
}

#[test]
fn custom_endpoints_are_what_the_file_says() {
    let site = whole();
    let bench = endpoint(&site, 9, "Bench");
    assert_eq!(bench.external_path, ExternalPath::Prefix("/bench/".to_owned()));
    assert_eq!((bench.max_request_body, bench.bulk), (1 << 40, true));
    assert_eq!(bench.authentication, Authentication::Certificate);
    let slow = endpoint(&site, 9, "Slow");
    assert_eq!((slow.waits, slow.answer_timeout), (true, limits::WAITING_ANSWER_TIMEOUT));
    assert_eq!((slow.encoding, slow.max_request_body), (Encoding::Relaxed, 16 << 20));
    assert_eq!(endpoint(&site, 9, "Kept").authentication, Authentication::Anonymous);
    assert_eq!(endpoint(&site, 9, "Plain").external_path, ExternalPath::BehindRole("Plain".to_owned()));
    let role = site.roles.iter().find(|role| role.id == RoleId(9)).unwrap();
    assert_eq!((role.max_head, role.client_certificate), (32 << 10, ClientCertificateForm::Chain));
}

#[test]
fn the_inside_is_kept_inside() {
    let site = whole();
    let internal = |id| &site.roles.iter().find(|role| role.id == RoleId(id)).unwrap().internal;
    assert_eq!(internal(72_057_594_037_927_941).host, "mp1.corp.example");
    assert_eq!(internal(72_057_594_037_927_952).host, "wsus.corp.example", "the file's");
    assert_eq!((internal(9).host.as_ref(), internal(9).port), (&b"bench.corp.example:8443"[..], 8443));
    assert_eq!((internal(5).host.as_ref(), internal(5).port), (&b"fsp.corp.example"[..], 443));
    assert_eq!(
        site.notes,
        [
            "role 3 (distribution-point) is not published: it is not enabled",
            "role 4 (management-point) is not published: clients = \"intranet\""
        ]
    );
}

#[test]
fn gateways_are_told_by_instance() {
    let site = whole();
    let [gateway] = &site.gateways[..] else { panic!("one gateway") };
    assert_eq!(gateway.tunnel_name.as_str(), "gw.example.net");
    let addresses: Vec<String> = gateway
        .instances
        .iter()
        .flat_map(|instance| instance.addresses.iter().map(|address| format!("{} {address}", instance.name)))
        .collect();
    assert_eq!(addresses, ["gw-1 gw-1.example.net:10140", "gw-1 gw-1.example.net:443", "gw-2 [2001:db8::2]:443"]);
}

#[test]
fn certificates_may_stand_in_the_text_itself() {
    let root = pki::Authority::root(pki::params("Inline Root"));
    let text = format!(
        "version = 1\n[site]\ncode = \"PS1\"\n[client_trust]\nroots = ['''\n{}''']\n[[roles]]\nid = 1\nkind = \"management-point\"\ninternal_url = \"https://mp\"\n",
        root.pem
    );
    let (site, reading) = SiteConfiguration::read(&text, None, "https://site.example/site.toml", today()).unwrap();
    assert_eq!(site.publication.client_trust.roots(), [root.der.into()]);
    let printed = reading.settings().iter().find(|setting| setting.key == "client_trust.roots").unwrap();
    assert_eq!(printed.value, "[\"(PEM)\"]");
    assert_eq!(site.notes, ["no [[gateways]]: connection points of this site have nothing to connect to"]);
}
