//! `invoice`, `listinvoices`, `delinvoice`, `waitinvoice`, `waitanyinvoice`.

use std::time::Duration;

use bitcoin::address::NetworkUnchecked;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Address, Network};
use lightning_invoice::{
    Bolt11InvoiceDescription, Currency, Description, Fallback, InvoiceBuilder, PaymentSecret, RawTaggedField,
    Sha256, TaggedField,
};
use secp256k1::{SECP256K1, SecretKey};
use serde_json::{Value, json};

use super::book::Invoice;
use super::channels::incoming_msat;
use super::key::random_bytes;
use super::page::Page;
use super::params::{Args, parse_msat};
use super::rpc::{Reply, RpcError};
use super::state::{Node, hex, now, since_1970};

const EXPIRED: i64 = 903;
const WAIT_TIMED_OUT: i64 = 904;
const UNKNOWN_INVOICE: i64 = 905;
const UNEXPECTED_STATUS: i64 = 906;
const NO_DESCRIPTION: i64 = 908;
const NO_LABEL: i64 = -1;

const WEEK: u64 = 604_800;
/// The most an invoice can ask for: BOLT 11 counts in tenths of a msat, in 64 bits.
pub(super) const MAX_MSAT: u64 = u64::MAX / 10;
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
    let bolt11 = sign(&node.key, &order, payment_hash, secret, created_at)?;
    let expires_at = created_at.saturating_add(order.expiry);
    let (created_index, incoming) = node.store.change(|ledger| {
        let created_index = ledger.invoices.insert(Invoice {
            label: order.label,
            bolt11: bolt11.clone(),
            payment_hash: payment_hash.to_string(),
            preimage,
            amount_msat: order.amount_msat,
            description: Some(order.description),
            created_at,
            expires_at,
            paid: None,
        })?;
        Ok::<_, RpcError>((created_index, incoming_msat(&ledger.balances)))
    })?;
    let mut result = json!({
        "payment_hash": payment_hash.to_string(),
        "expires_at": expires_at,
        "bolt11": bolt11,
        "payment_secret": hex(&secret),
        "created_index": created_index,
    });
    if incoming == 0 || order.amount_msat.unwrap_or(0) > incoming {
        result["warning_capacity"] = "Insufficient incoming channel capacity to pay invoice".into();
    }
    Ok(Reply::Value(result))
}

pub(super) fn listinvoices(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let label = args.label("label")?;
    let invstring = args.string("invstring")?;
    let payment_hash = args.bytes32("payment_hash")?.map(|hash| hex(&hash));
    let offer_id = args.bytes32("offer_id")?;
    let page = Page::read(args)?;
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
    Ok(Reply::Value(json!({"invoices": node.store.ledger().invoices.list(wanted, &page)})))
}

pub(super) fn delinvoice(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let label = Args::required("label", args.label("label")?)?;
    let status = Args::required("status", args.string("status")?)?;
    let desconly = args.bool("desconly")?.unwrap_or(false);
    node.store.change(|ledger| {
        let unknown = || RpcError::new(UNKNOWN_INVOICE, "Unknown invoice");
        let (index, invoice) = ledger.invoices.labelled(&label).ok_or_else(unknown)?;
        let actual = invoice.status();
        if actual != status {
            let message = format!("Invoice status is {actual} not {status}");
            let data = json!({"current_status": actual, "expected_status": status});
            return Err(RpcError::new(UNEXPECTED_STATUS, message).with(data));
        }
        let mut shown = invoice.to_json(index);
        if !desconly {
            ledger.invoices.remove(index);
        } else if invoice.description.is_some() {
            ledger.invoices.remove_description(index);
            shown = ledger.invoices.labelled(&label).ok_or_else(unknown)?.1.to_json(index);
        } else {
            return Err(RpcError::new(NO_DESCRIPTION, "Invoice description already removed"));
        }
        Ok(Reply::Value(shown))
    })
}

/// Waits until the invoice is paid, expires or is deleted.
pub(super) async fn waitinvoice(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let label = Args::required("label", args.label("label")?)?;
    let (index, expires_at) = {
        let ledger = node.store.ledger();
        let (index, invoice) =
            ledger.invoices.labelled(&label).ok_or_else(|| RpcError::new(NO_LABEL, "Label not found"))?;
        (index, invoice.expires_at)
    };
    let settled = node.store.when(|ledger| match ledger.invoices.labelled(&label) {
        Some((same, invoice)) if same == index => match invoice.status() {
            "unpaid" => None,
            "paid" => Some(Ok(invoice.to_json(index))),
            _ => Some(Err(expired(invoice, index))),
        },
        _ => Some(Err(RpcError::new(NO_LABEL, "invoice deleted during wait"))),
    });
    // It is expired in the second after the one it names.
    let lifetime = Duration::from_secs(expires_at.saturating_add(1)).saturating_sub(since_1970());
    let settled = match tokio::time::timeout(lifetime, settled).await {
        Ok(settled) => settled,
        Err(_) => match node.store.ledger().invoices.labelled(&label) {
            Some((same, invoice)) if same == index => Err(expired(invoice, index)),
            _ => Err(RpcError::new(NO_LABEL, "invoice deleted during wait")),
        },
    };
    settled.map(Reply::Value)
}

pub(super) async fn waitanyinvoice(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let after = args.u64("lastpay_index")?.unwrap_or(0);
    let paid = node.store.when(|ledger| {
        let (index, invoice) = ledger.invoices.paid_from(after.saturating_add(1))?;
        Some(invoice.to_json(index))
    });
    let paid = match args.u64("timeout")? {
        None => paid.await,
        Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), paid)
            .await
            .map_err(|_| RpcError::new(WAIT_TIMED_OUT, "Timed out while waiting for invoice to be paid"))?,
    };
    Ok(Reply::Value(paid))
}

fn expired(invoice: &Invoice, index: u64) -> RpcError {
    RpcError::new(EXPIRED, "invoice expired during wait").with(invoice.to_json(index))
}

/// What an invoice shall say.
pub(super) struct Order {
    /// `None`: any amount.
    pub(super) amount_msat: Option<u64>,
    pub(super) label: String,
    pub(super) description: String,
    /// In seconds.
    pub(super) expiry: u64,
    fallbacks: Vec<Fallback>,
    preimage: Option<[u8; 32]>,
    cltv: u64,
    hash_only: bool,
}

impl Order {
    /// An ordinary invoice of a peer.
    pub(super) fn of_peer(amount_msat: u64, description: String) -> Self {
        Self {
            amount_msat: Some(amount_msat),
            label: String::new(),
            description,
            expiry: WEEK,
            fallbacks: Vec::new(),
            preimage: None,
            cltv: 10,
            hash_only: false,
        }
    }

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
        if !order.hash_only {
            check_description(&order.description)?;
        }
        Ok(order)
    }
}

/// Whether a description fits into an invoice.
pub(super) fn check_description(description: &str) -> Result<(), RpcError> {
    if description.len() <= MAX_DESCRIPTION {
        return Ok(());
    }
    Err(RpcError::params(format!(
        "Descriptions greater than {MAX_DESCRIPTION} bytes not yet supported (description length {})",
        description.len()
    )))
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

/// The BOLT 11 text, signed by a node's key.
pub(super) fn sign(
    key: &SecretKey,
    order: &Order,
    payment_hash: sha256::Hash,
    secret: [u8; 32],
    created_at: u64,
) -> Result<String, RpcError> {
    let description = if order.hash_only {
        let hash = sha256::Hash::hash(order.description.as_bytes());
        Bolt11InvoiceDescription::Hash(Sha256(hash))
    } else {
        let text = Description::new(order.description.clone()).map_err(RpcError::internal)?;
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
    let mut raw = builder.build_raw().map_err(RpcError::internal)?;
    for field in &mut raw.data.tagged_fields {
        if let RawTaggedField::KnownSemantics(TaggedField::Features(features)) = field {
            // lightningd also says that it understands blinded routes (BOLT 9, bit 25).
            let _ = features.set_optional_feature_bit(25);
        }
    }
    let signed =
        raw.sign(|hash| Ok::<_, std::convert::Infallible>(SECP256K1.sign_ecdsa_recoverable(hash, key)));
    match signed {
        Ok(signed) => Ok(signed.to_string()),
    }
}

/// 32 bytes nobody can guess.
pub(super) fn random() -> Result<[u8; 32], RpcError> {
    random_bytes().map_err(RpcError::internal)
}
