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

#[test]
fn refused_targets() {
    let long = format!("/{}", "a".repeat(limits::REQUEST_TARGET));
    let cases: Vec<(&[u8], TargetFault)> = vec![
        // forms
        (b"", Empty),
        (long.as_bytes(), TooLong),
        (b"*", AsteriskForm),
        (b"gw.example.net:443", AuthorityForm),
        (b"gw.example.net", AuthorityForm),
        (b"a/b", AuthorityForm),
        (b"?a", AuthorityForm),
        (b"**", AuthorityForm),
        (b"\\a", AuthorityForm),
        (b"https:/gw/a", AuthorityForm),
        (b"ftp://gw/a", Scheme),
        (b"file:///etc/passwd", Scheme),
        (b"://gw/a", Scheme),
        (b" https://gw/a", Scheme),
        (b"https://user@gw/a", Userinfo),
        (b"https://user:password@gw/a", Userinfo),
        (b"https://@gw/a", Userinfo),
        (b"https:///a", Authority),
        (b"https://gw:x/a", Authority),
        (b"https://gw\\a/b", Authority),
        (b"https://gw%2fa/b", Authority),
        (b"https://g w/a", Authority),
        (b"https://gw", NoPath),
        (b"https://gw?a", NoPath),
        (b"https://gw#a", Fragment),
        (b"https://gw/../a", DotSegment),
        (b"https://gw//a", DoubleSlash),
        // bytes
        (b"/a#b", Fragment),
        (b"/#", Fragment),
        (b"/a?b#c", Fragment),
        (b"/a b", SpaceOrControl),
        (b"/a\tb", SpaceOrControl),
        (b"/a\rb", SpaceOrControl),
        (b"/a\nb", SpaceOrControl),
        (b"/a\0b", SpaceOrControl),
        (b"/a\x01b", SpaceOrControl),
        (b"/a\x7fb", SpaceOrControl),
        (b"/a?b c", SpaceOrControl),
        (b"/a?b\rc", SpaceOrControl),
        (b"/a?b\nc", SpaceOrControl),
        (b"/a?b\0c", SpaceOrControl),
        (b"/a?b\tc", SpaceOrControl),
        (b"/a?b\x7fc", SpaceOrControl),
        (b"/a%00b", EncodedControl),
        (b"/a%0d%0ab", EncodedControl),
        (b"/a%09b", EncodedControl),
        (b"/a%1Fb", EncodedControl),
        (b"/a%7fb", EncodedControl),
        (b"/a%2500b", EncodedControl),
        (b"/a.html%00.txt", EncodedControl),
        (b"/a\\b", Backslash),
        (b"/..\\..\\a", Backslash),
        (b"/a%5cb", Backslash),
        (b"/a%5Cb", Backslash),
        (b"/a%255cb", Backslash),
        (b"/%5c..%5c", Backslash),
        // dot segments
        (b"/.", DotSegment),
        (b"/..", DotSegment),
        (b"/./a", DotSegment),
        (b"/../a", DotSegment),
        (b"/a/.", DotSegment),
        (b"/a/..", DotSegment),
        (b"/a/./b", DotSegment),
        (b"/a/../b", DotSegment),
        (b"/a/../../../../b", DotSegment),
        (b"/a/..?b", DotSegment),
        (b"/a//../b", DotSegment),
        (b"/%2e", DotSegment),
        (b"/%2e%2e/a", DotSegment),
        (b"/%2E%2e/a", DotSegment),
        (b"/.%2e/a", DotSegment),
        (b"/%2e./a", DotSegment),
        (b"/a/%2e/b", DotSegment),
        (b"/a/%2e%2e", DotSegment),
        (b"/%252e%252e/a", DotSegment),
        (b"/%25%32%65%25%32%65/a", DotSegment),
        (b"/..%2fa", DotSegment),
        (b"/a%2f..%2fb", DotSegment),
        (b"/a%2f%2e%2e%2fb", DotSegment),
        (b"/a/..%252fb", DotSegment),
        (b"/a%252f..%252fb", DotSegment),
        (b"/..;/a", DotSegment),
        (b"/..;x=y/a", DotSegment),
        (b"/.;/a", DotSegment),
        (b"/a/..;", DotSegment),
        (b"/;../a", DotSegment),
        (b"/a/;/../b", DotSegment),
        (b"/a;/../b", DotSegment),
        (b"/..%3b/a", DotSegment),
        (b"/%2e%2e%3bx/a", DotSegment),
        (b"/..%253bx/a", DotSegment),
        // trailing dots and spaces, streams
        (b"/...", TrailingDotOrSpace),
        (b"/..../a", TrailingDotOrSpace),
        (b"/a.", TrailingDotOrSpace),
        (b"/a./b", TrailingDotOrSpace),
        (b"/a../b", TrailingDotOrSpace),
        (b"/a.?b", TrailingDotOrSpace),
        (b"/a.;b/c", TrailingDotOrSpace),
        (b"/a%2e", TrailingDotOrSpace),
        (b"/a%2e/b", TrailingDotOrSpace),
        (b"/a%20", TrailingDotOrSpace),
        (b"/a%20/b", TrailingDotOrSpace),
        (b"/%20/b", TrailingDotOrSpace),
        (b"/..%20/b", TrailingDotOrSpace),
        (b"/a%2520/b", TrailingDotOrSpace),
        (b"/a%252e/b", TrailingDotOrSpace),
        (b"/a::$DATA", FileStream),
        (b"/a.asp::$DATA", FileStream),
        (b"/a::$INDEX_ALLOCATION/b", FileStream),
        (b"/a%3a%3a%24DATA", FileStream),
        (b"/a:%3A$DATA", FileStream),
        (b"/a%253a::$x", FileStream),
        // encoding
        (b"/%", BrokenEncoding),
        (b"/%4", BrokenEncoding),
        (b"/a%", BrokenEncoding),
        (b"/%zz", BrokenEncoding),
        (b"/%4g", BrokenEncoding),
        (b"/%g4", BrokenEncoding),
        (b"/%%41", BrokenEncoding),
        (b"/% 41", SpaceOrControl),
        (b"/%u002e%u002e/a", BrokenEncoding),
        (b"/%u2215", BrokenEncoding),
        (b"/%+1", BrokenEncoding),
        (b"/100%/x", BrokenEncoding),
        (b"/%252541", RepeatedEncoding),
        (b"/%25252e%25252e/a", RepeatedEncoding),
        (b"/%2525252525252525252541", RepeatedEncoding),
        // UTF-8
        (b"/\xff", NotUtf8),
        (b"/\xc3", NotUtf8),
        (b"/\xc3/a", NotUtf8),
        (b"/\xa4", NotUtf8),
        (b"/\xe4pfel", NotUtf8),
        (b"/\xc0\xae\xc0\xae/a", NotUtf8),
        (b"/\xc0\xaf", NotUtf8),
        (b"/\xe0\x80\xae", NotUtf8),
        (b"/\xed\xa0\x80", NotUtf8),
        (b"/%ff", NotUtf8),
        (b"/%E4pfel", NotUtf8),
        (b"/%c0%ae%c0%ae/a", NotUtf8),
        (b"/%c0%af", NotUtf8),
        (b"/%c1%9c", NotUtf8),
        (b"/%e0%80%ae", NotUtf8),
        (b"/%e0%80%af", NotUtf8),
        (b"/%f0%80%80%ae", NotUtf8),
        (b"/%f8%80%80%80%ae", NotUtf8),
        (b"/%fc%80%80%80%80%ae", NotUtf8),
        (b"/%ed%a0%80%ed%b0%80", NotUtf8),
        (b"/%f4%90%80%80", NotUtf8),
        (b"/\xc3%a4", NotUtf8),
        (b"/%25c0%25ae", NotUtf8),
        // look-alikes
        ("/\u{ff0e}\u{ff0e}/a".as_bytes(), LookAlike),
        ("/a\u{ff0f}b".as_bytes(), LookAlike),
        ("/a\u{ff3c}b".as_bytes(), LookAlike),
        ("/\u{2024}\u{2024}/a".as_bytes(), LookAlike),
        ("/\u{2025}/a".as_bytes(), LookAlike),
        ("/a\u{2044}b".as_bytes(), LookAlike),
        ("/a\u{2215}b".as_bytes(), LookAlike),
        ("/a\u{2216}b".as_bytes(), LookAlike),
        ("/\u{3002}\u{3002}/a".as_bytes(), LookAlike),
        ("/\u{ff61}/a".as_bytes(), LookAlike),
        ("/\u{fe52}/a".as_bytes(), LookAlike),
        ("/\u{ff05}2e/a".as_bytes(), LookAlike),
        ("/a\u{ff1a}\u{ff1a}$DATA".as_bytes(), LookAlike),
        (b"/%ef%bc%8e%ef%bc%8e/a", LookAlike),
        (b"/%EF%BC%8F", LookAlike),
        (b"/%e2%81%84", LookAlike),
        (b"/%e2%88%95", LookAlike),
        (b"/%e3%80%82", LookAlike),
        (b"/%25ef%25bc%258e", LookAlike),
        // double slashes where the path is matched
        (b"//", DoubleSlash),
        (b"//a", DoubleSlash),
        (b"//gw.example.net/a", DoubleSlash),
        (b"/CCM_Proxy_MutualAuth//8/SMS_MP/x", DoubleSlash),
        (b"/CCM_Proxy_MutualAuth//", DoubleSlash),
        (b"/CCM_Proxy_MutualAuth/8//SMS_MP/x", DoubleSlash),
        (b"/ccm_proxy_serverauth/8//", DoubleSlash),
    ];
    for (raw, expected) in cases {
        let shown = String::from_utf8_lossy(raw);
        assert_eq!(parse(raw).expect_err(&shown), expected, "{shown:?}");
    }
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
    assert_eq!(target.segment(1), Some(&b"72"[..]));
    assert_eq!(target.segment(4), None);

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
