//! Targets, one by one, and properties of all of them.
#![allow(clippy::indexing_slicing)]

use proptest::prelude::*;

use super::TargetFault::*;
use super::fuzzing::fuzz_request_target;
use super::*;

fn parse(raw: &[u8]) -> Result<RequestTarget, TargetFault> {
    fuzz_request_target(raw);
    RequestTarget::parse(Bytes::copy_from_slice(raw))
}

#[test]
fn targets_that_pass_as_they_are() {
    let long = format!("/{}", "a".repeat(limits::REQUEST_TARGET - 1));
    let cases = [
        "/",
        "/a",
        "/a/",
        "/?",
        "/a?",
        "/CCM_Proxy_MutualAuth/72057594037927941/SMS_MP/.sms_aut?MPLIST",
        "/CCM_Proxy_MutualAuth/72057594037927941/SMS_MP/.sms_aut?MPLIST2&PS1",
        "/CCM_PROXY_SERVERAUTH/8/ccm_system_tokenauth/request",
        "/CCM_Proxy_MutualAuth/ServiceMetadata",
        "/CCM_Proxy_MutualAuth/",
        "/CCM_Proxy_MutualAuth/8/",
        "/CCM_Proxy_MutualAuth/8/SMS_MP/",
        "/CCM_Proxy_MutualAuth/8/SMS_MP//rest",
        "/CCM_Incoming/{4F2C1B7A-0000-4000-8000-00000000000A}",
        "/SMS_DP_SMSPKG$/Content_6d1f....1/sccm?/file",
        "/SMS_DP_SMSPKG$/Content_6d1f....1/sccm?/..%2f..%5c?",
        "/NOCERT_SMS_DP_SMSPKG$/XXX00005/",
        "/SMS_MP/.sms_pol?{x}.SHA256:0F..",
        "/SMS_MP/.sms_dcm?Id&DocumentId=ScopeId_1/..//%zz/\\<>\"`{}|^",
        "/bgb/handler.ashx?RequestType=LogIn",
        "/ClientWebService/Client.asmx",
        "/EnrollmentServer/Discovery.svc",
        "/downloadrestservice.svc/getcontentxmlsecure?pid=XXX00052&st=2026-11-20T07:00:00Z",
        "/a//b",
        "/a///",
        "/a.b.c/..d/...e/.f",
        "/a:b/c::d/e:$f",
        "/a;b=c/d;e",
        "/~user/!$&'()*+,=:@-_",
        "/<a>/\"b\"/`c`/|d|/^e^/[f]",
        "/%20a%20b",
        "/%41%2d%7E%61",
        "/100%25",
        "/100%25/x",
        "/100%25x",
        "/%25",
        "/a%3fb%23c%26",
        "/%C3%A4/\u{e4}/%E2%82%AC/\u{1f600}",
        "/\u{c3}\u{a4}",
        "/a%3Bb/c",
        "/%24/%7B%7D",
        long.as_str(),
    ];
    for raw in cases {
        let target = parse(raw.as_bytes()).unwrap_or_else(|fault| panic!("{raw:?}: {fault}"));
        assert_eq!(target.origin_form(), raw);
        assert_eq!(target.needs_relaxed_encoding(), None, "{raw:?}");
        assert_eq!(target.authority(), None);
    }
}

#[test]
fn targets_for_relaxed_endpoints_only() {
    let cases = [
        ("/a%2fb", "slash"),
        ("/a%2Fb", "slash"),
        ("/a%2f", "slash"),
        ("/%2fa", "slash"),
        ("/a%252fb", "twice"),
        ("/a%2541b", "twice"),
        ("/a%2520b", "twice"),
        ("/%25%34%31", "twice"),
        ("/100%2525", "twice"),
        ("/a%252fb%2fc", "slash"),
        ("/%25C3%25A4", "twice"),
    ];
    for (raw, says) in cases {
        let target = parse(raw.as_bytes()).unwrap_or_else(|fault| panic!("{raw:?}: {fault}"));
        let needs = target.needs_relaxed_encoding().unwrap_or_else(|| panic!("{raw:?}"));
        assert!(needs.contains(says), "{raw:?}: {needs}");
    }
}

fn refused<'a>(fault: TargetFault, raws: impl IntoIterator<Item = &'a [u8]>) {
    for raw in raws {
        let shown = String::from_utf8_lossy(raw);
        assert_eq!(parse(raw).expect_err(&shown), fault, "{shown:?}");
    }
}

#[test]
fn other_forms_are_refused() {
    let raws = [&b""[..]];
    refused(Empty, raws);
    let long = format!("/{}", "a".repeat(limits::REQUEST_TARGET));
    refused(TooLong, [long.as_bytes()]);
    let raws = [&b"*"[..]];
    refused(AsteriskForm, raws);
    let raws = [&b"gw.example.net:443"[..], b"gw.example.net", b"a/b", b"?a", b"**", b"\\a", b"https:/gw/a"];
    refused(AuthorityForm, raws);
    let raws = [&b"ftp://gw/a"[..], b"file:///etc/passwd", b"://gw/a", b" https://gw/a"];
    refused(Scheme, raws);
    let raws = [&b"https://user@gw/a"[..], b"https://user:password@gw/a", b"https://@gw/a"];
    refused(Userinfo, raws);
    let raws = [&b"https:///a"[..], b"https://gw:x/a", b"https://gw\\a/b", b"https://gw%2fa/b", b"https://g w/a"];
    refused(Authority, raws);
    let raws = [&b"https://gw"[..], b"https://gw?a"];
    refused(NoPath, raws);
    let raws = [&b"https://gw#a"[..], b"/a#b", b"/#", b"/a?b#c"];
    refused(Fragment, raws);
}

#[test]
fn bytes_that_break_lines_are_refused() {
    let raws = [
        &b"/a b"[..],
        b"/a\tb",
        b"/a\rb",
        b"/a\nb",
        b"/a\0b",
        b"/a\x01b",
        b"/a\x7fb",
        b"/a?b c",
        b"/a?b\rc",
        b"/a?b\nc",
        b"/a?b\0c",
        b"/a?b\tc",
        b"/a?b\x7fc",
        b"/% 41",
    ];
    refused(SpaceOrControl, raws);
    let raws = [&b"/a%00b"[..], b"/a%0d%0ab", b"/a%09b", b"/a%1Fb", b"/a%7fb", b"/a%2500b", b"/a.html%00.txt"];
    refused(EncodedControl, raws);
    let raws = [&b"/a\\b"[..], b"/..\\..\\a", b"/a%5cb", b"/a%5Cb", b"/a%255cb", b"/%5c..%5c"];
    refused(Backslash, raws);
}

#[test]
fn dot_segments_are_refused() {
    let raws = [
        &b"https://gw/../a"[..],
        b"/.",
        b"/..",
        b"/./a",
        b"/../a",
        b"/a/.",
        b"/a/..",
        b"/a/./b",
        b"/a/../b",
        b"/a/../../../../b",
        b"/a/..?b",
        b"/a//../b",
        b"/%2e",
        b"/%2e%2e/a",
        b"/%2E%2e/a",
        b"/.%2e/a",
        b"/%2e./a",
        b"/a/%2e/b",
        b"/a/%2e%2e",
        b"/%252e%252e/a",
        b"/%25%32%65%25%32%65/a",
        b"/..%2fa",
        b"/a%2f..%2fb",
        b"/a%2f%2e%2e%2fb",
        b"/a/..%252fb",
        b"/a%252f..%252fb",
        b"/..;/a",
        b"/..;x=y/a",
        b"/.;/a",
        b"/a/..;",
        b"/;../a",
        b"/a/;/../b",
        b"/a;/../b",
        b"/..%3b/a",
        b"/%2e%2e%3bx/a",
        b"/..%253bx/a",
    ];
    refused(DotSegment, raws);
}

#[test]
fn names_that_file_systems_read_otherwise_are_refused() {
    let raws = [
        &b"/..."[..],
        b"/..../a",
        b"/a.",
        b"/a./b",
        b"/a../b",
        b"/a.?b",
        b"/a.;b/c",
        b"/a%2e",
        b"/a%2e/b",
        b"/a%20",
        b"/a%20/b",
        b"/%20/b",
        b"/..%20/b",
        b"/a%2520/b",
        b"/a%252e/b",
    ];
    refused(TrailingDotOrSpace, raws);
    let raws = [
        &b"/a::$DATA"[..],
        b"/a.asp::$DATA",
        b"/a::$INDEX_ALLOCATION/b",
        b"/a%3a%3a%24DATA",
        b"/a:%3A$DATA",
        b"/a%253a::$x",
    ];
    refused(FileStream, raws);
}

#[test]
fn broken_and_repeated_encoding_is_refused() {
    let raws = [
        &b"/%"[..],
        b"/%4",
        b"/a%",
        b"/%zz",
        b"/%4g",
        b"/%g4",
        b"/%%41",
        b"/%u002e%u002e/a",
        b"/%u2215",
        b"/%+1",
        b"/100%/x",
    ];
    refused(BrokenEncoding, raws);
    let raws = [&b"/%252541"[..], b"/%25252e%25252e/a", b"/%2525252525252525252541"];
    refused(RepeatedEncoding, raws);
}

#[test]
fn what_is_not_utf8_is_refused() {
    let raws = [
        &b"/\xff"[..],
        b"/\xc3",
        b"/\xc3/a",
        b"/\xa4",
        b"/\xe4pfel",
        b"/\xc0\xae\xc0\xae/a",
        b"/\xc0\xaf",
        b"/\xe0\x80\xae",
        b"/\xed\xa0\x80",
        b"/%ff",
        b"/%E4pfel",
        b"/%c0%ae%c0%ae/a",
        b"/%c0%af",
        b"/%c1%9c",
        b"/%e0%80%ae",
        b"/%e0%80%af",
        b"/%f0%80%80%ae",
        b"/%f8%80%80%80%ae",
        b"/%fc%80%80%80%80%ae",
        b"/%ed%a0%80%ed%b0%80",
        b"/%f4%90%80%80",
        b"/\xc3%a4",
        b"/%25c0%25ae",
    ];
    refused(NotUtf8, raws);
}

#[test]
fn look_alikes_are_refused() {
    let raws = [
        &b"/%ef%bc%8e%ef%bc%8e/a"[..],
        b"/%EF%BC%8F",
        b"/%e2%81%84",
        b"/%e2%88%95",
        b"/%e3%80%82",
        b"/%25ef%25bc%258e",
    ];
    refused(LookAlike, raws);
    let raws = [
        "/\u{ff0e}\u{ff0e}/a",
        "/a\u{ff0f}b",
        "/a\u{ff3c}b",
        "/\u{2024}\u{2024}/a",
        "/\u{2025}/a",
        "/a\u{2044}b",
        "/a\u{2215}b",
        "/a\u{2216}b",
        "/\u{3002}\u{3002}/a",
        "/\u{ff61}/a",
        "/\u{fe52}/a",
        "/\u{ff05}2e/a",
        "/a\u{ff1a}\u{ff1a}$DATA",
    ];
    refused(LookAlike, raws.map(str::as_bytes));
}

#[test]
fn double_slashes_are_refused_where_the_path_is_matched() {
    let raws = [
        &b"https://gw//a"[..],
        b"//",
        b"//a",
        b"//gw.example.net/a",
        b"/CCM_Proxy_MutualAuth//8/SMS_MP/x",
        b"/CCM_Proxy_MutualAuth//",
        b"/CCM_Proxy_MutualAuth/8//SMS_MP/x",
        b"/ccm_proxy_serverauth/8//",
    ];
    refused(DoubleSlash, raws);
}

#[test]
fn every_byte_in_a_path_and_in_a_query() {
    for byte in 0..=255_u8 {
        let path = parse(&[b'/', b'a', byte, b'b']).is_ok();
        let refused_in_path = byte <= b' ' || byte == 0x7f || byte >= 0x80 || b"#%\\".contains(&byte);
        assert_eq!(path, !refused_in_path, "{byte:#x} in the path");
        let query = parse(&[b'/', b'?', b'a', byte, b'b']).is_ok();
        assert_eq!(query, byte > b' ' && byte != 0x7f && byte != b'#', "{byte:#x} in the query");
        let encoded =
            parse(format!("/a%{byte:02x}b").as_bytes()).is_ok_and(|target| target.needs_relaxed_encoding().is_none());
        assert_eq!(encoded, (b' '..0x7f).contains(&byte) && !b"/\\".contains(&byte), "%{byte:02x} in the path");
    }
}

#[test]
fn parts() {
    let target = parse(b"/CCM_Proxy_MutualAuth/72/SMS_MP/.sms_aut?MPLIST?x").unwrap();
    assert_eq!(target.path(), b"/CCM_Proxy_MutualAuth/72/SMS_MP/.sms_aut");
    assert_eq!(target.query(), Some(&b"MPLIST?x"[..]));
    let segments: [&[u8]; 4] = [b"CCM_Proxy_MutualAuth", b"72", b"SMS_MP", b".sms_aut"];
    assert_eq!(target.segments().collect::<Vec<_>>(), segments);

    let target = parse(b"HTTPS://GW.example.net:443/a/?").unwrap();
    assert_eq!(target.authority(), Some(&b"GW.example.net:443"[..]));
    assert_eq!(target.origin_form(), "/a/?");
    assert_eq!(target.path(), b"/a/");
    assert_eq!(target.query(), Some(&b""[..]));
    assert_eq!(target.segments().collect::<Vec<_>>(), [&b"a"[..], b""]);

    assert_eq!(parse(b"/a").unwrap().query(), None);
    assert_eq!(parse(b"http://[::1]:8443/a").unwrap().authority(), Some(&b"[::1]:8443"[..]));
}

#[test]
fn faults_are_sentences() {
    for raw in [&b""[..], b"*", b"/..", b"/%zz", b"/a#", b"//", b"https://u@h/"] {
        let sentence = parse(raw).unwrap_err().to_string();
        assert!(sentence.contains("; ") || sentence.contains(", "), "says what to write instead: {sentence}");
        assert!(!sentence.contains(['\r', '\n']));
    }
}

/// Paths from pieces that mean something to some decoder.
fn paths() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "/", ".", "..", ";", "%", "%2e", "%2f", "%5c", "%25", "%252e", "2e", "2f", "25", "%3b", ":", "::$", "%3a", "%00",
            "%20", "%c0", "%ae", "%c3", "%a4", "\\", "?", "\u{ff0e}", "%ef%bc%8f", " ", "#", "CCM_Proxy_MutualAuth",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        3 => "[a-z0-9]{1,3}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| [b"/".to_vec(), pieces.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn telling_paths(raw in paths()) {
        fuzz_request_target(&raw);
    }

    #[test]
    fn any_bytes(raw in prop::collection::vec(any::<u8>(), 0..64)) {
        fuzz_request_target(&raw);
    }

    #[test]
    fn parsing_and_printing_are_inverse(raw in "(/[A-Za-z0-9_$.{}~-]{0,8}[a-z]){1,6}(\\?[!-\"$-~]{0,20})?") {
        let target = parse(raw.as_bytes()).unwrap();
        prop_assert_eq!(target.origin_form(), &raw);
    }
}
