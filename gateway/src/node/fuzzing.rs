//! Replies as a broken node could send them.
#![allow(clippy::unwrap_used)]

use serde_json::Value;

use super::scanner::{Malformed, Scanner};

/// However it comes in, a reply is read the same; and where it is JSON, it means the same with the client's id in it.
pub(crate) fn reply(input: &[u8]) {
    let (step, reply) =
        input.split_first().map_or((1, input), |(step, reply)| (usize::from(*step) + 1, reply));
    let whole = scan(reply, reply.len().max(1));
    let pieces = scan(reply, step);
    let Ok((out, end)) = &whole else { return assert!(pieces.is_err()) };
    assert_eq!(Some(out), pieces.as_ref().ok().map(|(out, _)| out));
    let Some(end) = end else { return };
    assert!(*end <= reply.len());
    let Ok(mut meant) = serde_json::from_slice::<Value>(&reply[..*end]) else { return };
    // A number that is too large for it, or the same key twice, it reads in its own way.
    let Ok(got) = serde_json::from_slice::<Value>(out) else { return };
    meant["id"] = got["id"].clone();
    assert_eq!(got["id"], 7);
    assert_eq!(got, meant);
}

/// What leaves for the client, and where the reply ended.
fn scan(reply: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), Malformed> {
    let mut scanner = Scanner::new("\"rw#1\"".to_owned(), "7".to_owned());
    let (mut out, mut read) = (Vec::new(), 0);
    for piece in reply.chunks(step) {
        if let Some(end) = scanner.feed(piece, &mut out)? {
            return Ok((out, Some(read + end)));
        }
        read += piece.len();
    }
    Ok((out, None))
}
