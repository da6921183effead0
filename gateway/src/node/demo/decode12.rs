//! What `decode` says of BOLT 12 offers and invoices.

use secp256k1::schnorr::Signature;
use secp256k1::{Message, PublicKey, SECP256K1};
use serde_json::{Map, Value, json};

use super::bolt12::{self, INVOICE_PREFIX, OFFER_PREFIX, Record};
use super::state::hex;

const OFFER_PATHS: u64 = 16;
const INVOICE_PATHS: u64 = 160;
const INVOICE_BLINDEDPAY: u64 = 162;
const RELATIVE_EXPIRY: u64 = 166;
const INVOICE_NODE_ID: u64 = 176;
const SIGNATURE: u64 = 240;

/// Seconds, where an invoice says nothing.
const DEFAULT_EXPIRY: u64 = 7200;

/// How a record's value is shown.
#[derive(Clone, Copy)]
enum Shown {
    Hex,
    Text,
    Number,
    Key,
    Chains,
    Paths,
}

/// BOLT 12's records, in the order lightningd shows them.
const FIELDS: [(u64, &str, Shown); 25] = [
    (bolt12::CHAINS, "offer_chains", Shown::Chains),
    (4, "offer_metadata", Shown::Hex),
    (6, "offer_currency", Shown::Text),
    (bolt12::AMOUNT, "offer_amount_msat", Shown::Number),
    (bolt12::DESCRIPTION, "offer_description", Shown::Text),
    (bolt12::ISSUER, "offer_issuer", Shown::Text),
    (12, "offer_features", Shown::Hex),
    (bolt12::ABSOLUTE_EXPIRY, "offer_absolute_expiry", Shown::Number),
    (bolt12::QUANTITY_MAX, "offer_quantity_max", Shown::Number),
    (OFFER_PATHS, "offer_paths", Shown::Paths),
    (bolt12::ISSUER_ID, "offer_issuer_id", Shown::Key),
    (0, "invreq_metadata", Shown::Hex),
    (88, "invreq_payer_id", Shown::Key),
    (80, "invreq_chain", Shown::Hex),
    (82, "invreq_amount_msat", Shown::Number),
    (84, "invreq_features", Shown::Hex),
    (86, "invreq_quantity", Shown::Number),
    (89, "invreq_payer_note", Shown::Text),
    (INVOICE_PATHS, "invoice_paths", Shown::Paths),
    (164, "invoice_created_at", Shown::Number),
    (RELATIVE_EXPIRY, "invoice_relative_expiry", Shown::Number),
    (168, "invoice_payment_hash", Shown::Hex),
    (170, "invoice_amount_msat", Shown::Number),
    (174, "invoice_features", Shown::Hex),
    (INVOICE_NODE_ID, "invoice_node_id", Shown::Key),
];

/// `None` where the text is neither, says something we cannot read, or has a wrong signature.
pub(super) fn decode(text: &str) -> Option<Map<String, Value>> {
    if let Some(records) = bolt12::decode(OFFER_PREFIX, text) {
        return fields("bolt12 offer", &records);
    }
    let records = bolt12::decode(INVOICE_PREFIX, text)?;
    let signature = Signature::from_slice(value(&records, SIGNATURE)?).ok()?;
    let (signer, _) = PublicKey::from_slice(value(&records, INVOICE_NODE_ID)?).ok()?.x_only_public_key();
    let message = Message::from_digest(bolt12::signed_hash(&records)?);
    SECP256K1.verify_schnorr(&signature, &message, &signer).ok()?;
    fields("bolt12 invoice", &records)
}

fn fields(kind: &str, records: &[Record]) -> Option<Map<String, Value>> {
    // BOLT 1: what is odd may be passed over.
    let known = |kind: u64| FIELDS.iter().any(|(known, ..)| *known == kind) || kind % 2 == 1;
    let others = [INVOICE_BLINDEDPAY, SIGNATURE];
    if records.iter().any(|(kind, _)| !known(*kind) && !others.contains(kind)) {
        return None;
    }
    let mut fields = Map::new();
    fields.insert("type".into(), kind.into());
    fields.insert("offer_id".into(), bolt12::offer_id(records).into());
    for (kind, name, shown) in FIELDS {
        if let Some(value) = value(records, kind) {
            fields.insert(name.into(), show(value, shown)?);
        } else if kind == RELATIVE_EXPIRY && value(records, SIGNATURE).is_some() {
            fields.insert(name.into(), DEFAULT_EXPIRY.into());
        }
    }
    if let Some(payinfos) = value(records, INVOICE_BLINDEDPAY) {
        add_payinfos(fields.get_mut("invoice_paths")?.as_array_mut()?, payinfos)?;
    }
    if let Some(signature) = value(records, SIGNATURE) {
        fields.insert("signature".into(), hex(signature).into());
    }
    fields.insert("valid".into(), true.into());
    Some(fields)
}

fn value(records: &[Record], kind: u64) -> Option<&[u8]> {
    records.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
}

fn show(value: &[u8], shown: Shown) -> Option<Value> {
    Some(match shown {
        Shown::Hex => hex(value).into(),
        Shown::Text => str::from_utf8(value).ok()?.into(),
        Shown::Number => bolt12::read_truncated(value)?.into(),
        Shown::Key => PublicKey::from_slice(value).ok()?.to_string().into(),
        Shown::Chains if value.len().is_multiple_of(32) => value.chunks(32).map(hex).collect(),
        Shown::Chains => return None,
        Shown::Paths => paths(value)?,
    })
}

/// BOLT 4 `blinded_path`s, one after another.
fn paths(mut bytes: &[u8]) -> Option<Value> {
    let mut paths = Vec::new();
    while let Some(first) = bytes.first() {
        let mut path = Map::new();
        // The first node is a direction and a short channel id, or a key.
        if *first < 2 {
            path.insert("first_scid_dir".into(), number(&mut bytes, 1)?.into());
            let scid = number(&mut bytes, 8)?;
            let scid = format!("{}x{}x{}", scid >> 40, (scid >> 16) & 0xff_ffff, scid & 0xffff);
            path.insert("first_scid".into(), scid.into());
        } else {
            path.insert("first_node_id".into(), hex(bytes.split_off(..33)?).into());
        }
        path.insert("first_path_key".into(), hex(bytes.split_off(..33)?).into());
        let mut hops = Vec::new();
        for _ in 0..number(&mut bytes, 1)? {
            let node = hex(bytes.split_off(..33)?);
            let length = number(&mut bytes, 2)? as usize;
            let data = hex(bytes.split_off(..length)?);
            hops.push(json!({"blinded_node_id": node, "encrypted_recipient_data": data}));
        }
        path.insert("path".into(), hops.into());
        paths.push(Value::Object(path));
    }
    Some(paths.into())
}

/// BOLT 12 `blinded_payinfo`s, one for each path.
fn add_payinfos(paths: &mut [Value], mut bytes: &[u8]) -> Option<()> {
    for path in paths {
        let mut payinfo = Map::new();
        for (name, length) in [
            ("fee_base_msat", 4),
            ("fee_proportional_millionths", 4),
            ("cltv_expiry_delta", 2),
            ("htlc_minimum_msat", 8),
            ("htlc_maximum_msat", 8),
        ] {
            payinfo.insert(name.into(), number(&mut bytes, length)?.into());
        }
        let length = number(&mut bytes, 2)? as usize;
        payinfo.insert("features".into(), hex(bytes.split_off(..length)?).into());
        let path = path.as_object_mut()?;
        // In front of the hops.
        let hops = path.remove("path")?;
        path.insert("payinfo".into(), payinfo.into());
        path.insert("path".into(), hops);
    }
    bytes.is_empty().then_some(())
}

/// The number in the first `length` bytes, which it takes off.
fn number(bytes: &mut &[u8], length: usize) -> Option<u64> {
    let taken = bytes.split_off(..length)?;
    Some(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
