//! Texts that people paste.

use crate::client::Uri;

/// A connection string names a node and a place, or is refused. That an error quotes nothing of it, its type sees to: it holds
/// no text. To look for the input in the error's own words finds those who say the same.
pub(super) fn uri(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(uri) = text.parse::<Uri>() else { return };
    assert!(!uri.host.is_empty() && uri.port != 0);
    let again = format!("commando+ws://{}:{}?pubkey={}", uri.host, uri.port, uri.node_id);
    let again: Uri = again.parse().unwrap();
    assert_eq!((again.host, again.port, again.node_id), (uri.host, uri.port, uri.node_id));
}
