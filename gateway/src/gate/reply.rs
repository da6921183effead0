//! Replies the gateway makes itself: refusals in commando's shape, errors and results in JSON-RPC's.

use std::time::Duration;

use super::json;
use crate::metrics::METRICS;

/// A request refused before any command runs: `{"error":{"code","message"}}`, without `jsonrpc` and
/// `id`, as a node's commando answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: u32,
    message: String,
}

impl Refusal {
    /// The request itself is not well-formed (19536).
    pub(crate) fn malformed(message: &str) -> Self {
        Self { code: 19536, message: message.to_owned() }
    }

    /// The rune does not allow the request (19537). The message quotes another reply's JSON, as a
    /// node's does, so the reason is escaped once more than the message.
    pub(crate) fn rune(reason: &str) -> Self {
        let mut quoted = Vec::new();
        json::write_string(reason, &mut quoted);
        let escaped = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        Self { code: 19537, message: format!("Invalid rune: {}", String::from_utf8_lossy(escaped)) }
    }

    /// Its code.
    pub(crate) fn code(&self) -> i64 {
        self.code.into()
    }

    /// The whole reply.
    pub(crate) fn reply(&self) -> Vec<u8> {
        let mut out = format!("{{\"error\":{{\"code\":{},\"message\":", self.code).into_bytes();
        json::write_string(&self.message, &mut out);
        out.extend_from_slice(b"}}");
        out
    }
}

/// A JSON-RPC error the gateway answers with. Codes 19540 to 19546 are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: i32,
    message: String,
    /// JSON text of the error's `data`.
    data: Option<String>,
}

impl Failure {
    /// An error with a code and text of the node's own.
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// 19540: the node cannot be reached, the command was not sent; it may be sent again.
    pub(crate) fn unreachable(why: &str) -> Self {
        Self::new(19540, format!("node unreachable, the command was not sent: {why}; try again"))
    }

    /// 19541: the command was sent and its answer lost; only what is safe to repeat may be sent again.
    pub(crate) fn outcome_unknown(why: &str) -> Self {
        Self::new(
            19541,
            format!(
                "outcome unknown, the command was sent but its answer was lost: {why}; check before you repeat it"
            ),
        )
    }

    /// 19542: over a limit; may be sent again after `retry_after_ms` milliseconds. Counted: whoever makes one
    /// sends it.
    pub(crate) fn busy(limit: &str, retry_after_ms: u64) -> Self {
        METRICS.limits.count(limit.split(['=', '.']).next().unwrap_or(limit));
        Self {
            code: 19542,
            message: format!("busy, over the limit {limit}; try again in {retry_after_ms} ms"),
            data: Some(format!("{{\"retry_after_ms\":{retry_after_ms},\"limit\":\"{limit}\"}}")),
        }
    }

    /// 19542 where there is room again after `wait`.
    pub(crate) fn over_rate(limit: &str, wait: Duration) -> Self {
        let retry_after_ms = wait.as_nanos().div_ceil(1_000_000);
        Self::busy(limit, u64::try_from(retry_after_ms).unwrap_or(u64::MAX))
    }

    /// 19543: the gateway is shutting down, the command was not sent.
    pub(crate) fn shutting_down() -> Self {
        Self::new(19543, "shutting down, the command was not sent; reconnect and try again")
    }

    /// 19544: the rune was revoked while its command ran.
    pub(crate) fn revoked() -> Self {
        Self::new(
            19544,
            "the rune was revoked while the command ran; its outcome is unknown: check before you repeat it with another rune",
        )
    }

    /// 19545: what must be recorded before the command runs cannot be; the command was not sent.
    pub(crate) fn not_recorded() -> Self {
        Self::new(19545, "the use of this rune cannot be recorded, the command was not sent; try again later")
    }

    /// 19545: the audit log cannot be written; the command was not sent.
    pub(crate) fn not_audited() -> Self {
        Self::new(19545, "the audit log cannot be written, the command was not sent; try again later")
    }

    /// 19546: a method that is never forwarded, whatever the rune.
    pub(crate) fn never_forwarded(method: &str) -> Self {
        Self::new(
            19546,
            format!(
                "'{method}' changes the connection the gateway shares among its peers and is never forwarded"
            ),
        )
    }

    /// -32601, in the node's words.
    pub(crate) fn unknown_command(method: &str) -> Self {
        Self::new(-32601, format!("Unknown command '{method}'"))
    }

    /// -32602, in the node's words.
    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// Its code.
    pub(crate) fn code(&self) -> i64 {
        self.code.into()
    }

    /// The whole reply to the request with this id token.
    pub(crate) fn reply(&self, id: &str) -> Vec<u8> {
        let mut out =
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{},\"message\":", self.code)
                .into_bytes();
        json::write_string(&self.message, &mut out);
        if let Some(data) = &self.data {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data.as_bytes());
        }
        out.extend_from_slice(b"}}");
        out
    }
}

/// A successful reply to the request with this id token; `result` is JSON text.
pub(crate) fn success(id: &str, result: &str) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}").into_bytes()
}
