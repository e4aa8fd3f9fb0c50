//! Follows a request body to its end: how much of the bytes at hand belongs to it, and which of them are
//! data. A body whose framing is broken never ends; who serves it finds out by itself.

use bytes::Bytes;

use super::RawHead;
use crate::limits;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    Done,
    /// So much data is still to come.
    Known(u64),
    /// In the line before a chunk, so far.
    ChunkLine(Vec<u8>),
    ChunkData(u64),
    /// In the line break after a chunk; so many of its bytes are to come.
    ChunkEnd(u8),
    /// In a trailer line, so far.
    Trailer(Vec<u8>),
    Broken,
}

/// What the framing says of the bytes at hand.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// So many bytes belong to the body.
    pub consumed: usize,
    /// Whether they are data, or else framing.
    pub is_data: bool,
    /// A trailer line that ended here.
    pub trailer: Option<Bytes>,
}

impl Framing {
    pub fn of(head: &RawHead) -> Self {
        let coding = head.field("transfer-encoding").map(|value| value.to_ascii_lowercase());
        match (coding, head.text("content-length")) {
            (Some(coding), _) if coding.ends_with(b"chunked") => Framing::ChunkLine(Vec::new()),
            (Some(_), _) => Framing::Broken,
            (None, Some(length)) => match length.parse() {
                Ok(0) => Framing::Done,
                Ok(length) => Framing::Known(length),
                Err(_) => Framing::Broken,
            },
            (None, None) => Framing::Done,
        }
    }

    pub fn is_done(&self) -> bool {
        *self == Framing::Done
    }

    /// One step: consumes bytes of one sort. With no bytes at hand it consumes none.
    pub fn step(&mut self, bytes: &[u8]) -> Step {
        let framing = |consumed| Step { consumed, is_data: false, trailer: None };
        let data = |consumed| Step { consumed, is_data: true, trailer: None };
        match self {
            Framing::Done => framing(0),
            Framing::Broken => framing(bytes.len()),
            Framing::Known(left) => {
                let taken = take(left, bytes);
                if *left == 0 {
                    *self = Framing::Done;
                }
                data(taken)
            }
            Framing::ChunkData(left) => {
                let taken = take(left, bytes);
                if *left == 0 {
                    *self = Framing::ChunkEnd(2);
                }
                data(taken)
            }
            Framing::ChunkEnd(left) => {
                let taken = bytes.len().min(usize::from(*left));
                *left -= taken as u8;
                if *left == 0 {
                    *self = Framing::ChunkLine(Vec::new());
                }
                framing(taken)
            }
            Framing::ChunkLine(_) | Framing::Trailer(_) => self.line(bytes),
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Step {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let consumed = end.map_or(bytes.len(), |at| at + 1);
        let (line, is_trailer) = match self {
            Framing::ChunkLine(line) => (line, false),
            Framing::Trailer(line) => (line, true),
            _ => return Step { consumed: 0, is_data: false, trailer: None },
        };
        line.extend_from_slice(bytes.get(..consumed).unwrap_or_default());
        let mut trailer = None;
        if line.len() > limits::LINE {
            *self = Framing::Broken;
        } else if end.is_some() {
            let text = line.trim_ascii_end().to_vec();
            *self = match (is_trailer, text.is_empty()) {
                (false, _) => after_chunk_line(&text),
                (true, true) => Framing::Done,
                (true, false) => {
                    trailer = Some(Bytes::from(text));
                    Framing::Trailer(Vec::new())
                }
            };
        }
        Step { consumed, is_data: false, trailer }
    }
}

fn after_chunk_line(line: &[u8]) -> Framing {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    match std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
        Some(0) => Framing::Trailer(Vec::new()),
        Some(length) => Framing::ChunkData(length),
        None => Framing::Broken,
    }
}

fn take(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= taken as u64;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the body in pieces of one size; gives data, trailers and what is left over.
    fn follow(fields: &str, body: &[u8], piece: usize) -> (Vec<u8>, Vec<Bytes>, Vec<u8>) {
        let head = RawHead::parse(Bytes::from(format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n")));
        let mut framing = Framing::of(&head);
        let (mut data, mut trailers, mut rest, mut at_hand) = (Vec::new(), Vec::new(), body.to_vec(), Vec::new());
        while !(framing.is_done() || rest.is_empty() && at_hand.is_empty()) {
            at_hand.extend(rest.drain(..piece.min(rest.len())));
            let step = framing.step(&at_hand);
            let taken: Vec<u8> = at_hand.drain(..step.consumed).collect();
            trailers.extend(step.trailer);
            if step.is_data {
                data.extend(taken);
            }
        }
        at_hand.extend(rest);
        (data, trailers, at_hand)
    }

    #[test]
    fn bodies_are_followed_to_their_end_in_any_pieces() {
        let chunked = b"4;a=b\r\nWiki\r\n5\r\npedia\r\n0\r\nX-Sum: 1\r\n\r\nGET";
        for piece in [1, 2, 3, 7, 1000] {
            let (data, trailers, left) = follow("Transfer-Encoding: chunked", chunked, piece);
            assert_eq!((data.as_slice(), left.as_slice()), (&b"Wikipedia"[..], &b"GET"[..]), "{piece}");
            assert_eq!(trailers, ["X-Sum: 1"]);
            let (data, _, left) = follow("Content-Length: 5", b"helloGET", piece);
            assert_eq!((data.as_slice(), left.as_slice()), (&b"hello"[..], &b"GET"[..]));
        }
        assert_eq!(follow("Host: x", b"GET", 1).2, b"GET");
    }

    #[test]
    fn broken_framing_never_ends() {
        for fields in ["Transfer-Encoding: gzip", "Content-Length: x"] {
            assert_eq!(follow(fields, b"abc", 1), (vec![], vec![], vec![]));
        }
        assert_eq!(follow("Transfer-Encoding: chunked", b"zz\r\nabc", 1).0, b"");
    }
}
