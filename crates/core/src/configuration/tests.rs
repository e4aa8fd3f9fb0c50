//! Exact texts of problems, merging, and the record of settings.

use super::*;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, PartialEq)]
struct Example {
    name: String,
    connections: u64,
    deadline: Duration,
    cap: ByteSize,
    client: Vec<SocketAddr>,
    key: Option<PathBuf>,
    sites: Vec<(String, bool)>,
}

fn example(root: &mut Table<'_>) -> Option<Example> {
    let name = root.required("name");
    let (connections, cap) = root.table("limits", |table| {
        (table.default("connections", 18_000), table.default("request_body_cap", ByteSize(1 << 30)))
    });
    let deadline = root.table("drain", |table| table.default("deadline", Duration::from_secs(30)));
    let client = root.optional_table("listen", |table| table.required("client"));
    let key = root.optional("key");
    let sites = root.tables("sites", |table| {
        let (code, open) = (table.required("code"), table.default("open", false));
        Some((code?, open))
    });
    root.named_tables("endpoints", |_, table| table.optional::<bool>("enabled"));
    Some(Example { name: name?, connections, deadline, cap, client: client.unwrap_or_default(), key, sites })
}

fn read_with(text: &str, overrides: Overrides) -> Result<(Example, Reading), Problems> {
    Document::parse("gateway.toml", text, Some(Path::new("/etc/cmg")), overrides)?.read(example)
}

fn problems(text: &str) -> String {
    read_with(text, Overrides::none()).unwrap_err().to_string()
}

#[test]
fn a_whole_file_becomes_settings() {
    let text = r#"
        name = "gw-1"
        key = "keys/a.pem"
        limits.connections = 1_000
        [drain]
        deadline = "500ms"
        [listen]
        client = ["0.0.0.0:443", "[::]:443"]
        [[sites]]
        code = "PS1"
        [[sites]]
        code = "PS2"
        open = true
    "#;
    let (example, reading) = read_with(text, Overrides::none()).unwrap();
    assert_eq!(example.connections, 1000);
    assert_eq!(example.deadline, Duration::from_millis(500));
    assert_eq!(example.cap, ByteSize(1 << 30));
    assert_eq!(example.client.len(), 2);
    assert_eq!(example.key, Some(PathBuf::from("/etc/cmg/keys/a.pem")));
    assert_eq!(example.sites, [("PS1".to_owned(), false), ("PS2".to_owned(), true)]);
    let printed: Vec<String> = reading.settings().iter().map(Setting::to_string).collect();
    assert!(printed.contains(&"limits.connections = 1000  # gateway.toml:4:30".to_owned()), "{printed:?}");
    assert!(printed.contains(&"limits.request_body_cap = \"1GiB\"  # default".to_owned()), "{printed:?}");
    assert!(printed.contains(&"sites[2].open = true  # gateway.toml:13:16".to_owned()), "{printed:?}");
}

#[test]
fn every_problem_is_reported_with_its_place_and_remedy() {
    let text = "\
colour = \"red\"
connections = 5
[limits]
  conections = 5
request_body_cap = 1024
[drain]
deadline = 30
[listen]
client = [\"0.0.0.0:443\", \":443\", 5]
[[sites]]
open = \"yes\"
";
    assert_eq!(
        problems(text),
        "\
gateway.toml: name: is missing; write name = \"text\"
gateway.toml:1:1: colour: unknown key; known here: name, limits, drain, listen, key, sites, endpoints
gateway.toml:2:1: connections: unknown key; did you mean \"limits.connections\"?
gateway.toml:4:3: limits.conections: unknown key; did you mean \"connections\"?
gateway.toml:5:20: limits.request_body_cap: a byte size needs its unit; write \"1024B\" for bytes, or use kB, KiB, MB, MiB, GiB or TiB
gateway.toml:7:12: drain.deadline: a duration needs its unit; write \"30s\" for seconds, or use ms, m, h or d
gateway.toml:9:26: listen.client: \":443\" is not an address; write \"[::]:443\" for all addresses or \"127.0.0.1:443\" for loopback
gateway.toml:9:34: listen.client: expected address, found a number; write for example \"0.0.0.0:443\" or \"[::]:443\"
gateway.toml:10:1: sites[1].code: is missing; write code = \"text\"
gateway.toml:11:8: sites[1].open: expected boolean, found a string; write for example true"
    );
}

#[test]
fn wrong_shapes_say_what_was_expected() {
    for (text, expected) in [
        ("name = 5", "gateway.toml:1:8: name: expected string, found a number; write for example \"text\""),
        ("name = \"\"", "gateway.toml:1:8: name: is empty; write a text or leave the key out"),
        (
            "name = \"a\"\nlimits = 3",
            "gateway.toml:2:10: limits: expected a table, found a number; write [limits] with its keys below",
        ),
        (
            "name = \"a\"\nsites = \"PS1\"",
            "gateway.toml:2:9: sites: expected a list of tables, found a string; write [[sites]] above each",
        ),
        (
            "name = \"a\"\nlimits.connections = -1",
            "gateway.toml:2:22: limits.connections: must not be negative; write 0 or more",
        ),
        (
            "name = \"a\"\nlimits.connections = 99999999999999999999",
            "gateway.toml:2:22: limits.connections: is too large; write at most 18446744073709551615",
        ),
        (
            "name = \"a\"\nlimits.connections = 1.5",
            "gateway.toml:2:22: limits.connections: expected integer, found a decimal fraction; write for example 100",
        ),
        ("name = ", "gateway.toml:1:8: not valid TOML: string values must be quoted, expected literal string"),
    ] {
        assert_eq!(problems(text), expected, "{text}");
    }
}

#[test]
fn environment_and_flags_win_and_are_blamed_by_name() {
    let text = "name = \"file\"\nlimits.connections = 1\n[listen]\nclient = [\"0.0.0.0:1\"]\n";
    let variables = [
        ("CMG_GATEWAY__NAME", "environment"),
        ("CMG_GATEWAY__LIMITS__CONNECTIONS", "2"),
        ("CMG_GATEWAY__LISTEN__CLIENT", "0.0.0.0:2, [::]:3"),
        ("CMG_GATEWAY__SITES", "[{ code = \"PS1\", open = true }]"),
        ("CMG_OTHER__NAME", "not ours"),
    ];
    let overrides = Overrides::none().variables("CMG_GATEWAY__", variables).flag("--set", "limits.connections", "3");
    let (example, reading) = read_with(text, overrides).unwrap();
    assert_eq!((example.name.as_str(), example.connections), ("environment", 3));
    assert_eq!(example.client, ["0.0.0.0:2".parse().unwrap(), "[::]:3".parse().unwrap()]);
    assert_eq!(example.sites, [("PS1".to_owned(), true)]);
    let printed: Vec<String> = reading.settings().iter().map(Setting::to_string).collect();
    assert!(printed.contains(&"name = \"environment\"  # environment variable CMG_GATEWAY__NAME".to_owned()));
    assert!(printed.contains(&"limits.connections = 3  # flag --set".to_owned()));

    let wrong = [
        ("CMG_GATEWAY__LIMITS__CONECTIONS", "2"),
        ("CMG_GATEWAY__LIMITS__CONNECTIONS", "many"),
        ("CMG_GATEWAY__NAME__FIRST", "x"),
        ("CMG_GATEWAY__LIMITS__", "x"),
    ];
    let overrides = Overrides::none().variables("CMG_GATEWAY__", wrong);
    assert_eq!(
        read_with(text, overrides).unwrap_err().to_string(),
        "\
environment variable CMG_GATEWAY__LIMITS__: limits.: a part of the key is empty; name a single setting, or give a whole list as TOML
environment variable CMG_GATEWAY__LIMITS__CONECTIONS: limits.conections: unknown key; did you mean \"connections\"?
environment variable CMG_GATEWAY__LIMITS__CONNECTIONS: limits.connections: expected integer, found \"many\"; write for example 100
environment variable CMG_GATEWAY__NAME__FIRST: name.first: \"name\" is a string in the file and has no keys of its own; name a single setting, or give a whole list as TOML"
    );
}

#[test]
fn keys_are_known_even_if_the_file_does_not_have_them() {
    let (_, reading) = read_with("name = \"a\"", Overrides::none()).unwrap();
    let keys: Vec<(&str, &str)> =
        reading.known_keys().map(|known| (known.key.as_str(), known.default.as_str())).collect();
    assert_eq!(
        keys,
        [
            ("drain.deadline", "\"30s\""),
            ("endpoints.<name>.enabled", "none"),
            ("key", "none"),
            ("limits.connections", "18000"),
            ("limits.request_body_cap", "\"1GiB\""),
            ("listen.client", "required"),
            ("name", "required"),
            ("sites[].code", "required"),
            ("sites[].open", "false"),
        ]
    );
    let markdown = "## `gateway.toml`\n| `name` | string | `required` | Text |\n| `nmae` | string | none | x |\n";
    let documented = documentation::documented_keys(markdown, "`gateway.toml`");
    let found = documentation::disagreements(&documented, &reading);
    assert_eq!(found.len(), 9, "{found:?}");
    assert!(documentation::documented_keys(markdown, "other").is_empty());
}

#[test]
fn values_print_as_they_are_written() {
    for text in ["30s", "15m", "500ms", "1h", "366d", "0s", "90s"] {
        assert_eq!(Duration::from_text(text, None).unwrap().print(), format!("\"{text}\""));
    }
    for text in ["32MiB", "16kB", "1TiB", "0B", "1500B"] {
        assert_eq!(ByteSize::from_text(text, None).unwrap().print(), format!("\"{text}\""));
    }
    for text in ["", "s", "-1s", "1.5s", "1 fortnight", "367d", "99999999999999999999s"] {
        assert!(Duration::from_text(text, None).is_err(), "{text}");
    }
    for text in ["", "B", "1", "1KB2", "99999999TiB"] {
        assert!(ByteSize::from_text(text, None).is_err(), "{text}");
    }
    for text in ["gw.example.net:443", "10.0.0.1:1", "[::1]:443", "gw_1:10140"] {
        assert_eq!(HostPort::from_text(text, None).unwrap().to_string(), text);
    }
    for text in ["gw", "gw:0", "gw:65536", "::1:443", ":443", "a b:1", "[gw]:1", "https://gw:443"] {
        assert!(HostPort::from_text(text, None).is_err(), "{text}");
    }
}

#[test]
fn a_file_that_is_none_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    let load = |path: &Path| Document::load(path, Overrides::none()).map(drop).unwrap_err().to_string();
    assert!(load(&path).contains("gateway.toml: cannot be read: "), "{}", load(&path));
    std::fs::write(&path, b"name = \"\xff\"").unwrap();
    assert!(load(&path).ends_with("is not UTF-8: byte 8 is wrong; save it as UTF-8"), "{}", load(&path));
    std::fs::write(&path, vec![b'#'; crate::limits::SITE_CONFIGURATION + 1]).unwrap();
    assert!(load(&path).ends_with("is larger than 4 MiB; is it the right file?"), "{}", load(&path));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}|([a-z]{1,4}(\\.[a-z]{1,4})? ?= ?[\\[\\]{}\"0-9a-z,\n]{0,12}\n){0,5}") {
        let _ = read_with(&text, Overrides::none());
    }

    #[test]
    fn no_override_makes_the_reader_panic(name in "[A-Z_]{0,20}", value in "(?s).{0,40}") {
        let overrides = Overrides::none().variables("CMG_", [(format!("CMG_{name}"), value)]);
        let _ = read_with("name = \"a\"", overrides);
    }
}
