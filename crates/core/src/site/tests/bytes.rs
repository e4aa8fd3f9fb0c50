//! The bytes that leave for a gateway: deterministic, without anything of the inside, and judged again when
//! they are read.

use super::*;
use crate::limits;
use crate::tunnel::generated as wire;
use crate::tunnel::publication::{decode, digest, encode, fuzz_publication};
use prost::Message;

/// Everything in `WHOLE` that is of the inside.
const INSIDE: [&str; 8] = ["corp.example", "mp1", "mp2", "wsus", "fsp.", "8443", "8531", "internal-slow"];

#[test]
fn nothing_of_the_inside_is_in_the_bytes() {
    let site = whole();
    let text = String::from_utf8_lossy(&encode(&site.publication)).to_ascii_lowercase();
    for inside in INSIDE {
        assert!(WHOLE.contains(inside), "{inside}: or this test shows nothing");
        assert!(!text.contains(inside), "{inside} is in the publication");
    }
    assert!(text.contains("sms_mp") && text.contains("/bench/slow/"));
}

#[test]
fn reading_undoes_writing_and_equal_content_has_equal_bytes() {
    let folder = pki::folder();
    let (site, _) = read_in(folder.path(), WHOLE).unwrap();
    let bytes = encode(&site.publication);
    assert_eq!(decode(&bytes).unwrap(), site.publication);
    let (again, _) = read_in(folder.path(), &WHOLE.replace("version = 7", "version = 8 # later")).unwrap();
    assert_eq!(digest(&encode(&again.publication)), digest(&bytes), "the version is not part of it");
    let (mut lines, mut turned) = (WHOLE.split("\n[[roles]]\n"), String::new());
    turned.push_str(lines.next().unwrap());
    lines.collect::<Vec<_>>().iter().rev().for_each(|role| turned.push_str(&format!("\n[[roles]]\n{role}")));
    let (turned, _) = read_in(folder.path(), &turned).unwrap();
    assert_eq!(encode(&turned.publication), bytes, "the order of roles is not part of it");
    fuzz_publication(&bytes);
}

/// A publication that is right, as a message to spoil.
fn message() -> wire::Publication {
    wire::Publication::decode(encode(&whole().publication)).unwrap()
}

fn spoilt(spoil: impl FnOnce(&mut wire::Publication)) -> Vec<String> {
    let mut message = message();
    spoil(&mut message);
    decode(&message.encode_to_vec()).unwrap_err()
}

#[test]
fn a_gateway_believes_nothing() {
    assert_eq!(spoilt(|message| message.site = "../x".to_owned()), ["\"../x\" is not a site code"]);
    assert_eq!(
        spoilt(|message| message.roles[0].kind = "teapot".to_owned()),
        ["role 5 is a \"teapot\", which this gateway does not know: update the gateway"]
    );
    assert_eq!(spoilt(|message| message.roles[1].id = 5), ["role id 5 is used twice"]);
    let all = spoilt(|message| {
        let endpoint = &mut message.roles[1].endpoints[0];
        endpoint.authentication = 0;
        endpoint.external_path = "/bench".to_owned();
        endpoint.methods = vec!["CONNECT".to_owned()];
        endpoint.answer_timeout_ms = 0;
        endpoint.idle_timeout_ms = u32::MAX;
        endpoint.name = "a b".to_owned();
        message.roles[1].max_head = u32::MAX;
    });
    assert_eq!(
        all,
        [
            "role 9 takes heads of 4294967295 bytes, more than a gateway sends",
            "endpoint \"a b\" of role 9: does not say what a client has to show",
            "endpoint \"a b\" of role 9: the path \"/bench\" must end with a slash",
            "endpoint \"a b\" of role 9: CONNECT is never let through",
            "endpoint \"a b\" of role 9: is not a name for an endpoint",
            "endpoint \"a b\" of role 9: answer_timeout of 0 ms",
            "endpoint \"a b\" of role 9: idle_timeout of 4294967295 ms",
        ]
    );
    let overlap =
        |role: usize| spoilt(|message| message.roles[role].endpoints[0].external_path = "/BENCH/slow/more/".to_owned());
    assert_eq!(
        overlap(0),
        [
            "the paths /BENCH/slow/more/ of role 5 and /bench/ of role 9 overlap",
            "the paths /BENCH/slow/more/ of role 5 and /bench/slow/ of role 9 overlap"
        ]
    );
}

/// As much as one message holds of prefixes that lie inside each other, each of a role of its own: half a million
/// clashes, of which only the first are put into words.
#[test]
fn clashes_without_number_are_counted_and_not_named() {
    const DEEP: usize = 249;
    const LEAVES: usize = 1500;
    let faults = spoilt(|message| {
        let role = message.roles[1].clone();
        let deepest = "/a".repeat(DEEP);
        let paths = (1..=DEEP).map(|depth| format!("{}/", &deepest[..2 * depth]));
        let paths = paths.chain((0..LEAVES).map(|leaf| format!("{deepest}/{leaf}/")));
        message.roles = paths
            .zip(1..)
            .map(|(external_path, id)| {
                let mut role = wire::PublishedRole { id, ..role.clone() };
                role.endpoints.truncate(1);
                role.endpoints[0].external_path = external_path;
                role
            })
            .collect();
    });
    assert_eq!(faults.len(), limits::VERDICT_PROBLEMS + 1);
    let clashes = DEEP * (DEEP - 1) / 2 + DEEP * LEAVES;
    assert_eq!(faults.last().unwrap(), &format!("and {} more problems", clashes - limits::VERDICT_PROBLEMS));
}

/// The shortest way to say something wrong is an empty entry: two bytes.
#[test]
fn faults_without_number_are_counted_and_not_named() {
    let faults = spoilt(|message| {
        message.roles[0].endpoints = vec![wire::PublishedEndpoint::default(); limits::PUBLICATION / 2 - 4096];
    });
    assert_eq!(faults.len(), limits::VERDICT_PROBLEMS + 1);
    assert!(faults.last().unwrap().starts_with("and "), "{:?}", faults.last());
}

#[test]
fn trust_is_judged_again() {
    assert_eq!(
        spoilt(|message| message.client_trust = None),
        ["endpoints ask for client certificates, but no root certificate is given"]
    );
    assert_eq!(
        spoilt(|message| message.client_trust.as_mut().unwrap().roots[0] = (&b"junk"[..]).into()).len(),
        2,
        "the root, and the intermediate that it issued"
    );
    let unreadable = decode(b"\xff\xff").unwrap_err();
    assert!(unreadable[0].starts_with("the publication cannot be read: "), "{unreadable:?}");
    let large = decode(&vec![0; limits::PUBLICATION + 1]).unwrap_err();
    assert_eq!(large, ["the publication has 1047553 bytes, more than 1047552"]);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        fuzz_publication(&bytes);
    }
}
