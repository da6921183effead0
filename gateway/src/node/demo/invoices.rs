//! `invoice`, `listinvoices`, `waitanyinvoice`.

use std::time::Duration;

use bitcoin::address::NetworkUnchecked;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Address, Network};
use lightning_invoice::{
    Bolt11InvoiceDescription, Currency, Description, Fallback, InvoiceBuilder, PaymentSecret, RawTaggedField,
    Sha256, TaggedField,
};
use secp256k1::SECP256K1;
use serde_json::{Value, json};

use super::book::{Invoice, Page};
use super::funds;
use super::key::random_bytes;
use super::params::{Args, parse_msat};
use super::rpc::{Reply, RpcError};
use super::state::{Node, hex, now};

const WAIT_TIMED_OUT: i64 = 904;
/// For what lightningd has no error, since it cannot happen there.
const INTERNAL: i64 = -32603;

const WEEK: u64 = 604_800;
/// BOLT 11 counts in tenths of a msat, which must fit into 64 bits.
const MAX_MSAT: u64 = u64::MAX / 10;
/// The longest description a BOLT 11 field holds, in bytes.
const MAX_DESCRIPTION: usize = 639;

pub(super) fn invoice(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let order = Order::read(args)?;
    let preimage = match order.preimage {
        Some(preimage) => preimage,
        None => random()?,
    };
    let secret = random()?;
    let payment_hash = sha256::Hash::hash(&preimage);
    let created_at = now();
    let bolt11 = sign(node, &order, payment_hash, secret, created_at)?;
    let expires_at = created_at.saturating_add(order.expiry);
    let short = order.amount_msat.unwrap_or(0) > funds::incoming_msat(node);
    let created_index = node.invoices.insert(Invoice {
        label: order.label,
        bolt11: bolt11.clone(),
        payment_hash: payment_hash.to_string(),
        preimage,
        amount_msat: order.amount_msat,
        description: order.description,
        expires_at,
        paid: None,
    })?;
    let mut result = json!({
        "payment_hash": payment_hash.to_string(),
        "expires_at": expires_at,
        "bolt11": bolt11,
        "payment_secret": hex(&secret),
        "created_index": created_index,
    });
    if short || node.graph.own_channels().next().is_none() {
        result["warning_capacity"] = "Insufficient incoming channel capacity to pay invoice".into();
    }
    Ok(Reply::Value(result))
}

pub(super) fn listinvoices(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let label = args.label("label")?;
    let invstring = args.string("invstring")?;
    let payment_hash = args.bytes32("payment_hash")?.map(|hash| hex(&hash));
    let offer_id = args.bytes32("offer_id")?;
    let page = page(args)?;
    let selectors = [label.is_some(), invstring.is_some(), payment_hash.is_some(), offer_id.is_some()];
    if selectors.into_iter().filter(|given| *given).count() > 1 {
        return Err(RpcError::params(
            "Can only specify one of {label}, {invstring}, {payment_hash} or {offer_id}",
        ));
    }
    let bolt11 = match invstring {
        Some(text) => Some(
            super::decode::parse_invoice(text)
                .ok_or_else(|| RpcError::params("Invalid invstring"))?
                .to_string(),
        ),
        None => None,
    };
    let wanted = |invoice: &Invoice| {
        let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|w| w == value);
        is(&label, &invoice.label)
            && is(&bolt11, &invoice.bolt11)
            && is(&payment_hash, &invoice.payment_hash)
            // Nothing here comes from an offer.
            && offer_id.is_none()
    };
    Ok(Reply::Value(json!({"invoices": node.invoices.list(wanted, &page)})))
}

pub(super) async fn waitanyinvoice(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let after = args.u64("lastpay_index")?.unwrap_or(0);
    let paid = node.invoices.paid_after(after);
    let paid = match args.u64("timeout")? {
        None => paid.await,
        Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), paid)
            .await
            .map_err(|_| RpcError::new(WAIT_TIMED_OUT, "Timed out while waiting for invoice to be paid"))?,
    };
    Ok(Reply::Value(paid))
}

fn page(args: &Args) -> Result<Page, RpcError> {
    let by_update =
        args.read("index", "should be 'created' or 'updated'", |value| match value.as_str()? {
            "created" => Some(false),
            "updated" => Some(true),
            _ => None,
        })?;
    let start = args.u64("start")?;
    let limit = args.u64("limit")?;
    for (name, given) in [("start", start), ("limit", limit)] {
        if given.is_some() && by_update.is_none() {
            let message = format!("Can only specify {{{name}}} with {{index}}");
            return Err(RpcError::params(message));
        }
    }
    Ok(Page {
        by_update: by_update.unwrap_or(false),
        start: start.unwrap_or(0),
        limit: limit.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX)),
    })
}

/// What the caller of `invoice` wants.
struct Order {
    /// `None`: any amount.
    amount_msat: Option<u64>,
    label: String,
    description: String,
    expiry: u64,
    fallbacks: Vec<Fallback>,
    preimage: Option<[u8; 32]>,
    cltv: u64,
    hash_only: bool,
}

impl Order {
    fn read(args: &Args) -> Result<Self, RpcError> {
        let amount =
            args.read("amount_msat", "should be positive msat or 'any'", |value| match parse_msat(value) {
                _ if value == "any" => Some(None),
                Some(msat @ 1..=MAX_MSAT) => Some(Some(msat)),
                _ => None,
            })?;
        let label = args.label("label")?;
        let description = args.string("description")?.map(str::to_owned);
        let order = Self {
            amount_msat: Args::required("amount_msat", amount)?,
            label: Args::required("label", label)?,
            description: Args::required("description", description)?,
            expiry: args.u64("expiry")?.unwrap_or(WEEK),
            fallbacks: fallbacks(args)?,
            preimage: args.bytes32("preimage")?,
            cltv: args.u64("cltv")?.unwrap_or(10),
            hash_only: args.bool("deschashonly")?.unwrap_or(false),
        };
        if order.description.len() > MAX_DESCRIPTION && !order.hash_only {
            return Err(RpcError::params(format!(
                "Descriptions greater than {MAX_DESCRIPTION} bytes not yet supported \
                 (description length {})",
                order.description.len()
            )));
        }
        Ok(order)
    }
}

fn fallbacks(args: &Args) -> Result<Vec<Fallback>, RpcError> {
    let addresses = args.read("fallbacks", "should be an array", Value::as_array)?;
    let invalid = || RpcError::bad_param("fallbacks", "fallback address not valid");
    addresses
        .into_iter()
        .flatten()
        .map(|address| address.as_str().and_then(fallback).ok_or_else(invalid))
        .collect()
}

fn fallback(text: &str) -> Option<Fallback> {
    let address: Address<NetworkUnchecked> = text.parse().ok()?;
    let address = address.require_network(Network::Regtest).ok()?;
    if let Some(program) = address.witness_program() {
        return Some(Fallback::SegWitProgram {
            version: program.version(),
            program: program.program().as_bytes().to_vec(),
        });
    }
    let key_hash = address.pubkey_hash().map(Fallback::PubKeyHash);
    key_hash.or_else(|| address.script_hash().map(Fallback::ScriptHash))
}

/// The BOLT 11 text, signed by the node's key.
fn sign(
    node: &Node,
    order: &Order,
    payment_hash: sha256::Hash,
    secret: [u8; 32],
    created_at: u64,
) -> Result<String, RpcError> {
    let internal = |error: &dyn std::fmt::Display| RpcError::new(INTERNAL, error.to_string());
    let description = if order.hash_only {
        let hash = sha256::Hash::hash(order.description.as_bytes());
        Bolt11InvoiceDescription::Hash(Sha256(hash))
    } else {
        let text = Description::new(order.description.clone()).map_err(|e| internal(&e))?;
        Bolt11InvoiceDescription::Direct(text)
    };
    let mut builder = InvoiceBuilder::new(Currency::Regtest)
        .payment_secret(PaymentSecret(secret))
        .payment_hash(payment_hash)
        .invoice_description(description)
        .duration_since_epoch(Duration::from_secs(created_at))
        .expiry_time(Duration::from_secs(order.expiry))
        .min_final_cltv_expiry_delta(order.cltv)
        .basic_mpp();
    if let Some(amount) = order.amount_msat {
        builder = builder.amount_milli_satoshis(amount);
    }
    for fallback in &order.fallbacks {
        builder = builder.fallback(fallback.clone());
    }
    let mut raw = builder.build_raw().map_err(|e| internal(&e))?;
    for field in &mut raw.data.tagged_fields {
        if let RawTaggedField::KnownSemantics(TaggedField::Features(features)) = field {
            // lightningd also says that it understands blinded routes (BOLT 9, bit 25).
            let _ = features.set_optional_feature_bit(25);
        }
    }
    let signed =
        raw.sign(|hash| Ok::<_, std::convert::Infallible>(SECP256K1.sign_ecdsa_recoverable(hash, &node.key)));
    match signed {
        Ok(signed) => Ok(signed.to_string()),
    }
}

fn random() -> Result<[u8; 32], RpcError> {
    random_bytes().map_err(|error| RpcError::new(INTERNAL, error.to_string()))
}
