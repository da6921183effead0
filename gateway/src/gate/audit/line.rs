//! The form of a line: one JSON object in printable ASCII, its members always in the same order.
//!
//! `{"time":…,"seq":…,"kind":…[,"committed":…],…,"hash":…}`. The hash is SHA-256 over the hash of the
//! line before and over this line up to its own `hash`, so that each line vouches for all before it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use ring::digest::{Context, SHA256};
use serde::Deserialize;

use super::key::Fingerprints;
use super::text::{quoted, write_address, write_hex, write_number, write_string};
use crate::date;

/// What stands before a line's number; the time always takes 24 bytes.
const BEFORE_TIME: &[u8] = b"{\"time\":\"";
const BEFORE_SEQ: &[u8] = b"\",\"seq\":";
const TIME: usize = 24;

/// What stands around a line's hash, which takes 64 bytes.
const BEFORE_HASH: &[u8] = b",\"hash\":\"";
const AFTER_HASH: &[u8] = b"\"}";
const HASH: usize = 64;

/// What stands before the number of the line that the store had come to vouch for.
pub(super) const COMMITTED: &[u8] = b",\"committed\":";

/// What stands before the keyed hash of all params.
pub(super) const PARAMS: &[u8] = b",\"params\":";

/// What stands before the number of the intent whose outcome a line tells.
pub(super) const INTENT: &[u8] = b",\"intent\":";

/// The hash of a line, or of what is before the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

/// Where a line stands in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The line's number; the first has 1, and 0 is where nothing is written yet.
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
}

/// What a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A command is about to be sent.
    Intent,
    /// What became of it.
    Outcome,
    /// A command whose intent needs no line of its own, and what became of it.
    Call,
    /// A request that was refused.
    Refusal,
    /// Lines that are missing, and how many.
    Gap,
    /// The log or the daemon itself: begun, started, stopped, mended.
    Note,
}

/// A line to be written: all but its number and its hashes.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) kind: Kind,
    /// Members, each behind a comma, in printable ASCII.
    pub(super) members: Vec<u8>,
}

/// What a request is about. Nothing in it was made up by a stranger: a name stands here only where
/// it is known.
pub(crate) struct Subject<'a> {
    /// Node id, 66 hex digits.
    pub(crate) peer: &'a str,
    pub(crate) address: IpAddr,
    /// When it was there, whole.
    pub(crate) begun: Instant,
    /// The unique id of the rune, where its authcode is right.
    pub(crate) rune: Option<u64>,
    /// The rune's name.
    pub(crate) name: Option<&'a str>,
    /// The command, where it is known to us or to the node.
    pub(crate) method: Option<&'a str>,
    pub(crate) class: Option<&'static str>,
    pub(crate) params: Fingerprints,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered with a result.
    Done,
    /// Answered with an error of this code.
    Error(i64),
    /// Refused with this code, for this reason in a word or two.
    Refused(i64, &'static str),
    /// Allowed, but never sent to the node: the error's code.
    NotSent(i64),
    /// Sent, and the answer lost or no longer waited for: the error's code, if one was told.
    Unknown(Option<i64>),
}

/// A line as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Entry<'a> {
    pub(crate) time: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) peer: Option<&'a str>,
    pub(crate) address: Option<&'a str>,
    pub(crate) rune: Option<u64>,
    #[serde(borrow)]
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) method: Option<&'a str>,
    pub(crate) class: Option<&'a str>,
    pub(crate) outcome: Option<&'a str>,
    pub(crate) code: Option<i64>,
    pub(crate) why: Option<&'a str>,
    pub(crate) lines: Option<u64>,
    pub(crate) duration_us: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

impl Hash {
    /// What stands before the first line.
    pub(crate) const NONE: Self = Self([0; 32]);

    /// From 64 lower-case hex digits.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut hash = [0; 32];
        if text.len() != HASH {
            return None;
        }
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        for (byte, digits) in hash.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(digits[0])? * 16 + digit(digits[1])?;
        }
        Some(Self(hash))
    }

    /// The hash of the line that follows and has this body: its bytes up to `,"hash":`.
    pub(super) fn next(self, body: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(body);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(HASH);
        write_hex(&self.0, &mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl Position {
    /// Before the first line.
    pub(crate) const START: Self = Self { seq: 0, hash: Hash::NONE };
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Call => "call",
            Self::Refusal => "refusal",
            Self::Gap => "gap",
            Self::Note => "note",
        }
    }
}

impl Draft {
    /// A line of this moment.
    pub(super) fn now(kind: Kind, members: Vec<u8>) -> Self {
        Self { at: date::milliseconds_since_1970(), kind, members }
    }

    /// A note. `why`: plain words of ours.
    pub(super) fn note(why: &str) -> Self {
        Self::now(Kind::Note, format!(",\"why\":\"{why}\"").into())
    }

    /// Says that `lines` lines are missing. `why`: plain words of ours.
    pub(super) fn gap(lines: u64, why: &str) -> Self {
        Self::now(Kind::Gap, format!(",\"why\":\"{why}\",\"lines\":{lines}").into())
    }

    /// Appends the line that follows `before`, and returns where it stands. `committed`: the number of
    /// the line that the store has come to vouch for since the last line that said so.
    pub(super) fn write(&self, before: Position, committed: Option<u64>, out: &mut Vec<u8>) -> Position {
        let start = out.len();
        let seq = before.seq + 1;
        out.extend_from_slice(BEFORE_TIME);
        out.extend_from_slice(&date::rfc3339(self.at));
        out.extend_from_slice(BEFORE_SEQ);
        write_number(seq, out);
        out.extend_from_slice(b",\"kind\":\"");
        out.extend_from_slice(self.kind.name().as_bytes());
        out.push(b'"');
        if let Some(committed) = committed {
            out.extend_from_slice(COMMITTED);
            write_number(committed, out);
        }
        out.extend_from_slice(&self.members);
        let hash = before.hash.next(&out[start..]);
        out.extend_from_slice(BEFORE_HASH);
        write_hex(&hash.0, out);
        out.extend_from_slice(AFTER_HASH);
        out.push(b'\n');
        Position { seq, hash }
    }
}

impl<'a> Subject<'a> {
    /// A request of which no more is known yet than who sent it.
    pub(crate) fn of(peer: &'a str, address: IpAddr) -> Self {
        let (rune, name, method, class, params) = Default::default();
        Self { peer, address, begun: Instant::now(), rune, name, method, class, params }
    }

    /// The members that every line about it has.
    pub(super) fn members(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b",\"peer\":");
        write_string(self.peer, &mut out);
        out.extend_from_slice(b",\"address\":\"");
        write_address(self.address, &mut out);
        out.push(b'"');
        if let Some(rune) = self.rune {
            out.extend_from_slice(b",\"rune\":");
            write_number(rune, &mut out);
        }
        for (key, text) in [("name", self.name), ("method", self.method), ("class", self.class)] {
            if let Some(text) = text {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(key.as_bytes());
                out.extend_from_slice(b"\":");
                write_string(text, &mut out);
            }
        }
        if let Some(params) = &self.params.whole {
            out.extend_from_slice(PARAMS);
            out.extend_from_slice(&quoted(params));
        }
        if let Some((first, others)) = self.params.values.split_first() {
            out.extend_from_slice(b",\"values\":[\"");
            write_hex(first, &mut out);
            for value in others {
                out.extend_from_slice(b"\",\"");
                write_hex(value, &mut out);
            }
            out.extend_from_slice(b"\"]");
        }
        out
    }
}

impl Outcome {
    /// What an error with this code says.
    pub(super) fn of_code(code: i64) -> Self {
        match code {
            19541 | 19544 => Self::Unknown(Some(code)),
            19540 | 19542 | 19543 | 19545 | 19546 => Self::NotSent(code),
            _ => Self::Error(code),
        }
    }

    /// In a word or two.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error(_) => "error",
            Self::Refused(..) => "refused",
            Self::NotSent(_) => "not sent",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Appends its members, each behind a comma.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let code = match self {
            Self::Done => None,
            Self::Error(code) | Self::Refused(code, _) | Self::NotSent(code) => Some(code),
            Self::Unknown(code) => code,
        };
        out.extend_from_slice(b",\"outcome\":\"");
        out.extend_from_slice(self.name().as_bytes());
        out.push(b'"');
        if let Some(code) = code {
            out.extend_from_slice(b",\"code\":");
            write_number(code, out);
        }
        if let Self::Refused(_, why) = self {
            out.extend_from_slice(b",\"why\":");
            write_string(why, out);
        }
    }
}

/// What is needed of a line to follow the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'a> {
    pub(super) seq: u64,
    /// What the hash is over, beside the hash before.
    pub(super) body: &'a [u8],
    /// The hash it has.
    pub(super) hash: Hash,
}

impl<'a> Link<'a> {
    /// Reads a line, given without its line break; `None` where it has not the form of one.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let (body, hash) = line
            .strip_suffix(AFTER_HASH)?
            .split_at_checked(line.len().checked_sub(BEFORE_HASH.len() + HASH + AFTER_HASH.len())?)?;
        let hash = Hash::parse(hash.strip_prefix(BEFORE_HASH)?)?;
        let number = body.strip_prefix(BEFORE_TIME)?.get(TIME..)?.strip_prefix(BEFORE_SEQ)?;
        Some(Self { seq: leading_number(number)?, body, hash })
    }

    /// Where it stands.
    pub(super) fn position(&self) -> Position {
        Position { seq: self.seq, hash: self.hash }
    }

    /// Whether its hash is right behind a line with this one.
    pub(super) fn follows(&self, before: Hash) -> bool {
        before.next(self.body) == self.hash
    }
}

/// The time of a line, as text; `None` where it has not the form of one.
pub(super) fn time_of(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(BEFORE_TIME)?.get(..TIME)
}

/// The number behind `before` in a line that has it. What stands inside a string cannot be taken for
/// `before`: there every quote is behind a backslash.
pub(super) fn number_behind(before: &[u8], line: &[u8]) -> Option<u64> {
    leading_number(&line[memchr::memmem::find(line, before)? + before.len()..])
}

fn leading_number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_reads_back_and_follows_the_one_before() {
        let subject = Subject {
            peer: "02ab",
            address: "2001:db8::1".parse().unwrap(),
            begun: Instant::now(),
            rune: Some(7),
            name: Some("Ann's \"phone\"\n\u{202e}\u{1f600}"),
            method: Some("pay"),
            class: Some("spend"),
            params: Fingerprints { whole: Some([0xab; 32]), values: vec![[1; 16], [2; 16]] },
        };
        let mut members = subject.members();
        Outcome::Error(-1).write(&mut members);
        let draft = Draft { at: 0, kind: Kind::Outcome, members };
        let mut out = Vec::new();
        let first = draft.write(Position::START, Some(9), &mut out);
        assert!(out.ends_with(b"\n") && out[..out.len() - 1].iter().all(|byte| (b' '..=b'~').contains(byte)));
        let line = &out[..out.len() - 1];

        let link = Link::read(line).unwrap();
        assert_eq!(link.position(), first);
        assert_eq!(first.seq, 1);
        assert!(link.follows(Hash::NONE) && !link.follows(first.hash));
        assert_eq!(time_of(line), Some(&b"1970-01-01T00:00:00.000Z"[..]));
        assert_eq!(Hash::parse(first.hash.to_string().as_bytes()), Some(first.hash));

        let entry: Entry<'_> = serde_json::from_slice(line).unwrap();
        assert_eq!((entry.kind, number_behind(COMMITTED, line)), ("outcome", Some(9)));
        assert_eq!((entry.peer, entry.address), (Some("02ab"), Some("2001:db8::1")));
        assert_eq!((entry.rune, entry.name.as_deref()), (Some(7), subject.name));
        assert_eq!((entry.method, entry.class), (Some("pay"), Some("spend")));
        assert_eq!((entry.outcome, entry.code), (Some("error"), Some(-1)));
    }

    #[test]
    fn what_is_no_line() {
        let mut out = Vec::new();
        Draft::note("started").write(Position::START, None, &mut out);
        let line = &out[..out.len() - 1];
        assert!(Link::read(line).is_some());
        for end in 0..line.len() {
            assert!(Link::read(&line[..end]).is_none(), "{end}");
        }
        assert!(Link::read(&out).is_none(), "with its line break");
        assert!(Link::read(&line.to_ascii_uppercase()).is_none());
    }
}
