//! What is removed and what passes, name by name.

use proptest::prelude::*;

use super::fuzzing::fuzz_headers;
use super::*;

fn fields(list: &[(&str, &str)]) -> Fields {
    let text: Vec<_> = list.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    fuzz_headers(text.join("\n").as_bytes());
    list.iter().map(|(name, value)| Field::new(name.to_string(), value.to_string())).collect()
}

fn names(fields: &Fields) -> Vec<String> {
    fields.iter().map(|field| String::from_utf8_lossy(&field.name).into_owned()).collect()
}

/// What is removed from requests whoever sends it.
const FORGEABLE: [&str; 38] = [
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Anything",
    "X-Real-IP",
    "X-Client-Cert",
    "X-Client-Cert-Chain",
    "X-Client-Certificate",
    "X-ARR-ClientCert",
    "X-ARR-SSL",
    "X-ARR-LOG-ID",
    "X-SSL-Client-Cert",
    "X-SSL-Client-Verify",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "Proxy",
    "Proxy-Authorization",
    "Proxy-Connection",
    "ProxyUser",
    "Client-Cert",
    "Client-Cert-Chain",
    "Client-Certificate",
    "X-CMG-Client",
    "X-CMG-Request-Id",
    "X-CMG-Error",
    "Connection",
    "Keep-Alive",
    "Transfer-Encoding",
    "Upgrade",
    "TE",
    "Content-Length",
    "Expect",
    "Host",
    "X-CMG-",
    "X-ARR-",
];

#[test]
fn forged_fields_never_survive() {
    for name in FORGEABLE {
        for spelled in [
            name.to_string(),
            name.to_lowercase(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replacen('-', "_", 1).to_lowercase(),
        ] {
            let mut fields = fields(&[("A", "1"), (&spelled, "x"), ("B", "2"), (&spelled, "y")]);
            clean_request(&mut fields);
            assert_eq!(names(&fields), ["A", "B"], "{spelled}");
        }
    }
}

#[test]
fn all_others_pass_as_they_are() {
    let list = [
        ("Range", "bytes=0-1"),
        ("CCMClientID", "GUID:1"),
        ("CCMClientIDSignature", "x"),
        ("CCMClientTimestamp", "y"),
        ("CCMClientTimestampsSignature", "z"),
        ("CCMClientTimestampSignature", "z"),
        ("ClientToken", "GUID:x;2026;2"),
        ("ClientTokenSignature", "AB"),
        ("BITS-Packet-Type", "Ping"),
        ("bits-session-id", "{9a}"),
        ("SOAPAction", "\"u\""),
        ("Authorization", "Bearer x"),
        ("Cookie", "a=b"),
        ("cookie", "c=d"),
        ("Content-Type", "text/xml"),
        ("Content-Range", "x"),
        ("Depth", "1"),
        ("If-None-Match", "\"e\""),
        ("Trailer", "X-Sum"),
        ("User-Agent", "SMS CCM 5.0"),
        ("X-Custom_Name", "v"),
        ("X-Forwarded", "no prefix"),
        ("X-Forwardedfor", "x"),
        ("Forwarded-For", "x"),
        ("X-Real-IP-2", "x"),
        ("X-ARR", "x"),
        ("X-SSL", "x"),
        ("X-CMG", "x"),
        ("X-CMGClient", "x"),
        ("X-Original-URLs", "x"),
        ("X-Client", "x"),
        ("Client", "x"),
        ("Connections", "x"),
        ("Hosts", "x"),
        ("Expectation", "x"),
        ("Upgrade-Insecure-Requests", "1"),
        ("Tea", "x"),
        ("X", "x"),
        ("X-", "x"),
        ("Via", "x"),
        ("Max-Forwards", "1"),
        ("Accept-Encoding", "gzip"),
    ];
    let before = fields(&list);
    let mut after = before.clone();
    clean_request(&mut after);
    assert_eq!(after, before);
}

#[test]
fn fields_named_in_connection_are_removed() {
    let mut request = fields(&[
        ("Connection", "close, X-Private , ,Content-Length"),
        ("x-private", "1"),
        ("X_Private", "2"),
        ("connection", "Other"),
        ("OTHER", "3"),
        ("Kept", "4"),
        ("Content-Type", "5"),
        ("CloseX", "6"),
    ]);
    clean_request(&mut request);
    assert_eq!(names(&request), ["Kept", "Content-Type", "CloseX"]);
    let mut answer = fields(&[("Connection", "X-Private, close"), ("X-Private", "1"), ("Kept", "2")]);
    clean_answer(&mut answer);
    assert_eq!(names(&answer), ["Kept"]);
}

#[test]
fn only_trailers_survives_of_te() {
    for (value, kept) in [
        ("trailers", true),
        ("TRAILERS", true),
        ("gzip, trailers", true),
        ("trailers;q=0.5, deflate", true),
        ("gzip", false),
        ("", false),
        ("trailersx", false),
        ("x-trailers", false),
        ("chunked", false),
    ] {
        let mut request = fields(&[("te", value), ("Connection", "TE"), ("A", "1")]);
        assert_eq!(wants_trailers(&request), kept, "{value}");
        clean_request(&mut request);
        assert_eq!(names(&request), if kept { vec!["A", "TE"] } else { vec!["A"] }, "{value}");
        assert_eq!(request.first("te").is_some_and(|te| te == "trailers"), kept);
        assert_eq!(wants_trailers(&request), kept);
    }
    let mut twice = fields(&[("TE", "trailers"), ("TE", "trailers")]);
    clean_request(&mut twice);
    assert_eq!(twice.len(), 1);
}

#[test]
fn answers_lose_what_is_ours_and_what_ends_here() {
    let mut answer = fields(&[
        ("Location", "http://inside/x"),
        ("X-CMG-Error", "forged"),
        ("x_cmg_request_id", "1"),
        ("Connection", "close"),
        ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("Upgrade", "h2c"),
        ("Proxy-Connection", "close"),
        ("Proxy-Authenticate", "Basic"),
        ("Set-Cookie", "a"),
        ("Set-Cookie", "b"),
        ("X-Forwarded-For", "kept: it is an answer"),
        ("WWW-Authenticate", "Negotiate"),
        ("Trailer", "X"),
        ("ETag", "\"e\""),
        ("Content-Range", "bytes 0-1/2"),
        ("BITS-Packet-Type", "Ack"),
        ("TE", "x"),
    ]);
    clean_answer(&mut answer);
    let kept = [
        "Location",
        "Set-Cookie",
        "Set-Cookie",
        "X-Forwarded-For",
        "WWW-Authenticate",
        "Trailer",
        "ETag",
        "Content-Range",
        "BITS-Packet-Type",
    ];
    assert_eq!(names(&answer), kept);
}

#[test]
fn trailers_are_only_what_may_be_one() {
    for name in FORGEABLE.iter().chain(&[
        "Content-Type",
        "Content-Encoding",
        "Content-MD5",
        "content_range",
        "Authorization",
        "Set-Cookie",
        "Cookie",
        "Cache-Control",
        "Trailer",
        "WWW-Authenticate",
        "Location",
        "Retry-After",
        "If-Match",
        "Range",
        "Vary",
        "Date",
    ]) {
        let mut trailers = fields(&[(name, "x"), ("X-Checksum", "y")]);
        assert_eq!(clean_trailers(&mut trailers), 1, "{name}");
        assert_eq!(names(&trailers), ["X-Checksum"]);
    }
    let mut trailers = fields(&[("ETag", "x"), ("grpc-status", "0"), ("Server-Timing", "x"), ("Digest", "x")]);
    assert_eq!(clean_trailers(&mut trailers), 0);
}

#[test]
fn trailers_pass_if_the_head_named_them() {
    let head = fields(&[("Trailer", "X-Sum, x-other"), ("trailer", "Third")]);
    let mut trailers = fields(&[("x-sum", "1"), ("X-Not", "2"), ("X-OTHER", "3"), ("third", "4")]);
    assert_eq!(keep_announced_trailers(&head, &mut trailers), 1);
    assert_eq!(names(&trailers), ["x-sum", "X-OTHER", "third"]);
    assert_eq!(keep_announced_trailers(&Fields::new(), &mut trailers), 3);
    assert!(trailers.is_empty());
}

fn forged_name() -> impl Strategy<Value = String> {
    let spelled = (prop::sample::select(FORGEABLE.to_vec()), prop::collection::vec(any::<(bool, bool)>(), 40));
    spelled.prop_map(|(name, choices)| {
        let spell = |(byte, (upper, underscore)): (char, (bool, bool))| match byte {
            '-' if underscore => '_',
            _ if upper => byte.to_ascii_uppercase(),
            _ => byte.to_ascii_lowercase(),
        };
        name.chars().zip(choices).map(spell).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn forged_fields_never_survive_in_any_spelling(
        forged in prop::collection::vec(forged_name(), 1..6), others in prop::collection::vec("Y-[A-Za-z_-]{1,12}", 0..6),
    ) {
        let mixed: Vec<_> = forged.iter().chain(&others).map(|name| format!("{name}:v")).collect();
        fuzz_headers(mixed.join("\n").as_bytes());
        let mut fields: Fields = forged.iter().chain(&others).map(|name| Field::new(name.clone(), "v")).collect();
        clean_request(&mut fields);
        prop_assert_eq!(names(&fields), others);
    }

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_headers(&data);
    }
}
