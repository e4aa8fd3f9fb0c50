//! The id of an exchange: 128 random bits, the same at the client, in every log line and at the role.

use std::fmt;

/// Shown as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

/// A request id that is not 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request id is 32 lower-case hex digits")]
pub struct NotARequestId;

impl RequestId {
    /// An id nobody can guess.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        // The generator of aws-lc-rs fails only if the kernel has no entropy source at all; an id of zeros
        // would then be repeated but still harmless: it names an exchange and proves nothing.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        Self(u128::from_be_bytes(bytes))
    }

    pub fn parse(text: &str) -> Result<Self, NotARequestId> {
        let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_lower_hex) {
            return Err(NotARequestId);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| NotARequestId)
    }

    /// The 32 digits, without an allocation.
    pub fn hex(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        std::array::from_fn(|at| DIGITS[(self.0 >> (124 - 4 * at)) as usize & 15])
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_and_parsing_are_inverse() {
        let id = RequestId::random();
        assert_eq!(RequestId::parse(&id.to_string()), Ok(id));
        assert_eq!(id.to_string().as_bytes(), id.hex());
        assert_ne!(id, RequestId::random());
    }

    #[test]
    fn anything_else_is_not_an_id() {
        for text in ["", "00", "0123456789ABCDEF0123456789abcdef", "+123456789abcdef0123456789abcdef"] {
            assert_eq!(RequestId::parse(text), Err(NotARequestId), "{text}");
        }
    }
}
