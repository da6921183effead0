//! What a rune's conditions read of a request.

use std::borrow::Cow;

use runeward_policy::{Parameter, SinceLastUse, Value};

use super::json::Json;

/// One command as the conditions of a rune see it. Values are made only when a condition asks.
pub(crate) struct Check<'a> {
    /// UNIX seconds.
    pub(crate) time: u64,
    pub(crate) peer: Option<Cow<'a, str>>,
    pub(crate) method: Option<Cow<'a, str>>,
    /// An array or an object.
    pub(crate) params: &'a Json<'a>,
    pub(crate) since_last_use: SinceLastUse,
}

impl runeward_policy::Request for Check<'_> {
    fn time(&self) -> u64 {
        self.time
    }

    fn peer(&self) -> Option<Cow<'_, str>> {
        self.peer.as_deref().map(Cow::Borrowed)
    }

    fn method(&self) -> Option<Cow<'_, str>> {
        self.method.as_deref().map(Cow::Borrowed)
    }

    fn parameter_count(&self) -> u64 {
        match self.params {
            Json::Array(items) => items.len() as u64,
            Json::Object(members) => members.len() as u64,
            _ => 0,
        }
    }

    /// A name matches as written or with the parameter's punctuation stripped. Where two
    /// parameters match in the same way no condition can tell which one the node will read.
    fn named(&self, name: &str) -> Parameter<'_> {
        match self.params {
            Json::Object(members) => {
                let mut found = members.iter().filter(|(key, _)| key == name || is_stripped(key, name));
                match (found.next(), found.next()) {
                    (None, _) => Parameter::Absent,
                    (Some((_, value)), None) => Parameter::Present(text_of(value)),
                    (Some(_), Some(_)) => Parameter::Elsewhere,
                }
            }
            Json::Array(items) if !items.is_empty() => Parameter::Elsewhere,
            _ => Parameter::Absent,
        }
    }

    fn positional(&self, index: u64) -> Parameter<'_> {
        match self.params {
            Json::Array(items) => match usize::try_from(index).ok().and_then(|index| items.get(index)) {
                Some(value) => Parameter::Present(text_of(value)),
                None => Parameter::Absent,
            },
            Json::Object(members) if !members.is_empty() => Parameter::Elsewhere,
            _ => Parameter::Absent,
        }
    }

    fn since_last_use(&self) -> SinceLastUse {
        self.since_last_use
    }
}

/// Whether `key` without its ASCII punctuation is `name`.
fn is_stripped(key: &str, name: &str) -> bool {
    key.chars().filter(|c| !c.is_ascii_punctuation()).eq(name.chars())
}

fn text_of<'a>(value: &'a Json<'_>) -> Value<'a> {
    match value {
        Json::String(text) => Value::Text(Cow::Borrowed(text)),
        Json::Number(text) => match integer(text) {
            Some(value) => Value::Integer { text: Cow::Borrowed(text), value },
            None => Value::Text(Cow::Borrowed(text)),
        },
        other => Value::Text(Cow::Owned(other.to_text())),
    }
}

/// The number where its text is a decimal integer as every reader writes it, else nothing: `1e3`,
/// `5.0` and `-0` are no integers here, so that no two readers can differ on one.
fn integer(text: &str) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    (value != 0 || text == "0").then_some(value)
}
