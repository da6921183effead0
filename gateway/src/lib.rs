//! A gateway that lets a Lightning node be commanded from anywhere by whoever holds the right rune,
//! and by nobody else.
//!
//! # Layout
//! A request goes straight through and back: `listen` → `peer` → `gate` → `node` → `peer`.
//! - `listen`: accept, limits, first byte; TCP, TLS and WebSocket become one kind of stream.
//! - `tls`: the certificate, and taking up a new one.
//! - `http`, `websocket`: the dashboard's files, the upgrade, who may ask, and the byte stream inside a WebSocket.
//! - `peer`: one connection; requests put together, calls side by side, replies cut into parts.
//! - `gate`: the decision. Only it can make the permit that a node call takes.
//! - `node`: the node's RPC; in it the demo node.
//! - `store`: what must survive a restart. Reached from `gate` alone.
//! - `metrics`: what is counted, and the operator's address where it is told. Everything may count.
//! - `doctor`: what keeps a gateway from serving, and what mends it.
//! - `config`, `address`, `daemon`, `cli`, `client`, `shutdown`: how it is set, put together, called and stopped;
//!   `systemd`: who is told of it; `rate`: so many a second; `sync`: what tasks share; `descriptors`: enough for those
//!   who are in; `panics`: none passes unnoticed; `log`, `shown`: what a log and errors show; `qr`: codes in a terminal; `fuzzing`: what the
//!   fuzz targets run, and their seeds.

mod address;
mod cli;
mod client;
mod config;
mod daemon;
mod date;
mod descriptors;
mod doctor;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod http;
mod listen;
mod log;
mod metrics;
mod node;
mod panics;
mod peer;
mod qr;
mod rate;
mod shown;
mod shutdown;
mod store;
mod sync;
mod systemd;
mod tls;
mod websocket;

pub use cli::Cli;
/// What the bench in `tests` times from inside.
#[doc(hidden)]
pub mod bench {
    pub use crate::gate::bench::parse_request;
    pub use crate::node::bench::scan_reply;
}
