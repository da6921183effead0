//! A request as tests write it.

use std::borrow::Cow;
use std::time::Duration;

use runeward_policy::{Parameter, Quota, Request, Room, SinceLastUse, Value};
use serde_json::Value as Json;

/// A call with JSON parameters.
#[derive(Clone, Debug)]
pub struct Call {
    pub time: u64,
    pub peer: Option<String>,
    pub method: Option<String>,
    /// An object, an array, or null for none.
    pub params: Json,
    pub since_last_use: SinceLastUse,
    /// The buckets that are used up, by their restrictions' text; without it nobody keeps any.
    pub used_up: Option<Vec<&'static str>>,
    pub writes_rows: bool,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            time: 1_700_000_000,
            peer: None,
            method: None,
            params: Json::Null,
            since_last_use: SinceLastUse::Never,
            used_up: None,
            writes_rows: false,
        }
    }
}

#[allow(dead_code)] // Each test takes what it needs.
impl Call {
    pub fn method(name: &str) -> Self {
        Self { method: Some(name.to_owned()), ..Self::default() }
    }

    pub fn with(params: Json) -> Self {
        Self { params, ..Self::method("pay") }
    }

    pub fn since(milliseconds: u64) -> Self {
        Self { since_last_use: SinceLastUse::Elapsed(Duration::from_millis(milliseconds)), ..Self::default() }
    }
}

impl Request for Call {
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
        match &self.params {
            Json::Object(params) => params.len() as u64,
            Json::Array(params) => params.len() as u64,
            _ => 0,
        }
    }

    fn named(&self, name: &str) -> Parameter<'_> {
        let stripped = |key: &str| key.replace(|c: char| c.is_ascii_punctuation(), "");
        match &self.params {
            Json::Object(params) => params
                .iter()
                .find(|(key, _)| *key == name || stripped(key) == name)
                .map_or(Parameter::Absent, |(_, value)| present(value)),
            Json::Array(params) if !params.is_empty() => Parameter::Elsewhere,
            _ => Parameter::Absent,
        }
    }

    fn positional(&self, index: u64) -> Parameter<'_> {
        match &self.params {
            Json::Array(params) => params.get(index as usize).map_or(Parameter::Absent, present),
            Json::Object(params) if !params.is_empty() => Parameter::Elsewhere,
            _ => Parameter::Absent,
        }
    }

    fn since_last_use(&self) -> SinceLastUse {
        self.since_last_use
    }

    fn room(&self, quota: Quota) -> Room {
        match &self.used_up {
            Some(used_up) if used_up.contains(&quota.to_string().as_str()) => Room::UsedUp,
            Some(_) => Room::Left,
            None => Room::Unknown,
        }
    }

    fn writes_rows(&self) -> bool {
        self.writes_rows
    }
}

fn present(value: &Json) -> Parameter<'_> {
    Parameter::Present(match value {
        Json::String(text) => Value::Text(text.into()),
        other => match other.as_i64() {
            Some(integer) => Value::Integer { text: other.to_string().into(), value: integer },
            None => Value::Text(other.to_string().into()),
        },
    })
}
