//! The simulated peers: they make invoices, and pay ours.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use lightning_invoice::Bolt11Invoice;
use secp256k1::SecretKey;
use serde_json::json;

use super::channels;
use super::invoices::{self, Order};
use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::{Node, now};
use super::store::Ledger;

const UNKNOWN_INVOICE: i64 = 905;
const UNPAYABLE: i64 = 906;

/// What an invoice over any amount gets.
const ANY_MSAT: u64 = 1000;
/// How often the peers look for invoices.
const LOOK: Duration = Duration::from_secs(1);
/// An invoice they pay waits this many seconds at least and at most.
const PATIENCE: (u64, u64) = (5, 30);

/// `dev-peerinvoice`: an invoice of a peer, by its id or the first, to be paid.
pub(super) fn peerinvoice(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let amount_msat = Args::required("amount_msat", args.msat("amount_msat")?)?;
    let description = args.string("description")?.unwrap_or("a demo").to_owned();
    invoices::check_description(&description)?;
    let peer = match args.node_id("id")? {
        Some(id) => Some(id.to_ascii_lowercase()),
        None => node.graph.own_channels().next().map(|channel| node.graph.peer(channel).to_owned()),
    };
    let unknown = || RpcError::bad_param("id", "should be another node of the graph");
    let key = peer.and_then(|id| node.graph.secret_of(&id)).ok_or_else(unknown)?;
    if !(1..=invoices::MAX_MSAT).contains(&amount_msat) {
        return Err(RpcError::bad_param("amount_msat", "should be positive msat"));
    }
    let secret = invoices::random()?;
    let payment_hash = sha256::Hash::hash(&preimage_for(&key, &secret));
    let order = Order::of_peer(amount_msat, description);
    let bolt11 = invoices::sign(&key, &order, payment_hash, secret, now())?;
    Ok(Reply::Value(json!({"bolt11": bolt11, "payment_hash": payment_hash.to_string()})))
}

/// `dev-peerpays`: the invoice of this label is paid, in full, at once.
pub(super) fn peerpays(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let label = Args::required("label", args.label("label")?)?;
    node.store.change(|ledger| {
        let unknown = || RpcError::new(UNKNOWN_INVOICE, "Unknown invoice");
        let (index, _) = ledger.invoices.labelled(&label).ok_or_else(unknown)?;
        if !receive(ledger, index) {
            return Err(RpcError::new(UNPAYABLE, "Invoice cannot be paid"));
        }
        let (_, paid) = ledger.invoices.labelled(&label).ok_or_else(unknown)?;
        Ok(Reply::Value(paid.to_json(index)))
    })
}

/// What a peer gives for an invoice it made with this key: it keeps no book, but finds the preimage
/// again from the payment secret. `None` where it did not make this one.
pub(super) fn preimage(key: &SecretKey, invoice: &Bolt11Invoice) -> Option<[u8; 32]> {
    let preimage = preimage_for(key, &invoice.payment_secret().0);
    (sha256::Hash::hash(&preimage) == *invoice.payment_hash()).then_some(preimage)
}

/// Has the peers pay some of our invoices, for ever.
pub(super) async fn pay_some(node: Arc<Node>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let due: Vec<u64> = {
            let ledger = node.store.ledger();
            let unpaid = ledger.invoices.all().filter(|(_, invoice)| invoice.status() == "unpaid");
            let due = unpaid.filter(|(_, invoice)| is_due(&invoice.payment_hash, invoice.created_at));
            due.map(|(index, _)| index).collect()
        };
        for index in due {
            // One that does not fit may do so later.
            let paid = node.store.change(|ledger| receive(ledger, index).then_some(()).ok_or(()));
            if paid.is_ok() {
                tracing::debug!(created_index = index, "a simulated peer paid an invoice");
            }
        }
    }
}

/// Whether an invoice is among those they pay, which is three in four, and its time has come. Both
/// are drawn from its hash.
fn is_due(payment_hash: &str, created_at: u64) -> bool {
    let drawn = u64::from_str_radix(payment_hash.get(..8).unwrap_or_default(), 16).unwrap_or_default();
    let (least, most) = PATIENCE;
    drawn % 4 != 0 && now() >= created_at + least + (drawn >> 2) % (most - least + 1)
}

/// Takes the payment for an unpaid invoice in. False, and nothing changed, where that cannot be.
fn receive(ledger: &mut Ledger, index: u64) -> bool {
    let Some(invoice) = ledger.invoices.at(index).filter(|invoice| invoice.status() == "unpaid") else {
        return false;
    };
    let amount_msat = invoice.amount_msat.unwrap_or(ANY_MSAT);
    let received = channels::receive(&mut ledger.balances, amount_msat);
    if received {
        ledger.invoices.pay(index, amount_msat);
    }
    received
}

fn preimage_for(key: &SecretKey, payment_secret: &[u8; 32]) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    engine.input(b"runeward demo preimage");
    engine.input(&key.secret_bytes());
    engine.input(payment_secret);
    sha256::Hash::from_engine(engine).to_byte_array()
}
