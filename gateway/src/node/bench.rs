//! What `runeward-bench floors` times of the node's side.

use super::READ_SIZE;
use super::scanner::Scanner;

/// Scans a node's reply to the request `1`, in pieces as they are read: whether it is one. Each
/// piece replaces the last in `out`.
pub fn scan_reply(reply: &[u8], out: &mut Vec<u8>) -> bool {
    let mut scanner = Scanner::new("1".to_owned(), "2".to_owned());
    reply.chunks(READ_SIZE).any(|piece| {
        out.clear();
        matches!(scanner.feed(piece, out), Ok(Some(_)))
    })
}
