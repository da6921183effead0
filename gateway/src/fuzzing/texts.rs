//! Texts that people paste.

use crate::client::Uri;

/// A connection string is one that names a node and a place, or an error that quotes nothing of it.
pub(super) fn uri(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match text.parse::<Uri>() {
        Ok(uri) => {
            assert!(!uri.host.is_empty() && uri.port != 0);
            let again = format!("commando+ws://{}:{}?pubkey={}", uri.host, uri.port, uri.node_id);
            let again: Uri = again.parse().unwrap();
            assert_eq!((again.host, again.port, again.node_id), (uri.host, uri.port, uri.node_id));
        }
        Err(error) => assert!(text.len() < 40 || !error.to_string().contains(text)),
    }
}
