//! `createrune`, `showrunes`, `blacklistrune`: the node's own runes, under the secret that
//! `makesecret string=commando` gives.

use std::collections::BTreeMap;

use runeward_policy::{Alternative, MasterSecret, Restriction, Rune};
use secp256k1::SecretKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::Node;
use super::wallet;

/// Ids from here on cannot be revoked.
const BLACKLIST_END: u64 = 100_000_000;

const UNRESTRICTED: &str = "WARNING: This rune has no restrictions! Anyone who has access to this rune \
    could drain funds from your node. Be careful when giving this to apps that you don't trust. Consider \
    using the restrictions parameter to only allow access to specific rpc methods.";

/// The restrictions that the word `readonly` stands for.
const READ_ONLY: [&str; 2] = ["method^list|method^get|method=summary", "method/listdatastore"];

/// The runes made here, and what became of them.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Runes {
    /// Unique ids are their places.
    made: Vec<String>,
    /// First and last id of each range, in order, apart from each other.
    revoked: Vec<(u64, u64)>,
    /// By unique id, in nanoseconds since 1970.
    last_used: BTreeMap<u64, u64>,
}

impl Runes {
    pub(super) fn is_revoked(&self, id: u64) -> bool {
        self.revoked.iter().any(|(start, end)| (*start..=*end).contains(&id))
    }

    /// When a rune of this id was used last, in nanoseconds since 1970.
    pub(super) fn last_used(&self, id: u64) -> Option<u64> {
        self.last_used.get(&id).copied()
    }

    pub(super) fn use_at(&mut self, id: u64, nanoseconds: u64) {
        self.last_used.insert(id, nanoseconds);
    }

    fn revoke(&mut self, start: u64, end: u64) {
        // Ranges that meet or touch become one.
        let (near, mut apart): (Vec<_>, Vec<_>) =
            self.revoked.iter().partition(|(from, to)| *from <= end + 1 && start <= to + 1);
        let from = near.iter().map(|(from, _)| *from).min().unwrap_or(start).min(start);
        let to = near.iter().map(|(_, to)| *to).max().unwrap_or(end).max(end);
        apart.push((from, to));
        apart.sort_unstable();
        self.revoked = apart;
    }

    fn restore(&mut self, start: u64, end: u64) {
        let cut = self.revoked.iter().flat_map(|&(from, to)| {
            let before = (from < start).then(|| (from, to.min(start.saturating_sub(1))));
            let after = (to > end).then(|| (from.max(end + 1), to));
            [before, after]
        });
        self.revoked = cut.flatten().collect();
    }
}

/// The secret all runes of this node come from.
pub(super) fn master(key: &SecretKey) -> Result<MasterSecret, RpcError> {
    MasterSecret::new(&wallet::secret(key, b"commando")?).map_err(RpcError::internal)
}

/// The argument `rune`, if it is there.
pub(super) fn rune(args: &Args) -> Result<Option<Rune>, RpcError> {
    args.read("rune", "should be base64 string", |value| Rune::decode(value.as_str()?).ok())
}

pub(super) fn createrune(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let base = rune(args)?;
    let invalid = "not a valid restriction (should be array)";
    let restrictions = args.read("restrictions", invalid, restrictions)?.unwrap_or_default();
    let too_long = |_| RpcError::bad_param("restrictions", invalid);
    let rune = match base {
        Some(base) => {
            restrictions.into_iter().try_fold(base, |rune, it| rune.narrow(it)).map_err(too_long)?
        }
        None => {
            let master = master(&node.key)?;
            node.store.change(|ledger| {
                let made = &mut ledger.runes.made;
                let rune = master.issue(made.len() as u64, &restrictions).map_err(too_long)?;
                made.push(rune.encode());
                Ok(rune)
            })?
        }
    };
    let mut result = Map::new();
    result.insert("rune".into(), rune.encode().into());
    if let Some(id) = rune.unique_id() {
        result.insert("unique_id".into(), id.id.into());
    }
    if rune.restrictions().next().is_none() {
        result.insert("warning_unrestricted_rune".into(), UNRESTRICTED.into());
    }
    Ok(Reply::Value(Value::Object(result)))
}

/// The word `readonly`, or an array of arrays of alternatives.
fn restrictions(value: &Value) -> Option<Vec<Restriction>> {
    if value == "readonly" {
        return READ_ONLY.iter().map(|text| Restriction::parse(text).ok()).collect();
    }
    let restriction = |alternatives: &Value| {
        let alternatives =
            alternatives.as_array()?.iter().map(|it| Alternative::parse_raw(it.as_str()?).ok());
        Restriction::new(alternatives.collect::<Option<Vec<_>>>()?).ok()
    };
    value.as_array()?.iter().map(restriction).collect()
}

pub(super) fn showrunes(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let master = master(&node.key)?;
    let wanted = rune(args)?;
    let ledger = node.store.ledger();
    let shown: Vec<Value> = match wanted {
        Some(rune) => vec![rune_json(&ledger.runes, &rune, &master)],
        None => {
            let made = ledger.runes.made.iter().filter_map(|text| Rune::decode(text).ok());
            made.map(|rune| rune_json(&ledger.runes, &rune, &master)).collect()
        }
    };
    Ok(Reply::Value(json!({"runes": shown})))
}

pub(super) fn blacklistrune(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let start = args.u64("start")?;
    let end = args.u64("end")?;
    let relist = args.bool("relist")?.unwrap_or(false);
    let Some(start) = start else {
        return match end {
            Some(_) => Err(RpcError::params("Can not specify end without start")),
            None if relist => Err(RpcError::params("Can not specify relist without start")),
            None => Ok(blacklist_json(&node.store.ledger().runes)),
        };
    };
    let end = end.unwrap_or(start);
    if end < start {
        return Err(RpcError::params("Can not specify end before start"));
    }
    if end >= BLACKLIST_END {
        return Err(RpcError::params(format!("Cannot blacklist beyond {BLACKLIST_END}")));
    }
    node.store.change(|ledger| {
        match relist {
            true => ledger.runes.restore(start, end),
            false => ledger.runes.revoke(start, end),
        }
        Ok(blacklist_json(&ledger.runes))
    })
}

fn blacklist_json(runes: &Runes) -> Reply {
    let ranges = runes.revoked.iter().map(|(start, end)| json!({"start": start, "end": end}));
    Reply::Value(json!({"blacklist": ranges.collect::<Vec<_>>()}))
}

fn rune_json(runes: &Runes, rune: &Rune, master: &MasterSecret) -> Value {
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    let text = rune.encode();
    let ours = master.derived(rune);
    let id = rune.numeric_id();
    let stored = runes.made.contains(&text);
    add("rune", text.into());
    if !stored {
        add("stored", false.into());
    }
    if id.is_some_and(|id| runes.is_revoked(id)) {
        add("blacklisted", true.into());
    }
    if let Some(used) = id.and_then(|id| runes.last_used(id)) {
        add("last_used", (used as f64 / 1e9).into());
    }
    if !ours {
        add("our_rune", false.into());
    }
    if let Some(id) = rune.unique_id() {
        add("unique_id", id.id.into());
        if let Some(version) = id.version {
            add("version", version.into());
        }
    }
    let restrictions = rune.restrictions().map(|restriction| {
        let alternatives = restriction.alternatives().map(|it| {
            json!({
                "fieldname": it.field(),
                "value": it.value(),
                "condition": it.condition().symbol().to_string(),
                "english": it.english(),
            })
        });
        json!({"alternatives": alternatives.collect::<Vec<_>>(), "english": restriction.english()})
    });
    add("restrictions", restrictions.collect());
    add("restrictions_as_english", rune.english().into());
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_part() {
        let mut runes = Runes::default();
        for (start, end) in [(5, 7), (1, 2), (8, 9), (3, 3), (20, 20)] {
            runes.revoke(start, end);
        }
        assert_eq!(runes.revoked, [(1, 3), (5, 9), (20, 20)]);
        runes.restore(2, 6);
        assert_eq!(runes.revoked, [(1, 1), (7, 9), (20, 20)]);
        runes.restore(8, 8);
        assert_eq!(runes.revoked, [(1, 1), (7, 7), (9, 9), (20, 20)]);
        runes.revoke(0, 30);
        assert_eq!(runes.revoked, [(0, 30)]);
        runes.restore(0, 30);
        assert!(runes.revoked.is_empty());
    }
}
