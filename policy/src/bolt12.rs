//! BOLT 12 invoices, `lni1…`, read as far as restrictions ask, and their signature checked.

use bech32::Fe32;
use secp256k1::{Message, PublicKey, SECP256K1, schnorr::Signature};
use sha2::{Digest, Sha256};

use crate::invoice::Invoice;
use crate::pace::WHITE_SPACE;

/// Most records in an invoice; those of nodes have about twenty.
const MAX_RECORDS: usize = 256;

/// Reads an invoice and checks it as BOLT 12 asks of its reader, as far as can be told without
/// knowing the chain, the time, the features or what was requested.
///
/// # Errors
/// What is wrong with it, in the node's words where the node has any.
pub(crate) fn read(text: &str) -> Result<Invoice, &'static str> {
    let bytes = decode(text)?;
    let records = records(&bytes).ok_or(INVALID)?;
    let value = |kind| records.iter().find(|record| record.kind == kind).map(|record| record.value);

    let description = value(OFFER_DESCRIPTION).map(|bytes| std::str::from_utf8(bytes).map_err(|_| INVALID));
    let description = description.transpose()?;
    let amount = value(INVOICE_AMOUNT).map(|bytes| truncated_u64(bytes).ok_or(INVALID)).transpose()?;
    let created_at =
        value(INVOICE_CREATED_AT).map(|bytes| truncated_u64(bytes).ok_or(INVALID)).transpose()?;
    let payment_hash = value(INVOICE_PAYMENT_HASH);
    if payment_hash.is_some_and(|hash| hash.len() != 32) {
        return Err(INVALID);
    }
    let paths = count(value(INVOICE_PATHS), blinded_path).ok_or(INVALID)?;
    let pay_infos = count(value(INVOICE_BLINDED_PAY), pay_info).ok_or(INVALID)?;
    let node =
        value(INVOICE_NODE_ID).map(|key| PublicKey::from_slice(key).map_err(|_| INVALID)).transpose()?;
    if value(INVOICE_NODE_ID).is_some_and(|key| key.len() != 33) {
        return Err(INVALID);
    }
    let signature =
        value(SIGNATURE).map(|bytes| Signature::from_slice(bytes).map_err(|_| INVALID)).transpose()?;

    let node = node.ok_or("Missing node_id")?;
    let signature = signature.ok_or("Missing signature")?;
    let message = Message::from_digest(signature_hash(&records));
    SECP256K1
        .verify_schnorr(&signature, &message, &node.x_only_public_key().0)
        .map_err(|_| "Invalid signature")?;

    let amount = amount.ok_or("missing invoice_amount")?;
    created_at.ok_or("missing invoice_created_at")?;
    payment_hash.ok_or("missing invoice_payment_hash")?;
    if paths == 0 {
        return Err("missing/empty invoice_paths");
    }
    if pay_infos != paths {
        return Err("expected one payinfo for each path");
    }
    Ok(Invoice { amount: Some(amount), description: description.map(str::to_owned), node: node.to_string() })
}

const INVALID: &str = "invalid invoice data";

// BOLT 12 §Invoices, TLV types of `invoice`.
const OFFER_DESCRIPTION: u64 = 10;
const INVOICE_PATHS: u64 = 160;
const INVOICE_BLINDED_PAY: u64 = 162;
const INVOICE_CREATED_AT: u64 = 164;
const INVOICE_PAYMENT_HASH: u64 = 168;
const INVOICE_AMOUNT: u64 = 170;
const INVOICE_NODE_ID: u64 = 176;
const SIGNATURE: u64 = 240;

/// Every even type that an invoice may hold: a reader must refuse one it does not know.
const fn is_known(kind: u64) -> bool {
    matches!(kind, 0 | 2 | 4 | 6 | 8 | 10 | 12 | 14 | 16 | 18 | 20 | 22)
        || matches!(kind, 80 | 82 | 84 | 86 | 88 | 90)
        || matches!(kind, 160 | 162 | 164 | 166 | 168 | 170 | 172 | 174 | 176 | 240)
}

/// Signatures are not signed.
const fn is_signature(kind: u64) -> bool {
    matches!(kind, 240..=1000)
}

/// The types an invoice may hold, known or not: its own, those of its request and offer, and the
/// experimental ones.
const fn is_in_range(kind: u64) -> bool {
    matches!(kind, 0..=239 | 1_000_000_000..) || is_signature(kind)
}

/// bech32 without checksum, after joining what `+` and white space had parted.
fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    const INVALID: &str = "invalid bech32 string";
    let text = join(text)?;
    if text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
    {
        return Err(INVALID);
    }
    let (prefix, data) = text.split_once('1').ok_or(INVALID)?;
    if !prefix.eq_ignore_ascii_case("lni") {
        return Err("unexpected prefix");
    }

    let mut bytes = Vec::with_capacity(data.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0);
    for character in data.chars() {
        let digit = Fe32::from_char(character).map_err(|_| INVALID)?;
        bits = (bits << 5) | u32::from(digit.to_u8());
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // What is left over only fills up the last digit.
    if held >= 5 || bits != 0 { Err(INVALID) } else { Ok(bytes) }
}

/// Takes out every `+` between two characters, and the white space behind it.
fn join(text: &str) -> Result<String, &'static str> {
    let mut joined = String::with_capacity(text.len());
    for (index, part) in text.split('+').enumerate() {
        let part = if index == 0 { part } else { part.trim_start_matches(WHITE_SPACE) };
        if part.is_empty() {
            return Err("unfinished string");
        }
        joined.push_str(part);
    }
    Ok(joined)
}

/// One TLV record.
struct Record<'a> {
    kind: u64,
    /// The type as it stands in the stream.
    head: &'a [u8],
    value: &'a [u8],
    /// All of it, type and length too.
    whole: &'a [u8],
}

/// Splits a TLV stream: types that rise, each number in its one shortest form (BOLT 1 §TLV).
fn records(stream: &[u8]) -> Option<Vec<Record<'_>>> {
    let mut records: Vec<Record<'_>> = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let start = rest;
        let kind = big_size(&mut rest)?;
        let head = &start[..start.len() - rest.len()];
        let length = usize::try_from(big_size(&mut rest)?).ok()?;
        let value = take(&mut rest, length)?;
        let rises = records.last().is_none_or(|before| before.kind < kind);
        let understood = kind % 2 == 1 || is_known(kind);
        if !rises || !understood || !is_in_range(kind) || records.len() == MAX_RECORDS {
            return None;
        }
        records.push(Record { kind, head, value, whole: &start[..start.len() - rest.len()] });
    }
    Some(records)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// BOLT 1's BigSize, which has one spelling for each number.
fn big_size(bytes: &mut &[u8]) -> Option<u64> {
    let (length, least) = match unsigned(take(bytes, 1)?) {
        0xfd => (2, 0xfd),
        0xfe => (4, 0x1_0000),
        0xff => (8, 0x1_0000_0000),
        number => return Some(number),
    };
    let number = unsigned(take(bytes, length)?);
    (number >= least).then_some(number)
}

/// BOLT 1's `tu64`: no leading zero bytes.
fn truncated_u64(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8 && bytes.first() != Some(&0)).then(|| unsigned(bytes))
}

/// How many items fill a value, which has none where it is absent.
fn count(value: Option<&[u8]>, item: impl Fn(&mut &[u8]) -> Option<()>) -> Option<usize> {
    let mut rest = value.unwrap_or_default();
    let mut count = 0;
    while !rest.is_empty() {
        item(&mut rest)?;
        count += 1;
    }
    Some(count)
}

/// Passes over a `blinded_path` (BOLT 4), which has at least one hop.
fn blinded_path(bytes: &mut &[u8]) -> Option<()> {
    // An introduction node is a public key, or a direction and a short channel id.
    let introduction = if matches!(bytes.first(), Some(0 | 1)) { 9 } else { 33 };
    take(bytes, introduction + 33)?;
    let hops = unsigned(take(bytes, 1)?);
    for _ in 0..hops {
        take(bytes, 33)?;
        let length = unsigned(take(bytes, 2)?);
        take(bytes, length as usize)?;
    }
    (hops > 0).then_some(())
}

/// Passes over a `blinded_payinfo`: fees, delta and bounds, then features with their length.
fn pay_info(bytes: &mut &[u8]) -> Option<()> {
    take(bytes, 4 + 4 + 2 + 8 + 8)?;
    let length = unsigned(take(bytes, 2)?);
    take(bytes, length as usize)?;
    Some(())
}

/// What is signed (BOLT 12 §Signature Calculation).
fn signature_hash(records: &[Record<'_>]) -> [u8; 32] {
    tagged(&[b"lightninginvoicesignature"], &[&merkle_root(records)])
}

/// The root over every record but the signatures: each with a nonce beside it, which only who
/// knows the first record can make. A node without a sibling moves up as it is.
fn merkle_root(records: &[Record<'_>]) -> [u8; 32] {
    let first = records.first().map_or(&[][..], |record| record.whole);
    let signed = records.iter().filter(|record| !is_signature(record.kind));
    let mut level: Vec<_> = signed
        .map(|record| {
            let leaf = tagged(&[b"LnLeaf"], &[record.whole]);
            branch(&leaf, &tagged(&[b"LnNonce", first], &[record.head]))
        })
        .collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => branch(left, right),
                _ => pair[0],
            })
            .collect();
    }
    level.first().copied().unwrap_or_default()
}

fn branch(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    tagged(&[b"LnBranch"], &[one.min(other), one.max(other)])
}

/// BIP 340's tagged hash.
fn tagged(tag: &[&[u8]], message: &[&[u8]]) -> [u8; 32] {
    let digest = |parts: &[&[u8]]| -> [u8; 32] {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize().into()
    };
    let tag = digest(tag);
    let mut hash = Sha256::new_with_prefix(tag);
    hash.update(tag);
    message.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
