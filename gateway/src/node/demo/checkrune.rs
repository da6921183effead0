//! `checkrune`: whether a rune of this node allows a request.

use std::borrow::Cow;
use std::time::Duration;

use runeward_policy::{Parameter, Request, SinceLastUse, Value as Given, evaluate};
use serde_json::{Value, json};

use super::params::Args;
use super::rpc::{Reply, RpcError};
use super::runes;
use super::state::{Node, since_1970};

const NOT_AUTHORIZED: i64 = 1501;
const NOT_PERMITTED: i64 = 1502;
const REVOKED: i64 = 1503;

/// A check that passes counts as a use, as on a real node.
pub(super) fn checkrune(node: &Node, args: &Args) -> Result<Reply, RpcError> {
    let rune = Args::required("rune", runes::rune(args)?)?;
    let asked = Asked {
        now: since_1970(),
        peer: args.node_id("nodeid")?.map(str::to_ascii_lowercase),
        method: args.string("method")?,
        params: args.read("params", "should be an array or object", |params| {
            (params.is_array() || params.is_object()).then_some(params)
        })?,
        last_use: None,
    };
    if !runes::master(&node.key)?.derived(&rune) {
        return Err(RpcError::new(NOT_AUTHORIZED, "Not authorized: Not derived from master"));
    }
    let Some(id) = rune.numeric_id() else {
        return Err(RpcError::new(NOT_AUTHORIZED, "Not authorized: No unique id"));
    };
    node.store.change(|ledger| {
        if ledger.runes.is_revoked(id) {
            return Err(RpcError::new(REVOKED, "Not authorized: Blacklisted rune"));
        }
        let last_use = ledger.runes.last_used(id).map(Duration::from_nanos);
        evaluate(&rune, &Asked { last_use, ..asked })
            .map_err(|refusal| RpcError::new(NOT_PERMITTED, format!("Not permitted: {refusal}")))?;
        // Until the year 2554.
        ledger.runes.use_at(id, since_1970().as_nanos() as u64);
        Ok(Reply::Value(json!({"valid": true})))
    })
}

/// The request in question.
struct Asked<'a> {
    /// Since 1970.
    now: Duration,
    peer: Option<String>,
    method: Option<&'a str>,
    /// An array or an object.
    params: Option<&'a Value>,
    /// Since 1970.
    last_use: Option<Duration>,
}

impl Request for Asked<'_> {
    fn time(&self) -> u64 {
        self.now.as_secs()
    }

    fn peer(&self) -> Option<Cow<'_, str>> {
        self.peer.as_deref().map(Cow::Borrowed)
    }

    fn method(&self) -> Option<Cow<'_, str>> {
        self.method.map(Cow::Borrowed)
    }

    fn parameter_count(&self) -> u64 {
        let count = match self.params {
            Some(Value::Array(values)) => values.len(),
            Some(Value::Object(members)) => members.len(),
            _ => 0,
        };
        count as u64
    }

    fn named(&self, name: &str) -> Parameter<'_> {
        let members = self.params.and_then(Value::as_object).into_iter().flatten();
        let mut named = members.filter(|(member, _)| {
            let stripped = || member.chars().filter(|character| !character.is_ascii_punctuation());
            *member == name || stripped().eq(name.chars())
        });
        parameter(named.next().map(|(_, value)| value))
    }

    fn positional(&self, index: u64) -> Parameter<'_> {
        let values = self.params.and_then(Value::as_array);
        parameter(values.and_then(|values| values.get(usize::try_from(index).ok()?)))
    }

    fn since_last_use(&self) -> SinceLastUse {
        match self.last_use {
            Some(last) => SinceLastUse::Elapsed(self.now.saturating_sub(last)),
            None => SinceLastUse::Never,
        }
    }
}

fn parameter(value: Option<&Value>) -> Parameter<'_> {
    let Some(value) = value else {
        return Parameter::Absent;
    };
    Parameter::Present(match (value, value.as_i64()) {
        (Value::String(text), _) => Given::Text(Cow::Borrowed(text)),
        (_, Some(number)) => Given::Integer { text: number.to_string().into(), value: number },
        _ => Given::Text(value.to_string().into()),
    })
}
