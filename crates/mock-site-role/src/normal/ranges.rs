//! The Range field (RFC 9110 section 14): which bytes are wanted. Pure.

use std::ops::Range;

/// What a Range field asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// No range, or one that is not understood and therefore ignored.
    Whole,
    /// At least one, each within the content.
    Parts(Vec<Range<u64>>),
    /// None of them is within the content.
    Nothing,
}

/// More parts than this in one request are an attack, not a download.
const MOST_PARTS: usize = 32;

pub fn wanted(field: Option<&str>, length: u64) -> Wanted {
    let Some(list) = field.and_then(|field| field.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let mut parts = Vec::new();
    let mut understood = 0;
    for one in list.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        let Some((first, last)) = one.split_once('-') else { return Wanted::Whole };
        let range = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
            (Ok(first), Err(_)) if last.is_empty() => first..length,
            (Err(_), Ok(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
            _ => return Wanted::Whole,
        };
        understood += 1;
        if range.start < range.end {
            parts.push(range);
        }
    }
    match (parts.is_empty(), understood) {
        (_, 0) => Wanted::Whole,
        (_, count) if count > MOST_PARTS => Wanted::Whole,
        (true, _) => Wanted::Nothing,
        (false, _) => Wanted::Parts(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_the_rfc_writes_them() {
        let parts = |field: &str, expected: &[(u64, u64)]| {
            let expected = expected.iter().map(|(start, end)| *start..*end).collect();
            assert_eq!(wanted(Some(field), 10_000), Wanted::Parts(expected), "{field}");
        };
        parts("bytes=0-499", &[(0, 500)]);
        parts("bytes=9500-", &[(9500, 10_000)]);
        parts("bytes=-500", &[(9500, 10_000)]);
        parts("bytes=-50000", &[(0, 10_000)]);
        parts("bytes=0-0, -1", &[(0, 1), (9999, 10_000)]);
        parts("bytes=9999-20000", &[(9999, 10_000)]);
        assert_eq!(wanted(Some("bytes=10000-"), 10_000), Wanted::Nothing);
        for ignored in ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=", "bytes=1", "bytes=-"] {
            assert_eq!(wanted(Some(ignored), 10_000), Wanted::Whole, "{ignored}");
        }
        assert_eq!(wanted(None, 10_000), Wanted::Whole);
    }
}
