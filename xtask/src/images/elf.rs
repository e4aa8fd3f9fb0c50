//! Whether an ELF program is complete in itself, read from its headers. Understands the 64-bit little-endian form only
//! and never runs what it looks at.

const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const PROGRAM_HEADERS: usize = 32;
const PROGRAM_HEADER_SIZE: usize = 54;
const PROGRAM_HEADER_COUNT: usize = 56;

const DYNAMIC: u64 = 2;
const INTERPRETER: u64 = 3;
const OFFSET: usize = 8;
const SIZE: usize = 32;

const DYNAMIC_ENTRY: usize = 16;
const NEEDED: u64 = 1;

/// What keeps a program from running where nothing else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStatic {
    NotElf,
    Loader,
    Libraries,
}

impl NotStatic {
    pub const fn why(self) -> &'static str {
        match self {
            NotStatic::NotElf => "it is not a 64-bit ELF program",
            NotStatic::Loader => "it asks for a dynamic loader (PT_INTERP)",
            NotStatic::Libraries => "it needs shared libraries (DT_NEEDED)",
        }
    }
}

pub fn is_static(program: &[u8]) -> Result<(), NotStatic> {
    let headers = program_headers(program).ok_or(NotStatic::NotElf)?;
    for header in headers {
        match number(header, 0, 4).ok_or(NotStatic::NotElf)? {
            INTERPRETER => return Err(NotStatic::Loader),
            DYNAMIC if needs_libraries(program, header).ok_or(NotStatic::NotElf)? => return Err(NotStatic::Libraries),
            _ => {}
        }
    }
    Ok(())
}

fn program_headers(program: &[u8]) -> Option<Vec<&[u8]>> {
    program.starts_with(MAGIC).then_some(())?;
    let first = number(program, PROGRAM_HEADERS, 8)?;
    let size = number(program, PROGRAM_HEADER_SIZE, 2)?;
    let count = number(program, PROGRAM_HEADER_COUNT, 2)?;
    (count > 0).then_some(())?;
    (0..count).map(|index| piece(program, first.checked_add(index * size)?, size)).collect()
}

fn needs_libraries(program: &[u8], header: &[u8]) -> Option<bool> {
    let entries = piece(program, number(header, OFFSET, 8)?, number(header, SIZE, 8)?)?;
    Some(entries.chunks_exact(DYNAMIC_ENTRY).any(|entry| number(entry, 0, 8) == Some(NEEDED)))
}

fn piece(bytes: &[u8], at: u64, length: u64) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    bytes.get(at..)?.get(..usize::try_from(length).ok()?)
}

/// A little-endian number of so many bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.get(..length)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header and one program header of this kind, whose content is a dynamic entry of this kind.
    fn program(kind: u8, entry: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56 + DYNAMIC_ENTRY];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[PROGRAM_HEADERS] = 64;
        bytes[PROGRAM_HEADER_SIZE] = 56;
        bytes[PROGRAM_HEADER_COUNT] = 1;
        bytes[64] = kind;
        bytes[64 + OFFSET] = 64 + 56;
        bytes[64 + SIZE] = 16;
        bytes[64 + 56] = entry;
        bytes
    }

    #[test]
    fn what_a_program_needs_is_seen() {
        let [load, soname] = [1, 14];
        assert_eq!(is_static(&program(load, 0)), Ok(()));
        assert_eq!(is_static(&program(2, soname)), Ok(()));
        assert_eq!(is_static(&program(2, 1)), Err(NotStatic::Libraries));
        assert_eq!(is_static(&program(3, 0)), Err(NotStatic::Loader));
    }

    #[test]
    fn this_test_is_not_static() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(is_static(&own), Err(NotStatic::Loader));
    }

    #[test]
    fn what_is_no_program_is_seen_and_broken_headers_do_no_harm() {
        assert_eq!(is_static(b"#!/bin/sh\n"), Err(NotStatic::NotElf));
        let whole = program(2, 0);
        for length in 0..whole.len() {
            assert_eq!(is_static(&whole[..length]), Err(NotStatic::NotElf), "{length}");
        }
        let mut far = whole;
        far[64 + OFFSET..64 + OFFSET + 8].fill(0xff);
        assert_eq!(is_static(&far), Err(NotStatic::NotElf));
    }
}
