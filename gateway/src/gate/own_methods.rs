//! The gateway's own methods, `runeward-…`. They are checked like any other, but for
//! `runeward-whoami`, which is answered to every valid rune. A result is always an object.

use std::sync::Arc;

use runeward_policy::Rune;

use super::grants;
use super::json::Json;
use super::limits::Leave;
use super::look::Look;
use super::object::Object;
use super::pairing::{self, Wait};
use super::reply::{self, Failure};
use super::request::Request;
use super::rune_methods::{arguments, invalid};
use super::runes::{ResolveError, Runes};
use super::{Decision, Gate};
use crate::config::Authority;

/// Names kept for methods of the gateway itself; the node is never asked for one.
const PREFIX: &str = "runeward-";

const NAMES: [(OwnMethod, &str); 9] = [
    (OwnMethod::Audit, "runeward-audit"),
    (OwnMethod::Create, "runeward-create"),
    (OwnMethod::Grants, "runeward-grants"),
    (OwnMethod::Offer, "runeward-offer"),
    (OwnMethod::Pair, "runeward-pair"),
    (OwnMethod::Peer, "runeward-peer"),
    (OwnMethod::Revoke, "runeward-revoke"),
    (OwnMethod::WaitOffer, "runeward-waitoffer"),
    (OwnMethod::Whoami, "runeward-whoami"),
];

/// A method of the gateway: its name decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnMethod {
    Audit,
    Create,
    Grants,
    Offer,
    Pair,
    Peer,
    Revoke,
    WaitOffer,
    Whoami,
}

/// Who calls, with what, and when.
#[derive(Debug)]
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
        let known = NAMES.iter().filter(|_| is_own(method)).find(|(_, name)| *name == method);
        known.map(|(own, _)| *own)
    }

    /// The names of the methods that are of use where the runes are of this authority.
    pub(super) fn names(authority: Authority) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(own, _)| own.serves(authority)).map(|(_, name)| *name)
    }

    /// Runs the method.
    pub(super) async fn run(
        self,
        gate: &Gate,
        request: &Request<'_>,
        caller: &Caller<'_>,
        leave: Arc<Leave>,
    ) -> Result<Decision, Failure> {
        let (runes, params) = (&gate.runes, &request.params);
        if !self.serves(runes.authority()) {
            return Err(Failure::new(
                -32601,
                "the runes here are the node's own: use its createrune, showrunes and blacklistrune",
            ));
        }
        let result = match self {
            Self::Audit => gate.audit.tell(params).await?,
            Self::Create => pairing::create(runes, params, caller.time).await?,
            Self::Grants => grants(runes, arguments(params, ["id"], 0)?, caller.time).await?,
            Self::Offer => pairing::offer(runes, params).await?,
            Self::Pair => match pairing::pair(runes, params, caller).await? {
                Ok(result) => result,
                Err(refusal) => return Ok(Decision::Answer(refusal.reply())),
            },
            Self::Peer => {
                let [] = arguments(params, [], 0)?;
                return Ok(Decision::Look(Look::at(caller.peer, request.id, &leave)));
            }
            Self::Revoke => revoke(runes, arguments(params, ["ids"], 1)?).await?,
            Self::WaitOffer => return Ok(Decision::Wait(Wait::new(params, request.id, leave)?)),
            Self::Whoami => {
                let [] = arguments(params, [], 0)?;
                gate.whoami(caller, leave.rune.name.as_deref())
            }
        };
        Ok(Decision::Answer(reply::success(request.id, &result)))
    }

    /// Whether the method is of use where the runes are of this authority.
    fn serves(self, authority: Authority) -> bool {
        authority == Authority::Own || matches!(self, Self::Audit | Self::Peer | Self::Whoami)
    }
}

/// `{id?}` → `{"grants":[…]}`: all, or the one with this unique id or name.
async fn grants(runes: &Runes, [id]: [Option<&Json<'_>>; 1], now: u64) -> Result<String, Failure> {
    let listed = match id {
        None => runes.grants().await?,
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
