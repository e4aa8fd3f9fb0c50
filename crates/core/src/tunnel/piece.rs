//! One gRPC message as it is handed to h2: a short prefix, perhaps an encoded head, and the data
//! untouched. The bytes of a body are never copied on their way into the tunnel.

use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;

/// Compression flag and length of a gRPC message.
pub const GRPC_PREFIX: usize = 5;
/// Tag of the field `data` in every message that has one: number 15, length-delimited.
pub const DATA_TAG: u8 = (15 << 3) | 2;

const INLINE: usize = 16;

/// A message, or raw bytes of a control call.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    inline: [u8; INLINE],
    inline_at: u8,
    inline_end: u8,
    head: Bytes,
    data: Bytes,
}

impl Piece {
    /// Bytes as they are: used by the control call, whose messages tonic has framed already.
    pub fn raw(data: Bytes) -> Self {
        Self { data, ..Self::default() }
    }

    /// A message of `data` alone.
    pub fn data(data: Bytes) -> Self {
        let (prefix, prefix_length) = data_prefix(data.len());
        let prefix = prefix.get(..prefix_length).unwrap_or_default();
        let length = (prefix.len() + data.len()) as u32;
        let mut piece = Self { data, ..Self::default() };
        piece.put_inline(&[0]);
        piece.put_inline(&length.to_be_bytes());
        piece.put_inline(prefix);
        piece
    }

    /// A message with other fields, and `data` behind them.
    pub fn message(fields: &impl Message, data: Bytes) -> Self {
        let (prefix, prefix_length) = data_prefix(data.len());
        let prefix = prefix.get(..prefix_length).unwrap_or_default();
        let fields_length = fields.encoded_len();
        let mut head = Vec::with_capacity(GRPC_PREFIX + fields_length + prefix.len());
        head.put_u8(0);
        head.put_u32((fields_length + prefix.len() + data.len()) as u32);
        // A Vec has room for everything.
        let _ = fields.encode(&mut head);
        head.put_slice(prefix);
        Self { head: head.into(), data, ..Self::default() }
    }

    fn put_inline(&mut self, bytes: &[u8]) {
        let at = usize::from(self.inline_end);
        if let Some(room) = self.inline.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
            self.inline_end += bytes.len() as u8;
        }
    }

    fn inline(&self) -> &[u8] {
        self.inline.get(usize::from(self.inline_at)..usize::from(self.inline_end)).unwrap_or_default()
    }
}

/// Tag and length of `data`, and how many bytes that is: none for no data, else at most 11.
fn data_prefix(length: usize) -> ([u8; INLINE], usize) {
    let mut room = [0; INLINE];
    if length == 0 {
        return (room, 0);
    }
    let mut rest = &mut room[..];
    rest.put_u8(DATA_TAG);
    prost::encoding::encode_varint(length as u64, &mut rest);
    let used = INLINE - rest.len();
    (room, used)
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.inline().len() + self.head.len() + self.data.len()
    }

    fn chunk(&self) -> &[u8] {
        if !self.inline().is_empty() {
            self.inline()
        } else if !self.head.is_empty() {
            &self.head
        } else {
            &self.data
        }
    }

    fn advance(&mut self, count: usize) {
        let from_inline = count.min(self.inline().len());
        self.inline_at += from_inline as u8;
        let from_head = (count - from_inline).min(self.head.len());
        self.head.advance(from_head);
        self.data.advance(count - from_inline - from_head);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = [self.inline(), &self.head, &self.data];
        let filled = parts.into_iter().filter(|part| !part.is_empty());
        slices.iter_mut().zip(filled).map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::generated::ResponsePart;
    use super::*;

    fn bytes_of(mut piece: Piece, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while piece.has_remaining() {
            let count = piece.chunk().len().min(step);
            all.extend_from_slice(&piece.chunk()[..count]);
            piece.advance(count);
        }
        all
    }

    #[test]
    fn a_data_message_is_prefix_tag_length_and_the_bytes_themselves() {
        let data = Bytes::from(vec![7; 300]);
        let mut expected = vec![0, 0, 0, 1, 47, 0x7a, 0xac, 0x02];
        expected.extend_from_slice(&data);
        for step in [1, 3, 1000] {
            assert_eq!(bytes_of(Piece::data(data.clone()), step), expected);
        }
        let piece = Piece::data(data.clone());
        assert_eq!(piece.data.as_ptr(), data.as_ptr(), "the data is not copied");
    }

    #[test]
    fn slices_hold_what_chunks_hold() {
        let fields = ResponsePart { handed_to_role: true, ..Default::default() };
        let none = ResponsePart::default();
        let data = || Bytes::from_static(b"abc");
        for piece in [
            Piece::message(&fields, data()),
            Piece::message(&fields, Bytes::new()),
            Piece::message(&none, data()),
            Piece::data(data()),
            Piece::data(Bytes::new()),
            Piece::raw(data()),
        ] {
            let mut slices = [IoSlice::new(&[]); 4];
            let count = piece.chunks_vectored(&mut slices);
            let joined: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
            assert_eq!(joined.len(), piece.remaining());
            assert_eq!(joined, bytes_of(piece, usize::MAX));
        }
    }
}
