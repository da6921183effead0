//! Finds where a node's reply ends and puts the client's id back, in whatever pieces it arrives.
//!
//! Works on the JSON-RPC envelope alone: it knows strings, nesting and the outermost keys, wherever
//! the id stands and however the reply is spaced. White space between tokens is left out, so that a
//! reply has no line breaks.

mod blocks;

use memchr::memchr3;
use smallvec::SmallVec;

use blocks::{BLOCK, is_scalar};

/// Deepest nesting a node's reply may have.
const MAX_DEPTH: usize = 512;

/// Longest id token a node may answer with; ours are shorter.
const MAX_ID: usize = 32;

/// As much of an outermost key as tells it apart from `id`, in bytes.
const KEY: usize = 4;

/// The reply is not the JSON object that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the node's answer is no JSON object")]
    NotAnObject,
    #[error("the node's answer has no id")]
    NoId,
    #[error("the node answered another request")]
    WrongId,
}

/// Reads one reply.
pub(super) struct Scanner {
    /// The id token the node must answer with.
    expected: String,
    /// The id token the client gets.
    token: String,
    mode: Mode,
    /// Open brackets, outermost first.
    open: SmallVec<[u8; 16]>,
    /// Whether the next string of the outermost object is a key.
    key_next: bool,
    /// The outermost key being read or read last, cut to its first bytes.
    key: SmallVec<[u8; KEY]>,
    id: SmallVec<[u8; MAX_ID]>,
    id_found: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Before the object.
    Start,
    /// Between strings.
    Structure,
    /// Inside a string that is copied; `true` right after a backslash.
    String(bool),
    /// Inside an outermost key.
    Key(bool),
    /// Before the id's value.
    IdStart,
    IdString,
    IdBare,
}

impl Scanner {
    /// `expected`: the id token sent to the node. `token`: the id token to put in its place.
    pub(super) fn new(expected: String, token: String) -> Self {
        Self {
            expected,
            token,
            mode: Mode::Start,
            open: SmallVec::new(),
            key_next: false,
            key: SmallVec::new(),
            id: SmallVec::new(),
            id_found: false,
        }
    }

    /// Appends to `out` what `input` adds to the reply. Returns how much of `input` was read where
    /// the reply ends in it, and nothing where more is to come.
    pub(super) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<usize>, Malformed> {
        // `input[run..at]` is read and not yet copied; up to `slow` bytes are read one by one.
        let (mut run, mut at, mut slow) = (0, 0, 0);
        out.reserve(input.len() + self.token.len());
        while let Some(&byte) = input.get(at) {
            if at >= slow
                && self.is_inside_result()
                && let Some(block) = input[at..].first_chunk()
            {
                slow = at + BLOCK;
                at += self.pass(block)?;
                continue;
            }
            match self.mode {
                Mode::Structure => match byte {
                    b'"' => {
                        self.mode = match self.open.len() == 1 && self.key_next {
                            true => Mode::Key(false),
                            false => Mode::String(false),
                        };
                        at += 1;
                    }
                    b' ' | b'\n' | b'\r' | b'\t' => {
                        out.extend_from_slice(&input[run..at]);
                        at += 1;
                        run = at;
                    }
                    b':' if self.open.len() == 1 && self.key[..] == *b"id" => {
                        at += 1;
                        out.extend_from_slice(&input[run..at]);
                        self.mode = Mode::IdStart;
                    }
                    _ => {
                        at += 1;
                        if self.structure(byte)? {
                            out.extend_from_slice(&input[run..at]);
                            return if self.id_found { Ok(Some(at)) } else { Err(Malformed::NoId) };
                        }
                    }
                },
                Mode::String(true) => {
                    self.mode = Mode::String(false);
                    at += 1;
                }
                Mode::String(false) => match memchr3(b'"', b'\\', b'\n', &input[at..]) {
                    None => at = input.len(),
                    Some(further) => {
                        at += further;
                        self.mode = match input[at] {
                            b'"' => Mode::Structure,
                            b'\\' => Mode::String(true),
                            _ => return Err(Malformed::NotAnObject),
                        };
                        at += 1;
                    }
                },
                Mode::Key(escaped) => {
                    at += 1;
                    self.key_byte(byte, escaped)?;
                }
                Mode::Start => {
                    at += 1;
                    match byte {
                        b' ' | b'\n' | b'\r' | b'\t' => run = at,
                        b'{' => {
                            self.structure(byte)?;
                            self.mode = Mode::Structure;
                        }
                        _ => return Err(Malformed::NotAnObject),
                    }
                }
                Mode::IdStart | Mode::IdString | Mode::IdBare => {
                    at += self.id_byte(byte)?;
                    run = at;
                    if self.mode == Mode::Structure {
                        if self.id_found || self.id[..] != *self.expected.as_bytes() {
                            return Err(Malformed::WrongId);
                        }
                        self.id_found = true;
                        out.extend_from_slice(self.token.as_bytes());
                    }
                }
            }
        }
        if !matches!(self.mode, Mode::IdStart | Mode::IdString | Mode::IdBare) {
            out.extend_from_slice(&input[run..]);
        }
        Ok(None)
    }

    /// Whether nothing but strings and brackets matters until the result ends.
    fn is_inside_result(&self) -> bool {
        self.open.len() > 1 && matches!(self.mode, Mode::Structure | Mode::String(false))
    }

    /// Reads a block inside the result as far as it needs no closer look; how many bytes. It stops at
    /// white space, at what is no JSON and behind the result's end, and begins no block with an escape
    /// or a line break.
    fn pass(&mut self, block: &[u8; BLOCK]) -> Result<usize, Malformed> {
        let Some((quotes, scalars)) = blocks::masks(block) else { return Ok(0) };
        let carried = if self.mode == Mode::Structure { 0 } else { u64::MAX };
        // Each string with its first quote and without its last.
        let strings = blocks::parity(quotes) ^ carried;
        let mut marks = !(strings | quotes | scalars);
        while marks != 0 {
            let at = marks.trailing_zeros() as usize;
            self.mode = Mode::Structure;
            if !matches!(block[at], b'{' | b'}' | b'[' | b']') {
                return Ok(at);
            }
            self.structure(block[at])?;
            if self.open.len() == 1 {
                return Ok(at + 1);
            }
            marks &= marks - 1;
        }
        self.mode = if strings >> (BLOCK - 1) == 1 { Mode::String(false) } else { Mode::Structure };
        Ok(BLOCK)
    }

    /// Takes note of a byte between strings; whether it ends the reply.
    fn structure(&mut self, byte: u8) -> Result<bool, Malformed> {
        match byte {
            b'{' | b'[' if self.open.len() < MAX_DEPTH => {
                self.open.push(byte);
                self.key_next = self.open.len() == 1;
            }
            b'}' | b']' => {
                let opened = if byte == b'}' { b'{' } else { b'[' };
                if self.open.pop() != Some(opened) {
                    return Err(Malformed::NotAnObject);
                }
                return Ok(self.open.is_empty());
            }
            b',' if self.open.len() == 1 => self.key_next = true,
            byte if is_scalar(byte) => {}
            _ => return Err(Malformed::NotAnObject),
        }
        Ok(false)
    }

    fn key_byte(&mut self, byte: u8, escaped: bool) -> Result<(), Malformed> {
        if self.key_next {
            self.key.clear();
            self.key_next = false;
        }
        match byte {
            b'"' if !escaped => self.mode = Mode::Structure,
            b'\n' => return Err(Malformed::NotAnObject),
            _ => {
                self.mode = Mode::Key(byte == b'\\' && !escaped);
                if self.key.len() < KEY {
                    self.key.push(byte);
                }
            }
        }
        Ok(())
    }

    /// Takes a byte of the id's value; how many were read: a bare token ends before the next one.
    fn id_byte(&mut self, byte: u8) -> Result<usize, Malformed> {
        match (self.mode, byte) {
            (Mode::IdStart, b' ' | b'\n' | b'\r' | b'\t') => return Ok(1),
            (Mode::IdBare, b',' | b'}' | b' ' | b'\n' | b'\r' | b'\t') => {
                self.mode = Mode::Structure;
                return Ok(0);
            }
            (Mode::IdStart, b'"') => self.mode = Mode::IdString,
            (Mode::IdStart, _) => self.mode = Mode::IdBare,
            (Mode::IdString, b'"') => self.mode = Mode::Structure,
            _ => {}
        }
        if self.id.len() == MAX_ID {
            return Err(Malformed::WrongId);
        }
        self.id.push(byte);
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Malformed, Scanner};
    use proptest::prelude::*;

    fn scan(reply: &str, pieces: usize) -> Result<(String, usize), Malformed> {
        let mut scanner = Scanner::new("\"rw#1\"".into(), "1.50".into());
        let mut out = Vec::new();
        let mut read = 0;
        for piece in reply.as_bytes().chunks(pieces) {
            if let Some(consumed) = scanner.feed(piece, &mut out)? {
                return Ok((String::from_utf8(out).unwrap(), read + consumed));
            }
            read += piece.len();
        }
        Ok((String::from_utf8(out).unwrap(), usize::MAX))
    }

    #[test]
    fn puts_the_id_back_wherever_it_stands_and_however_it_comes() {
        for reply in [
            r#"{"jsonrpc":"2.0","id":"rw#1","result":{"id":"x","a":[1,"}\"",{}]}}"#,
            r#"{"id":"rw#1","result":{"id":"rw#1"}}"#,
            r#"{"result":"id","id":"rw#1"}"#,
            "{\n  \"jsonrpc\" : \"2.0\",\r\n\t\"id\" : \"rw#1\" ,\n \"result\" : { \"a b\" : [ 1 , -2.5e+3 , null ] }\n}",
            r#"{"\"id":1,"idx":2,"i":3,"id":"rw#1"}"#,
        ] {
            let meant: serde_json::Value =
                serde_json::from_str(&reply.replacen("\"rw#1\"", "1.50", 1)).unwrap();
            for pieces in 1..=reply.len() {
                let (out, read) = scan(&format!("{reply}\n\n"), pieces).unwrap();
                assert_eq!(read, reply.len(), "{reply}");
                assert!(!out.contains('\n'));
                assert!(out.contains("\"id\":1.50"), "{out}");
                let got: serde_json::Value = serde_json::from_str(&out).unwrap();
                assert_eq!(got, meant, "{reply}");
            }
        }
    }

    #[test]
    fn keeps_what_is_inside_strings() {
        let (out, _) = scan(r#"{"id":"rw#1","result":" a \\ \" { [ "}"#, 3).unwrap();
        assert_eq!(out, r#"{"id":1.50,"result":" a \\ \" { [ "}"#);
    }

    #[test]
    fn refuses_what_is_not_the_reply() {
        for (reply, why) in [
            ("garbage", Malformed::NotAnObject),
            ("[]", Malformed::NotAnObject),
            (r#"{"result":{}}"#, Malformed::NoId),
            (r#"{"id":"rw#2","result":{}}"#, Malformed::WrongId),
            (r#"{"id":1,"result":{}}"#, Malformed::WrongId),
            (r#"{"id":"rw#1","id":"rw#1"}"#, Malformed::WrongId),
            (r#"{"id":"rw#1","result":[}}"#, Malformed::NotAnObject),
            (r#"{"id":{"a":1}}"#, Malformed::WrongId),
            ("{\"id\":\"rw#1\",\"result\":\"a\nb\"}", Malformed::NotAnObject),
        ] {
            for pieces in [1, 2, 100] {
                assert_eq!(scan(reply, pieces).unwrap_err(), why, "{reply}");
            }
        }
        let deep = format!("{{\"id\":\"rw#1\",\"result\":{}", "[".repeat(1000));
        assert_eq!(scan(&deep, 7).unwrap_err(), Malformed::NotAnObject);
    }

    /// Results long enough that most of one is read in blocks.
    fn long_result() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            8 => r#""[ -!#-\[\]-~]{0,80}"[:,]"#,
            8 => "(-?[0-9]{1,9}|true|null|1.5e-3|1E\\+9),",
            2 => Just("{".to_owned()),
            2 => Just("[".to_owned()),
            2 => Just("}".to_owned()),
            2 => Just("]".to_owned()),
            1 => r#""([a-z]|\\["\\n]){0,9}""#,
            1 => "[ \n\r\t]{1,70}",
            1 => r#"["/A\\\x00-\x1f\x80]"#,
        ];
        prop::collection::vec(token, 0..80).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        /// In pieces of one byte nothing is read in blocks.
        #[test]
        fn blocks_make_no_difference(result in long_result(), pieces in 1usize..400, closed in any::<bool>()) {
            let mut reply = format!("{{\"id\":\"rw#1\",\"result\":{{\"a\":[{result}");
            if closed {
                reply.push_str("]},\"more\":[[1,2],{\"id\":{}}]}\n\n");
            }
            let bytewise = scan(&reply, 1);
            prop_assert_eq!(scan(&reply, reply.len()), bytewise.clone());
            prop_assert_eq!(scan(&reply, pieces), bytewise);
        }

        #[test]
        fn pieces_make_no_difference(reply in r#"\{"id":"rw#1",[\[\]{}",:\\a-c \n]{0,60}"#, pieces in 1usize..9) {
            let whole = scan(&reply, reply.len());
            let parts = scan(&reply, pieces);
            match (whole, parts) {
                (Ok(whole), Ok(parts)) => prop_assert_eq!(whole, parts),
                (Err(whole), Err(parts)) => prop_assert_eq!(whole, parts),
                (whole, parts) => prop_assert!(false, "{whole:?} {parts:?}"),
            }
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), pieces in 1usize..9) {
            let mut scanner = Scanner::new("1".into(), "2".into());
            for piece in bytes.chunks(pieces) {
                if !matches!(scanner.feed(piece, &mut Vec::new()), Ok(None)) {
                    break;
                }
            }
        }
    }
}
