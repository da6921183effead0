//! The gateway's own methods, `runeward-…`. They are checked like any other; a result is always an
//! object.

use runeward_policy::Rune;

use super::grants;
use super::json::Json;
use super::object::Object;
use super::reply::Failure;
use super::rune_methods::{arguments, invalid};
use super::runes::{ResolveError, Runes};
use crate::config::Authority;

/// Names kept for methods of the gateway itself; the node is never asked for one.
const PREFIX: &str = "runeward-";

/// A method of the gateway: its name decides.
#[derive(Clone, Copy, Debug)]
pub(super) enum OwnMethod {
    Grants,
    Revoke,
}

/// Who calls, with what, and when.
#[derive(Debug)]
#[expect(dead_code, reason = "for methods to come")]
pub(super) struct Caller<'a> {
    /// The caller's node id, 66 hex digits.
    pub(super) peer: &'a str,
    /// The rune as it was presented; everything about it is right.
    pub(super) rune: &'a Rune,
    /// UNIX seconds.
    pub(super) time: u64,
}

/// Whether this is a name that the node is never asked for.
pub(super) fn is_own(method: &str) -> bool {
    method.starts_with(PREFIX)
}

impl OwnMethod {
    /// The gateway's method of this name.
    pub(super) fn named(method: &str) -> Option<Self> {
        Some(match method.strip_prefix(PREFIX)? {
            "grants" => Self::Grants,
            "revoke" => Self::Revoke,
            _ => return None,
        })
    }

    /// Runs the method; the result is JSON text, always an object.
    pub(super) async fn run(
        self,
        runes: &Runes,
        params: &Json<'_>,
        caller: &Caller<'_>,
    ) -> Result<String, Failure> {
        if runes.authority() == Authority::Node {
            return Err(Failure::new(
                -32601,
                "the runes here are the node's own: use its createrune, showrunes and blacklistrune",
            ));
        }
        match self {
            Self::Grants => grants(runes, arguments(params, ["id"], 0)?, caller.time).await,
            Self::Revoke => revoke(runes, arguments(params, ["ids"], 1)?).await,
        }
    }
}

/// `{id?}` → `{"grants":[…]}`: all, or the one with this unique id or name.
async fn grants(runes: &Runes, [id]: [Option<&Json<'_>>; 1], now: u64) -> Result<String, Failure> {
    let listed = match id {
        None => runes.list().await?,
        Some(id) => {
            let unique_id = runes.resolve(&given("id", id)?).await?;
            runes.issued(unique_id).await?.into_iter().collect()
        }
    };
    Ok(grants::to_json(&listed, now))
}

/// `{ids}`, an array of unique ids and names → `{"revoked":[…]}`, their unique ids. All or none.
async fn revoke(runes: &Runes, [ids]: [Option<&Json<'_>>; 1]) -> Result<String, Failure> {
    let Some(Json::Array(ids)) = ids else {
        return Err(invalid("ids", "should be an array of unique ids and names"));
    };
    let mut unique_ids = Vec::with_capacity(ids.len());
    for id in ids {
        unique_ids.push(runes.resolve(&given("ids", id)?).await?);
    }
    runes.revoke(&unique_ids).await?;
    let mut out = Object::new();
    out.array("revoked", unique_ids.iter().map(u64::to_string));
    Ok(out.end())
}

/// A unique id as a number, or a string that holds one or a name.
fn given(name: &str, value: &Json<'_>) -> Result<String, Failure> {
    match value {
        Json::Number(text) => Ok((*text).to_owned()),
        Json::String(text) => Ok(text.to_string()),
        _ => Err(invalid(name, "should be a unique id or a name")),
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Unknown(_) => Self::invalid_params(error.to_string()),
            ResolveError::Store(error) => error.into(),
        }
    }
}
