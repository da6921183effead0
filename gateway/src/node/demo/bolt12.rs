//! BOLT 12: offers and invoices as text, their records and their hashes.

use bitcoin::hashes::{Hash, HashEngine, sha256};

use super::base32::{self, BECH32};

/// What the text of an offer and of an invoice begins with.
pub(super) const OFFER_PREFIX: &str = "lno1";
pub(super) const INVOICE_PREFIX: &str = "lni1";

/// BOLT 12 "TLV Fields for Offers".
pub(super) const CHAINS: u64 = 2;
pub(super) const AMOUNT: u64 = 8;
pub(super) const DESCRIPTION: u64 = 10;
pub(super) const ABSOLUTE_EXPIRY: u64 = 14;
pub(super) const ISSUER: u64 = 18;
pub(super) const QUANTITY_MAX: u64 = 20;
pub(super) const ISSUER_ID: u64 = 22;

/// The last record that is the offer's where an invoice repeats it.
const LAST_OF_OFFER: u64 = 79;
/// Signatures are not signed.
const SIGNATURES: std::ops::RangeInclusive<u64> = 240..=1000;

/// A type and its value. They are in ascending order of the types.
pub(super) type Record = (u64, Vec<u8>);

/// The text that stands for the records.
pub(super) fn encode(prefix: &str, records: &[Record]) -> String {
    format!("{prefix}{}", base32::encode(&to_bytes(records), BECH32))
}

/// The records of a text, which may be in upper case. `None` where it does not begin with the prefix
/// or is not such a text.
pub(super) fn decode(prefix: &str, text: &str) -> Option<Vec<Record>> {
    let is_upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_upper && text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let bytes = base32::decode(text.to_ascii_lowercase().strip_prefix(prefix)?, BECH32)?;
    let mut rest = bytes.as_slice();
    let mut records: Vec<Record> = Vec::new();
    while !rest.is_empty() {
        let kind = take_bigsize(&mut rest)?;
        let length = usize::try_from(take_bigsize(&mut rest)?).ok()?;
        let value = rest.split_off(..length)?;
        if records.last().is_some_and(|(last, _)| *last >= kind) {
            return None;
        }
        records.push((kind, value.to_vec()));
    }
    (!records.is_empty()).then_some(records)
}

/// What identifies an offer: the hash of its records, also where an invoice repeats them.
pub(super) fn offer_id(records: &[Record]) -> String {
    let offer: Vec<Record> =
        records.iter().filter(|(kind, _)| (1..=LAST_OF_OFFER).contains(kind)).cloned().collect();
    sha256::Hash::hash(&to_bytes(&offer)).to_string()
}

/// What the signature of an invoice signs: BOLT 12 "Signature Calculation".
pub(super) fn signed_hash(records: &[Record]) -> Option<[u8; 32]> {
    let root = merkle_root(records)?;
    Some(tagged_hash(b"lightninginvoicesignature", &[root.as_byte_array()]).to_byte_array())
}

/// The root of a tree over the records, each beside a nonce that hides it from those who do not know
/// the first.
fn merkle_root(records: &[Record]) -> Option<sha256::Hash> {
    let nonce_tag = [b"LnNonce".to_vec(), to_bytes(records.get(..1)?)].concat();
    let signed = records.iter().filter(|(kind, _)| !SIGNATURES.contains(kind));
    let mut level: Vec<sha256::Hash> = signed
        .map(|record| {
            let leaf = tagged_hash(b"LnLeaf", &[&to_bytes(std::slice::from_ref(record))]);
            branch(leaf, tagged_hash(&nonce_tag, &[&bigsize(record.0)]))
        })
        .collect();
    while level.len() > 1 {
        // One that is left over goes up as it is.
        level = level
            .chunks(2)
            .map(|pair| if pair.len() == 2 { branch(pair[0], pair[1]) } else { pair[0] })
            .collect();
    }
    level.first().copied()
}

/// The lesser of the two comes first.
fn branch(a: sha256::Hash, b: sha256::Hash) -> sha256::Hash {
    let (low, high) = if a.as_byte_array() < b.as_byte_array() { (a, b) } else { (b, a) };
    tagged_hash(b"LnBranch", &[low.as_byte_array(), high.as_byte_array()])
}

/// BIP 340.
fn tagged_hash(tag: &[u8], parts: &[&[u8]]) -> sha256::Hash {
    let tag = sha256::Hash::hash(tag);
    let mut engine = sha256::Hash::engine();
    engine.input(tag.as_byte_array());
    engine.input(tag.as_byte_array());
    parts.iter().for_each(|part| engine.input(part));
    sha256::Hash::from_engine(engine)
}

/// A number in as few bytes as hold it, with the highest first (BOLT 1 `tu64`).
pub(super) fn truncated(number: u64) -> Vec<u8> {
    number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}

/// What `truncated` wrote.
pub(super) fn read_truncated(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > 8 || bytes.first() == Some(&0) {
        return None;
    }
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn to_bytes(records: &[Record]) -> Vec<u8> {
    let records = records.iter();
    records
        .flat_map(|(kind, value)| [bigsize(*kind), bigsize(value.len() as u64), value.clone()].concat())
        .collect()
}

/// BOLT 1 `bigsize`.
fn bigsize(number: u64) -> Vec<u8> {
    match number {
        0..0xfd => vec![number as u8],
        0xfd..0x1_0000 => [&[0xfd], &(number as u16).to_be_bytes()[..]].concat(),
        0x1_0000..0x1_0000_0000 => [&[0xfe], &(number as u32).to_be_bytes()[..]].concat(),
        _ => [&[0xff], &number.to_be_bytes()[..]].concat(),
    }
}

fn take_bigsize(rest: &mut &[u8]) -> Option<u64> {
    let first = *rest.split_off_first()?;
    let (length, least) = match first {
        0xfd => (2, 0xfd),
        0xfe => (4, 0x1_0000),
        0xff => (8, 0x1_0000_0000),
        _ => return Some(u64::from(first)),
    };
    let bytes = rest.split_off(..length)?;
    let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    (number >= least).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_back(mut records: Vec<Record>) {
            records.sort();
            records.dedup_by_key(|record| record.0);
            records.insert(0, (0, Vec::new()));
            records.dedup_by_key(|record| record.0);
            let text = encode(OFFER_PREFIX, &records);
            prop_assert_eq!(decode(OFFER_PREFIX, &text), Some(records.clone()));
            prop_assert_eq!(decode(OFFER_PREFIX, &text.to_ascii_uppercase()), Some(records));
        }

        #[test]
        fn numbers_come_back(number: u64) {
            prop_assert_eq!(read_truncated(&truncated(number)), Some(number));
            prop_assert_eq!(take_bigsize(&mut bigsize(number).as_slice()), Some(number));
        }

        #[test]
        fn nothing_panics(text in "lno1[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{0,200}") {
            if let Some(records) = decode(OFFER_PREFIX, &text) {
                prop_assert_eq!(encode(OFFER_PREFIX, &records), text);
            }
        }
    }

    #[test]
    fn what_is_no_offer() {
        for text in ["", "lno1", "lno", "lni1qqq", "lno1q", "lnO1qq"] {
            assert_eq!(decode(OFFER_PREFIX, text), None, "{text}");
        }
    }
}
