//! What is recorded of one request, from decision to last byte.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::line::{Draft, INTENT, Kind, Outcome, Position, Subject};
use super::text::write_number;
use super::writer::{Queue, Weight};
use crate::metrics::METRICS;

/// One request under way. Its last line is written when it is dropped; without a reply it counts as
/// one whose outcome is unknown.
#[derive(Debug)]
pub(crate) struct Record {
    queue: Arc<Queue>,
    weight: Weight,
    begun: Instant,
    class: &'static str,
    /// Whether it is answered only when something happens.
    waits: bool,
    members: Vec<u8>,
    /// Where its intent stands, where it has one.
    intent: Option<Position>,
    outcome: Option<Outcome>,
    /// How many bytes of a reply were made ready for the peer.
    bytes: u64,
}

impl Record {
    /// `members`: those of `subject`.
    pub(super) fn new(
        queue: Arc<Queue>,
        weight: Weight,
        subject: &Subject<'_>,
        members: Vec<u8>,
        intent: Option<Position>,
    ) -> Self {
        let (begun, class) = (subject.begun, subject.class.unwrap_or_default());
        Self { queue, weight, begun, class, waits: false, members, intent, outcome: None, bytes: 0 }
    }

    /// The hash of the intent's line, 64 hex digits, which the client may keep as a receipt.
    pub(crate) fn receipt(&self) -> Option<String> {
        self.intent.map(|intent| intent.hash.to_string())
    }

    /// Takes note that the request is refused with this code, for this reason in a word or two.
    pub(super) fn refused(mut self, code: i64, why: &'static str) -> Self {
        METRICS.refusals.count(why);
        self.outcome = Some(Outcome::Refused(code, why));
        self
    }

    /// Takes note that it is answered only when something happens.
    pub(crate) fn waits(&mut self) {
        self.waits = true;
    }

    /// Takes note of a part of the reply. The first tells the outcome.
    pub(crate) fn replied(&mut self, part: &[u8]) {
        self.outcome.get_or_insert_with(|| outcome_of(part));
        self.bytes += part.len() as u64;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let mut members = mem::take(&mut self.members);
        let outcome = self.outcome.unwrap_or(Outcome::Unknown(None));
        let kind = match (self.intent, outcome) {
            (Some(intent), _) => {
                members.extend_from_slice(INTENT);
                write_number(intent.seq, &mut members);
                Kind::Outcome
            }
            (None, Outcome::Refused(..)) => Kind::Refusal,
            (None, _) => Kind::Call,
        };
        outcome.write(&mut members);
        let (took, bytes) = (self.begun.elapsed(), self.bytes);
        METRICS.call(self.class, outcome.name(), (!self.waits).then_some(took));
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(class = self.class, outcome = outcome.name(), microseconds, bytes, "call ended");
        members.extend_from_slice(b",\"duration_us\":");
        write_number(microseconds, &mut members);
        members.extend_from_slice(b",\"bytes\":");
        write_number(bytes, &mut members);
        self.queue.note(Draft::now(kind, members), self.weight);
    }
}

/// What a JSON-RPC reply tells, by how it begins: where that shows neither a result nor an error's code, nothing is
/// said of what came of the call.
fn outcome_of(reply: &[u8]) -> Outcome {
    told(reply).unwrap_or(Outcome::Unknown(None))
}

/// What the first of the outermost members `result` and `error` tells, if nothing but plain values stands before it.
fn told(reply: &[u8]) -> Option<Outcome> {
    let mut rest = reply.strip_prefix(b"{")?;
    loop {
        let (key, after) = string(rest.trim_ascii_start())?;
        let value = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        match key {
            b"result" => return Some(Outcome::Done),
            b"error" => return Some(Outcome::of_code(code(value)?)),
            _ => {}
        }
        let after = match value.first()? {
            b'"' => string(value)?.1,
            b'{' | b'[' => return None,
            _ => &value[memchr::memchr2(b',', b'}', value)?..],
        };
        rest = after.trim_ascii_start().strip_prefix(b",")?;
    }
}

/// The code of an error, which a node writes first.
fn code(error: &[u8]) -> Option<i64> {
    let (key, after) = string(error.strip_prefix(b"{")?.trim_ascii_start())?;
    let code = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let end = code.iter().position(|byte| !matches!(byte, b'-' | b'0'..=b'9'))?;
    std::str::from_utf8(&code[..end]).ok()?.parse().ok().filter(|_| key == b"code")
}

/// The inside of the string that `text` begins with, and what follows it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &inside[at..])?;
        match inside[at] {
            b'"' => return Some((&inside[..at], &inside[at + 1..])),
            _ => at = (at + 2).min(inside.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_by_how_a_reply_begins() {
        for (reply, outcome) in [
            (r#"{"jsonrpc":"2.0","id":1.50,"result":{"error":{"code":1}}}"#, Outcome::Done),
            (r#"{"jsonrpc":"2.0","id":"a\"],\\","result":"#, Outcome::Done),
            (
                r#"{"jsonrpc":"2.0","id":"\",\"error\":{\"code\":1","error":{"code":-32601,"me"#,
                Outcome::Error(-32601),
            ),
            (r#"{"jsonrpc":"2.0","id":null,"receipt":"00","error":{"code":205,"#, Outcome::Error(205)),
            (r#"{"error":{"code":19540,"message":""}}"#, Outcome::NotSent(19540)),
            (
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":19541,"message":""}}"#,
                Outcome::Unknown(Some(19541)),
            ),
            (r#"{ "id" : 1 , "result" : {} }"#, Outcome::Done),
            (r#"{ "id" : 1 , "error" : { "code" : 205 , "#, Outcome::Error(205)),
            // Whoever sends so long an id that nothing else fits into the first part.
            (r#"{"id":"never ends"#, Outcome::Unknown(None)),
            (r#"{"error":{"message":"x","code":1}}"#, Outcome::Unknown(None)),
            (r#"{"error":{}}"#, Outcome::Unknown(None)),
            ("", Outcome::Unknown(None)),
        ] {
            assert_eq!(outcome_of(reply.as_bytes()), outcome, "{reply}");
        }
    }
}
