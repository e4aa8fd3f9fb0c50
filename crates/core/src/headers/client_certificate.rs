//! A client's certificate chain in the form of RFC 9440: `Client-Cert: :base64:` for the leaf and
//! `Client-Cert-Chain: :base64:, :base64:` for the rest. Made once per client connection.

use bytes::{BufMut, Bytes, BytesMut};

/// The values of `Client-Cert` and `Client-Cert-Chain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFields {
    pub(super) leaf: Bytes,
    pub(super) chain: Option<Bytes>,
}

impl CertificateFields {
    /// For roles with `client_certificate = "leaf"`.
    pub fn leaf(der: &[u8]) -> Self {
        let mut leaf = BytesMut::with_capacity(base64_length(der.len()) + 2);
        put_binary(&mut leaf, der);
        Self { leaf: leaf.freeze(), chain: None }
    }

    /// For roles with `client_certificate = "chain"`: the leaf, and those behind it in the order of the handshake.
    pub fn chain<'a>(leaf: &[u8], issuers: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut chain = BytesMut::new();
        for issuer in issuers {
            if !chain.is_empty() {
                chain.extend_from_slice(b", ");
            }
            put_binary(&mut chain, issuer);
        }
        Self { chain: (!chain.is_empty()).then(|| chain.freeze()), ..Self::leaf(leaf) }
    }
}

/// A binary item of structured fields (RFC 8941 section 3.3.5).
fn put_binary(out: &mut BytesMut, data: &[u8]) {
    out.reserve(base64_length(data.len()) + 2);
    out.put_u8(b':');
    put_base64(out, data);
    out.put_u8(b':');
}

const fn base64_length(length: usize) -> usize {
    length.div_ceil(3) * 4
}

fn put_base64(out: &mut BytesMut, data: &[u8]) {
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
    fn base64_as_in_rfc_4648() {
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
            assert_eq!(CertificateFields::leaf(data.as_bytes()).leaf, format!(":{expected}:"), "{data}");
        }
        let every: Vec<u8> = (0..=255).collect();
        let encoded = CertificateFields::leaf(&every).leaf;
        assert!(
            encoded.starts_with(
                b":AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BB"
            )
        );
        assert!(encoded.ends_with(b"8PHy8/T19vf4+fr7/P3+/w==:"));
    }

    #[test]
    fn a_chain_is_a_list_without_the_leaf() {
        let fields = CertificateFields::chain(b"foo", [&b"f"[..], b"fo"]);
        assert_eq!(fields.leaf, ":Zm9v:");
        assert_eq!(fields.chain.unwrap(), ":Zg==:, :Zm8=:");
        assert_eq!(CertificateFields::chain(b"foo", []).chain, None);
    }
}
