//! `listpeers` and `listfunds`: a handful of channels and outputs to look at.

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Address, CompressedPublicKey, Network};
use secp256k1::{PublicKey, SECP256K1};
use serde_json::{Value, json};

use super::gossip::Channel;
use super::info::INIT_FEATURES;
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
    let channels: Vec<Value> = node.graph.own_channels().map(|channel| channel_json(node, channel)).collect();
    Ok(Reply::Value(json!({"outputs": outputs(node), "channels": channels})))
}

/// What the peers of all our channels could send us, in msat.
pub(super) fn incoming_msat(node: &Node) -> u64 {
    node.graph.own_channels().map(|channel| channel.capacity_msat() - our_amount_msat(channel)).sum()
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

fn channel_json(node: &Node, channel: Channel) -> Value {
    let output = channel.output();
    let mut funding = transaction("funding", channel.noise() as usize);
    let funding_txid = hex(&funding);
    // BOLT 2: the channel id is the transaction id, in its own byte order, with the output's
    // number in its last bytes. Shown ids are reversed.
    funding.reverse();
    funding[31] ^= output as u8;
    json!({
        "peer_id": node.graph.peer(channel),
        "connected": true,
        "state": "CHANNELD_NORMAL",
        "channel_id": hex(&funding),
        "short_channel_id": channel.short_channel_id(),
        "our_amount_msat": our_amount_msat(channel),
        "amount_msat": channel.capacity_msat(),
        "funding_txid": funding_txid,
        "funding_output": output,
    })
}

/// Between a tenth and nine tenths of the channel.
fn our_amount_msat(channel: Channel) -> u64 {
    channel.capacity_msat() / 1000 * (100 + channel.noise() % 800)
}

/// A transaction id nobody will find on any chain.
fn transaction(kind: &str, number: usize) -> [u8; 32] {
    sha256::Hash::hash(format!("runeward demo {kind} {number}").as_bytes()).to_byte_array()
}
