//! `pay` and `xpay`: invoices of the simulated peers, and our own, can be settled; others fail as
//! they would on a node that finds no way to the payee.

use lightning_invoice::{Bolt11Invoice, Currency};
use serde_json::json;

use super::channels::{self, Part};
use super::decode::parse_invoice;
use super::params::Args;
use super::payments::Payment;
use super::peers;
use super::rpc::{Reply, RpcError};
use super::state::{Node, hex, now};
use super::store::Ledger;

const DESTINATION_REFUSED: i64 = 203;
const ROUTE_NOT_FOUND: i64 = 205;
const INVOICE_EXPIRED: i64 = 207;

/// Fees up to this are always allowed, unless told otherwise.
const EXEMPT_MSAT: u64 = 5000;

pub(super) fn pay(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let percent = args.read("maxfeepercent", "should be a percentage", |value| {
        let percent = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
        (0.0..=100.0).contains(&percent).then_some(percent)
    })?;
    let exempt = args.msat("exemptfee")?;
    let maxfee = args.msat("maxfee")?;
    if maxfee.is_some() && (percent.is_some() || exempt.is_some()) {
        return Err(RpcError::params("maxfee: cannot be used with maxfeepercent or exemptfee"));
    }
    let limit = FeeLimit {
        share: percent.unwrap_or(1.0) / 100.0,
        exempt_msat: exempt.unwrap_or(EXEMPT_MSAT),
        absolute_msat: maxfee,
    };
    let payment = settle(node, args, &limit)?;
    Ok(Reply::Value(json!({
        "payment_preimage": payment.preimage.map(|preimage| hex(&preimage)),
        "amount_msat": payment.amount_msat(),
        "amount_sent_msat": payment.sent_msat(),
        "parts": payment.parts.len(),
        "destination": payment.destination,
        "payment_hash": payment.payment_hash,
        "status": payment.status(),
        "created_at": payment.created_at,
    })))
}

pub(super) fn xpay(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let limit = FeeLimit { share: 0.01, exempt_msat: EXEMPT_MSAT, absolute_msat: args.msat("maxfee")? };
    let payment = settle(node, args, &limit)?;
    Ok(Reply::Value(json!({
        "payment_preimage": payment.preimage.map(|preimage| hex(&preimage)),
        "amount_msat": payment.amount_msat(),
        "amount_sent_msat": payment.sent_msat(),
        "failed_parts": 0,
        "successful_parts": payment.parts.len(),
    })))
}

/// How much a payment may cost.
struct FeeLimit {
    /// Of the amount, from 0 to 1.
    share: f64,
    exempt_msat: u64,
    absolute_msat: Option<u64>,
}

impl FeeLimit {
    fn msat(&self, amount_msat: u64) -> u64 {
        let share = (amount_msat as f64 * self.share) as u64;
        self.absolute_msat.unwrap_or_else(|| share.max(self.exempt_msat))
    }
}

/// Pays the invoice, or finds that it was paid before.
fn settle(node: &Node, args: &Args, limit: &FeeLimit) -> Result<Payment, RpcError> {
    let invstring = Args::required("invstring", args.string("invstring")?)?;
    let label = args.label("label")?;
    if args.has("partial_msat") {
        return Err(RpcError::params("partial_msat: not supported by the demo node"));
    }
    let invoice = parse_invoice(invstring)
        .ok_or_else(|| RpcError::params("Invalid bolt11 invoice: Bad bech32 string"))?;
    if invoice.currency() != Currency::Regtest {
        let message = format!("Invalid bolt11 invoice: Prefix {} is not for regtest", invoice.currency());
        return Err(RpcError::params(message));
    }
    let payment_hash = invoice.payment_hash().to_string();
    let given = args.msat("amount_msat")?;
    let amount_msat = match (invoice.amount_milli_satoshis(), given) {
        (None, None) => return Err(RpcError::params("amount_msat required")),
        (Some(_), Some(_)) => return Err(RpcError::params("amount_msat unnecessary")),
        (Some(msat), None) | (None, Some(msat)) => msat,
    };
    if amount_msat == 0 {
        return Err(RpcError::params("Cannot pay bolt11 invoice with zero amount"));
    }
    let expires_at = invoice.duration_since_epoch().saturating_add(invoice.expiry_time()).as_secs();
    let payee = invoice.get_payee_pub_key().to_string();
    let bolt11 = invoice.to_string();

    // A payment that fails is remembered too: the ledger changes for it.
    node.store.change(|ledger| {
        if let Some(before) = ledger.payments.complete(&payment_hash) {
            return Ok(Ok(before.clone()));
        }
        if let Some(late) = now().checked_sub(expires_at).filter(|late| *late > 0) {
            return Err(RpcError::new(INVOICE_EXPIRED, format!("Invoice expired {late} seconds ago")));
        }
        let preimage = preimage(node, ledger, &invoice, &payee, amount_msat);
        let parts = parts(node, ledger, &payee, amount_msat, limit)?;
        if preimage.is_some() {
            channels::send(&mut ledger.balances, &parts);
            if payee == node.id() {
                let own = ledger.invoices.hashed(&payment_hash).map(|(index, _)| index);
                own.into_iter().for_each(|index| ledger.invoices.pay(index, amount_msat));
            }
        }
        let payment = Payment::new(&bolt11, payment_hash, payee, label, preimage);
        let payment = ledger.payments.insert(payment, &parts);
        Ok(if preimage.is_some() { Ok(payment) } else { Err(refused()) })
    })?
}

/// What the payee gives for the payment; `None` where it knows nothing of the invoice.
fn preimage(
    node: &Node,
    ledger: &Ledger,
    invoice: &Bolt11Invoice,
    payee: &str,
    amount_msat: u64,
) -> Option<[u8; 32]> {
    if payee != node.id() {
        return peers::preimage(&node.graph.secret_of(payee)?, invoice);
    }
    let (_, own) = ledger.invoices.hashed(&invoice.payment_hash().to_string())?;
    let payable = own.status() == "unpaid" && own.amount_msat.is_none_or(|msat| msat == amount_msat);
    payable.then_some(own.preimage)
}

/// The way to the payee. To ourselves it touches no channel.
fn parts(
    node: &Node,
    ledger: &Ledger,
    payee: &str,
    amount_msat: u64,
    limit: &FeeLimit,
) -> Result<Vec<Part>, RpcError> {
    let no_route = |why: String| RpcError::new(ROUTE_NOT_FOUND, format!("Failed: {why}"));
    if payee == node.id() {
        return Ok(vec![Part::to_ourselves(amount_msat)]);
    }
    if node.graph.node_index(payee).is_none() {
        return Err(no_route(format!("Unknown destination node {payee}")));
    }
    let direct = node.graph.own_channels().position(|channel| node.graph.peer(channel) == payee);
    let parts = channels::route(&ledger.balances, direct, amount_msat)
        .ok_or_else(|| no_route("We could not find a usable set of paths.".to_owned()))?;
    let fee: u64 = parts.iter().map(|part| part.sent_msat - part.amount_msat).sum();
    if fee > limit.msat(amount_msat) {
        return Err(no_route("Could not find route without excessive cost".to_owned()));
    }
    Ok(parts)
}

fn refused() -> RpcError {
    RpcError::new(DESTINATION_REFUSED, "Destination said it doesn't know invoice: Malformed error reply")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fee_limits() {
        let limit = FeeLimit { share: 0.01, exempt_msat: 5000, absolute_msat: None };
        assert_eq!((limit.msat(1000), limit.msat(1_000_000)), (5000, 10_000));
        let limit = FeeLimit { absolute_msat: Some(7), ..limit };
        assert_eq!(limit.msat(1_000_000), 7);
    }
}
