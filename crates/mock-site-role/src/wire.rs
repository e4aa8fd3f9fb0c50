//! What came over the wire, as it came. A reader of heads and framing of our own that judges nothing: what
//! is not right is recorded and left to hyper to refuse.

mod framing;
mod head;

pub use framing::Framing;
pub use head::{RawHead, head_end};

/// Bytes as text in which every byte is one character (ISO 8859-1), so that none is lost in JSON.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
