//! The head of a request, cut into its parts and nothing else.

use bytes::Bytes;

/// A complete head; every part is a slice of its bytes.
#[derive(Clone, Debug)]
pub struct RawHead {
    pub bytes: Bytes,
    pub method: Bytes,
    pub target: Bytes,
    pub version: Bytes,
    /// Names as they were written, values without the white space around them.
    pub fields: Vec<(Bytes, Bytes)>,
}

/// Where the head at the beginning of the buffer ends, its empty line included.
pub fn head_end(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

impl RawHead {
    pub fn parse(bytes: Bytes) -> Self {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().unwrap_or_default();
        let (method, rest) = split_once(first, |byte| byte == b' ');
        let (target, version) = match rest.iter().rposition(|byte| *byte == b' ') {
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default()),
            None => (rest, &[][..]),
        };
        let part = |slice: &[u8]| bytes.slice_ref(slice);
        let fields = lines
            .filter(|line| !line.is_empty())
            .map(|line| split_once(line, |byte| byte == b':'))
            .map(|(name, value)| (part(name), part(value.trim_ascii())))
            .collect();
        Self { method: part(method), target: part(target), version: part(version), fields, bytes: bytes.clone() }
    }

    /// The value of the first field of this name.
    pub fn field(&self, name: &str) -> Option<&Bytes> {
        let is_it = |(other, _): &&(Bytes, Bytes)| other.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(is_it).map(|(_, value)| value)
    }

    /// The same as text, when it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.field(name)?).ok()
    }
}

fn split_once(line: &[u8], at: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| at(*byte)) {
        Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default()),
        None => (line, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_kept() {
        let bytes: &[u8] =
            b"CCM_POST /CCM_Incoming/{4F2C} \xff?MPLIST HTTP/1.1\r\nHoSt:  mp \r\nX:a:b\r\nX: \xe9\r\n\r\n";
        assert_eq!(head_end(bytes), Some(bytes.len()));
        let head = RawHead::parse(Bytes::from_static(bytes));
        assert_eq!(head.method, "CCM_POST");
        assert_eq!(head.target, b"/CCM_Incoming/{4F2C} \xff?MPLIST"[..]);
        assert_eq!(head.version, "HTTP/1.1");
        assert_eq!(head.fields[0], (Bytes::from_static(b"HoSt"), Bytes::from_static(b"mp")));
        assert_eq!(head.fields[2].1, b"\xe9"[..]);
        assert_eq!(head.text("x"), Some("a:b"));
    }

    #[test]
    fn nonsense_is_a_head_too() {
        let head = RawHead::parse(Bytes::from_static(b"nonsense\r\n\r\n"));
        assert_eq!((head.method.as_ref(), head.target.as_ref(), head.fields.len()), (&b"nonsense"[..], &b""[..], 0));
    }
}
