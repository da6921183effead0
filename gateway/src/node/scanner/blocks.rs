//! What 64 bytes of a reply are, all at once and without a branch.

/// Bytes looked at at once.
pub(super) const BLOCK: usize = 64;

/// Whether the byte belongs to a number or a word, or stands between values: one of `,:-+.`, a digit, a
/// small letter or `E`. In steps that compilers turn into vector instructions, and few of them.
pub(super) fn is_scalar(byte: u8) -> bool {
    // From `+` to `:` lie the digits, `+,-.:` and a slash.
    let digit_or_sign = (byte.wrapping_sub(b'+') <= b':' - b'+') & (byte != b'/');
    digit_or_sign | (byte.wrapping_sub(b'a') <= b'z' - b'a') | (byte == b'E')
}

/// Where in a block the quotes and the scalars are, a bit for each byte, the first one's lowest;
/// nothing where there is a backslash or a line break.
// Its loops become vector instructions as long as it stays apart.
#[inline(never)]
pub(super) fn masks(block: &[u8; BLOCK]) -> Option<(u64, u64)> {
    let (mut quotes, mut scalars, mut escapes) = (Columns::default(), Columns::default(), Columns::default());
    let (rows, _) = block.as_chunks::<COLUMNS>();
    for (row, bytes) in rows.iter().enumerate() {
        let mark = |holds| if holds { 1 << (2 * row) } else { 0 };
        for (column, &byte) in bytes.iter().enumerate() {
            quotes[column] |= mark(byte == b'"');
            scalars[column] |= mark(is_scalar(byte));
            escapes[column] |= u8::from((byte == b'\\') | (byte == b'\n'));
        }
    }
    (escapes == Columns::default()).then(|| (in_order(quotes), in_order(scalars)))
}

/// Bytes of a block that are looked at side by side.
const COLUMNS: usize = 16;

/// A block seen as four rows: what is marked of row `r` has bit `2 * r` of its column.
type Columns = [u8; COLUMNS];

/// The bits of the columns row by row.
fn in_order(columns: Columns) -> u64 {
    let (eights, _) = columns.as_chunks::<8>();
    // Eight bytes with all bits in use: those of the columns to the left and to the right take turns.
    let bits = eights.iter().rev().fold(0, |bits, eight| bits << 1 | u64::from_le_bytes(*eight));
    transpose(bits)
}

/// Turns 8 rows of 8 bits into columns.
fn transpose(mut bits: u64) -> u64 {
    // Halves of 2 by 2, then of 4 by 4, then of 8 by 8 change places.
    for (distance, half) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0xf0f0_f0f0)] {
        let differing = (bits ^ bits >> distance) & half;
        bits ^= differing | differing << distance;
    }
    bits
}

/// Each bit of the outcome is the parity of the bits up to there.
pub(super) fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, is_scalar, masks, parity};
    use proptest::prelude::*;

    #[test]
    fn scalars_are_these() {
        let scalars: Vec<u8> = (0..=255).filter(|byte| is_scalar(*byte)).collect();
        assert_eq!(scalars, b"+,-.0123456789:Eabcdefghijklmnopqrstuvwxyz");
    }

    proptest! {
        #[test]
        fn each_byte_has_its_bit(bytes in proptest::collection::vec(any::<u8>(), BLOCK), at in 0..BLOCK) {
            let tame = |byte| if byte == b'\\' || byte == b'\n' { b'a' } else { byte };
            let mut block: [u8; BLOCK] = std::array::from_fn(|at| tame(bytes[at]));
            block[at] = b'"';
            let mask = |holds: fn(u8) -> bool| (0..BLOCK).fold(0, |mask, at| mask | u64::from(holds(block[at])) << at);
            prop_assert_eq!(masks(&block), Some((mask(|byte| byte == b'"'), mask(is_scalar))));
            for escape in [b'\\', b'\n'] {
                block[at] = escape;
                prop_assert_eq!(masks(&block), None);
            }
        }

        #[test]
        fn parities(bits in any::<u64>(), at in 0u32..64) {
            prop_assert_eq!(parity(bits) >> at & 1, u64::from((bits << (63 - at)).count_ones() % 2));
        }
    }
}
