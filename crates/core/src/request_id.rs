//! The id of an exchange: 128 random bits, the same at the client, in every log line and at the role.

use std::cell::RefCell;
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
        thread_local!(static STOCK: RefCell<Stock> = const { RefCell::new(Stock::empty()) });
        Self(STOCK.with_borrow_mut(Stock::take))
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
        let bytes = self.0.to_be_bytes();
        std::array::from_fn(|at| DIGITS[usize::from(bytes[at / 2] >> (4 * (1 - at % 2)) & 15)])
    }
}

/// Random numbers for the ids to come: the generator takes a microsecond each time, however little it is asked for.
struct Stock {
    numbers: [u128; Self::SIZE],
    left: usize,
}

impl Stock {
    const SIZE: usize = 64;

    const fn empty() -> Self {
        Self { numbers: [0; Self::SIZE], left: 0 }
    }

    fn take(&mut self) -> u128 {
        if self.left == 0 {
            self.fill();
        }
        self.left -= 1;
        // Nobody needs an id that was given out.
        self.numbers.get_mut(self.left).map(std::mem::take).unwrap_or_default()
    }

    fn fill(&mut self) {
        let mut bytes = [0; 16 * Self::SIZE];
        // The generator of aws-lc-rs fails only if the kernel has no entropy source at all; an id of zeros
        // would then be repeated but still harmless: it names an exchange and proves nothing.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        let (numbers, _) = bytes.as_chunks::<16>();
        for (number, bytes) in self.numbers.iter_mut().zip(numbers) {
            *number = u128::from_be_bytes(*bytes);
        }
        self.left = Self::SIZE;
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::str::from_utf8(&self.hex()).map_err(|_| fmt::Error).and_then(|digits| f.write_str(digits))
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
    fn ids_are_not_repeated() {
        let ids: std::collections::HashSet<_> = (0..10 * Stock::SIZE).map(|_| RequestId::random()).collect();
        assert_eq!(ids.len(), 10 * Stock::SIZE);
    }

    #[test]
    fn anything_else_is_not_an_id() {
        for text in ["", "00", "0123456789ABCDEF0123456789abcdef", "+123456789abcdef0123456789abcdef"] {
            assert_eq!(RequestId::parse(text), Err(NotARequestId), "{text}");
        }
    }
}
