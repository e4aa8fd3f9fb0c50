//! Content that anyone can make again: byte `i` of seed `s` is byte `i % 8`, little-endian, of number `i / 8`
//! of the SplitMix64 sequence that starts at `s`. It never repeats, so a swapped or doubled piece shows.

use bytes::Bytes;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The bytes from `offset` on.
pub fn piece(seed: u64, offset: u64, length: usize) -> Bytes {
    let skip = (offset % 8) as usize;
    let mut out = vec![0; (length + skip).next_multiple_of(8)];
    let mut state = seed.wrapping_add((offset / 8).wrapping_mul(GOLDEN));
    for number in out.chunks_exact_mut(8) {
        state = state.wrapping_add(GOLDEN);
        number.copy_from_slice(&mixed(state).to_le_bytes());
    }
    Bytes::from(out).slice(skip..skip + length)
}

fn mixed(state: u64) -> u64 {
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
        // The first number of SplitMix64 for seed 0, as published with the algorithm.
        assert_eq!(piece(0, 0, 8), 0xE220_A839_7B1D_CDAF_u64.to_le_bytes().as_slice());
    }

    #[test]
    fn any_part_is_the_part_of_the_whole() {
        let whole = piece(7, 0, 1000);
        for (from, length) in [(0, 1), (3, 9), (8, 8), (13, 500), (999, 1), (1000, 0)] {
            assert_eq!(piece(7, from as u64, length), whole[from..from + length]);
        }
    }
}
