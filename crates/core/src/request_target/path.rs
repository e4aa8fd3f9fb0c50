//! The judgement on a path: its raw bytes first, then every level that they decode to. A path without percent
//! signs, dots and other telling bytes costs one pass.

use memchr::memmem;

use super::TargetFault;
use super::encoding::{self, Decoded};

/// What an endpoint with relaxed encoding lets through, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relaxable {
    EncodedSlash,
    DoubleEncoding,
}

impl Relaxable {
    pub fn describe(self) -> &'static str {
        match self {
            Relaxable::EncodedSlash => "the path holds an encoded slash (%2F); write a slash, or encode nothing",
            Relaxable::DoubleEncoding => "the path is percent-encoded twice (such as %2541); encode it once",
        }
    }
}

/// The query is data; only what would break the request line or has no place in any target is refused.
pub(super) fn judge_query(query: &[u8]) -> Result<(), TargetFault> {
    match seen(query) {
        bits if bits & SPACE_OR_CONTROL != 0 => Err(TargetFault::SpaceOrControl),
        bits if bits & FRAGMENT != 0 => Err(TargetFault::Fragment),
        _ => Ok(()),
    }
}

/// Judges a raw path that begins with a slash.
pub(super) fn judge_path(path: &[u8]) -> Result<Option<Relaxable>, TargetFault> {
    let bits = seen(path);
    if bits & SPACE_OR_CONTROL != 0 {
        return Err(TargetFault::SpaceOrControl);
    }
    if bits & FRAGMENT != 0 {
        return Err(TargetFault::Fragment);
    }
    if bits & BACKSLASH != 0 {
        return Err(TargetFault::Backslash);
    }
    judge_matched_part(path)?;
    if bits & PERCENT != 0 {
        return judge_encoded(path, bits);
    }
    if bits & (TELLING | HIGH) != 0 {
        judge_structure(path, bits)?;
    }
    Ok(None)
}

/// Judges what the path decodes to, and what that decodes to: some roles decode twice. Decoding takes nothing
/// away but percent signs and digits, so whatever was wrong with the raw path still is.
fn judge_encoded(path: &[u8], bits: u8) -> Result<Option<Relaxable>, TargetFault> {
    if bits & HIGH != 0 && std::str::from_utf8(path).is_err() {
        return Err(TargetFault::NotUtf8);
    }
    let once = encoding::decode(path)?;
    judge_decoded(&once)?;
    if !encoding::looks_encoded(&once.bytes) {
        return Ok(once.slash.then_some(Relaxable::EncodedSlash));
    }
    let twice = encoding::decode_where_possible(&once.bytes);
    judge_decoded(&twice)?;
    if encoding::looks_encoded(&twice.bytes) {
        return Err(TargetFault::RepeatedEncoding);
    }
    Ok(Some(if once.slash { Relaxable::EncodedSlash } else { Relaxable::DoubleEncoding }))
}

fn judge_decoded(level: &Decoded) -> Result<(), TargetFault> {
    let bits = seen(&level.bytes);
    if level.bytes.iter().any(|byte| byte.is_ascii_control()) {
        return Err(TargetFault::EncodedControl);
    }
    if bits & BACKSLASH != 0 {
        return Err(TargetFault::Backslash);
    }
    judge_structure(&level.bytes, bits)
}

/// What segments may not be, at any level of decoding.
fn judge_structure(path: &[u8], bits: u8) -> Result<(), TargetFault> {
    if bits & HIGH != 0 {
        let text = std::str::from_utf8(path).map_err(|_| TargetFault::NotUtf8)?;
        if text.chars().any(is_look_alike) {
            return Err(TargetFault::LookAlike);
        }
    }
    // Parameters (;x) may be cut off by a role before it looks at dots, so each part is judged by itself.
    for part in path.split(|byte| matches!(byte, b'/' | b';')) {
        match part {
            b"." | b".." => return Err(TargetFault::DotSegment),
            [.., b'.' | b' '] => return Err(TargetFault::TrailingDotOrSpace),
            _ => {}
        }
    }
    if memmem::find(path, b"::$").is_some() {
        return Err(TargetFault::FileStream);
    }
    Ok(())
}

/// Two slashes in the part that is matched: at the beginning, and up to the endpoint behind the prefixes with a
/// role id. For prefixes of the site's own choice the matching itself refuses them: it compares whole segments.
fn judge_matched_part(path: &[u8]) -> Result<(), TargetFault> {
    let mut segments = path.split(|byte| *byte == b'/').skip(1);
    let (first, second) = (segments.next().unwrap_or_default(), segments.next());
    if first.is_empty() && second.is_some() {
        return Err(TargetFault::DoubleSlash);
    }
    let has_role_id =
        first.len() > 10 && first.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"CCM_Proxy_"));
    let (third, behind) = (segments.next(), segments.next());
    let empty_inside = second.is_some_and(<[u8]>::is_empty) && third.is_some()
        || third.is_some_and(<[u8]>::is_empty) && behind.is_some();
    if has_role_id && empty_inside { Err(TargetFault::DoubleSlash) } else { Ok(()) }
}

/// Characters that compatibility normalisation, IDNA or the best-fit tables of Windows turn into a dot, slash,
/// backslash, percent sign, semicolon or colon, and the fraction and division slashes, which only look like one.
fn is_look_alike(character: char) -> bool {
    matches!(
        character,
        '\u{2024}'
            ..='\u{2026}' // one, two and three dot leaders
            | '\u{2044}' | '\u{2215}' | '\u{29f8}' // fraction, division and big slash
            | '\u{2216}' | '\u{29f5}' | '\u{29f9}' // set minus, reverse solidus operator, big reverse solidus
            | '\u{3002}' | '\u{ff61}' // ideographic full stops
            | '\u{fe52}' | '\u{fe68}' | '\u{fe6a}' | '\u{fe54}' | '\u{fe55}' // small forms
            | '\u{ff05}' | '\u{ff0e}' | '\u{ff0f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff3c}' // full-width forms
    )
}

const SPACE_OR_CONTROL: u8 = 1;
const FRAGMENT: u8 = 1 << 1;
const BACKSLASH: u8 = 1 << 2;
const PERCENT: u8 = 1 << 3;
const HIGH: u8 = 1 << 4;
/// Dot, semicolon or colon: the segments have to be looked at.
const TELLING: u8 = 1 << 5;

const fn class(byte: u8) -> u8 {
    match byte {
        0..=b' ' | 0x7f => SPACE_OR_CONTROL,
        b'#' => FRAGMENT,
        b'\\' => BACKSLASH,
        b'%' => PERCENT,
        b'.' | b';' | b':' => TELLING,
        0x80.. => HIGH,
        _ => 0,
    }
}

/// The class of every byte, for the one pass over all of them.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler")]
        {
            classes[byte] = class(byte as u8);
        }
        byte += 1;
    }
    classes
};

fn seen(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |bits, byte| bits | CLASSES.get(usize::from(*byte)).copied().unwrap_or(SPACE_OR_CONTROL))
}
