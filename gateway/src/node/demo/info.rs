//! `getinfo` and `help`.

use serde_json::{Value, json};

use super::nodes::{NODE_FEATURES, OWN_ALIAS};
use super::params::Args;
use super::rpc::{METHOD_NOT_FOUND, METHODS, Method, Reply, RpcError};
use super::state::Node;

/// The features lightningd v26.06.6 announces, as bits in hex.
pub(super) const INIT_FEATURES: &str = "800898880a8a59a1";

pub(super) fn getinfo(node: &Node, _: &Args) -> Result<Reply, RpcError> {
    let channels = node.graph.own_channels().count();
    Ok(Reply::Value(json!({
        "id": node.id(),
        "alias": OWN_ALIAS,
        "color": node.id()[..6],
        "num_peers": channels,
        "num_pending_channels": 0,
        "num_active_channels": channels,
        "num_inactive_channels": 0,
        "address": [],
        "binding": [{"type": "ipv4", "address": "127.0.0.1", "port": 19735}],
        "version": "v26.06.6",
        "blockheight": node.graph.blockheight(),
        "network": "regtest",
        "fees_collected_msat": 0,
        "lightning-dir": node.dir.display().to_string(),
        "our_features": {
            "init": INIT_FEATURES,
            "node": NODE_FEATURES,
            "channel": "",
            "invoice": "02000002024100",
        },
    })))
}

pub(super) fn help(_: &Node, args: &Args) -> Result<Reply, RpcError> {
    let commands: Vec<Value> = match args.string("command")? {
        None => METHODS.iter().map(usage).collect(),
        Some(name) => {
            let unknown = || RpcError::new(METHOD_NOT_FOUND, format!("Unknown command {name}"));
            vec![usage(Method::find(name).ok_or_else(unknown)?)]
        }
    };
    Ok(Reply::Value(json!({"help": commands, "format-hint": "simple"})))
}

/// A method without parameters keeps the blank behind its name, as lightningd's does.
fn usage(method: &Method) -> Value {
    json!({"command": format!("{} {}", method.name, method.signature)})
}
