//! The black-box harness: everything here sees the gateway only from outside, as a process, a port and a socket.
//!
//! # Layout
//! - [`gateway`]: the daemon `runeward` as a child process, and its command line.
//! - [`client`]: a raw BOLT 8 peer over TCP or WebSocket that says exactly what a test wants said.
//! - [`fake_node`]: a scripted node behind a UNIX socket, well-behaved or not.
//! - [`hostile`]: strangers that misbehave at every layer, and honest clients beside them.
//! - [`http`]: plain HTTP bytes, for what happens before (or instead of) a WebSocket.
//! - [`invoices`]: the plainest exchange, for tests of what surrounds it.
//! - [`stream`]: a WebSocket as a byte stream, and a tap that notes how bytes arrive.
//! - [`runes`]: runes read and narrowed on the client's side.
//! - [`network`]: a cable that loses packets in silence.
//! - [`recorded`]: the tables under `conformance/`.
//! - [`rpc`]: a node's own socket, with no gateway in between.
//! - [`weather`]: a bad network before the gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod client;
pub mod fake_node;
pub mod gateway;
pub mod hostile;
pub mod http;
pub mod invoices;
pub mod network;
pub mod recorded;
pub mod rpc;
pub mod runes;
pub mod stream;
pub mod weather;

use std::time::Duration;

pub use client::{Client, End, Reply};
pub use fake_node::{Answer, FakeNode};
pub use gateway::{CliOutput, Gateway, Setup};
pub use rpc::Rpc;
pub use weather::Weather;

/// How long a test waits for what must come. Only a failure ever takes this long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Awaits `future`, or fails the test naming `what` did not come.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Asks again and again until `check` holds, or fails the test naming `what` never came true.
pub async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
