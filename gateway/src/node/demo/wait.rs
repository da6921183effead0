//! `wait`: for the next event of a kind.

use serde_json::{Map, Value};

use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::Node;
use super::store::{Index, Ledger};

/// What lightningd counts. Of the rest of them nothing ever happens here.
const SUBSYSTEMS: [&str; 7] =
    ["invoices", "forwards", "sendpays", "htlcs", "chainmoves", "channelmoves", "networkevents"];
const INDEXES: [&str; 3] = ["created", "updated", "deleted"];

/// What is past already is told without details, as lightningd does.
pub(super) async fn wait(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let subsystem = args.read("subsystem", "should be a valid subsystem", one_of(&SUBSYSTEMS))?;
    let subsystem = Args::required("subsystem", subsystem)?;
    let index = args.read("indexname", "should be 'created', 'updated' or 'deleted'", one_of(&INDEXES))?;
    let name = Args::required("indexname", index)?;
    let next = Args::required("nextvalue", args.u64("nextvalue")?)?;

    let mut result = Map::new();
    result.insert("subsystem".into(), subsystem.into());
    let value = counted(&node.store.ledger(), subsystem, name).map_or(0, |index| index.value);
    if value >= next {
        result.insert(name.into(), value.into());
        return Ok(Reply::Value(Value::Object(result)));
    }
    let reached = node.store.when(|ledger| {
        let index = counted(ledger, subsystem, name)?;
        (index.value >= next).then(|| (index.value, index.last.clone()))
    });
    let (value, about) = reached.await;
    result.insert(name.into(), value.into());
    result.insert(subsystem.into(), about);
    Ok(Reply::Value(Value::Object(result)))
}

fn counted<'a>(ledger: &'a Ledger, subsystem: &str, name: &str) -> Option<&'a Index> {
    let indexes = match subsystem {
        "invoices" => &ledger.invoices.indexes,
        "sendpays" => &ledger.payments.indexes,
        _ => return None,
    };
    Some(match name {
        "created" => &indexes.created,
        "updated" => &indexes.updated,
        _ => &indexes.deleted,
    })
}

fn one_of<'a>(names: &'a [&'a str]) -> impl FnOnce(&'a Value) -> Option<&'a str> {
    move |value| names.iter().copied().find(|name| value == name)
}
