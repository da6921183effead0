//! BOLT 8: the Noise transport of the Lightning network.
//!
//! `Noise_XK_secp256k1_ChaChaPoly_SHA256`, as a core that does no I/O and a thin adapter over any
//! tokio byte stream. It knows acts and messages, and nothing of what the messages mean.
//!
//! # Layout
//!
//! * `identity`: [`Identity`], a node's static key pair, and [`NodeId`], the public half.
//! * `handshake`: the three acts as typestates. [`Responder`] → [`AwaitingActThree`] →
//!   [`Transport`], and [`Initiator`] → [`AwaitingActTwo`] → [`Transport`].
//! * `transport`: [`Sealer`] and [`Opener`], the messages after the handshake.
//! * `stream`: [`accept`], [`connect`], [`Reader`] and [`Writer`], the adapter.
//! * `resolver`: the primitives handed to `snow`, which runs the handshake's state machine.
//! * `error`: [`Error`], all that can go wrong.
//!
//! # Example
//!
//! ```
//! use runeward_noise::{Identity, Initiator, Responder};
//!
//! let (node, client) = (Identity::generate()?, Identity::generate()?);
//!
//! let (client_waits, act_one) = Initiator::new(&client, node.node_id())?;
//! let (node_waits, act_two) = Responder::new(&node).read_act_one(&act_one)?;
//! let (act_three, mut client_side) = client_waits.read_act_two(&act_two)?;
//! let (peer, mut node_side) = node_waits.read_act_three(&act_three)?;
//! assert_eq!(peer, client.node_id());
//!
//! let mut wire = Vec::new();
//! client_side.sealer.seal(&[b"hello, ", b"node"], &mut wire)?;
//!
//! let (length, body) = wire.split_first_chunk_mut().ok_or("too short")?;
//! assert_eq!(node_side.opener.open_length(length)?, 11);
//! assert_eq!(node_side.opener.open_body(body)?, b"hello, node");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod error;
mod handshake;
mod identity;
mod resolver;
mod stream;
mod transport;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use handshake::{ACT_ONE, ACT_THREE, ACT_TWO, AwaitingActThree, AwaitingActTwo, Initiator, Responder};
pub use identity::{Identity, NodeId};
pub use stream::{Reader, Writer, accept, connect};
pub use transport::{MAX_MESSAGE, Opener, SEALED_LENGTH, Sealer, TAG, Transport};
