//! `datastore`, `listdatastore`, `deldatastore`: a tree of values that plugins and users keep in the
//! node. A key is a path; either it has a value or there are keys below it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::state::{Node, from_hex, hex};

const DEL_DOES_NOT_EXIST: i64 = 1200;
const DEL_WRONG_GENERATION: i64 = 1201;
const ALREADY_EXISTS: i64 = 1202;
const DOES_NOT_EXIST: i64 = 1203;
const WRONG_GENERATION: i64 = 1204;
const HAS_CHILDREN: i64 = 1205;
const PARENT_EXISTS: i64 = 1206;

type Key = Vec<String>;

/// All values, in the order of their keys.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Datastore(Vec<Entry>);

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    key: Key,
    /// How often it was written before.
    generation: u64,
    /// In hex.
    value: String,
}

pub(super) fn datastore(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let key = Args::required("key", key(args)?)?;
    let bytes = match (args.string("string")?, args.hex("hex")?) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(bytes)) => bytes,
        (Some(_), Some(_)) => return Err(RpcError::params("Cannot have both hex and string")),
        (None, None) => return Err(RpcError::params("Must have either hex or string")),
    };
    let mode = args.read(
        "mode",
        "should be 'must-create', 'must-replace', 'create-or-replace', 'must-append', or \
         'create-or-append'",
        Mode::parse,
    )?;
    let mode = mode.unwrap_or(Mode { create: true, existing: None });
    let generation = args.u64("generation")?;
    if generation.is_some() && mode.create {
        return Err(RpcError::params("generation only valid with must-replace or must-append"));
    }
    node.store.change(|ledger| {
        let entry = ledger.datastore.write(key, &hex(&bytes), mode, generation)?;
        Ok(Reply::Value(entry.to_json()))
    })
}

pub(super) fn listdatastore(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let key = key(args)?.unwrap_or_default();
    let ledger = node.store.ledger();
    Ok(Reply::Value(json!({"datastore": ledger.datastore.list(&key)})))
}

pub(super) fn deldatastore(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let key = Args::required("key", key(args)?)?;
    let generation = args.u64("generation")?;
    node.store.change(|ledger| {
        let entries = &mut ledger.datastore.0;
        let place = entries
            .binary_search_by(|entry| entry.key.cmp(&key))
            .map_err(|_| RpcError::new(DEL_DOES_NOT_EXIST, "Key does not exist"))?;
        if generation.is_some_and(|generation| generation != entries[place].generation) {
            return Err(RpcError::new(DEL_WRONG_GENERATION, "generation is different"));
        }
        Ok(Reply::Value(entries.remove(place).to_json()))
    })
}

/// What to do where the key is new, and where it has a value.
#[derive(Clone, Copy)]
struct Mode {
    create: bool,
    existing: Option<Existing>,
}

#[derive(Clone, Copy)]
enum Existing {
    Replace,
    Append,
}

impl Mode {
    fn parse(value: &Value) -> Option<Self> {
        let (create, existing) = match value.as_str()? {
            "must-create" => (true, None),
            "must-replace" => (false, Some(Existing::Replace)),
            "create-or-replace" => (true, Some(Existing::Replace)),
            "must-append" => (false, Some(Existing::Append)),
            "create-or-append" => (true, Some(Existing::Append)),
            _ => return None,
        };
        Some(Self { create, existing })
    }
}

impl Datastore {
    fn write(
        &mut self,
        key: Key,
        value: &str,
        mode: Mode,
        generation: Option<u64>,
    ) -> Result<&Entry, RpcError> {
        match self.0.binary_search_by(|entry| entry.key.cmp(&key)) {
            Ok(place) => {
                let existing =
                    mode.existing.ok_or_else(|| RpcError::new(ALREADY_EXISTS, "Key already exists"))?;
                let entry = &mut self.0[place];
                if generation.is_some_and(|generation| generation != entry.generation) {
                    return Err(RpcError::new(WRONG_GENERATION, "generation is different"));
                }
                if matches!(existing, Existing::Replace) {
                    entry.value.clear();
                }
                entry.value.push_str(value);
                entry.generation += 1;
                Ok(entry)
            }
            Err(_) if !mode.create => Err(RpcError::new(DOES_NOT_EXIST, "Key does not exist")),
            Err(place) => {
                self.check_place(&key)?;
                self.0.insert(place, Entry { key, generation: 0, value: value.to_owned() });
                Ok(&self.0[place])
            }
        }
    }

    /// Whether a new key would make another both a value and a path.
    fn check_place(&self, key: &Key) -> Result<(), RpcError> {
        for entry in &self.0 {
            if key.starts_with(&entry.key) {
                let message = format!("Parent key [{}] exists", entry.key.join(","));
                return Err(RpcError::new(PARENT_EXISTS, message));
            }
            if entry.key.starts_with(key) {
                return Err(RpcError::new(HAS_CHILDREN, "Key has children already"));
            }
        }
        Ok(())
    }

    /// The value of the key, or what is right below it.
    fn list(&self, key: &Key) -> Vec<Value> {
        let mut listed: Vec<Value> = Vec::new();
        let mut last: Option<&[String]> = None;
        for entry in self.0.iter().filter(|entry| entry.key.starts_with(key)) {
            let depth = key.len() + 1;
            if entry.key.len() <= depth {
                listed.push(entry.to_json());
            } else if last != Some(&entry.key[..depth]) {
                listed.push(json!({"key": entry.key[..depth]}));
                last = Some(&entry.key[..depth]);
            }
        }
        listed
    }
}

impl Entry {
    /// With its text where it is any.
    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("key".into(), json!(self.key));
        fields.insert("generation".into(), self.generation.into());
        fields.insert("hex".into(), self.value.as_str().into());
        if let Some(Ok(text)) = from_hex(&self.value).map(String::from_utf8) {
            fields.insert("string".into(), text.into());
        }
        Value::Object(fields)
    }
}

/// A key: an array, or its only member.
fn key(args: &Args) -> Result<Option<Key>, RpcError> {
    args.read("key", "should be an array of strings or a string", |value| match value {
        Value::Array(parts) => {
            let parts: Option<Key> = parts.iter().map(key_part).collect();
            parts.filter(|parts| !parts.is_empty())
        }
        part => Some(vec![key_part(part)?]),
    })
}

fn key_part(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
