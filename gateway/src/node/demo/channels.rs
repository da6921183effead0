//! Our own channels: `listpeerchannels`, and how their balances move.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::funds::Funding;
use super::gossip::{Channel, Terms};
use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::{Node, hex};
use super::wallet::{FEERATE_PERKB, PER_KB_TO_PER_KW};

/// What a peer that is not the payee itself asks for passing a part of a payment on.
const HOP_BASE_MSAT: u64 = 1000;
const HOP_MILLIONTHS: u64 = 10;

pub(super) fn listpeerchannels(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let id = args.node_id("id")?.map(str::to_ascii_lowercase);
    let scid = args.scid("short_channel_id")?;
    let channel_id = args.bytes32("channel_id")?.map(|id| hex(&id));
    let ledger = node.store.ledger();
    let channels: Vec<Value> = node
        .graph
        .own_channels()
        .zip(&ledger.balances)
        .filter(|(channel, _)| id.as_deref().is_none_or(|id| node.graph.peer(*channel) == id))
        .filter(|(channel, _)| scid.is_none_or(|scid| channel.scid() == scid))
        .filter(|(channel, _)| channel_id.as_ref().is_none_or(|id| Funding::of(*channel).channel_id == *id))
        .map(|(channel, balance)| channel_json(node, channel, balance))
        .collect();
    Ok(Reply::Value(json!({"channels": channels})))
}

/// What the peers of all our channels could send us, in msat.
pub(super) fn incoming_msat(balances: &[Balance]) -> u64 {
    balances.iter().map(Balance::receivable_msat).sum()
}

/// Takes a payment in, through as few channels as will do. False, and nothing moved, where they
/// cannot hold it.
pub(super) fn receive(balances: &mut [Balance], amount_msat: u64) -> bool {
    if incoming_msat(balances) < amount_msat {
        return false;
    }
    let mut rest = amount_msat;
    let mut order: Vec<usize> = (0..balances.len()).collect();
    order.sort_by_key(|&place| Reverse(balances[place].receivable_msat()));
    for place in order {
        let part = rest.min(balances[place].receivable_msat());
        if part > 0 {
            balances[place].add(part);
            rest -= part;
        }
    }
    true
}

/// One part of a payment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The place in the ledger of the channel it leaves through.
    place: Option<usize>,
    pub(super) amount_msat: u64,
    /// With what the peer keeps for passing it on.
    pub(super) sent_msat: u64,
}

impl Part {
    /// One that leaves through no channel.
    pub(super) fn to_ourselves(amount_msat: u64) -> Self {
        Self { place: None, amount_msat, sent_msat: amount_msat }
    }
}

/// Parts that bring `amount_msat` to the payee, whose own channel is at place `direct` if it has
/// one. `None` where our channels do not hold enough.
pub(super) fn route(balances: &[Balance], direct: Option<usize>, amount_msat: u64) -> Option<Vec<Part>> {
    let mut order: Vec<usize> = (0..balances.len()).collect();
    order.sort_by_key(|&place| (Some(place) != direct, Reverse(balances[place].spendable_msat())));
    let mut rest = amount_msat;
    let mut parts = Vec::new();
    for place in order {
        let spendable = balances[place].spendable_msat();
        let most =
            if Some(place) == direct { spendable } else { spendable.saturating_sub(hop_fee(spendable)) };
        let amount_msat = rest.min(most);
        if amount_msat > 0 {
            let fee = if Some(place) == direct { 0 } else { hop_fee(amount_msat) };
            parts.push(Part { place: Some(place), amount_msat, sent_msat: amount_msat + fee });
            rest -= amount_msat;
        }
    }
    (rest == 0).then_some(parts)
}

/// Sends the parts off.
pub(super) fn send(balances: &mut [Balance], parts: &[Part]) {
    for part in parts {
        if let Some(balance) = part.place.and_then(|place| balances.get_mut(place)) {
            balance.subtract(part.sent_msat);
        }
    }
}

fn hop_fee(amount_msat: u64) -> u64 {
    HOP_BASE_MSAT + amount_msat / (1_000_000 / HOP_MILLIONTHS)
}

/// What of a channel is ours, and how it came to that. The peer has the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Balance {
    capacity_msat: u64,
    our_msat: u64,
    min_msat: u64,
    max_msat: u64,
    received: Traffic,
    sent: Traffic,
}

/// Payments in one direction.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Traffic {
    payments: u64,
    msat: u64,
}

impl Balance {
    /// At the beginning, between a tenth and nine tenths of the channel are ours.
    pub(super) fn new(channel: Channel) -> Self {
        let capacity_msat = channel.capacity_msat();
        let our_msat = capacity_msat / 1000 * (100 + channel.noise() % 800);
        Self {
            capacity_msat,
            our_msat,
            min_msat: our_msat,
            max_msat: our_msat,
            received: Traffic::default(),
            sent: Traffic::default(),
        }
    }

    pub(super) fn our_msat(&self) -> u64 {
        self.our_msat
    }

    /// BOLT 2: what each side must keep is usually a hundredth of the channel.
    fn reserve_msat(&self) -> u64 {
        self.capacity_msat / 100_000 * 1000
    }

    fn spendable_msat(&self) -> u64 {
        self.our_msat.saturating_sub(self.reserve_msat())
    }

    fn receivable_msat(&self) -> u64 {
        self.capacity_msat.saturating_sub(self.our_msat).saturating_sub(self.reserve_msat())
    }

    fn add(&mut self, msat: u64) {
        self.our_msat += msat;
        self.max_msat = self.max_msat.max(self.our_msat);
        self.received.payments += 1;
        self.received.msat += msat;
    }

    fn subtract(&mut self, msat: u64) {
        self.our_msat -= msat;
        self.min_msat = self.min_msat.min(self.our_msat);
        self.sent.payments += 1;
        self.sent.msat += msat;
    }
}

fn channel_json(node: &Node, channel: Channel, balance: &Balance) -> Value {
    let terms = node.graph.own_terms(channel);
    let mut fields = identity_json(node, channel, &terms);
    fields.extend(balance_json(channel, balance));
    fields.extend(terms_json(&terms, balance));
    fields.extend(traffic_json(balance));
    Value::Object(fields)
}

fn identity_json(node: &Node, channel: Channel, terms: &Terms) -> Map<String, Value> {
    let update = |terms: &Terms| {
        json!({
            "htlc_minimum_msat": 1,
            "htlc_maximum_msat": terms.htlc_maximum_msat,
            "cltv_expiry_delta": terms.delay,
            "fee_base_msat": terms.fee_base_msat,
            "fee_proportional_millionths": terms.fee_proportional_millionths,
        })
    };
    let alias = |noise: u64| format!("{}x{}x{}", noise >> 40, (noise >> 16) & 0xff_ffff, noise & 0xffff);
    let funding = Funding::of(channel);
    members(json!({
        "peer_id": node.graph.peer(channel),
        "peer_connected": true,
        "reestablished": true,
        "channel_type": {"bits": [12, 22], "names": ["static_remotekey/even", "anchors/even"]},
        "updates": {"local": update(terms), "remote": update(&node.graph.peer_terms(channel))},
        "state": "CHANNELD_NORMAL",
        "feerate": {"perkw": FEERATE_PERKB / PER_KB_TO_PER_KW, "perkb": FEERATE_PERKB},
        "owner": "channeld",
        "short_channel_id": channel.short_channel_id(),
        "direction": terms.direction,
        "channel_id": funding.channel_id,
        "funding_txid": funding.txid,
        "funding_outnum": channel.output(),
        "private": false,
        "opener": if channel.is_ours() { "local" } else { "remote" },
        "alias": {"local": alias(channel.noise()), "remote": alias(channel.noise().rotate_left(17))},
        "features": ["option_static_remotekey", "option_anchors"],
    }))
}

/// Whoever opened the channel put all of it in, and gave the other side its share.
fn balance_json(channel: Channel, balance: &Balance) -> Map<String, Value> {
    let (all, at_first) = (balance.capacity_msat, Balance::new(channel).our_msat);
    let (ours, theirs, pushed) =
        if channel.is_ours() { (all, 0, all - at_first) } else { (0, all, at_first) };
    members(json!({
        "funding": {"local_funds_msat": ours, "remote_funds_msat": theirs, "pushed_msat": pushed},
        "to_us_msat": balance.our_msat,
        "min_to_us_msat": balance.min_msat,
        "max_to_us_msat": balance.max_msat,
        "total_msat": balance.capacity_msat,
    }))
}

fn terms_json(terms: &Terms, balance: &Balance) -> Map<String, Value> {
    members(json!({
        "fee_base_msat": terms.fee_base_msat,
        "fee_proportional_millionths": terms.fee_proportional_millionths,
        "dust_limit_msat": 546_000,
        "max_total_htlc_in_msat": u64::MAX,
        "their_reserve_msat": balance.reserve_msat(),
        "our_reserve_msat": balance.reserve_msat(),
        "spendable_msat": balance.spendable_msat(),
        "receivable_msat": balance.receivable_msat(),
        "minimum_htlc_in_msat": 0,
        "minimum_htlc_out_msat": 1,
        "maximum_htlc_out_msat": terms.htlc_maximum_msat,
        "their_to_self_delay": 6,
        "our_to_self_delay": 6,
        "max_accepted_htlcs": 483,
        "state_changes": [],
        "status": ["CHANNELD_NORMAL:Channel ready for use."],
    }))
}

fn traffic_json(balance: &Balance) -> Map<String, Value> {
    let Balance { received, sent, .. } = balance;
    members(json!({
        "in_payments_offered": received.payments,
        "in_offered_msat": received.msat,
        "in_payments_fulfilled": received.payments,
        "in_fulfilled_msat": received.msat,
        "out_payments_offered": sent.payments,
        "out_offered_msat": sent.msat,
        "out_payments_fulfilled": sent.payments,
        "out_fulfilled_msat": sent.msat,
        "htlcs": [],
    }))
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
