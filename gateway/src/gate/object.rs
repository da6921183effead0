//! JSON objects as the gateway writes them.

use super::json;

/// A JSON object under construction.
pub(super) struct Object(Vec<u8>);

impl Object {
    pub(super) fn new() -> Self {
        Self(vec![b'{'])
    }

    /// A member whose value is this JSON text.
    pub(super) fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        json::write_string(value, &mut self.0);
    }

    /// A member that is `null` where there is no value.
    pub(super) fn optional(&mut self, key: &str, value: Option<impl ToString>) {
        self.raw(key, &value.map_or("null".to_owned(), |value| value.to_string()));
    }

    /// A text that is `null` where there is none.
    pub(super) fn optional_text(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(text) => self.text(key, text),
            None => self.raw(key, "null"),
        }
    }

    /// A member that is an array of these JSON texts.
    pub(super) fn array(&mut self, key: &str, items: impl Iterator<Item = String>) {
        let items: Vec<String> = items.collect();
        self.raw(key, &format!("[{}]", items.join(",")));
    }

    /// The object as JSON text.
    pub(super) fn end(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).unwrap_or_default()
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        json::write_string(key, &mut self.0);
        self.0.push(b':');
    }
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    json::write_string(text, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// A time in nanoseconds since 1970 as seconds, to the last digit.
pub(super) fn seconds(nanoseconds: i64) -> String {
    format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
}
