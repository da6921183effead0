//! The authcode: a SHA-256 chaining value that goes on where the last restriction left it.

use std::slice;

use sha2::compress256;
use sha2::digest::{consts::U64, generic_array::GenericArray};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Longest secret, in bytes: with SHA-256's padding (0x80 and an 8-byte length) it fills one block.
pub const MAX_SECRET_BYTES: usize = BLOCK - 9;

pub(crate) const AUTHCODE_BYTES: usize = 32;

const BLOCK: usize = 64;

type Block = GenericArray<u8, U64>;

/// SHA-256's initial state (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// What proves that a rune comes from a secret: 32 bytes, compared in constant time.
#[derive(Clone, Copy)]
pub(crate) struct Authcode(pub(crate) [u8; AUTHCODE_BYTES]);

impl PartialEq for Authcode {
    fn eq(&self, other: &Self) -> bool {
        // By the word: `ct_eq` guards each element, which for bytes takes as long as hashing them.
        self.words().ct_eq(&other.words()).into()
    }
}

impl Eq for Authcode {}

impl Authcode {
    fn words(&self) -> [u64; 4] {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        words
    }
}

/// A SHA-256 computation that stands at the end of a padded message.
///
/// Each restriction is hashed together with the padding SHA-256 would end with at that point, so
/// the state is at once a finished hash and a place to go on from: whoever holds it can append,
/// and none can take back.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Chain {
    state: [u32; 8],
    /// Bytes hashed so far, padding included: whole blocks.
    length: u64,
}

impl Chain {
    /// The chain of a rune without any restriction. `None` above [`MAX_SECRET_BYTES`].
    pub(crate) fn start(secret: &[u8]) -> Option<Self> {
        if secret.len() > MAX_SECRET_BYTES {
            return None;
        }
        let mut block = Zeroizing::new([0; BLOCK]);
        block[..secret.len()].copy_from_slice(secret);
        let block = slice::from_mut(Block::from_mut_slice(block.as_mut_slice()));
        pad(block, secret.len(), secret.len() as u64);

        let mut state = INITIAL;
        compress256(&mut state, block);
        Some(Self { state, length: BLOCK as u64 })
    }

    /// The chain that `authcode` is the end of, after these restrictions (encoded).
    pub(crate) fn resume<'a>(authcode: &Authcode, restrictions: impl Iterator<Item = &'a str>) -> Self {
        let mut state = [0; 8];
        let (words, _) = authcode.0.as_chunks::<4>();
        for (word, bytes) in state.iter_mut().zip(words) {
            *word = u32::from_be_bytes(*bytes);
        }
        let hashed: usize = restrictions.map(|text| padded(text.len())).sum();
        Self { state, length: (BLOCK + hashed) as u64 }
    }

    /// Appends one restriction, encoded.
    pub(crate) fn append(&mut self, restriction: &str) {
        let (blocks, tail) = restriction.as_bytes().as_chunks::<BLOCK>();
        for block in blocks {
            compress256(&mut self.state, slice::from_ref(Block::from_slice(block)));
        }

        let mut end = [Block::default(); 2];
        end[0][..tail.len()].copy_from_slice(tail);
        let end = &mut end[..padded(tail.len()) / BLOCK];
        pad(end, tail.len(), self.length + restriction.len() as u64);
        compress256(&mut self.state, end);
        self.length += padded(restriction.len()) as u64;
    }

    pub(crate) fn authcode(&self) -> Authcode {
        let mut bytes = [0; AUTHCODE_BYTES];
        let (words, _) = bytes.as_chunks_mut::<4>();
        for (bytes, word) in words.iter_mut().zip(&self.state) {
            *bytes = word.to_be_bytes();
        }
        Authcode(bytes)
    }
}

/// Length of `length` bytes with their padding, in whole blocks.
const fn padded(length: usize) -> usize {
    (length + 9).next_multiple_of(BLOCK)
}

/// Ends a message of `total` bytes of which the last `used`, less than a block, start `end`.
fn pad(end: &mut [Block], used: usize, total: u64) {
    if let Some(first) = end.first_mut() {
        first[used] = 0x80;
    }
    if let Some(last) = end.last_mut() {
        last[BLOCK - 8..].copy_from_slice(&(total * 8).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// The definition, spelled out: one SHA-256 over secret, padding, restriction, padding, … where
    /// the last padding is SHA-256's own.
    fn by_definition(secret: &[u8], restrictions: &[&str]) -> [u8; 32] {
        let mut message = secret.to_vec();
        for restriction in restrictions {
            let bits = (message.len() as u64) * 8;
            message.push(0x80);
            while message.len() % 64 != 56 {
                message.push(0);
            }
            message.extend(bits.to_be_bytes());
            message.extend(restriction.bytes());
        }
        Sha256::digest(&message).into()
    }

    #[test]
    fn follows_the_definition_at_every_length_around_a_block() {
        for secret in [1, 16, 32, 54, 55] {
            let secret = vec![7; secret];
            for length in 0..200 {
                let long = "x".repeat(length);
                let restrictions = ["=1", long.as_str(), "method=getinfo"];
                let mut chain = Chain::start(&secret).unwrap();
                for restriction in restrictions {
                    chain.append(restriction);
                }
                assert_eq!(chain.authcode().0, by_definition(&secret, &restrictions));
            }
        }
    }

    #[test]
    fn goes_on_from_an_authcode_alone() {
        let long = "x".repeat(119);
        let before = ["=1", long.as_str()];
        let mut chain = Chain::start(b"secret").unwrap();
        for restriction in before {
            chain.append(restriction);
        }
        let mut resumed = Chain::resume(&chain.authcode(), before.into_iter());
        resumed.append("rate=1");
        assert_eq!(resumed.authcode().0, by_definition(b"secret", &["=1", &long, "rate=1"]));
    }

    #[test]
    fn holds_no_secret_over_one_block() {
        assert!(Chain::start(&[0; 55]).is_some());
        assert!(Chain::start(&[0; 56]).is_none());
    }
}
