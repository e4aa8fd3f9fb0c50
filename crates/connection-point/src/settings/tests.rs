//! The example and the reference; every way for a connection point's file to be refused, with the exact words.

use super::*;
use cmg_core::configuration::HostPort;
use cmg_core::configuration::documentation::{disagreements, documented_keys};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use std::fs;

const EXAMPLE: &str = include_str!("../../../../deploy/examples/connection-point.toml");
const URI: &str = "cmg:PS1/cp-1/0123456789abcdef0123456789abcdef";

/// The day on which tests judge: 2027-01-15.
fn today() -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000))
}

/// A folder with what the example names, commented out or not.
fn folder(uri: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tunnel-ca", "tunnel", "internal-root", "site-root", "site-client", "role-client"] {
        use std::os::unix::fs::PermissionsExt;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        fs::write(folder.path().join(format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
        let path = folder.path().join(format!("{name}.key"));
        fs::write(&path, key.serialize_pem()).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

fn read_in(folder: &Path, text: &str) -> Result<ConnectionPointSettings, Problems> {
    let document = Document::parse("connection-point.toml", text, Some(folder), Overrides::none())?;
    ConnectionPointSettings::read(document, today(), &ProxyVariables::none())
}

fn read(text: &str) -> Result<ConnectionPointSettings, Problems> {
    read_in(folder(URI).path(), text)
}

fn changed(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    EXAMPLE.replacen(from, to, 1)
}

const URL: &str = "source = \"https://site.corp.example/site.toml\"\n";

#[test]
fn the_example_is_valid_and_every_key_is_documented() {
    let settings = read(EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((settings.site.as_str(), settings.name.as_str()), ("PS1", "cp-1"));
    assert_eq!(settings.tunnel.identity.to_string(), URI);
    assert!(settings.source.source.to_string().ends_with("site.toml"));
    assert_eq!(settings.source.poll, std::time::Duration::from_secs(60));
    assert_eq!(settings.roles_tls.roots.len(), 1);
    let documented = documented_keys(include_str!("../../../../docs/configuration.md"), "`connection-point.toml`");
    let found = disagreements(&documented, &settings.reading);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(documented.len() > 18, "the reference was found");
}

#[test]
fn a_url_has_a_root_of_its_own_and_may_have_a_certificate() {
    let more = "root = \"site-root.pem\"\ncertificate = \"site-client.pem\"\nkey = \"site-client.key\"\n";
    let text = changed("source = \"site.toml\"\n", &format!("{URL}{more}"));
    let settings = read(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let SiteSource::Url { url, roots, certificate } = settings.source.source else { panic!("a URL") };
    assert_eq!((url.as_str(), roots.len(), certificate.is_some()), ("https://site.corp.example/site.toml", 1, true));
    let roles =
        format!("{EXAMPLE}\n[[role_certificates]]\ncertificate = \"role-client.pem\"\nkey = \"role-client.key\"\n");
    assert_eq!(read(&roles).unwrap().roles_tls.certificates.len(), 1);
}

#[test]
fn an_empty_file_is_told_everything_that_it_lacks() {
    assert_eq!(
        read("").map(drop).unwrap_err().to_string(),
        "\
connection-point.toml: connection_point.site: is missing; write site = \"PS1\"
connection-point.toml: connection_point.name: is missing; write name = \"text\"
connection-point.toml: connection_point.state_directory: is missing; write state_directory = \"path/to/it\"
connection-point.toml: site.source: is missing; write source = \"site.toml\" or \"https://site.corp.example/site.toml\"
connection-point.toml: tunnel.ca: is missing; write ca = \"path/to/it\"
connection-point.toml: tunnel.certificate: is missing; write certificate = \"path/to/it\"
connection-point.toml: tunnel.key: is missing; write key = \"path/to/it\"
connection-point.toml: roles_tls.roots: is missing; write roots = [\"path/to/it\"]"
    );
}

#[test]
fn values_that_cannot_work_are_refused() {
    let source = "source = \"site.toml\"\n";
    for (to, expected) in [
        (
            "source = \"http://site/site.toml\"\n",
            "14:10: site.source: a site configuration comes over https only; write \"https://site/site.toml\", or the path of a file",
        ),
        (
            "source = \"https://u:p@site/\"\nroot = \"site-root.pem\"\n",
            "14:10: site.source: holds user or password; use a client certificate: site.certificate and site.key",
        ),
        (
            URL,
            "13:2: site.root: is missing, but the source is a URL; write root = \"site-root.pem\", the root that its server's certificate chains to",
        ),
        (
            "source = \"site.toml\"\nroot = \"site-root.pem\"\n",
            "15:8: site.root: has no effect, because the source is a file; leave it out",
        ),
        (
            "source = \"site.toml\"\npoll = \"0s\"\n",
            "15:8: site.poll: a source cannot be watched like this; write \"1s\" to \"1d\"",
        ),
    ] {
        let problems = read(&changed(source, to)).map(drop).unwrap_err().to_string();
        assert_eq!(problems, format!("connection-point.toml:{expected}"));
    }
    let health = format!("health.listen = \"0.0.0.0:1\"\n{EXAMPLE}");
    assert_eq!(
        read(&health).map(drop).unwrap_err().to_string(),
        "connection-point.toml:1:1: health: a connection point listens on loopback only; probe /healthz and /readyz on admin.listen"
    );
}

#[test]
fn the_tunnel_certificate_says_who_this_is() {
    let refused = |uri: &str| read_in(folder(uri).path(), EXAMPLE).map(drop).unwrap_err();
    assert_eq!(
        refused("cmg:PS2/cp-9/0123456789abcdef0123456789abcdef").to_string(),
        "connection-point.toml:24:15: tunnel.certificate: the certificate is for connection point cp-9 of site PS2, the file says cp-1 of site PS1; correct connection_point.site and connection_point.name, or use the right certificate"
    );
    let missing = refused("https://other.example/");
    assert!(missing.to_string().contains("has no SAN URI cmg:"), "{missing}");
    assert!(missing.certificates_only(), "exit code 4");
}

fn read_beside(variables: &[(&str, &str)], egress: &str) -> Result<ConnectionPointSettings, Problems> {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder(URI);
    for (name, mode, content) in [("good", 0o600, "se:cret\n"), ("open", 0o640, "secret\n"), ("empty", 0o600, "\n")] {
        fs::write(folder.path().join(name), content).unwrap();
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let text = format!("{EXAMPLE}\n[egress]\n{egress}");
    let document = Document::parse("connection-point.toml", &text, Some(folder.path()), Overrides::none())?;
    let variable = |name: &str| variables.iter().find(|known| known.0 == name).map(|known| known.1.to_owned());
    ConnectionPointSettings::read(document, today(), &ProxyVariables::of(variable))
}

/// What is shown of it by `check --print`, status and debug output, all together.
fn shown(settings: &ConnectionPointSettings) -> String {
    let lines: Vec<_> = settings.reading.settings().iter().map(ToString::to_string).collect();
    format!("{:?} {}", settings.egress, lines.join("\n"))
}

#[test]
fn a_proxy_comes_from_the_file_or_from_the_environment() {
    let gateway: HostPort = HostPort { host: "gateway.example.net".into(), port: 443 };
    let login = "proxy = \"http://p.corp:3128\"\nusername = \"cmg\"\npassword_file = \"good\"\n";
    let variable = ("HTTPS_PROXY", "http://other:hid%64en@env.corp:8080/");
    for (variables, egress, proxy, named_by, has_login) in [
        (&[][..], "", None, "", false),
        (&[], login, Some("http://p.corp:3128"), "egress.proxy", true),
        (&[variable], login, Some("http://p.corp:3128"), "egress.proxy", true),
        (&[variable, ("NO_PROXY", "*")], login, Some("http://p.corp:3128"), "egress.proxy", true),
        (&[variable], "", Some("http://env.corp:8080"), "HTTPS_PROXY", true),
        (&[("https_proxy", "env.corp:8080")], "", Some("http://env.corp:8080"), "https_proxy", false),
        (&[variable], "proxy = \"none\"\n", None, "", false),
        (&[("HTTPS_PROXY", "http://u:hid/@:den@env.corp:8080")], "", Some("http://env.corp:8080"), "HTTPS_PROXY", true),
        (&[variable, ("no_proxy", "example.net")], "", None, "", false),
        (&[variable, ("NO_PROXY", "example.org")], "", Some("http://env.corp:8080"), "HTTPS_PROXY", true),
        (&[("HTTPS_PROXY", "")], "", None, "", false),
        (&[("HTTP_PROXY", "env.corp:8080"), ("ALL_PROXY", "env.corp:8080")], "", None, "", false),
    ] {
        let settings = read_beside(variables, egress).unwrap_or_else(|problems| panic!("{problems}"));
        let way = settings.egress.way_to(&gateway);
        assert_eq!(way.map(ToString::to_string).as_deref(), proxy, "{variables:?} {egress}");
        assert_eq!(
            way.map(|way| (way.named_by.as_str(), way.login.is_some())).unwrap_or_default(),
            (named_by, has_login)
        );
        let shown = shown(&settings);
        assert!(!shown.contains("se:cret") && !shown.contains("hid"), "{shown}");
    }
    let shown = shown(&read_beside(&[variable], "").unwrap());
    assert!(
        shown.contains("egress.proxy = \"http://***@env.corp:8080\"  # environment variable HTTPS_PROXY"),
        "{shown}"
    );
}

#[test]
fn a_proxy_that_cannot_work_is_refused_without_its_password() {
    let proxy = "proxy = \"http://p.corp:3128\"\n";
    let from_file = |text: &str| (Vec::new(), text.to_owned());
    let from_variable = |text: &'static str| (vec![("HTTPS_PROXY", text)], String::new());
    let login = |more: &str| from_file(&format!("{proxy}username = \"cmg\"\n{more}"));
    for ((variables, egress), words) in [
        (
            from_file("proxy = \"http://u:hidden@p.corp:3128\"\n"),
            "egress.proxy: holds user or password; write them as egress",
        ),
        (
            from_file("proxy = \"https://p.corp:3128\"\n"),
            "egress.proxy: only proxies that are spoken to in HTTP without",
        ),
        (from_file("proxy = \"p.corp:3128\"\n"), "egress.proxy: is not the URL of a proxy; write for example"),
        (from_file("proxy = \"http://p.corp\"\n"), "egress.proxy: does not name host and port of a proxy"),
        (from_file("proxy = \"http://p.corp:3128/way\"\n"), "egress.proxy: does not name host and port of a proxy"),
        (from_file("proxy = \"none\"\nusername = \"u\"\npassword_file = \"good\"\n"), "egress.username: has no effect"),
        (from_file("username = \"u\"\npassword_file = \"good\"\n"), "egress.password_file: has no effect"),
        (login(""), "egress.username: stands without password_file; write both"),
        (login("password_file = \"open\"\n"), "open: the password can be read by others (mode 0640); run: chmod 600"),
        (login("password_file = \"empty\"\n"), "empty: does not hold a password; write the password into it"),
        (login("password_file = \"absent\"\n"), "absent: cannot be read: No such file"),
        (
            from_file(&format!("{proxy}username = \"a:b\"\npassword_file = \"good\"\n")),
            "egress.username: holds a colon",
        ),
        (from_variable("socks5://p.corp:1080"), "environment variable HTTPS_PROXY: egress.proxy: only proxies that"),
        (from_variable("u:hid%zzden@p.corp:1080"), "holds a login that cannot be read; percent-encode"),
        (from_variable("http://p.corp"), "HTTPS_PROXY: egress.proxy: does not name host and port"),
    ] {
        let problems = read_beside(&variables, &egress).map(drop).unwrap_err().to_string();
        assert!(problems.contains(words) && !problems.contains("hid"), "{egress}: {problems}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}|(\\[?\\[?[a-z_]{1,8}\\]?\\]?( ?= ?[\\[\\]{}\"0-9a-z,:]{0,12})?\n){0,6}") {
        let document = Document::parse("connection-point.toml", &text, None, Overrides::none());
        let _ = document.and_then(|document| ConnectionPointSettings::read(document, today(), &ProxyVariables::none()).map(drop));
    }
}
