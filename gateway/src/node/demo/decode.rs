//! `decode`: BOLT 11 invoices and runes; what BOLT 12 has is in `decode12`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bitcoin::{Address, AddressType};
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef, Currency};
use runeward_policy::{Alternative, Condition, Rune};
use serde_json::{Map, Value, json};

use super::decode12;
use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::{Node, hex};

const SCHEME: &str = "lightning:";

pub(super) fn decode(_: &Node, args: &Args) -> Result<Reply, RpcError> {
    let decoded = args.read("string", "Unparsable string", |value| {
        let text = without_scheme(value.as_str()?);
        let invoice = text.parse().ok().map(|invoice| invoice_json(&invoice));
        invoice.or_else(|| decode12::decode(text)).or_else(|| rune_json(text))
    })?;
    let decoded = Args::required("string", decoded)?;
    Ok(Reply::Value(Value::Object(decoded)))
}

/// A BOLT 11 invoice whose signature is right, with or without `lightning:` in front.
pub(super) fn parse_invoice(text: &str) -> Option<Bolt11Invoice> {
    without_scheme(text).parse().ok()
}

fn without_scheme(text: &str) -> &str {
    let text = text.trim();
    match text.get(..SCHEME.len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => &text[SCHEME.len()..],
        _ => text,
    }
}

fn invoice_json(invoice: &Bolt11Invoice) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("type", "bolt11 invoice".into());
    add("currency", currency(invoice).into());
    add("created_at", invoice.duration_since_epoch().as_secs().into());
    add("expiry", invoice.expiry_time().as_secs().into());
    add("payee", invoice.get_payee_pub_key().to_string().into());
    if let Some(amount) = invoice.amount_milli_satoshis() {
        add("amount_msat", amount.into());
    }
    match invoice.description() {
        Bolt11InvoiceDescriptionRef::Direct(text) => add("description", text.as_inner().0.clone().into()),
        Bolt11InvoiceDescriptionRef::Hash(hash) => add("description_hash", hash.0.to_string().into()),
    };
    add("min_final_cltv_expiry", invoice.min_final_cltv_expiry_delta().into());
    add("payment_secret", hex(&invoice.payment_secret().0).into());
    if let Some(features) = invoice.features() {
        add("features", features_hex(features.le_flags()).into());
    }
    if let Some(metadata) = invoice.payment_metadata() {
        add("payment_metadata", hex(metadata).into());
    }
    let fallbacks = invoice.fallback_addresses();
    if !fallbacks.is_empty() {
        add("fallbacks", fallbacks.iter().map(fallback_json).collect());
    }
    let routes = invoice.route_hints();
    if !routes.is_empty() {
        add("routes", routes.iter().map(route_json).collect());
    }
    add("payment_hash", invoice.payment_hash().to_string().into());
    add("signature", hex(&signature_der(invoice)).into());
    add("valid", true.into());
    fields
}

fn currency(invoice: &Bolt11Invoice) -> &'static str {
    match invoice.currency() {
        Currency::Bitcoin => "bc",
        Currency::BitcoinTestnet => "tb",
        Currency::Regtest => "bcrt",
        Currency::Simnet => "sb",
        Currency::Signet => "tbs",
    }
}

/// Feature bits with the highest byte first and no zero bytes in front.
fn features_hex(little_endian: &[u8]) -> String {
    let bytes: Vec<u8> = little_endian.iter().rev().copied().collect();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    hex(&bytes[zeros..])
}

fn fallback_json(address: &Address) -> Value {
    let kind = match address.address_type() {
        Some(AddressType::P2pkh) => "P2PKH",
        Some(AddressType::P2sh) => "P2SH",
        Some(AddressType::P2wpkh) => "P2WPKH",
        Some(AddressType::P2wsh) => "P2WSH",
        Some(AddressType::P2tr) => "P2TR",
        _ => "unknown",
    };
    json!({
        "type": kind,
        "addr": address.to_string(),
        "hex": hex(address.script_pubkey().as_bytes()),
    })
}

fn route_json(route: &lightning_invoice::RouteHint) -> Value {
    let hops = route.0.iter().map(|hop| {
        let scid = hop.short_channel_id;
        json!({
            "pubkey": hop.src_node_id.to_string(),
            // BOLT 7: block in 3 bytes, transaction in 3, output in 2.
            "short_channel_id":
                format!("{}x{}x{}", scid >> 40, (scid >> 16) & 0xff_ffff, scid & 0xffff),
            "fee_base_msat": hop.fees.base_msat,
            "fee_proportional_millionths": hop.fees.proportional_millionths,
            "cltv_expiry_delta": hop.cltv_expiry_delta,
        })
    });
    hops.collect()
}

fn signature_der(invoice: &Bolt11Invoice) -> Vec<u8> {
    let signed = invoice.clone().into_signed_raw();
    signed.signature().0.to_standard().serialize_der().to_vec()
}

/// Says nothing about who made the rune.
fn rune_json(text: &str) -> Option<Map<String, Value>> {
    let rune = Rune::decode(text).ok()?;
    let bytes = URL_SAFE.decode(rune.encode()).ok()?;
    let (authcode, restrictions) = bytes.split_at_checked(32)?;
    let mut fields = Map::new();
    fields.insert("type".into(), "rune".into());
    if let Some(id) = rune.unique_id() {
        fields.insert("unique_id".into(), id.id.into());
        if let Some(version) = id.version {
            fields.insert("version".into(), version.into());
        }
    }
    let string = format!("{}:{}", hex(authcode), str::from_utf8(restrictions).ok()?);
    fields.insert("string".into(), string.into());
    let restrictions = rune.restrictions().map(|restriction| {
        let alternatives: Vec<String> = restriction.alternatives().map(|it| it.to_string()).collect();
        let summary: Vec<String> = restriction.alternatives().map(summary).collect();
        json!({"alternatives": alternatives, "summary": summary.join(" OR ")})
    });
    fields.insert("restrictions".into(), restrictions.collect());
    fields.insert("valid".into(), true.into());
    Some(fields)
}

/// An alternative as `decode` explains it: `method (of command) equal to 'getinfo'`.
fn summary(alternative: Alternative<'_>) -> String {
    let field = alternative.field();
    let note = match field {
        "time" => " (in seconds since 1970)",
        "id" => " (of commanding peer)",
        "method" => " (of command)",
        "pnum" => " (number of command parameters)",
        "rate" => " (max per minute)",
        _ if field.starts_with("pname") || field.starts_with("parr") => " (of command parameter)",
        _ => "",
    };
    let words = match alternative.condition() {
        Condition::Absent => return format!("{field}{note} is missing"),
        Condition::Comment => return format!("[comment: {field}{}]", alternative.value()),
        Condition::Equal => "equal to",
        Condition::Differs => "unequal to",
        Condition::StartsWith => "starts with",
        Condition::EndsWith => "ends with",
        Condition::Contains => "contains",
        Condition::Less => "less than",
        Condition::Greater => "greater than",
        Condition::OrderedBefore => "sorts before",
        Condition::OrderedAfter => "sorts after",
    };
    let value = alternative.value();
    match value.parse::<i64>() {
        Ok(_) => format!("{field}{note} {words} {value}"),
        Err(_) => format!("{field}{note} {words} '{value}'"),
    }
}
