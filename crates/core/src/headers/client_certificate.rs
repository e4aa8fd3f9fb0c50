//! A client's certificate chain in the form of RFC 9440: `Client-Cert: :base64:` for the leaf and
//! `Client-Cert-Chain: :base64:, :base64:` for the rest. Made once per client connection.

use bytes::{BufMut, Bytes, BytesMut};

use crate::base64;

/// The values of `Client-Cert` and `Client-Cert-Chain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFields {
    pub(super) leaf: Bytes,
    pub(super) chain: Option<Bytes>,
}

impl CertificateFields {
    /// For roles with `client_certificate = "leaf"`.
    pub fn leaf(der: &[u8]) -> Self {
        let mut leaf = BytesMut::with_capacity(base64::length(der.len()) + 2);
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
    out.reserve(base64::length(data.len()) + 2);
    out.put_u8(b':');
    base64::put(out, data);
    out.put_u8(b':');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_a_list_without_the_leaf() {
        let fields = CertificateFields::chain(b"foo", [&b"f"[..], b"fo"]);
        assert_eq!(fields.leaf, ":Zm9v:");
        assert_eq!(fields.chain.unwrap(), ":Zg==:, :Zm8=:");
        assert_eq!(CertificateFields::chain(b"foo", []).chain, None);
    }
}
