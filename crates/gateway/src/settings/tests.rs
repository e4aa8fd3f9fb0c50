//! The example and the reference; every way for a gateway's file to be refused, with the exact words.

use super::*;
use cmg_core::configuration::documentation::{disagreements, documented_keys};
use cmg_core::tls::identity::TunnelIdentity;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::fs;

const EXAMPLE: &str = include_str!("../../../../deploy/examples/gateway.toml");

/// The day on which tests judge: 2027-01-15.
fn today() -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000))
}

/// A folder with what the example names: service.pem, tunnel.pem, tunnel-ca.pem and keys.
struct Folder {
    folder: tempfile::TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Folder {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = Self { folder: tempfile::tempdir().unwrap(), authority: Issuer::new(params, key) };
        folder.write("tunnel-ca.pem", &pem);
        folder.issue("service", "service", &["gateway.example.net"], |_| {});
        folder.issue("tunnel", "tunnel", &["gateway.example.net"], |_| {});
        folder
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn issue(&self, file: &str, subject: &str, names: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, subject);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        self.write(&format!("{file}.pem"), &params.signed_by(&key, &self.authority).unwrap().pem());
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }

    fn read(&self, text: &str) -> Result<GatewaySettings, Problems> {
        self.read_with(text, Overrides::none())
    }

    fn read_with(&self, text: &str, overrides: Overrides) -> Result<GatewaySettings, Problems> {
        let document = Document::parse("gateway.toml", text, Some(self.folder.path()), overrides)?;
        GatewaySettings::read(document, today())
    }

    fn problems(&self, text: &str) -> String {
        let problems = self.read(text).map(drop).unwrap_err().to_string();
        problems.replace(&self.folder.path().display().to_string(), "FOLDER")
    }
}

#[test]
fn the_example_is_valid_and_every_key_is_documented() {
    let settings = Folder::new().read(EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.listen.client.len(), 2);
    assert_eq!((settings.services.len(), settings.sites.len()), (1, 1));
    assert_eq!(settings.limits.request_body_cap, 1 << 30);
    assert_eq!(settings.admin.socket, Path::new("/var/lib/cmg-gateway/admin.sock"));
    assert_eq!((settings.tls_minimum, settings.unauthenticated), (TlsFloor::Tls12, Unauthenticated::Explain));
    let identity = "cmg:PS1/cp-1/0123456789abcdef0123456789abcdef".parse::<TunnelIdentity>().unwrap();
    assert!(settings.sites[0].allows(&identity));
    let documented = documented_keys(include_str!("../../../../docs/configuration.md"), "`gateway.toml`");
    let found = disagreements(&documented, &settings.reading);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(documented.len() > 25, "the reference was found");
}

#[test]
fn what_is_commented_out_in_the_example_is_the_default() {
    let folder = Folder::new();
    let plain = folder.read(EXAMPLE).unwrap();
    let mut uncommented = 0;
    let lines = EXAMPLE.lines().map(|line| {
        let setting = line.strip_prefix("# ").filter(|rest| rest.starts_with('[') || rest.contains(" = "));
        let example_only = ["health", "8480", "tunnel = ", "workers", "CMG_"];
        match setting.filter(|rest| !example_only.iter().any(|word| rest.contains(word))) {
            Some(setting) => {
                uncommented += 1;
                setting
            }
            None => line,
        }
    });
    let full = folder.read(&lines.collect::<Vec<_>>().join("\n")).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(uncommented > 12, "{uncommented}");
    let values = |settings: &GatewaySettings| -> std::collections::BTreeMap<String, String> {
        settings.reading.settings().iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect()
    };
    let (plain, mut full) = (values(&plain), values(&full));
    full.remove("admin.socket");
    assert_eq!(plain, full);
}

#[test]
fn the_environment_and_flags_come_before_the_file() {
    let variables = [("CMG_GATEWAY__LISTEN__CLIENT", "127.0.0.1:0"), ("CMG_GATEWAY__DRAIN__DELAY", "0s")];
    let overrides = Overrides::none().variables(ENVIRONMENT, variables).flag("--set", "drain.delay", "1s");
    let settings = Folder::new().read_with(EXAMPLE, overrides).unwrap();
    assert_eq!(settings.listen.client, ["127.0.0.1:0".parse().unwrap()]);
    assert_eq!(settings.drain.delay, std::time::Duration::from_secs(1));
}

#[test]
fn an_empty_file_is_told_everything_that_it_lacks() {
    assert_eq!(
        Folder::new().problems(""),
        "\
gateway.toml: instance.name: is missing; write name = \"text\"
gateway.toml: instance.state_directory: is missing; write state_directory = \"path/to/it\"
gateway.toml: listen.client: is missing; write client = [\"0.0.0.0:443\", \"[::]:443\"]
gateway.toml: services: no service name is given, so no client could be answered; write [[services]] with name, certificate and key
gateway.toml: tunnel.ca: is missing; write ca = \"path/to/it\"
gateway.toml: tunnel.certificate: is missing; write certificate = \"path/to/it\"
gateway.toml: tunnel.key: is missing; write key = \"path/to/it\""
    );
}

#[test]
fn values_that_cannot_work_are_refused() {
    let folder = Folder::new();
    for (from, to, expected) in [
        (
            "# [admin]\n# listen = \"127.0.0.1:8440\"",
            "admin.listen = \"0.0.0.0:8440\"",
            "admin.listen: 0.0.0.0:8440 is not a loopback address; write 127.0.0.1 or [::1]; for probes from elsewhere use health.listen",
        ),
        (
            "# workers = 4 ",
            "workers = 0 #",
            "instance.workers: 0 workers cannot be run; write 1 to 64, or leave it out for one per core",
        ),
        (
            "client = [\"0.0.0.0:443\", \"[::]:443\"]",
            "client = []",
            "listen.client: is empty; write for example client = [\"0.0.0.0:443\", \"[::]:443\"]",
        ),
        (
            "# tunnel = [\"0.0.0.0:10140\", \"0.0.0.0:10124\"]",
            "tunnel = [\"[::]:443\"]",
            "listen.tunnel: [::]:443 is the client listener's address; leave it out of tunnel: the client listener takes tunnels too",
        ),
        (
            "# unauthenticated = \"explain\"",
            "unauthenticated = \"abord\"",
            "unauthenticated: \"abord\" is not known; did you mean \"abort\"?",
        ),
        (
            "# bulk_connections = 1",
            "bulk_connections = 99",
            "tunnel.bulk_connections: more than a link can use; write 0 to 16",
        ),
        (
            "# [limits]\n# connections = 18000",
            "limits.connections = 0",
            "limits.connections: 0 would let nobody in; write 1 or more; the default is 18000",
        ),
        (
            "# [log]\n# format = \"auto\"\n# level = \"info\"",
            "log.level = \"loud\"",
            "log.level: \"loud\" is not a log level; write off, error, warn, info, debug or trace, or levels per target such as info,h2=debug",
        ),
        (
            "prefixes = [\"/reports/\"]",
            "hosts = [\"mp1.example.net\"]",
            "sites[1].hosts: publishing by host name is not available yet; leave it out; roles are reached under /CCM_Proxy_MutualAuth/<role id>/",
        ),
        (
            "id = \"0123456789abcdef0123456789abcdef\"",
            "id = \"0123\"",
            "sites[1].connection_points[1].id: \"0123\" is not a connection id; copy the 32 lower-case hex digits from the end of the SAN URI in the connection point's certificate",
        ),
        (
            "roles = [\"72057594037927936-72057594037928191\", 3456]",
            "roles = [\"9-8\"]",
            "sites[1].roles: \"9-8\" begins above its end; write the lower role id first",
        ),
        (
            "prefixes = [\"/reports/\"]",
            "[[sites]]\ncode = \"PS1\"",
            "sites[2].code: site PS1 is listed twice; write all that it may publish into one [[sites]]",
        ),
    ] {
        assert!(EXAMPLE.contains(from), "{from}");
        // Dotted keys of other tables have to stand at the top.
        let changed = match to.split_once('=').map_or("", |(key, _)| key) {
            key if key.contains('.') || key.starts_with("unauth") => format!("{to}\n{}", EXAMPLE.replace(from, "")),
            _ => EXAMPLE.replace(from, to),
        };
        let problems = folder.problems(&changed);
        assert_eq!(problems.split_once(": ").map(|(_, words)| words), Some(expected), "{problems}");
    }
}

#[test]
fn certificates_that_no_client_would_accept_are_refused() {
    let service = |change: &dyn Fn(&Folder)| {
        let folder = Folder::new();
        change(&folder);
        folder.problems(EXAMPLE)
    };
    let names = |names: &'static [&'static str]| move |folder: &Folder| folder.issue("service", "s", names, |_| {});
    for (change, expected) in [
        (
            Box::new(names(&["other.example.net"])) as Box<dyn Fn(&Folder)>,
            "gateway.toml:23:15: services[1].certificate: the certificate `CN=s` is not for `gateway.example.net`; it is for other.example.net",
        ),
        (
            Box::new(names(&["*.example.net"])),
            "gateway.toml:23:15: services[1].certificate: the certificate `CN=s` covers `gateway.example.net` only by the wildcard `*.example.net`; set allow_wildcard = true to accept that",
        ),
        (
            Box::new(names(&[])),
            "gateway.toml:23:15: services[1].certificate: the certificate `CN=s` has no subject alternative name, so no client accepts it; have it issued with the DNS name `gateway.example.net`",
        ),
        (
            Box::new(|folder: &Folder| {
                folder.issue("service", "s", &["gateway.example.net"], |params| {
                    params.not_after = rcgen::date_time_ymd(2026, 12, 31);
                });
            }),
            "gateway.toml:23:15: services[1].certificate: the certificate of CN=s expired on 2026-12-31 00:00:00 UTC; renew it, or correct the clock",
        ),
        (
            Box::new(|folder: &Folder| {
                fs::copy(folder.folder.path().join("tunnel.key"), folder.folder.path().join("service.key")).unwrap();
            }),
            "gateway.toml:24:7: services[1].key: FOLDER/service.key: the private key does not belong to the certificate `CN=service` in FOLDER/service.pem",
        ),
        (
            Box::new(|folder: &Folder| folder.write("tunnel-ca.pem", "nothing")),
            "gateway.toml:29:6: tunnel.ca: FOLDER/tunnel-ca.pem: holds no certificate; a block that begins with -----BEGIN CERTIFICATE----- is expected",
        ),
    ] {
        assert_eq!(service(&*change), expected);
    }
    let folder = Folder::new();
    folder.issue("service", "s", &["*.example.net"], |_| {});
    let allowed = EXAMPLE.replace("# allow_wildcard = false", "allow_wildcard = true");
    assert!(folder.read(&allowed).is_ok());
    fs::remove_file(folder.folder.path().join("service.key")).unwrap();
    assert!(folder.read(EXAMPLE).unwrap_err().certificates_only(), "exit code 4");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}|(\\[?\\[?[a-z_]{1,8}\\]?\\]?( ?= ?[\\[\\]{}\"0-9a-z,:]{0,12})?\n){0,6}") {
        let document = Document::parse("gateway.toml", &text, None, Overrides::none());
        let _ = document.and_then(|document| GatewaySettings::read(document, today()).map(drop));
    }
}
