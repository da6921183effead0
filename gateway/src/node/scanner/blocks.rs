//! What 64 bytes of a reply are, all at once and without a branch.

use std::ops::Range;

/// Bytes looked at at once.
pub(super) const BLOCK: usize = 64;

/// How far ahead bytes are classified, at most.
const AHEAD: usize = 1024;

/// The classes of a block's bytes.
pub(super) type Classes = [u8; BLOCK];

/// Whether the byte belongs to a number or a word, or stands between values.
pub(super) fn is_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b':' | b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E')
}

/// What the bytes of `input` are, found out some way ahead: see [`classify`].
pub(super) struct Ahead<'a> {
    input: &'a [u8],
    classes: [u8; AHEAD],
    /// The part of the input that `classes` tells of.
    known: Range<usize>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, classes: [0; AHEAD], known: 0..0 }
    }

    /// The classes of the block at this place, where the input has a whole one.
    pub(super) fn block(&mut self, at: usize) -> Option<&Classes> {
        if at + BLOCK > self.input.len() {
            return None;
        }
        if at + BLOCK > self.known.end {
            self.known = at..self.input.len().min(at + AHEAD);
            classify(&self.input[self.known.clone()], &mut self.classes);
        }
        self.classes[at - self.known.start..self.known.end - self.known.start].first_chunk()
    }
}

/// What a class tells of a byte: each is a bit of it.
const QUOTE: u8 = 1;
const SCALAR: u8 = 2;
/// A backslash, or a line break.
const ESCAPE: u8 = 4;

/// Finds the class of each byte. A loop that compilers turn into vector instructions, as long as it
/// stays apart.
#[inline(never)]
fn classify(bytes: &[u8], classes: &mut [u8]) {
    for (class, byte) in classes.iter_mut().zip(bytes) {
        let of = |holds, class| if holds { class } else { 0 };
        *class = of(*byte == b'"', QUOTE)
            | of(is_scalar(*byte), SCALAR)
            | of(*byte == b'\\' || *byte == b'\n', ESCAPE);
    }
}

/// Where in a block the quotes and the scalars are, a bit for each byte, the first one's lowest;
/// nothing where there is an escape.
pub(super) fn masks(classes: &Classes) -> Option<(u64, u64)> {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    // The product has the lowest bits of the eight bytes in its topmost one.
    let gather = |eight: u64| (eight & EACH).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let (mut quotes, mut scalars, mut any) = (0, 0, 0);
    let (eights, _) = classes.as_chunks::<8>();
    for eight in eights.iter().rev() {
        let eight = u64::from_le_bytes(*eight);
        quotes = quotes << 8 | gather(eight / u64::from(QUOTE));
        scalars = scalars << 8 | gather(eight / u64::from(SCALAR));
        any |= eight;
    }
    (any & (EACH * u64::from(ESCAPE)) == 0).then_some((quotes, scalars))
}

/// Each bit of the outcome is the parity of the bits up to there.
pub(super) fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}
