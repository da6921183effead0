//! A commando request, parsed once into what is checked and what the node gets.

use std::borrow::Cow;

use runeward_policy::Rune;

use super::json::{self, Json, MAX_VALUES, Unread};
use super::reply::Refusal;

/// Longest method name that is forwarded, in bytes.
const MAX_METHOD: usize = 64;

/// What a request asks for. Borrowed from the request's bytes.
pub(crate) struct Request<'a> {
    /// The client's id token, verbatim: it goes back as it came.
    pub(crate) id: &'a str,
    /// The method's name; where the client sent no string, that value's JSON text.
    pub(crate) method: Cow<'a, str>,
    /// Whether the client sent a string.
    is_named: bool,
    /// An array or an object; no `params` at all reads as, and is forwarded as, an empty object.
    pub(crate) params: Json<'a>,
    pub(crate) filter: Option<Json<'a>>,
    /// Whether the reply is to carry a receipt; `None` where that is said by anything but `true` or
    /// `false`.
    pub(crate) receipt: Option<bool>,
    pub(crate) rune: Rune,
}

impl<'a> Request<'a> {
    /// Parses a request. Faults are found in the order a node finds them.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let members = json::members(bytes).map_err(|unread| match unread {
            Unread::NotJson => Refusal::malformed("Invalid JSON"),
            Unread::TooMany => {
                Refusal::malformed(&format!("Request too large: more than {MAX_VALUES} values"))
            }
        })?;
        let members = members.ok_or(Refusal::malformed("Not a JSON object"))?;
        let (mut method, mut params, mut id, mut rune, mut filter) = (None, None, None, None, None);
        let mut receipt = Some(false);
        for (key, value, text) in members {
            match key.as_ref() {
                "method" => method = Some((value, text)),
                "params" => params = Some(value),
                "id" => id = Some((value, text)),
                "rune" => rune = Some(value),
                "filter" => filter = Some(value),
                "receipt" => receipt = if let Json::Bool(wanted) = value { Some(wanted) } else { None },
                _ => {}
            }
        }
        let (method, is_named) = match method.ok_or(Refusal::malformed("No method"))? {
            (Json::String(name), _) => (name, true),
            (_, text) => (Cow::Borrowed(text), false),
        };
        let params = match params {
            None => Json::Object(Vec::new()),
            Some(params @ (Json::Array(_) | Json::Object(_))) => params,
            Some(_) => return Err(Refusal::malformed("Params must be object or array")),
        };
        let id = match id {
            None | Some((Json::Array(_) | Json::Object(_), _)) => {
                return Err(Refusal::malformed("missing id field"));
            }
            Some((_, text)) => text,
        };
        let rune = rune.ok_or(Refusal::malformed("Missing rune"))?;
        let rune = rune.as_str().and_then(|text| Rune::decode(text).ok());
        let rune = rune.ok_or(Refusal::malformed("Invalid rune"))?;
        Ok(Self { id, method, is_named, params, filter, receipt, rune })
    }

    /// With another text for the id token.
    pub(crate) fn with_id(self, id: &'a str) -> Self {
        Self { id, ..self }
    }

    /// Whether the method has the form of a command's name; no other is ever forwarded.
    pub(crate) fn has_method_name(&self) -> bool {
        self.is_named
            && (1..=MAX_METHOD).contains(&self.method.len())
            && self.method.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    }

    /// The part of the node's request that says what to run, serialised from what was checked:
    /// `"method":…,"params":…` and `"filter":…` where one was given.
    pub(crate) fn command(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(b"\"method\":");
        json::write_string(&self.method, &mut out);
        out.extend_from_slice(b",\"params\":");
        self.params.write(&mut out);
        if let Some(filter) = &self.filter {
            out.extend_from_slice(b",\"filter\":");
            filter.write(&mut out);
        }
        out
    }
}
