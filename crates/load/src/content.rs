//! Content that anyone can make again, written down here a second time on purpose: byte `i` of seed `s` is byte `i % 8`,
//! little-endian, of number `i / 8` of the SplitMix64 sequence that starts at `s`.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::limits;

pub const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A body that is made while it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub seed: u64,
    pub length: u64,
}

impl Content {
    /// The next bytes from `offset` on; none at the end.
    pub fn piece(self, offset: u64) -> Option<Bytes> {
        let length = (self.length - offset).min(limits::PIECE as u64) as usize;
        (length > 0).then(|| piece(self.seed, offset, length))
    }

    pub fn sha256(self) -> [u8; 32] {
        let mut hash = Context::new(&SHA256);
        let mut offset = 0;
        while let Some(piece) = self.piece(offset) {
            offset += piece.len() as u64;
            hash.update(&piece);
        }
        hash.finish().as_ref().try_into().unwrap_or_default()
    }
}

fn piece(seed: u64, offset: u64, length: usize) -> Bytes {
    let skip = (offset % 8) as usize;
    let mut out = vec![0; (length + skip).next_multiple_of(8)];
    for (at, number) in out.chunks_exact_mut(8).enumerate() {
        number.copy_from_slice(&word(seed, offset / 8 + at as u64));
    }
    Bytes::from(out).slice(skip..skip + length)
}

/// Where `data`, which begins at `offset`, first differs from the content of `seed`.
pub fn first_difference(seed: u64, offset: u64, data: &[u8]) -> Option<u64> {
    let skip = (offset % 8) as usize;
    let (first, rest) = data.split_at(data.len().min((8 - skip) % 8));
    let head = word(seed, offset / 8);
    let in_first = first.iter().zip(head.iter().skip(skip)).position(|(is, should)| is != should);
    if let Some(at) = in_first {
        return Some(offset + at as u64);
    }
    let begin = offset + first.len() as u64;
    for (at, chunk) in rest.chunks(8).enumerate() {
        let should = word(seed, begin / 8 + at as u64);
        if chunk != &should[..chunk.len()] {
            let within = chunk.iter().zip(should).position(|(is, should)| *is != should).unwrap_or(0);
            return Some(begin + at as u64 * 8 + within as u64);
        }
    }
    None
}

fn word(seed: u64, number: u64) -> [u8; 8] {
    mixed(seed.wrapping_add((number + 1).wrapping_mul(GOLDEN))).to_le_bytes()
}

pub fn mixed(state: u64) -> u64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_sequence() {
        assert_eq!(piece(0, 0, 8), 0xE220_A839_7B1D_CDAF_u64.to_le_bytes().as_slice());
    }

    #[test]
    fn every_wrong_byte_is_found_where_it_is() {
        let whole = piece(7, 0, 500);
        for offset in [0, 1, 7, 8, 13, 499] {
            for length in [0, 1, 5, 8, 100] {
                let end = (offset + length).min(500);
                let part = &whole[offset..end];
                assert_eq!(first_difference(7, offset as u64, part), None, "{offset} {length}");
                for at in 0..part.len() {
                    let mut wrong = part.to_vec();
                    wrong[at] ^= 1;
                    assert_eq!(first_difference(7, offset as u64, &wrong), Some((offset + at) as u64));
                }
            }
        }
    }

    #[test]
    fn pieces_make_the_whole() {
        let content = Content { seed: 9, length: 100_001 };
        let mut joined = Vec::new();
        while let Some(piece) = content.piece(joined.len() as u64) {
            joined.extend_from_slice(&piece);
        }
        assert_eq!((joined.len(), first_difference(9, 0, &joined)), (100_001, None));
        let hash = aws_lc_rs::digest::digest(&SHA256, &joined);
        assert_eq!(content.sha256(), hash.as_ref());
    }
}
