//! `listpeers` and `listfunds`: a handful of channels and outputs to look at. `listforwards` and
//! `listtransactions`: nothing, for nobody pays through us and nothing reaches a chain.

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Address, CompressedPublicKey, Network};
use secp256k1::{PublicKey, SECP256K1};
use serde_json::{Value, json};

use super::channels::Balance;
use super::gossip::Channel;
use super::info::INIT_FEATURES;
use super::page::Page;
use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::{Node, hex};

/// Confirmed outputs in the wallet, in msat.
const OUTPUTS_MSAT: [u64; 2] = [250_000_000, 1_337_000];

pub(super) fn listpeers(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let wanted = args.node_id("id")?;
    args.read("level", "should be a valid log level", |level| {
        let levels = ["io", "trace", "debug", "info", "unusual", "broken"];
        level.as_str().filter(|level| levels.contains(level))
    })?;
    let peers: Vec<Value> = node
        .graph
        .own_channels()
        .enumerate()
        .map(|(i, channel)| (i, node.graph.peer(channel)))
        .filter(|(_, id)| wanted.is_none_or(|wanted| id.eq_ignore_ascii_case(wanted)))
        .map(|(i, id)| {
            json!({
                "id": id,
                "connected": true,
                "num_channels": 1,
                "netaddr": [format!("127.0.0.1:{}", 39646 + i)],
                "features": INIT_FEATURES,
            })
        })
        .collect();
    Ok(Reply::Value(json!({"peers": peers})))
}

pub(super) fn listfunds(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    args.bool("spent")?;
    let ledger = node.store.ledger();
    let channels = node.graph.own_channels().zip(&ledger.balances);
    let channels: Vec<Value> =
        channels.map(|(channel, balance)| channel_json(node, channel, balance)).collect();
    Ok(Reply::Value(json!({"outputs": outputs(node), "channels": channels})))
}

pub(super) fn listforwards(_: &Node, args: &Args) -> Result<Reply, RpcError> {
    args.read("status", "should be 'offered', 'settled', 'failed' or 'local_failed'", |value| {
        ["offered", "settled", "failed", "local_failed"].into_iter().find(|status| value == status)
    })?;
    args.scid("in_channel")?;
    args.scid("out_channel")?;
    Page::read(args)?;
    Ok(Reply::Value(json!({"forwards": []})))
}

pub(super) fn listtransactions(_: &Node, _: &Args) -> Result<Reply, RpcError> {
    Ok(Reply::Value(json!({"transactions": []})))
}

fn outputs(node: &Node) -> Vec<Value> {
    let key = CompressedPublicKey(PublicKey::from_secret_key(SECP256K1, &node.key));
    let address = Address::p2wpkh(&key, Network::Regtest);
    OUTPUTS_MSAT
        .iter()
        .enumerate()
        .map(|(i, amount_msat)| {
            json!({
                "txid": hex(&transaction("output", i)),
                "output": i,
                "amount_msat": amount_msat,
                "scriptpubkey": hex(address.script_pubkey().as_bytes()),
                "address": address.to_string(),
                "status": "confirmed",
                "blockheight": 101 + i,
                "reserved": false,
            })
        })
        .collect()
}

fn channel_json(node: &Node, channel: Channel, balance: &Balance) -> Value {
    let funding = Funding::of(channel);
    json!({
        "peer_id": node.graph.peer(channel),
        "connected": true,
        "state": "CHANNELD_NORMAL",
        "channel_id": funding.channel_id,
        "short_channel_id": channel.short_channel_id(),
        "our_amount_msat": balance.our_msat(),
        "amount_msat": channel.capacity_msat(),
        "funding_txid": funding.txid,
        "funding_output": channel.output(),
    })
}

/// The transaction that opened a channel.
pub(super) struct Funding {
    pub(super) txid: String,
    pub(super) channel_id: String,
}

impl Funding {
    pub(super) fn of(channel: Channel) -> Self {
        let mut funding = transaction("funding", channel.noise() as usize);
        let txid = hex(&funding);
        // BOLT 2: the channel id is the transaction id, in its own byte order, with the output's
        // number in its last bytes. Shown ids are reversed.
        funding.reverse();
        funding[31] ^= channel.output() as u8;
        Self { txid, channel_id: hex(&funding) }
    }
}

/// A transaction id nobody will find on any chain.
fn transaction(kind: &str, number: usize) -> [u8; 32] {
    sha256::Hash::hash(format!("runeward demo {kind} {number}").as_bytes()).to_byte_array()
}
