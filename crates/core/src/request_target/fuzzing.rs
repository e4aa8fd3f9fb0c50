//! Body of the fuzz target for request targets. Judges what was accepted by a second, slow and simple reading
//! of the rules, written apart from the first. The property tests run it too.

use bytes::Bytes;

use super::RequestTarget;

/// Whatever the bytes: no panic, and an accepted target is byte-identical and holds nothing forbidden.
pub fn fuzz_request_target(data: &[u8]) {
    let Ok(target) = RequestTarget::parse(Bytes::copy_from_slice(data)) else { return };
    assert!(data.ends_with(target.origin_form()), "what was checked is what is sent");
    assert!(data.len() == target.origin_form().len() || target.authority().is_some());
    let mut printed = target.path().to_vec();
    if let Some(query) = target.query() {
        printed.push(b'?');
        printed.extend_from_slice(query);
    }
    assert_eq!(printed, target.origin_form().as_ref(), "path and query are all of it");
    assert!(printed.iter().all(|byte| *byte > b' ' && *byte != 0x7f && *byte != b'#'));
    let joined = target.segments().collect::<Vec<_>>().join(&b'/');
    assert_eq!(joined, target.path().strip_prefix(b"/").expect("a path begins with a slash"));
    let again = RequestTarget::parse(target.origin_form().clone()).expect("parsing what was printed");
    assert_eq!(again.origin_form(), target.origin_form());
    assert_eq!(again.needs_relaxed_encoding(), target.needs_relaxed_encoding());

    let mut level = target.path().to_vec();
    for depth in 0..3 {
        check_level(&level, depth);
        let (decoded, slashes) = slowly_decoded(&level);
        if slashes || (depth == 1 && decoded != level) {
            assert!(target.needs_relaxed_encoding().is_some(), "{:?}", String::from_utf8_lossy(data));
        }
        assert!(depth < 2 || decoded == level, "nothing is encoded three times");
        level = decoded;
    }
}

fn check_level(path: &[u8], depth: usize) {
    let text = std::str::from_utf8(path).unwrap_or_else(|_| panic!("level {depth} is not UTF-8"));
    assert!(!text.contains(|character: char| character.is_ascii_control() || character == '\\'));
    assert!(!text.contains("::$"));
    for character in ['\u{ff0e}', '\u{ff0f}', '\u{ff3c}', '\u{2024}', '\u{2025}', '\u{2044}', '\u{2215}', '\u{3002}'] {
        assert!(!text.contains(character), "look-alike {character:?}");
    }
    for segment in text.split('/') {
        let resource = segment.split(';').next().unwrap_or_default();
        assert!(!matches!(resource, "." | ".."), "dot segment in {text:?}");
        assert!(!segment.ends_with(['.', ' ']) && !resource.ends_with(['.', ' ']), "trailing dot in {text:?}");
    }
}

fn slowly_decoded(path: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut slashes = false;
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        let digits = path.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) if *byte == b'%' => {
                slashes |= decoded == b'/';
                out.push(decoded);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    (out, slashes)
}
