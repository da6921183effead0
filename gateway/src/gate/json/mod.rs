//! A strict JSON reader for what strangers send.
//!
//! Stricter than the JSON readers in use where leniency would let the command that is checked
//! differ from the command that runs: a key may stand once in an object, nothing may follow the
//! value, nesting is bounded. Number text is kept as written, to the last digit.
//!
//! Whoever sends it has shown no rune yet, so what it may cost to read is bounded too: by the length of a request, and by
//! the number of values, which cost many times what their bytes do.

mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use reader::Reader;

/// Deepest nesting of arrays and objects that is read.
pub(crate) const MAX_DEPTH: usize = 64;

/// Most values that are read, those inside others included: many times what any command is given.
pub(crate) const MAX_VALUES: usize = 20_000;

/// Most members the outermost object may have: a request has five or six.
const MAX_OUTER_MEMBERS: usize = 64;

/// Objects up to this many members are searched for repeated keys one by one, larger ones by hash.
const FEW_MEMBERS: usize = 8;

/// A JSON value. Strings are unescaped; numbers stay text.
#[derive(Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Shows the kind alone: params hold preimages and labels, requests runes.
impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        })
    }
}

/// Why the input is not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is not one strict JSON value.
    NotJson,
    /// It holds more than [`MAX_VALUES`].
    TooMany,
}

/// A member of the outermost object: its key, its value and the value's text as it was written.
pub(crate) type Member<'a> = (Cow<'a, str>, Json<'a>, &'a str);

/// Reads an object and keeps each member's own text; `None` where the input is another JSON value.
pub(crate) fn members(input: &[u8]) -> Result<Option<Vec<Member<'_>>>, Unread> {
    let mut reader = Reader::new(std::str::from_utf8(input).map_err(|_| Unread::NotJson)?);
    reader.skip_space();
    if reader.peek() != Some(b'{') {
        reader.value(0)?;
        return reader.end().map(|()| None);
    }
    let mut members: Vec<Member<'_>> = Vec::with_capacity(FEW_MEMBERS);
    reader.object(0, |reader, key| {
        if members.iter().any(|(known, ..)| *known == key) || members.len() == MAX_OUTER_MEMBERS {
            return Err(Unread::NotJson);
        }
        let start = reader.at();
        let value = reader.value(1)?;
        members.push((key, value, reader.since(start)));
        Ok(())
    })?;
    reader.end()?;
    Ok(Some(members))
}

/// Reads one JSON value.
pub(crate) fn parse(input: &str) -> Result<Json<'_>, Unread> {
    let mut reader = Reader::new(input);
    reader.skip_space();
    let value = reader.value(0)?;
    reader.end()?;
    Ok(value)
}

impl<'a> Json<'a> {
    /// The string's text, `None` for every other kind.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// Appends the value as compact JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(true) => out.extend_from_slice(b"true"),
            Json::Bool(false) => out.extend_from_slice(b"false"),
            Json::Number(text) => out.extend_from_slice(text.as_bytes()),
            Json::String(text) => write_string(text, out),
            Json::Array(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Json::Object(members) => {
                out.push(b'{');
                for (i, (key, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_string(key, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The value as compact JSON text.
    pub(crate) fn to_text(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

/// Appends `text` as a JSON string, quoted and escaped.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        match short {
            0 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            short => out.extend_from_slice(&[b'\\', short]),
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}
