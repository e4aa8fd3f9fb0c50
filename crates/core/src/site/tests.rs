//! Site configurations as their authors write them: whole ones, and every way to be refused, with the exact
//! words.

mod bytes;
mod example;
mod permissions;
mod pki;
mod refused;
mod whole;

use super::*;
use crate::configuration::{Problems, Reading};
use pki::today;
use std::path::Path;

/// A configuration that uses everything.
const WHOLE: &str = r#"
version = 7

[site]
code = "PS1"
kind = "primary"

[client_trust]
roots = ["client-root.pem"]
intermediates = ["client-issuing.pem"]

[[gateways]]
name = "cloud"
service_names = ["GW.example.net", "gw2.example.net"]
instances = [
    { name = "gw-1", addresses = ["gw-1.example.net:10140", "gw-1.example.net:443"] },
    { name = "gw-2", addresses = ["[2001:db8::2]:443"] },
]

[[roles]]
id = 72057594037927941
kind = "management-point"
internal_url = "https://mp1.corp.example"
[roles.endpoints.bgb]
answer_timeout = "20m"
[roles.endpoints.CCM_Client]
enabled = false

[[roles]]
id = "72057594037927952"
kind = "software-update-point"
internal_url = "https://wsus.corp.example:8531"
host = "wsus.corp.example"
clients = "internet"

[[roles]]
id = 3
kind = "distribution-point"
internal_url = "https://dp1.corp.example"

[[roles]]
id = 4
kind = "management-point"
internal_url = "https://mp2.corp.example"
clients = "intranet"

[[roles]]
id = 5
kind = "fallback-status-point"
internal_url = "https://fsp.corp.example:443/"
enabled = true

[[roles]]
id = 9
kind = "custom"
internal_url = "https://bench.corp.example:8443"
max_head = "32KiB"
client_certificate = "chain"
[[roles.custom]]
name = "Bench"
external_prefix = "/bench/"
internal_path = "/"
methods = ["GET", "HEAD", "POST"]
max_request_body = "1TiB"
bulk = true
[[roles.custom]]
name = "Slow"
external_prefix = "/bench/slow/"
internal_path = "/internal-slow/"
methods = ["GET"]
waits = true
encoded = "relaxed"
[[roles.custom]]
name = "Kept"
external_prefix = "/kept/as/it-is/"
methods = ["GET"]
authentication = "anonymous"
allow_anonymous = true
[[roles.custom]]
name = "Plain"
methods = ["POST"]
"#;

/// Reads a text in a folder that holds client-root.pem and client-issuing.pem.
fn read(text: &str) -> Result<(SiteConfiguration, Reading), Problems> {
    read_in(pki::folder().path(), text)
}

fn read_in(folder: &Path, text: &str) -> Result<(SiteConfiguration, Reading), Problems> {
    SiteConfiguration::read(text, Some(folder), "site.toml", today())
}

fn whole() -> SiteConfiguration {
    read(WHOLE).unwrap_or_else(|problems| panic!("{problems}")).0
}

#[test]
fn fuzzing_by_hand_finds_nothing() {
    fuzz_site_configuration(WHOLE.as_bytes());
    fuzz_site_configuration(&[0xff, 0xfe]);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        fuzz_site_configuration(&bytes);
    }

    #[test]
    fn no_change_to_a_whole_file_makes_the_reader_panic(at in 0_usize..WHOLE.len(), with in "[\\[\\]{}\"=.a-z0-9\n]{0,6}") {
        let (at, end) = (WHOLE.floor_char_boundary(at), WHOLE.floor_char_boundary(at + with.len()));
        let changed = format!("{}{with}{}", &WHOLE[..at], &WHOLE[end.min(WHOLE.len())..]);
        fuzz_site_configuration(changed.as_bytes());
    }
}
