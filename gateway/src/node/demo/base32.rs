//! Five bits to a character: what zbase32 and BOLT 12 have in common.

/// `signmessage`.
pub(super) const ZBASE32: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";
/// BOLT 12: bech32's characters, without its checksum.
pub(super) const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Writes bytes, filled up with zero bits.
pub(super) fn encode(bytes: &[u8], alphabet: &[u8; 32]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u32, 0);
    for &byte in bytes {
        held = (held << 8 | u32::from(byte)) & 0xffff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(alphabet[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(alphabet[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// Reads what `encode` wrote; `None` where it could not have written this.
pub(super) fn decode(text: &str, alphabet: &[u8; 32]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0);
    for character in text.bytes() {
        let value = alphabet.iter().position(|known| *known == character)?;
        held = (held << 5 | value as u32) & 0xffff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 255) as u8);
        }
    }
    let filled_up = bits < 5 && held & ((1 << bits) - 1) == 0;
    filled_up.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_can_be_read(bytes: Vec<u8>) {
            let text = encode(&bytes, ZBASE32);
            prop_assert_eq!(text.len(), (bytes.len() * 8).div_ceil(5));
            prop_assert_eq!(decode(&text, ZBASE32), Some(bytes));
        }
    }

    #[test]
    fn nothing_else_can() {
        assert_eq!(decode("y", ZBASE32), None);
        assert_eq!(decode("yb", ZBASE32), None);
        assert_eq!(decode("y2", ZBASE32), None);
    }
}
