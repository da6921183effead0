//! What `runeward-bench floors` times of the gate.

use super::request::Request;

/// Parses a request as a stranger's: whether it is one.
pub fn parse_request(bytes: &[u8]) -> bool {
    Request::parse(bytes).is_ok()
}
