//! Every reason to refuse a site configuration (S-09), with place, key and words.

use super::*;

const MINIMAL: &str = "version = 1\n[site]\ncode = \"PS1\"\n[client_trust]\nroots = [\"client-root.pem\"]\n";

fn problems(text: &str) -> String {
    let folder = pki::folder();
    let problems = read_in(folder.path(), text).map(drop).unwrap_err().to_string();
    problems.replace(&folder.path().display().to_string(), "FOLDER")
}

/// A minimal file with more behind it: line 6 is the first of `more`.
fn with(more: &str) -> String {
    problems(&format!("{MINIMAL}{more}"))
}

fn role(more: &str) -> String {
    with(&format!("[[roles]]\nid = 1\nkind = \"custom\"\ninternal_url = \"https://a.corp\"\n{more}"))
}

fn custom(more: &str) -> String {
    role(&format!("[[roles.custom]]\nname = \"A\"\n{more}"))
}

#[test]
fn all_problems_of_a_file_come_together() {
    let text = "\
version = 0
[site]
code = \"ps1\"
kind = \"secondary\"
colour = 1
[client_trust]
roots = [\"missing.pem\"]
[[gateways]]
name = \"cloud\"
instances = [{ name = \"a\", addresses = [\"gw:443\"] }, { name = \"a\", addresses = [] }]
[[roles]]
id = 1
kind = \"managment-point\"
internal_url = \"http://mp1.corp.example:80\"
[[roles]]
id = \"01\"
kind = \"custom\"
";
    assert_eq!(
        problems(text),
        "\
site.toml:1:11: version: 0 is no version; count from 1, one up with every change
site.toml:3:8: site.code: \"ps1\" is not a site code; write \"PS1\"
site.toml:4:8: site.kind: a secondary site publishes nothing; publish the roles in the configuration of its primary site
site.toml:5:1: site.colour: unknown key; known here: code, kind
site.toml:7:10: client_trust.roots: FOLDER/missing.pem: cannot be read: No such file or directory (os error 2)
site.toml:8:1: gateways[1].tunnel_name: is missing, and so are service_names; write tunnel_name = \"gateway.example.net\", the name in its tunnel certificate
site.toml:10:54: gateways[1].instances: \"a\" is named twice; first at site.toml:10:14; give each a name of its own
site.toml:10:80: gateways[1].instances[2].addresses: is empty; write the address of the instance's tunnel listener
site.toml:13:8: roles[1].kind: \"managment-point\" is not known; did you mean \"management-point\"?
site.toml:14:16: roles[1].internal_url: HTTPS outside and HTTP inside are not bridged: requests and certificates would travel in the clear; give the role HTTPS and write \"https://mp1.corp.example:80\"
site.toml:15:1: roles[2].internal_url: is missing; write internal_url = \"https://mp1.corp.example\"
site.toml:15:1: roles[2].custom: a custom role names its endpoints; write [[roles.custom]] with name, external_prefix and methods
site.toml:16:6: roles[2].id: \"01\" is not a role id; write a whole number without leading zeros, at most 18446744073709551615"
    );
}

#[test]
fn roles_are_judged() {
    for (text, expected) in [
        (
            with("[[roles]]\nid = 5\nkind = \"fallback-status-point\"\ninternal_url = \"https://f\"\n"),
            "site.toml:8:8: roles[1].kind: a fallback-status-point takes requests from anybody and is off until it is enabled by name; write enabled = true to publish it, or enabled = false",
        ),
        (
            with("[[roles]]\nid = 5\nkind = \"application-catalog\"\ninternal_url = \"https://f\"\nenabled = true\n"),
            "site.toml:8:8: roles[1].kind: an application-catalog is reached by host name or directly, and neither is available yet; write enabled = false",
        ),
        (
            with("[[roles]]\nid = 5\nkind = \"management-point\"\ninternal_url = \"https://f\"\ninternet_fqdn = \"mp.example.net\"\n"),
            "site.toml:10:1: roles[1].internet_fqdn: publishing by host name is not available yet; leave it out; the role is reached under /CCM_Proxy_MutualAuth/<role id>/",
        ),
        (
            with("[[roles]]\nid = 5\nkind = \"management-point\"\ninternal_url = \"https://f/path\"\n"),
            "site.toml:9:16: roles[1].internal_url: names a path, but a role is a server; write scheme, name and port only; a custom endpoint has internal_path for the rest",
        ),
        (
            with("[[roles]]\nid = 5\nkind = \"management-point\"\ninternal_url = \"https://u:p@f\"\nmax_head = \"1B\"\n"),
            "site.toml:9:16: roles[1].internal_url: holds user or password; write scheme, name and port only\nsite.toml:10:12: roles[1].max_head: no service works with this; write \"1kB\" to \"128KiB\"",
        ),
        (
            with("[[roles]]\nid = 5\nkind = \"management-point\"\ninternal_url = \"https://f\"\n[[roles.custom]]\nname = \"A\"\nmethods = [\"GET\"]\n"),
            "site.toml:10:1: roles[1].custom: a management-point has the endpoints of its kind only; give the service a role of kind = \"custom\"",
        ),
        (
            with("[[roles]]\nid = 5\nkind = \"management-point\"\ninternal_url = \"https://f\"\nendpoints.CCM_SYSTEM_TokenAuth.enabled = true\nendpoints.CMUserService.enabled = true\nendpoints.DssAuthWebService.enabled = true\nendpoints.BGB.answer_timeout = \"0s\"\n"),
            "\
site.toml:10:42: roles[1].endpoints.CCM_SYSTEM_TokenAuth.enabled: this endpoint is for clients with tokens, which are not available yet; leave it out; clients with certificates use the endpoint without _TokenAuth
site.toml:11:35: roles[1].endpoints.CMUserService.enabled: this endpoint authenticates users by Negotiate, which needs connection affinity, not available yet; leave it out
site.toml:12:11: roles[1].endpoints.DssAuthWebService: \"DssAuthWebService\" is no endpoint of a management-point; write \"CCM_System\", \"CCM_System_TokenAuth\", \"CCM_System_WindowsAuth\", \"CCM_Incoming\", \"SMS_MP\", \"SMS_MP_TokenAuth\", \"SMS_MP_WindowsAuth\", \"CCM_STS\", \"CCM_Client\", \"BGB\", \"CMUserService\" or \"CMUserService_WindowsAuth\"
site.toml:13:32: roles[1].endpoints.BGB.answer_timeout: no exchange works with this; write more than \"0s\" and at most \"1d\"",
        ),
    ] {
        assert_eq!(text, expected);
    }
}

#[test]
fn custom_endpoints_are_judged() {
    for (text, expected) in [
        (custom(""), "site.toml:10:1: roles[1].custom[1].methods: is missing; write methods = [\"text\"]"),
        (
            custom("methods = [\"GET\", \"trace\"]\n"),
            "site.toml:12:11: roles[1].custom[1].methods: trace is never let through; write for example methods = [\"GET\", \"HEAD\", \"POST\"]",
        ),
        (
            custom("methods = [\"GET\"]\nauthentication = \"token\"\n"),
            "site.toml:13:18: roles[1].custom[1].authentication: tokens are not available yet; write \"certificate\"",
        ),
        (
            custom("methods = [\"GET\"]\nauthentication = \"anonymous\"\n"),
            "site.toml:13:18: roles[1].custom[1].authentication: an anonymous endpoint is open to anybody on the internet; write allow_anonymous = true beside it if that is meant, or authentication = \"certificate\"",
        ),
        (
            custom("methods = [\"GET\"]\nexternal_prefix = \"/ccm_proxy_MutualAuth/1/\"\n"),
            "site.toml:13:19: roles[1].custom[1].external_prefix: \"/ccm_proxy_MutualAuth/1/\" begins with /CCM_Proxy_, which belongs to the roles' own paths; write for example \"/bench/\"",
        ),
        (
            custom("methods = [\"GET\"]\nexternal_prefix = \"bench\"\ninternal_path = \"/a/../b/\"\n"),
            "site.toml:13:19: roles[1].custom[1].external_prefix: \"bench\" must begin and end with a slash; write for example \"/bench/\"\nsite.toml:14:17: roles[1].custom[1].internal_path: \"/a/../b/\" is not a path to put in front; write a path that begins and ends with a slash, without query or dot segments",
        ),
        (
            role("endpoints.A.enabled = true\ncustom = [{ name = \"a b\", methods = [\"GET\"] }]\n"),
            "site.toml:10:11: roles[1].endpoints.A: a custom role has no built-in endpoints; write the settings into [[roles.custom]]\nsite.toml:11:20: roles[1].custom[1].name: \"a b\" is not a name for an endpoint; write at most 64 letters, digits, _, - or .",
        ),
    ] {
        assert_eq!(text, expected);
    }
}

#[test]
fn ids_and_paths_are_claimed_once() {
    let custom_role = |id: u64, prefix: &str| {
        format!(
            "[[roles]]\nid = {id}\nkind = \"custom\"\ninternal_url = \"https://a\"\ncustom = [{{ name = \"A\", external_prefix = \"{prefix}\", methods = [\"GET\"] }}]\n"
        )
    };
    let both = |a: &str, b: &str| with(&format!("{}{}", custom_role(1, a), custom_role(2, b)));
    for (text, expected) in [
        (
            with(&format!("{}{}", custom_role(1, "/a/"), custom_role(1, "/b/"))),
            "site.toml:11:1: roles: role id 1 is used twice; first at site.toml:6:1; role ids are unique in the whole hierarchy",
        ),
        (
            both("/Bench/", "/bench/"),
            "site.toml:11:1: roles: the path /Bench/ is claimed by role 1 and role 2; the other is at site.toml:6:1; give each endpoint an external path of its own",
        ),
        (
            both("/a/b/", "/A/"),
            "site.toml:11:1: roles: the paths /a/b/ of role 1 and /A/ of role 2 overlap; the other is at site.toml:6:1; give each endpoint an external path of its own",
        ),
    ] {
        assert_eq!(text, expected);
    }
    assert!(read(&format!("{MINIMAL}{}{}", custom_role(1, "/ab/"), custom_role(2, "/a/"))).is_ok(), "whole segments");
}

#[test]
fn names_behind_a_role_are_claimed_once_in_any_case() {
    let second = |name: &str| {
        let first = "[[roles.custom]]\nname = \"A\"\nmethods = [\"GET\"]\n";
        let role = "[[roles]]\nid = 1\nkind = \"custom\"\ninternal_url = \"https://a.corp\"\n";
        format!("{MINIMAL}{role}{first}{}", first.replace("\"A\"", &format!("\"{name}\"")))
    };
    for name in ["A", "a"] {
        assert_eq!(
            problems(&second(name)),
            format!(
                "site.toml:6:1: roles: the path {name} of role 1 is claimed twice; the other is at site.toml:6:1; give each endpoint an external path of its own"
            )
        );
    }
    assert!(read(&second("b")).is_ok());
}

#[test]
fn every_file_of_the_trust_that_cannot_be_read_is_named() {
    let trust = "roots = [\"one.pem\", \"client-root.pem\", \"two.pem\"]\nintermediates = [\"three.pem\"]\n";
    assert_eq!(
        problems(&format!("version = 1\nsite.code = \"PS1\"\n[client_trust]\n{trust}")),
        "\
site.toml:4:10: client_trust.roots: FOLDER/one.pem: cannot be read: No such file or directory (os error 2)
site.toml:4:40: client_trust.roots: FOLDER/two.pem: cannot be read: No such file or directory (os error 2)
site.toml:5:18: client_trust.intermediates: FOLDER/three.pem: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn trust_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let root = pki::Authority::root(pki::params("Root"));
    let middle = root.issue(pki::params("Middle"));
    let issuing = middle.issue(pki::params("Issuing"));
    let mut leaf = pki::params("Leaf");
    leaf.is_ca = rcgen::IsCa::NoCa;
    let leaf = issuing.issue(leaf);
    let mut old = pki::params("Old Root");
    old.not_after = rcgen::date_time_ymd(2026, 12, 31);
    let old = pki::Authority::root(old);
    for (name, text) in [
        ("root", root.pem.as_str()),
        ("middle", &middle.pem),
        ("issuing", &issuing.pem),
        ("leaf", &leaf.pem),
        ("old", &old.pem),
        ("both", &format!("{}{}", middle.pem, issuing.pem)),
        ("garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
    ] {
        std::fs::write(folder.path().join(format!("{name}.pem")), text).unwrap();
    }
    let judged = |trust: &str| {
        let text = format!(
            "version = 1\nsite.code = \"PS1\"\n[client_trust]\n{trust}\n[[roles]]\nid = 1\nkind = \"management-point\"\ninternal_url = \"https://mp\"\n"
        );
        let result = read_in(folder.path(), &text).map(drop);
        result.map_err(|problems| problems.to_string().replace(&folder.path().display().to_string(), "FOLDER"))
    };
    for complete in [
        "roots = [\"root.pem\"]",
        "roots = [\"root.pem\"]\nintermediates = [\"issuing.pem\", \"middle.pem\"]",
        "roots = [\"root.pem\"]\nintermediates = [\"both.pem\"]",
    ] {
        assert_eq!(judged(complete), Ok(()), "{complete}");
    }
    for (trust, expected) in [
        (
            "roots = [\"root.pem\"]\nintermediates = [\"issuing.pem\"]",
            "site.toml:5:18: client_trust.intermediates: the chain of CN=Issuing is incomplete: the certificate of its issuer CN=Middle is missing; add it to roots or intermediates",
        ),
        (
            "roots = []\nintermediates = [\"both.pem\"]",
            "site.toml:5:18: client_trust.intermediates: the chain of CN=Middle is incomplete: the certificate of its issuer CN=Root is missing; add it to roots or intermediates",
        ),
        (
            "roots = [\"middle.pem\"]",
            "site.toml:4:10: client_trust.roots: the certificate of CN=Middle is not a root: CN=Root issued it; put it under intermediates and its root here",
        ),
        (
            "roots = [\"root.pem\"]\nintermediates = [\"root.pem\"]",
            "site.toml:5:18: client_trust.intermediates: the certificate of CN=Root is a root: it issued itself; put it under roots if clients may chain to it",
        ),
        (
            "roots = [\"root.pem\"]\nintermediates = [\"both.pem\", \"leaf.pem\"]",
            "site.toml:5:30: client_trust.intermediates: the certificate of CN=Leaf is not one of a certification authority; give the issuer's certificate, not the client's or the server's",
        ),
        (
            "roots = [\"root.pem\", \"old.pem\"]",
            "site.toml:4:22: client_trust.roots: the certificate of CN=Old Root expired on 2026-12-31 00:00:00 UTC; give a root that is valid now, or take it out",
        ),
        (
            "roots = []",
            "site.toml:3:1: client_trust: roots is empty, so no client could be let in; name the root certificates of the clients' certification authorities in client_trust.roots",
        ),
    ] {
        assert_eq!(judged(trust).unwrap_err(), expected);
    }
    for (trust, expected) in [
        ("roots = [\"garbage.pem\"]", "client_trust.roots: FOLDER/garbage.pem: certificate 1 cannot be used:"),
        ("roots = [\"key.pem\"]", "client_trust.roots: FOLDER/key.pem: holds no certificate"),
        ("roots = [\"-----BEGIN PRIVATE KEY-----\"]", "client_trust.roots: is PEM, but not a certificate"),
    ] {
        let problems = judged(trust).unwrap_err();
        assert!(problems.contains(expected), "{problems}");
    }
    let from_url = SiteConfiguration::parse(MINIMAL, None, "https://site/site.toml").unwrap_err().to_string();
    assert_eq!(
        from_url,
        "https://site/site.toml:5:10: client_trust.roots: names a file, but this configuration does not come from a folder; put the PEM text itself here"
    );
}

#[test]
fn certificate_problems_are_told_apart_for_the_exit_code() {
    let certificates = read(&MINIMAL.replace("client-root", "missing")).unwrap_err();
    assert!(certificates.certificates_only());
    let mixed = read(&format!("{}more = 1\n", MINIMAL.replace("client-root", "missing"))).unwrap_err();
    assert!(!mixed.certificates_only());
}
