use std::borrow::Cow;
use std::collections::HashSet;

use super::{FEW_MEMBERS, Json, MAX_DEPTH, MAX_VALUES, Unread};

/// Reads from the start of a text to its end, each byte once.
pub(super) struct Reader<'a> {
    input: &'a str,
    at: usize,
    /// Values that may still come.
    left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a str) -> Self {
        Self { input, at: 0, left: MAX_VALUES }
    }

    /// Where it stands, in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What was read since it stood at `start`.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.input[start..self.at]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.input.as_bytes().get(self.at).copied()
    }

    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unread> {
        if self.peek() != Some(byte) {
            return Err(Unread::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// Nothing but space may follow.
    pub(super) fn end(&mut self) -> Result<(), Unread> {
        self.skip_space();
        if self.at == self.input.len() { Ok(()) } else { Err(Unread::NotJson) }
    }

    /// Reads a value that lies inside so many others.
    pub(super) fn value(&mut self, depth: usize) -> Result<Json<'a>, Unread> {
        self.left = self.left.checked_sub(1).ok_or(Unread::TooMany)?;
        match self.peek().ok_or(Unread::NotJson)? {
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
            _ => Err(Unread::NotJson),
        }
    }

    /// Walks an object's members; `member` is called with the reader at each value.
    pub(super) fn object(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Unread>,
    ) -> Result<(), Unread> {
        if depth >= MAX_DEPTH {
            return Err(Unread::NotJson);
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

    fn array(&mut self, depth: usize) -> Result<Json<'a>, Unread> {
        if depth >= MAX_DEPTH {
            return Err(Unread::NotJson);
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

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, Unread> {
        if !self.input.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Unread::NotJson);
        }
        self.at += word.len();
        Ok(value)
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?` (RFC 8259 §6)
    fn number(&mut self) -> Result<&'a str, Unread> {
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

    fn digits(&mut self) -> Result<(), Unread> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Unread::NotJson) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Unread> {
        self.expect(b'"')?;
        let (plain, mut escaped) = self.plain()?;
        if !escaped {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = String::from(plain);
        while escaped {
            text.push(self.escape()?);
            let (plain, more) = self.plain()?;
            text.push_str(plain);
            escaped = more;
        }
        Ok(Cow::Owned(text))
    }

    /// What stands in a string up to its end or to an escape, and whether that is what follows.
    fn plain(&mut self) -> Result<(&'a str, bool), Unread> {
        let start = self.at;
        let rest = &self.input.as_bytes()[start..];
        let length =
            rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).ok_or(Unread::NotJson)?;
        self.at += length + 1;
        match rest[length] {
            b'"' => Ok((&self.input[start..start + length], false)),
            b'\\' => Ok((&self.input[start..start + length], true)),
            _ => Err(Unread::NotJson),
        }
    }

    fn escape(&mut self) -> Result<char, Unread> {
        let kind = self.peek().ok_or(Unread::NotJson)?;
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(Unread::NotJson),
        })
    }

    /// `XXXX` after `\u`, or a surrogate pair; half a pair is no character and refused.
    fn unicode_escape(&mut self) -> Result<char, Unread> {
        let first = self.four_hex_digits()?;
        let code = match first {
            0xd800..=0xdbff => {
                self.expect(b'\\')?;
                self.expect(b'u')?;
                match self.four_hex_digits()? {
                    second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => return Err(Unread::NotJson),
                }
            }
            code => code,
        };
        char::from_u32(code).ok_or(Unread::NotJson)
    }

    fn four_hex_digits(&mut self) -> Result<u32, Unread> {
        let digits = self.input.as_bytes().get(self.at..self.at + 4).ok_or(Unread::NotJson)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, &digit| {
            char::from(digit).to_digit(16).map(|digit| code * 16 + digit).ok_or(Unread::NotJson)
        })
    }
}

fn refuse_repeated_keys(members: &[(Cow<'_, str>, Json<'_>)]) -> Result<(), Unread> {
    let repeated = if members.len() <= FEW_MEMBERS {
        members.iter().enumerate().any(|(i, (key, _))| members[..i].iter().any(|(known, _)| known == key))
    } else {
        let mut known = HashSet::with_capacity(members.len());
        !members.iter().all(|(key, _)| known.insert(key.as_ref()))
    };
    if repeated { Err(Unread::NotJson) } else { Ok(()) }
}
