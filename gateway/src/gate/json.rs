//! A strict JSON reader for what strangers send.
//!
//! Stricter than the JSON readers in use where leniency would let the command that is checked
//! differ from the command that runs: a key may stand once in an object, nothing may follow the
//! value, nesting is bounded. Number text is kept as written, to the last digit.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Deepest nesting of arrays and objects that is read.
pub(crate) const MAX_DEPTH: usize = 64;

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

/// The input is not one strict JSON value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// A member of the outermost object: its key, its value and the value's text as it was written.
pub(crate) type Member<'a> = (Cow<'a, str>, Json<'a>, &'a str);

/// Reads an object and keeps each member's own text; `None` where the input is another JSON value.
pub(crate) fn members(input: &[u8]) -> Result<Option<Vec<Member<'_>>>, NotJson> {
    let mut reader = Reader::new(std::str::from_utf8(input).map_err(|_| NotJson)?);
    reader.skip_space();
    if reader.peek() != Some(b'{') {
        reader.value(0)?;
        return reader.end().map(|()| None);
    }
    let mut members: Vec<Member<'_>> = Vec::with_capacity(FEW_MEMBERS);
    reader.object(0, |reader, key| {
        if members.iter().any(|(known, ..)| *known == key) || members.len() == MAX_OUTER_MEMBERS {
            return Err(NotJson);
        }
        let start = reader.at;
        let value = reader.value(1)?;
        members.push((key, value, &reader.input[start..reader.at]));
        Ok(())
    })?;
    reader.end()?;
    Ok(Some(members))
}

/// Reads one JSON value.
pub(crate) fn parse(input: &str) -> Result<Json<'_>, NotJson> {
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

struct Reader<'a> {
    input: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(input: &'a str) -> Self {
        Self { input, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.input.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek() != Some(byte) {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), NotJson> {
        self.skip_space();
        if self.at == self.input.len() { Ok(()) } else { Err(NotJson) }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, NotJson> {
        match self.peek().ok_or(NotJson)? {
            b'{' => {
                let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::new();
                self.object(depth, |reader, key| {
                    let value = reader.value(depth + 1)?;
                    members.push((key, value));
                    Ok(())
                })?;
                refuse_repeated_keys(&members)?;
                Ok(Json::Object(members))
            }
            b'[' => self.array(depth),
            b'"' => Ok(Json::String(self.string()?)),
            b'-' | b'0'..=b'9' => Ok(Json::Number(self.number()?)),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => Err(NotJson),
        }
    }

    /// Walks an object's members; `member` is called with the reader at each value.
    fn object(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), NotJson>,
    ) -> Result<(), NotJson> {
        if depth >= MAX_DEPTH {
            return Err(NotJson);
        }
        self.expect(b'{')?;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            member(self, key)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => return self.expect(b'}'),
            }
            self.skip_space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, NotJson> {
        if depth >= MAX_DEPTH {
            return Err(NotJson);
        }
        self.expect(b'[')?;
        self.skip_space();
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => {
                    self.expect(b']')?;
                    return Ok(Json::Array(items));
                }
            }
            self.skip_space();
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, NotJson> {
        if !self.input.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(NotJson);
        }
        self.at += word.len();
        Ok(value)
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?` (RFC 8259 §6)
    fn number(&mut self) -> Result<&'a str, NotJson> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.input[start..self.at])
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(NotJson) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.peek().ok_or(NotJson)? {
                b'"' => {
                    self.at += 1;
                    return Ok(Cow::Borrowed(&self.input[start..self.at - 1]));
                }
                b'\\' => return self.escaped_string(start).map(Cow::Owned),
                0..=0x1f => return Err(NotJson),
                _ => self.at += 1,
            }
        }
    }

    /// The rest of a string from its first escape on; `start` is where its text begins.
    fn escaped_string(&mut self, start: usize) -> Result<String, NotJson> {
        let mut text = String::from(&self.input[start..self.at]);
        let mut plain = self.at;
        loop {
            match self.peek().ok_or(NotJson)? {
                b'"' => {
                    text.push_str(&self.input[plain..self.at]);
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => {
                    text.push_str(&self.input[plain..self.at]);
                    self.at += 1;
                    text.push(self.escape()?);
                    plain = self.at;
                }
                0..=0x1f => return Err(NotJson),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let kind = self.peek().ok_or(NotJson)?;
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(NotJson),
        })
    }

    /// `XXXX` after `\u`, or a surrogate pair; half a pair is no character and refused.
    fn unicode_escape(&mut self) -> Result<char, NotJson> {
        let first = self.four_hex_digits()?;
        let code = match first {
            0xd800..=0xdbff => {
                self.expect(b'\\')?;
                self.expect(b'u')?;
                match self.four_hex_digits()? {
                    second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => return Err(NotJson),
                }
            }
            code => code,
        };
        char::from_u32(code).ok_or(NotJson)
    }

    fn four_hex_digits(&mut self) -> Result<u32, NotJson> {
        let digits = self.input.as_bytes().get(self.at..self.at + 4).ok_or(NotJson)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, &digit| {
            char::from(digit).to_digit(16).map(|digit| code * 16 + digit).ok_or(NotJson)
        })
    }
}

fn refuse_repeated_keys(members: &[(Cow<'_, str>, Json<'_>)]) -> Result<(), NotJson> {
    let repeated = if members.len() <= FEW_MEMBERS {
        members.iter().enumerate().any(|(i, (key, _))| members[..i].iter().any(|(known, _)| known == key))
    } else {
        let mut known = HashSet::with_capacity(members.len());
        !members.iter().all(|(key, _)| known.insert(key.as_ref()))
    };
    if repeated { Err(NotJson) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_what_json_is() {
        for text in ["null", "true", "[]", "{}", r#"[1,-0.5e+3,"a"]"#, r#"{"a":{"b":[null]}}"#, "-0", "1E9"] {
            assert_eq!(parse(text).unwrap().to_text(), text);
        }
        assert_eq!(parse(r#""\u0061\ud83d\ude00\/""#).unwrap(), Json::String("a😀/".into()));
        assert_eq!(parse(" { \"a\" : [ 1 , 2 ] } ").unwrap().to_text(), r#"{"a":[1,2]}"#);
    }

    #[test]
    fn refuses_what_json_is_not() {
        for text in [
            "",
            " ",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "tru",
            "nul",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "[1 2]",
            "\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\n\"",
            "{} {}",
            "[]]",
            "{\"a\"}",
            "'a'",
            "NaN",
            "0x10",
        ] {
            assert_eq!(parse(text), Err(NotJson), "{text}");
        }
    }

    #[test]
    fn refuses_a_key_twice_at_any_depth_and_however_spelt() {
        assert!(parse(r#"{"a":1,"a":2}"#).is_err());
        assert!(parse(r#"[{"x":{"a":1,"\u0061":2}}]"#).is_err());
        let many: Vec<String> = (0..1000).map(|i| format!("\"k{i}\":{i}")).collect();
        assert!(parse(&format!("{{{}}}", many.join(","))).is_ok());
        assert!(parse(&format!("{{{},\"k500\":0}}", many.join(","))).is_err());
        assert!(members(br#"{"id":1,"i\u0064":2}"#).is_err());
    }

    #[test]
    fn bounds_the_depth() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(parse(&nested(MAX_DEPTH + 1)).is_err());
        assert!(members(format!("{{\"a\":{}}}", nested(MAX_DEPTH - 1)).as_bytes()).is_ok());
        assert!(members(format!("{{\"a\":{}}}", nested(MAX_DEPTH)).as_bytes()).is_err());
    }

    #[test]
    fn bounds_the_depth_of_objects_and_of_both_in_turn() {
        let objects = |depth: usize| "{\"a\":".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
        assert!(parse(&objects(MAX_DEPTH)).is_ok());
        assert!(parse(&objects(MAX_DEPTH + 1)).is_err());
        let both = |pairs: usize| "[{\"a\":".repeat(pairs) + "0" + &"}]".repeat(pairs);
        assert!(parse(&both(MAX_DEPTH / 2)).is_ok());
        assert!(parse(&both(MAX_DEPTH / 2 + 1)).is_err());
    }

    #[test]
    fn repeated_keys_are_found_in_few_and_in_many() {
        for members in [FEW_MEMBERS, FEW_MEMBERS + 1] {
            let mut keys: Vec<String> = (0..members).map(|i| format!("\"{i}\":0")).collect();
            assert!(parse(&format!("{{{}}}", keys.join(","))).is_ok());
            keys[members - 1] = keys[0].clone();
            assert!(parse(&format!("{{{}}}", keys.join(","))).is_err());
        }
    }

    #[test]
    fn escapes_are_read_and_written() {
        assert_eq!(parse(r#""\"\\\/\b\f\n\r\t""#).unwrap(), Json::String("\"\\/\u{8}\u{c}\n\r\t".into()));
        let written = Json::String("\"\\\n\r\t\u{8}\u{c}\u{1}é".into()).to_text();
        assert_eq!(written, r#""\"\\\n\r\t\b\f\u0001é""#);
        assert!(parse("\"\\n\u{1}\"").is_err(), "a control character behind an escape");
        for same in ["[1,[2,3],false]", r#"{"a":false,"b":[]}"#] {
            assert_eq!(parse(same).unwrap().to_text(), same);
        }
        assert_eq!(Json::Null.as_str(), None);
        assert_eq!(Json::String("x".into()).as_str(), Some("x"));
    }

    #[test]
    fn keeps_the_text_of_each_member() {
        let found = members(br#" {"id": 1.50 , "x":[ 1 ]} "#).unwrap().unwrap();
        assert_eq!(found[0].2, "1.50");
        assert_eq!(found[1].2, "[ 1 ]");
        assert!(members(b"[]").unwrap().is_none());
        assert!(members(b"[],").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = members(&bytes);
        }

        #[test]
        fn never_panics_on_near_json(text in r#"[\[\]{}",:\\0-9eE.+u d8tn-]{0,60}"#) {
            let _ = parse(&text);
        }

        /// What is read is written so that a second reader finds the same meaning.
        #[test]
        fn agrees_with_another_reader(text in r#"[\[\]{}",:\\0-9a-c u-]{0,40}"#) {
            if let Ok(ours) = parse(&text) {
                let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
                let again: serde_json::Value = serde_json::from_str(&ours.to_text()).unwrap();
                prop_assert_eq!(theirs, again);
            }
        }

        #[test]
        fn strings_survive(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&text, &mut out);
            let back: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
