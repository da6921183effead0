//! Keyed hashes of parameters: a known value can be found, none can be read or guessed.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem::find;
use ring::hmac::{Context, HMAC_SHA256, Key};

use super::line::PARAMS;
use super::text::quoted;
use crate::gate::json::Json;

/// Most values of one request that are hashed one by one.
const MAX_VALUES: usize = 16;

/// Longest value, as text, that is hashed by itself, in bytes.
const MAX_VALUE: usize = 16 * 1024;

/// The keyed hash of one value: half of an HMAC-SHA256, plenty to find it by.
pub(crate) type Fingerprint = [u8; 16];

/// The keyed hashes of a request's params.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprints {
    /// Over all of them, as the node gets them; `None` where there are none.
    pub(super) whole: Option<[u8; 32]>,
    /// Of the first values, those that are not very long.
    pub(super) values: Vec<Fingerprint>,
}

/// What parameters are hashed under. Without it a hash cannot be compared with guesses.
pub(super) struct AuditKey(Key);

impl AuditKey {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, secret))
    }

    /// The hashes of `params`, an array or an object.
    pub(super) fn params(&self, params: &Json<'_>) -> Fingerprints {
        let values: &mut dyn Iterator<Item = &Json<'_>> = match params {
            Json::Array(items) => &mut items.iter(),
            Json::Object(members) => &mut members.iter().map(|(_, value)| value),
            _ => return Fingerprints::default(),
        };
        let values: Vec<Fingerprint> = values
            .take(MAX_VALUES)
            .map(text_of)
            .filter(|text| text.len() <= MAX_VALUE)
            .map(|text| self.value(&text))
            .collect();
        match params {
            Json::Array(items) if items.is_empty() => Fingerprints::default(),
            Json::Object(members) if members.is_empty() => Fingerprints::default(),
            _ => Fingerprints { whole: Some(self.hash(b"params:", params.to_text().as_bytes())), values },
        }
    }

    /// The hash of one value: a string's text, or any other value's JSON.
    pub(super) fn value(&self, text: &str) -> Fingerprint {
        let mut half = Fingerprint::default();
        half.copy_from_slice(&self.hash(b"value:", text.as_bytes())[..16]);
        half
    }

    fn hash(&self, kind: &[u8], text: &[u8]) -> [u8; 32] {
        let mut context = Context::with_key(&self.0);
        context.update(kind);
        context.update(text);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}

impl Fingerprints {
    /// Whether `line` has these params.
    pub(super) fn is_of(&self, line: &[u8]) -> bool {
        let params = match &self.whole {
            Some(whole) => [PARAMS, &quoted(whole)].concat(),
            None => return find(line, PARAMS).is_none(),
        };
        find(line, &params).is_some()
    }

    /// With one more value to find the request by.
    pub(super) fn and(mut self, value: Fingerprint) -> Self {
        self.values.push(value);
        self
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(…)")
    }
}

fn text_of<'a>(value: &'a Json<'_>) -> Cow<'a, str> {
    match value {
        Json::String(text) => Cow::Borrowed(text),
        Json::Number(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_text()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::gate::json;

    fn of(key: &AuditKey, params: &str) -> Fingerprints {
        key.params(&json::parse(params).unwrap())
    }

    #[test]
    fn a_value_is_found_however_it_is_given_and_under_its_key_alone() {
        let (key, other) = (AuditKey::new(&[1; 32]), AuditKey::new(&[2; 32]));
        let (named, listed) = (of(&key, r#"{"label":"a","amount_msat":1000}"#), of(&key, r#"["a",1000]"#));
        assert_eq!(named.values, listed.values);
        assert_eq!(named.values, [key.value("a"), key.value("1000")]);
        assert_ne!(named.whole, listed.whole);
        assert_ne!(named.values, of(&other, r#"["a",1000]"#).values);
        assert_eq!(of(&key, r#"["1000"]"#).values, [key.value("1000")]);
        assert_eq!(of(&key, r#"[{"a":[null]}]"#).values, [key.value(r#"{"a":[null]}"#)]);
        assert!(!format!("{key:?}").contains('1'));
    }

    #[test]
    fn the_work_is_bounded() {
        let key = AuditKey::new(&[1; 32]);
        for none in ["[]", "{}"] {
            assert!(of(&key, none).whole.is_none() && of(&key, none).values.is_empty());
        }
        let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(of(&key, &format!("[{}]", many.join(","))).values.len(), MAX_VALUES);
        let long = format!("[\"{}\",1]", "x".repeat(MAX_VALUE + 1));
        assert_eq!(of(&key, &long).values, [key.value("1")]);
        assert!(of(&key, &long).whole.is_some());
    }
}
