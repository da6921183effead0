//! `listnodes`: the nodes of the graph, and what they say of themselves.

use serde::Serialize;

use super::gossip::UPDATED;
use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::Node;

/// What our own node calls itself.
pub(super) const OWN_ALIAS: &str = "runeward-demo";
/// The features a lightningd v26.06.6 announces of itself, as bits in hex.
pub(super) const NODE_FEATURES: &str = "808898880a8a59a1";

const FIRST_WORDS: [&str; 12] = [
    "amber", "birch", "cedar", "dusky", "early", "foggy", "green", "hazel", "iron", "jolly", "quiet",
    "silver",
];
const SECOND_WORDS: [&str; 11] =
    ["badger", "crane", "ferret", "heron", "kestrel", "marten", "otter", "plover", "raven", "stoat", "wren"];

pub(super) fn listnodes(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let wanted = args.node_id("id")?.map(str::to_ascii_lowercase);
    let ids = node.graph.nodes();
    let entries = (0..ids.len())
        .filter(move |&index| wanted.as_ref().is_none_or(|wanted| ids[index] == *wanted))
        .map({
            let ids = node.graph.nodes();
            move |index| entry(&ids[index], index)
        });
    Ok(Reply::Stream { name: "nodes", entries: Box::new(entries) })
}

#[derive(Serialize)]
struct Entry<'a> {
    nodeid: &'a str,
    alias: String,
    color: &'a str,
    last_timestamp: u64,
    features: &'a str,
    addresses: [(); 0],
}

fn entry(id: &str, index: usize) -> String {
    let entry = Entry {
        nodeid: id,
        alias: alias(index),
        color: id.get(..6).unwrap_or_default(),
        last_timestamp: UPDATED,
        features: NODE_FEATURES,
        addresses: [],
    };
    // Strings and numbers under fixed names: there is nothing in it that could fail.
    serde_json::to_string(&entry).unwrap_or_default()
}

/// Two words and a number: no two nodes have the same.
fn alias(index: usize) -> String {
    if index == 0 {
        return OWN_ALIAS.to_owned();
    }
    let first = FIRST_WORDS[index % FIRST_WORDS.len()];
    let second = SECOND_WORDS[index % SECOND_WORDS.len()];
    match index / (FIRST_WORDS.len() * SECOND_WORDS.len()) {
        0 => format!("{first}-{second}"),
        turn => format!("{first}-{second}-{turn}"),
    }
}
