//! `runeward-audit`: the log, over the wire.

use std::sync::Arc;

use super::{Audit, Query, search};
use crate::date;
use crate::gate::json::{self, Json};
use crate::gate::object::Object;
use crate::gate::reply::Failure;
use crate::gate::rune_methods::{arguments, invalid, whole_number};

/// How many lines are told unless more are asked for, and the most that ever are.
const LINES: usize = 100;
const MOST_LINES: usize = 1000;

impl Audit {
    /// `{since?, rune?, limit?}` → `{"lines":[…],"more":…}`: the newest lines, oldest first, as they
    /// stand in the log, and whether there are older ones. `since`: UNIX seconds. `rune`: a unique id or
    /// a name.
    pub(in crate::gate) async fn tell(&self, params: &Json<'_>) -> Result<String, Failure> {
        let [since, rune, limit] = arguments(params, ["since", "rune", "limit"], 0)?;
        let number = |name: &str, value: &Json<'_>| {
            whole_number(value).ok_or_else(|| invalid(name, "should be a whole number"))
        };
        let since = since.map(|since| number("since", since)).transpose()?;
        let since = since.map(|since| date::rfc3339(since.saturating_mul(1000)));
        let rune = rune.map(|rune| match rune {
            Json::Number(text) => Ok((*text).to_owned()),
            Json::String(text) => Ok(text.to_string()),
            _ => Err(invalid("rune", "should be a unique id or a name")),
        });
        let limit = limit.map(|limit| number("limit", limit)).transpose()?;
        let limit = limit.map_or(LINES, |limit| usize::try_from(limit).unwrap_or(usize::MAX).min(MOST_LINES));
        let query = Query {
            since: since.map(|since| String::from_utf8_lossy(&since).into_owned()),
            rune: rune.transpose()?,
            limit,
            ..Query::default()
        };
        let (dir, key) = (self.dir.clone(), Arc::clone(&self.key));
        // One thread: the calls of others go on meanwhile.
        let search = tokio::task::spawn_blocking(move || search::search(&dir, &key, &query, 1));
        let found = search.await.map_err(std::io::Error::other).flatten().map_err(|error| {
            tracing::error!(%error, "the audit log cannot be read");
            Failure::new(-1, "the audit log cannot be read; the gateway's own log says why")
        })?;
        let lines = found.lines.into_iter().filter_map(|line| String::from_utf8(line).ok());
        let mut out = Object::new();
        // Whoever can write to the log can write to the reply, but only what is JSON.
        out.array("lines", lines.filter(|line| json::parse(line).is_ok()));
        out.raw("more", if found.more { "true" } else { "false" });
        Ok(out.end())
    }
}
