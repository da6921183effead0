//! The reader beside another one, that of the `lightning` crate, over one invoice that a node made
//! and many made from it.

#![allow(clippy::panic)]

use bech32::Fe32;
use lightning::offers::invoice::Bolt12Invoice;
use lightning::offers::parse::{Bolt12ParseError, Bolt12SemanticError};
use proptest::prelude::*;
use proptest::test_runner::Config;
use secp256k1::{Keypair, Message, SECP256K1};
use sha2::{Digest, Sha256};

use super::{decode, read};

type Records = Vec<(u64, Vec<u8>)>;

#[test]
fn reads_the_invoice_a_node_made() {
    let text = recorded();
    let invoice = read(&text).unwrap();
    assert_eq!(invoice.amount, Some(123_450));
    assert_eq!(invoice.description.as_deref(), Some("fine coffee"));
    assert!(invoice.node.starts_with("03aacc"));
    assert_eq!(read(&text.to_uppercase()), Ok(invoice.clone()));

    let theirs = Bolt12Invoice::try_from(decode(&text).unwrap()).unwrap();
    assert_eq!(theirs.signing_pubkey().to_string(), invoice.node);
    // Signed again with our key it is as good.
    assert!(Bolt12Invoice::try_from(stream(&signed(base()))).is_ok());
}

#[test]
fn joins_what_plus_signs_part() {
    let text = recorded();
    let invoice = read(&text);
    let (start, end) = text.split_at(100);
    for between in ["+", "+ ", "+\n\t \r\x0b\x0c"] {
        assert_eq!(read(&format!("{start}{between}{end}")), invoice);
        assert_eq!(read(&format!("ln+i1{between}{}", &text[4..])), invoice);
    }
    for (text, reason) in [
        (format!("{start} {end}"), "invalid bech32 string"),
        (format!("{start} +{end}"), "invalid bech32 string"),
        (format!("{start}++{end}"), "unfinished string"),
        (format!("{start}+\u{a0}{end}"), "invalid bech32 string"),
        (format!("{text}+"), "unfinished string"),
        (format!("{text}+ "), "unfinished string"),
        (format!("+{text}"), "unfinished string"),
        (format!("{start}{}", end.to_uppercase()), "invalid bech32 string"),
        (format!("{text}q"), "invalid bech32 string"),
        (format!("{}b", &text[..text.len() - 1]), "invalid bech32 string"),
        (text.replacen("lni1", "lno1", 1), "unexpected prefix"),
        (text.replacen("lni1", "lni", 1), "invalid bech32 string"),
    ] {
        assert_eq!(read(&text), Err(reason), "{text}");
    }
}

#[test]
fn the_last_digit_is_filled_with_at_most_four_zeros() {
    for (text, bytes) in [
        ("lni1qq", Some(1)),
        ("lni1qp", None),
        ("lni1qz", None),
        ("lni1qqq", None),
        ("lni1qqqq", Some(2)),
        ("lni1qqqqq", Some(3)),
        ("lni1qqqqqq", None),
        ("lni1qqqqqqq", Some(4)),
        ("lni1qqqqqqqq", Some(5)),
        ("lni1", Some(0)),
        ("lni1q", None),
    ] {
        assert_eq!(decode(text).ok().map(|bytes| bytes.len()), bytes, "{text}");
    }
}

#[test]
fn says_what_is_missing_or_malformed() {
    let without = |kind| {
        let mut records = base();
        records.retain(|(it, _)| *it != kind);
        records
    };
    let with = |kind, value: &[u8]| {
        let mut records = without(kind);
        records.push((kind, value.to_vec()));
        records.sort();
        records
    };
    let path = base().into_iter().find(|(kind, _)| *kind == 160).unwrap().1;
    let pay_info = base().into_iter().find(|(kind, _)| *kind == 162).unwrap().1;
    let cut = |bytes: &[u8]| bytes[..bytes.len() - 1].to_vec();
    let key = keypair().public_key().serialize();
    let many = |count: u64| {
        let mut records = base();
        let room = count - records.len() as u64 - 1;
        records.extend((0..room).map(|n| (1_000_000_001 + 2 * n, Vec::new())));
        records
    };
    for (records, answer) in [
        (base(), None),
        (without(10), None),
        (without(170), Some("missing invoice_amount")),
        (without(164), Some("missing invoice_created_at")),
        (without(168), Some("missing invoice_payment_hash")),
        (without(160), Some("missing/empty invoice_paths")),
        (without(162), Some("expected one payinfo for each path")),
        (without(176), Some("Missing node_id")),
        (with(160, &[]), Some("missing/empty invoice_paths")),
        (with(160, &cut(&path)), Some(INVALID)),
        (with(160, &[&path[..], &path[..]].concat()), Some("expected one payinfo for each path")),
        (with(160, &[&key[..], &key[..], &[0]].concat()), Some(INVALID)),
        (with(160, &[&[1; 9], &key[..], &[1], &key[..], &[0, 1, 7]].concat()), None),
        (with(160, &[&[0; 9], &key[..], &[2], &key[..], &[0, 1, 7]].concat()), Some(INVALID)),
        (with(162, &cut(&pay_info)), Some(INVALID)),
        (with(162, &[&[0; 26][..], &[0, 3, 1, 2, 3]].concat()), None),
        (with(162, &[&[0; 26][..], &[0, 3, 1, 2]].concat()), Some(INVALID)),
        (with(164, &[0, 1]), Some(INVALID)),
        (with(164, &[1; 9]), Some(INVALID)),
        (with(168, &[1; 31]), Some(INVALID)),
        (with(168, &[1; 33]), Some(INVALID)),
        (with(170, &[0]), Some(INVALID)),
        (with(170, &[]), None),
        (with(170, &[255; 8]), None),
        (with(170, &[1; 9]), Some(INVALID)),
        (with(10, b"\xff"), Some(INVALID)),
        (with(176, &[2; 32]), Some(INVALID)),
        (with(176, &keypair().public_key().serialize_uncompressed()), Some(INVALID)),
        (with(1, b"unknown"), None),
        (with(24, b""), Some(INVALID)),
        (with(78, b""), Some(INVALID)),
        (with(158, b""), Some(INVALID)),
        (with(178, b""), Some(INVALID)),
        (with(239, b""), None),
        (with(242, b""), Some(INVALID)),
        (with(241, b"x"), None),
        (with(999, b"x"), None),
        (with(1000, b""), Some(INVALID)),
        (with(1001, b""), Some(INVALID)),
        (with(999_999_999, b""), Some(INVALID)),
        (with(1_000_000_001, b""), None),
        (with(3_999_999_999, b""), None),
        (with(4_000_000_001, b""), None),
        (with((1 << 33) + 1, b""), None),
        (many(256), None),
        (many(257), Some(INVALID)),
    ] {
        let text = encode(&stream(&signed(records)));
        assert_eq!(read(&text).err(), answer, "{text}");
    }
    assert_eq!(read(&encode(&stream(&base()))), Err("Missing signature"));
    let short: Records = signed(base())
        .into_iter()
        .map(|(kind, value)| match kind {
            240 => (kind, cut(&value)),
            _ => (kind, value),
        })
        .collect();
    assert_eq!(read(&encode(&stream(&short))), Err(INVALID));
    let whole = stream(&signed(base()));
    for length in 0..whole.len() {
        assert!(read(&encode(&whole[..length])).is_err());
    }
    // Numbers in a longer form than they need, and types that do not rise.
    for head in [&[0xfd, 0, 1, 0][..], &[1, 0xfd, 0, 0], &[0xfe, 0, 0, 0, 1, 0], &[1, 0, 1, 0], &[3, 0, 1, 0]]
    {
        let bytes = [head, &whole].concat();
        assert_eq!(read(&encode(&bytes)), Err(INVALID));
    }
}

const INVALID: &str = "invalid invoice data";

/// What is done to a good invoice, before it is signed again.
#[derive(Clone, Debug)]
enum Change {
    Remove(usize),
    Set(usize, Vec<u8>),
    Insert(u64, Vec<u8>),
    Swap(usize),
}

/// Types whose every error the reader must see; the other ones it passes over.
const READ: [u64; 5] = [10, 164, 168, 170, 176];

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(2_000 * (Config::default().cases / 256).max(1)) })]

    #[test]
    fn agrees_with_another_reader(
        changes in prop::collection::vec(change(), 0..4),
        signature in prop::option::weighted(0.2, (0..64_usize, 0..8_u32)),
    ) {
        let mut records = base();
        let mut decisive = true;
        for change in &changes {
            match change {
                Change::Remove(at) => {
                    let (kind, _) = records.remove(at % records.len());
                    decisive &= READ.contains(&kind) || matches!(kind, 160 | 162);
                }
                Change::Set(at, value) => {
                    let at = at % records.len();
                    decisive &= READ.contains(&records[at].0);
                    records[at].1.clone_from(value);
                }
                Change::Insert(kind, value) => {
                    let at = records.partition_point(|(it, _)| it < kind);
                    // A second one of its type is an error to both.
                    decisive &= (*kind > 240 && kind % 2 == 1) || records.get(at).is_some_and(|(it, _)| it == kind);
                    records.insert(at, (*kind, value.clone()));
                }
                Change::Swap(at) => {
                    let at = at % (records.len() - 1);
                    records.swap(at, at + 1);
                }
            }
        }
        let mut records = signed(records);
        if let Some((byte, bit)) = signature {
            let signature = records.iter_mut().find(|(kind, _)| *kind == 240).unwrap();
            signature.1[byte] ^= 1 << bit;
        }

        let bytes = stream(&records);
        let ours = read(&encode(&bytes));
        match Bolt12Invoice::try_from(bytes) {
            Ok(theirs) => {
                let ours = ours.unwrap();
                prop_assert_eq!(ours.amount, Some(theirs.amount_msats()));
                let description = theirs.description().map(|text| text.0.to_owned());
                prop_assert_eq!(ours.description, description);
                prop_assert_eq!(ours.node, theirs.signing_pubkey().to_string());
            }
            // They also hold it against what was offered and requested.
            Err(Bolt12ParseError::InvalidSemantics(
                Bolt12SemanticError::InvalidAmount | Bolt12SemanticError::MissingDescription,
            )) => {}
            Err(error) => prop_assert!(ours.is_err() || !decisive, "{error:?} {changes:?}"),
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), data in "[02-9ac-hj-np-z+ ]{0,200}") {
        let _ = read(&text);
        let _ = read(&format!("lni1{data}"));
    }

    #[test]
    fn no_byte_may_change(at in any::<prop::sample::Index>(), to in 0..32_u8) {
        let text = recorded();
        let at = 4 + at.index(text.len() - 4);
        let mut changed = text.clone();
        changed.replace_range(at..=at, &Fe32::try_from(to).unwrap().to_string());
        prop_assert_eq!(read(&changed).is_ok(), changed == text);
    }
}

fn change() -> impl Strategy<Value = Change> {
    let value = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            prop::collection::vec(any::<u8>(), 31..34),
            "[a-zé]{0,20}".prop_map(String::into_bytes),
        ]
    };
    let kind = prop_oneof![
        0..250_u64,
        900..1100_u64,
        999_999_990..1_000_000_100_u64,
        3_999_999_990..4_000_000_010_u64
    ];
    prop_oneof![
        1 => any::<usize>().prop_map(Change::Remove),
        2 => (any::<usize>(), value()).prop_map(|(at, value)| Change::Set(at, value)),
        6 => (kind, value()).prop_map(|(kind, value)| Change::Insert(kind, value)),
        1 => any::<usize>().prop_map(Change::Swap),
    ]
}

fn recorded() -> String {
    let table = include_str!("../../tests/recorded.json");
    let start = table.find("\"lni1qqg8").unwrap() + 1;
    let length = table[start..].find('"').unwrap();
    table[start..start + length].to_owned()
}

fn keypair() -> Keypair {
    Keypair::from_seckey_slice(SECP256K1, &[7; 32]).unwrap()
}

/// The recorded invoice as if it came from our key, without its signature.
fn base() -> Records {
    let bytes = decode(&recorded()).unwrap();
    let key = keypair().public_key().serialize().to_vec();
    super::records(&bytes)
        .unwrap()
        .iter()
        .filter(|record| record.kind != 240)
        .map(|record| match record.kind {
            22 | 176 => (record.kind, key.clone()),
            kind => (kind, record.value.to_vec()),
        })
        .collect()
}

fn signed(mut records: Records) -> Records {
    let root = root(&records);
    let hash = tagged(b"lightninginvoicesignature", &root);
    let signature = SECP256K1.sign_schnorr_no_aux_rand(&Message::from_digest(hash), &keypair());
    let at = records.partition_point(|(kind, _)| *kind < 240);
    records.insert(at, (240, signature.serialize().to_vec()));
    records
}

/// The tree from its root down, after BOLT 12's drawing: the left half is a full one.
fn root(records: &Records) -> [u8; 32] {
    fn tree(leaves: &[[u8; 32]]) -> [u8; 32] {
        if let [leaf] = leaves {
            return *leaf;
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        pair(tree(left), tree(right))
    }
    fn pair(one: [u8; 32], other: [u8; 32]) -> [u8; 32] {
        let mut pair = [one, other];
        pair.sort();
        tagged(b"LnBranch", &pair.concat())
    }
    let first = stream(&records[..1]);
    let leaves: Vec<_> = records
        .iter()
        .filter(|(kind, _)| !(240..=1000).contains(kind))
        .map(|record| {
            let leaf = tagged(b"LnLeaf", &stream(std::slice::from_ref(record)));
            let mut nonce = Vec::new();
            put(&mut nonce, record.0);
            pair(leaf, tagged(&[b"LnNonce", &first[..]].concat(), &nonce))
        })
        .collect();
    tree(&leaves)
}

fn tagged(tag: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = Sha256::digest(tag);
    Sha256::digest([&tag[..], &tag[..], message].concat()).into()
}

fn stream(records: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in records {
        put(&mut bytes, *kind);
        put(&mut bytes, value.len() as u64);
        bytes.extend(value);
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    match number {
        0..0xfd => bytes.push(number as u8),
        0xfd..0x1_0000 => bytes.extend([&[0xfd][..], &(number as u16).to_be_bytes()].concat()),
        0x1_0000..0x1_0000_0000 => bytes.extend([&[0xfe][..], &(number as u32).to_be_bytes()].concat()),
        _ => bytes.extend([&[0xff][..], &number.to_be_bytes()].concat()),
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut text = "lni1".to_owned();
    let bits: Vec<_> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    for bits in bits.chunks(5) {
        let digit = (0..5).fold(0, |digit, at| digit << 1 | bits.get(at).copied().unwrap_or(0));
        text.push(Fe32::try_from(digit).unwrap().to_char());
    }
    text
}
