//! What comes in behind an upgrade.

use tokio::io::{AsyncReadExt, empty};

use super::at_once;
use crate::websocket::WebSocket;

/// The input comes in whole, then the stream ends: no more comes out than came in, and it ends.
pub(super) fn frames(input: &[u8]) {
    let mut out = Vec::new();
    let ended = at_once(async {
        // What is written goes nowhere, what is read is over.
        let mut socket = WebSocket::server(empty(), input.to_vec()).await;
        socket.read_to_end(&mut out).await
    });
    assert!(out.len() <= input.len());
    // Of the rest only a close frame or the end itself is a good end; both give what came before.
    assert!(ended.is_err() || ended.is_ok_and(|read| read == out.len()));
}
