//! The payments made so far: `listpays`, `listsendpays`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::channels::Part;
use super::page::Page;
use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::{Node, hex, now};
use super::store::Indexes;

/// Every payment tried.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Payments {
    payments: Vec<Payment>,
    /// Of the parts of payments, as lightningd counts.
    pub(super) indexes: Indexes,
}

/// One payment. All of its parts succeed, or none.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Payment {
    pub(super) bolt11: String,
    pub(super) payment_hash: String,
    /// The payee's node id.
    pub(super) destination: String,
    pub(super) label: Option<String>,
    /// `None`: it failed.
    pub(super) preimage: Option<[u8; 32]>,
    /// Seconds since 1970.
    pub(super) created_at: u64,
    pub(super) parts: Vec<SentPart>,
}

/// What went through one channel.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SentPart {
    created_index: u64,
    updated_index: u64,
    amount_msat: u64,
    sent_msat: u64,
}

impl Payments {
    /// The payment for this hash that succeeded.
    pub(super) fn complete(&self, payment_hash: &str) -> Option<&Payment> {
        let mut payments = self.payments.iter();
        payments.find(|payment| payment.payment_hash == payment_hash && payment.preimage.is_some())
    }

    /// Keeps a payment that has just come to its end.
    pub(super) fn insert(&mut self, mut payment: Payment, parts: &[Part]) -> Payment {
        for (i, part) in parts.iter().enumerate() {
            let event = |status: &str| {
                json!({
                    "status": status,
                    "partid": i + 1,
                    "groupid": 1,
                    "payment_hash": payment.payment_hash,
                })
            };
            let created = event("pending");
            let updated = event(payment.status());
            payment.parts.push(SentPart {
                created_index: self.indexes.created.advance(created),
                updated_index: self.indexes.updated.advance(updated),
                amount_msat: part.amount_msat,
                sent_msat: part.sent_msat,
            });
        }
        self.payments.push(payment.clone());
        payment
    }
}

impl Payment {
    /// One that ends now.
    pub(super) fn new(
        bolt11: &str,
        payment_hash: String,
        destination: String,
        label: Option<String>,
        preimage: Option<[u8; 32]>,
    ) -> Self {
        let bolt11 = bolt11.to_owned();
        Self { bolt11, payment_hash, destination, label, preimage, created_at: now(), parts: Vec::new() }
    }

    pub(super) fn status(&self) -> &'static str {
        if self.preimage.is_some() { "complete" } else { "failed" }
    }

    /// What the payee got.
    pub(super) fn amount_msat(&self) -> u64 {
        self.parts.iter().map(|part| part.amount_msat).sum()
    }

    /// With what it cost to bring it there.
    pub(super) fn sent_msat(&self) -> u64 {
        self.parts.iter().map(|part| part.sent_msat).sum()
    }
}

pub(super) fn listpays(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let wanted = Wanted::read(args)?;
    let ledger = node.store.ledger();
    let payments = ledger.payments.payments.iter().filter(|payment| wanted.has(payment));
    let payments = payments.filter_map(|payment| {
        let (first, last) = (payment.parts.first()?, payment.parts.last()?);
        let shown = (payment, first.created_index, last.updated_index);
        Some((first.created_index, Some(last.updated_index), shown))
    });
    let pays: Vec<Value> = wanted
        .page
        .cut(payments)
        .map(|(payment, created, updated)| pay_json(payment, created, updated))
        .collect();
    Ok(Reply::Value(json!({"pays": pays})))
}

pub(super) fn listsendpays(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let wanted = Wanted::read(args)?;
    let ledger = node.store.ledger();
    let payments = ledger.payments.payments.iter().filter(|payment| wanted.has(payment));
    let parts = payments
        .flat_map(|payment| payment.parts.iter().enumerate().map(move |(i, part)| (payment, i, part)));
    let parts =
        parts.map(|(payment, i, part)| (part.created_index, Some(part.updated_index), (payment, i, part)));
    let payments: Vec<Value> =
        wanted.page.cut(parts).map(|(payment, i, part)| part_json(payment, i, part)).collect();
    Ok(Reply::Value(json!({"payments": payments})))
}

/// Which payments were asked for.
struct Wanted {
    bolt11: Option<String>,
    payment_hash: Option<String>,
    status: Option<&'static str>,
    page: Page,
}

impl Wanted {
    fn read(args: &Args) -> Result<Self, RpcError> {
        let bolt11 = args.string("bolt11")?.map(|text| text.trim().to_ascii_lowercase());
        let payment_hash = args.bytes32("payment_hash")?.map(|hash| hex(&hash));
        if bolt11.is_some() && payment_hash.is_some() {
            return Err(RpcError::params("Can only specify one of {bolt11} or {payment_hash}"));
        }
        let status = args.read("status", "should be 'pending', 'complete' or 'failed'", |value| {
            ["pending", "complete", "failed"].into_iter().find(|status| value == status)
        })?;
        Ok(Self { bolt11, payment_hash, status, page: Page::read(args)? })
    }

    fn has(&self, payment: &Payment) -> bool {
        self.bolt11.as_ref().is_none_or(|bolt11| *bolt11 == payment.bolt11)
            && self.payment_hash.as_ref().is_none_or(|hash| *hash == payment.payment_hash)
            && self.status.is_none_or(|status| status == payment.status())
    }
}

fn pay_json(payment: &Payment, created_index: u64, updated_index: u64) -> Value {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("bolt11", payment.bolt11.as_str().into());
    add("destination", payment.destination.as_str().into());
    add("payment_hash", payment.payment_hash.as_str().into());
    add("status", payment.status().into());
    add("created_at", payment.created_at.into());
    if let Some(preimage) = &payment.preimage {
        add("completed_at", payment.created_at.into());
        add("preimage", hex(preimage).into());
    }
    if let Some(label) = &payment.label {
        add("label", label.as_str().into());
    }
    add("created_index", created_index.into());
    add("updated_index", updated_index.into());
    add("amount_msat", payment.amount_msat().into());
    add("amount_sent_msat", payment.sent_msat().into());
    if payment.parts.len() > 1 {
        add("number_of_parts", payment.parts.len().into());
    }
    Value::Object(fields)
}

fn part_json(payment: &Payment, i: usize, part: &SentPart) -> Value {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    add("created_index", part.created_index.into());
    add("id", part.created_index.into());
    add("payment_hash", payment.payment_hash.as_str().into());
    add("groupid", 1.into());
    add("updated_index", part.updated_index.into());
    add("partid", (i + 1).into());
    add("destination", payment.destination.as_str().into());
    add("amount_msat", part.amount_msat.into());
    add("amount_sent_msat", part.sent_msat.into());
    add("created_at", payment.created_at.into());
    if payment.preimage.is_some() {
        add("completed_at", payment.created_at.into());
    }
    add("status", payment.status().into());
    if let Some(preimage) = &payment.preimage {
        add("payment_preimage", hex(preimage).into());
    }
    if let Some(label) = &payment.label {
        add("label", label.as_str().into());
    }
    add("bolt11", payment.bolt11.as_str().into());
    Value::Object(fields)
}
