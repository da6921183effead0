//! The invoices made so far.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::page::Page;
use super::rpc::RpcError;
use super::state::{hex, now};
use super::store::Indexes;

const DUPLICATE_LABEL: i64 = 900;
const PREIMAGE_USED: i64 = 901;

/// Every invoice there is.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Book {
    /// By their `created_index`.
    invoices: BTreeMap<u64, Invoice>,
    /// Payments are the only updates: `updated` counts them, and is the last `pay_index`.
    pub(super) indexes: Indexes,
    #[serde(skip)]
    by_label: HashMap<String, u64>,
    #[serde(skip)]
    by_hash: HashMap<String, u64>,
}

/// One invoice.
#[derive(Serialize, Deserialize)]
pub(super) struct Invoice {
    pub(super) label: String,
    pub(super) bolt11: String,
    pub(super) payment_hash: String,
    pub(super) preimage: [u8; 32],
    /// `None`: any amount.
    pub(super) amount_msat: Option<u64>,
    /// `None`: deleted since.
    pub(super) description: Option<String>,
    /// Seconds since 1970.
    pub(super) created_at: u64,
    /// Seconds since 1970.
    pub(super) expires_at: u64,
    pub(super) paid: Option<Receipt>,
}

/// What was paid for an invoice, and when.
#[derive(Serialize, Deserialize)]
pub(super) struct Receipt {
    pub(super) pay_index: u64,
    amount_msat: u64,
    at: u64,
}

impl Book {
    /// Builds what finds invoices, after they were read from a file.
    pub(super) fn find_all(&mut self) {
        for (&index, invoice) in &self.invoices {
            self.by_label.insert(invoice.label.clone(), index);
            self.by_hash.insert(invoice.payment_hash.clone(), index);
        }
    }

    /// Keeps the invoice; its `created_index`.
    pub(super) fn insert(&mut self, invoice: Invoice) -> Result<u64, RpcError> {
        if self.by_label.contains_key(&invoice.label) {
            let message = format!("Duplicate label '{}'", invoice.label);
            return Err(RpcError::new(DUPLICATE_LABEL, message));
        }
        if self.by_hash.contains_key(&invoice.payment_hash) {
            return Err(RpcError::new(PREIMAGE_USED, "preimage already used"));
        }
        let index = self.indexes.created.advance(invoice.event());
        self.by_label.insert(invoice.label.clone(), index);
        self.by_hash.insert(invoice.payment_hash.clone(), index);
        self.invoices.insert(index, invoice);
        Ok(index)
    }

    /// Forgets the invoice.
    pub(super) fn remove(&mut self, index: u64) {
        if let Some(invoice) = self.invoices.remove(&index) {
            self.by_label.remove(&invoice.label);
            self.by_hash.remove(&invoice.payment_hash);
            self.indexes.deleted.advance(invoice.event());
        }
    }

    /// Takes the description out of an invoice.
    pub(super) fn remove_description(&mut self, index: u64) {
        if let Some(invoice) = self.invoices.get_mut(&index) {
            invoice.description = None;
        }
    }

    /// Notes that the invoice was paid.
    pub(super) fn pay(&mut self, index: u64, amount_msat: u64) {
        if let Some(invoice) = self.invoices.get_mut(&index) {
            let pay_index = self.indexes.updated.value + 1;
            invoice.paid = Some(Receipt { pay_index, amount_msat, at: now() });
            self.indexes.updated.advance(invoice.event());
        }
    }

    pub(super) fn labelled(&self, label: &str) -> Option<(u64, &Invoice)> {
        self.with_index(*self.by_label.get(label)?)
    }

    pub(super) fn hashed(&self, payment_hash: &str) -> Option<(u64, &Invoice)> {
        self.with_index(*self.by_hash.get(payment_hash)?)
    }

    /// The invoice that payment number `pay_index` paid, or the next that is still there.
    pub(super) fn paid_from(&self, pay_index: u64) -> Option<(u64, &Invoice)> {
        let paid = self.all().filter_map(|(index, invoice)| Some((invoice.paid.as_ref()?.pay_index, index)));
        let (_, index) = paid.filter(|(paid, _)| *paid >= pay_index).min()?;
        self.with_index(index)
    }

    /// Every invoice with its `created_index`, in that order.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, &Invoice)> {
        self.invoices.iter().map(|(&index, invoice)| (index, invoice))
    }

    pub(super) fn list(&self, wanted: impl Fn(&Invoice) -> bool, page: &Page) -> Vec<Value> {
        let wanted = self.all().filter(|(_, invoice)| wanted(invoice)).map(|(created, invoice)| {
            let updated = invoice.paid.as_ref().map(|paid| paid.pay_index);
            (created, updated, (created, invoice))
        });
        page.cut(wanted).map(|(created, invoice)| invoice.to_json(created)).collect()
    }

    pub(super) fn at(&self, index: u64) -> Option<&Invoice> {
        self.invoices.get(&index)
    }

    /// Makes all invoices older.
    #[cfg(test)]
    pub(super) fn backdate(&mut self, seconds: u64) {
        self.invoices.values_mut().for_each(|invoice| invoice.created_at -= seconds);
    }

    fn with_index(&self, index: u64) -> Option<(u64, &Invoice)> {
        Some((index, self.at(index)?))
    }
}

impl Invoice {
    pub(super) fn status(&self) -> &'static str {
        match self.paid {
            Some(_) => "paid",
            None if self.expires_at < now() => "expired",
            None => "unpaid",
        }
    }

    /// As `listinvoices` shows it.
    pub(super) fn to_json(&self, created_index: u64) -> Value {
        let mut fields = Map::new();
        let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        add("label", self.label.as_str().into());
        add("bolt11", self.bolt11.as_str().into());
        add("payment_hash", self.payment_hash.as_str().into());
        if let Some(amount) = self.amount_msat {
            add("amount_msat", amount.into());
        }
        add("status", self.status().into());
        if let Some(receipt) = &self.paid {
            add("pay_index", receipt.pay_index.into());
            add("amount_received_msat", receipt.amount_msat.into());
            add("paid_at", receipt.at.into());
            add("payment_preimage", hex(&self.preimage).into());
        }
        if let Some(description) = &self.description {
            add("description", description.as_str().into());
        }
        add("expires_at", self.expires_at.into());
        add("created_index", created_index.into());
        if let Some(receipt) = &self.paid {
            add("updated_index", receipt.pay_index.into());
        }
        Value::Object(fields)
    }

    /// What `wait` tells of it.
    fn event(&self) -> Value {
        json!({
            "status": self.status(),
            "label": self.label,
            "description": self.description,
            "bolt11": self.bolt11,
        })
    }
}
