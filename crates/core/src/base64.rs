//! Base64 as in RFC 4648, with padding. Writes only.

use bytes::{BufMut, BytesMut};

pub const fn length(length: usize) -> usize {
    length.div_ceil(3) * 4
}

pub fn encode(data: &[u8]) -> String {
    let mut out = BytesMut::with_capacity(length(data.len()));
    put(&mut out, data);
    out.iter().copied().map(char::from).collect()
}

pub fn put(out: &mut BytesMut, data: &[u8]) {
    let digit = |bits: u32, shift: u32| match (bits >> shift & 63) as u8 {
        value @ 0..26 => b'A' + value,
        value @ 26..52 => b'a' + (value - 26),
        value @ 52..62 => b'0' + (value - 52),
        62 => b'+',
        _ => b'/',
    };
    let (groups, rest) = data.as_chunks::<3>();
    for [first, second, third] in groups {
        let bits = u32::from_be_bytes([0, *first, *second, *third]);
        out.put_slice(&[digit(bits, 18), digit(bits, 12), digit(bits, 6), digit(bits, 0)]);
    }
    match rest {
        [first] => {
            let bits = u32::from_be_bytes([0, *first, 0, 0]);
            out.put_slice(&[digit(bits, 18), digit(bits, 12), b'=', b'=']);
        }
        [first, second] => {
            let bits = u32::from_be_bytes([0, *first, *second, 0]);
            out.put_slice(&[digit(bits, 18), digit(bits, 12), digit(bits, 6), b'=']);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (data, expected) in vectors {
            assert_eq!(encode(data.as_bytes()), expected, "{data}");
        }
        let every: Vec<u8> = (0..=255).collect();
        let encoded = encode(&every);
        assert!(
            encoded.starts_with(
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BB"
            )
        );
        assert!(encoded.ends_with("8PHy8/T19vf4+fr7/P3+/w=="));
    }
}
