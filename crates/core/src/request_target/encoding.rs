//! Percent-decoding for the judgement only. What it makes is looked at and thrown away, never sent.

use super::TargetFault;

/// One level of a path with its percent-encoding undone.
pub(super) struct Decoded {
    pub bytes: Vec<u8>,
    /// A slash came out of an encoding.
    pub slash: bool,
}

/// Undoes one level of encoding; a percent sign without two digits is a fault.
pub(super) fn decode(path: &[u8]) -> Result<Decoded, TargetFault> {
    let decoded = decode_where_possible(path);
    let whole = {
        let mut rest = path.iter();
        loop {
            match rest.next() {
                None => break true,
                Some(b'%') if encoded_byte(rest.as_slice()).is_none() => break false,
                Some(_) => {}
            }
        }
    };
    if whole { Ok(decoded) } else { Err(TargetFault::BrokenEncoding) }
}

/// Undoes one level of encoding and leaves a lone percent sign alone, as a lenient second decoder would.
pub(super) fn decode_where_possible(path: &[u8]) -> Decoded {
    let mut decoded = Decoded { bytes: Vec::with_capacity(path.len()), slash: false };
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let Some(byte) = (*first == b'%').then(|| encoded_byte(after)).flatten() else {
            decoded.bytes.push(*first);
            continue;
        };
        decoded.slash |= byte == b'/';
        decoded.bytes.push(byte);
        rest = after.get(2..).unwrap_or_default();
    }
    decoded
}

/// Whether a decoder would find something to decode.
pub(super) fn looks_encoded(path: &[u8]) -> bool {
    path.windows(3).any(|window| matches!(window, [b'%', digits @ ..] if encoded_byte(digits).is_some()))
}

/// The byte that the two digits behind a percent sign stand for.
fn encoded_byte(digits: &[u8]) -> Option<u8> {
    let (high, low) = (digits.first()?, digits.get(1)?);
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(value(high)? << 4 | value(low)?)
}
