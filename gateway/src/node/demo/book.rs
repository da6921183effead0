//! The invoices made so far. They live as long as the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::rpc::RpcError;
use super::state::{hex, now};

const DUPLICATE_LABEL: i64 = 900;
const PREIMAGE_USED: i64 = 901;

/// Every invoice made since the node started.
#[derive(Debug)]
pub(super) struct Invoices {
    book: Mutex<Book>,
    /// The number of payments so far, for those who wait for the next.
    payments: watch::Sender<u64>,
}

impl Default for Invoices {
    fn default() -> Self {
        Self { book: Mutex::default(), payments: watch::Sender::new(0) }
    }
}

impl Invoices {
    /// Pays the invoice of this label in full; false where it cannot be paid.
    #[cfg(test)]
    pub(super) fn pay(&self, label: &str) -> bool {
        let pay_index = {
            let mut book = self.book();
            let Some(&place) = book.by_label.get(label) else {
                return false;
            };
            let pay_index = book.payments + 1;
            let invoice = &mut book.invoices[place];
            if invoice.status() != "unpaid" {
                return false;
            }
            invoice.paid = Some(Payment {
                pay_index,
                // An invoice over any amount gets 1 sat.
                amount_msat: invoice.amount_msat.unwrap_or(1000),
                at: now(),
            });
            book.payments = pay_index;
            pay_index
        };
        self.payments.send_replace(pay_index);
        true
    }

    /// Keeps the invoice; its `created_index`.
    pub(super) fn insert(&self, invoice: Invoice) -> Result<usize, RpcError> {
        let mut book = self.book();
        if book.by_label.contains_key(&invoice.label) {
            let message = format!("Duplicate label '{}'", invoice.label);
            return Err(RpcError::new(DUPLICATE_LABEL, message));
        }
        if book.by_hash.contains_key(&invoice.payment_hash) {
            return Err(RpcError::new(PREIMAGE_USED, "preimage already used"));
        }
        let place = book.invoices.len();
        book.by_label.insert(invoice.label.clone(), place);
        book.by_hash.insert(invoice.payment_hash.clone(), place);
        book.invoices.push(invoice);
        Ok(place + 1)
    }

    pub(super) fn list(&self, wanted: impl Fn(&Invoice) -> bool, page: &Page) -> Vec<Value> {
        let book = self.book();
        let mut chosen: Vec<(u64, usize)> = (0..book.invoices.len())
            .filter(|&place| wanted(&book.invoices[place]))
            .filter_map(|place| {
                let created_index = place as u64 + 1;
                let index = match &book.invoices[place].paid {
                    _ if !page.by_update => created_index,
                    Some(payment) => payment.pay_index,
                    None => return None,
                };
                (index >= page.start).then_some((index, place))
            })
            .collect();
        chosen.sort_unstable();
        chosen.into_iter().take(page.limit).map(|(_, place)| book.json(place)).collect()
    }

    /// Resolves to the first invoice paid after payment number `after`.
    pub(super) async fn paid_after(&self, after: u64) -> Value {
        let mut payments = self.payments.subscribe();
        loop {
            payments.borrow_and_update();
            if let Some(paid) = self.first_paid_after(after) {
                return paid;
            }
            // The sender lives in `self`: this cannot fail while we are here.
            let _ = payments.changed().await;
        }
    }

    fn first_paid_after(&self, after: u64) -> Option<Value> {
        let book = self.book();
        if book.payments <= after {
            return None;
        }
        let place = book.invoices.iter().position(|invoice| {
            let payment = invoice.paid.as_ref();
            payment.is_some_and(|payment| payment.pay_index == after + 1)
        })?;
        Some(book.json(place))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One invoice.
#[derive(Debug)]
pub(super) struct Invoice {
    pub(super) label: String,
    pub(super) bolt11: String,
    pub(super) payment_hash: String,
    pub(super) preimage: [u8; 32],
    /// `None`: any amount.
    pub(super) amount_msat: Option<u64>,
    pub(super) description: String,
    /// Seconds since 1970.
    pub(super) expires_at: u64,
    pub(super) paid: Option<Payment>,
}

/// Which part of the list was asked for.
pub(super) struct Page {
    /// In the order of their last update, leaving out those that had none; else of creation.
    pub(super) by_update: bool,
    pub(super) start: u64,
    pub(super) limit: usize,
}

#[derive(Debug, Default)]
struct Book {
    /// In order of creation: `created_index` is the place plus 1.
    invoices: Vec<Invoice>,
    by_label: HashMap<String, usize>,
    by_hash: HashMap<String, usize>,
    /// Payments are the only updates there are: this is also the last `updated_index`.
    payments: u64,
}

/// What a peer paid for an invoice, and when.
#[derive(Debug)]
pub(super) struct Payment {
    pay_index: u64,
    amount_msat: u64,
    at: u64,
}

impl Book {
    fn json(&self, place: usize) -> Value {
        let invoice = &self.invoices[place];
        let mut fields = Map::new();
        let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        add("label", invoice.label.as_str().into());
        add("bolt11", invoice.bolt11.as_str().into());
        add("payment_hash", invoice.payment_hash.as_str().into());
        if let Some(amount) = invoice.amount_msat {
            add("amount_msat", amount.into());
        }
        add("status", invoice.status().into());
        if let Some(payment) = &invoice.paid {
            add("pay_index", payment.pay_index.into());
            add("amount_received_msat", payment.amount_msat.into());
            add("paid_at", payment.at.into());
            add("payment_preimage", hex(&invoice.preimage).into());
        }
        add("description", invoice.description.as_str().into());
        add("expires_at", invoice.expires_at.into());
        add("created_index", (place + 1).into());
        if let Some(payment) = &invoice.paid {
            add("updated_index", payment.pay_index.into());
        }
        Value::Object(fields)
    }
}

impl Invoice {
    fn status(&self) -> &'static str {
        match self.paid {
            Some(_) => "paid",
            None if self.expires_at < now() => "expired",
            None => "unpaid",
        }
    }
}
