//! A small simulated Core Lightning node, so that a newcomer can try Runeward with no node at all.
//!
//! It answers JSON-RPC 2.0 on a real UNIX socket, with the shapes, codes and texts of lightningd
//! v26.06.6: the gateway reaches it by the very path it uses for a real node. Its key and all it was
//! told survive a restart. No money moves and it speaks to nobody: the peers of its channels are
//! simulated. `dev-peerinvoice` gives an invoice of theirs to pay, `dev-peerpays` has them pay one.
//!
//! # Layout
//! - `server`: accepts connections, answers their requests in order, writes replies
//! - `frame`: cuts the byte stream into requests, and a request into its members
//! - `rpc`: what a request, a reply and an error are; the table of methods
//! - `params`, `page`, `filter`: a method's arguments, and the request's `filter` member
//! - `state`: what the node knows; `key`: who it is; `store`: what it remembers, and its file
//! - `book`: its invoices; `payments`: what it paid; `channels`: its balances
//! - `peers`: the simulated peers
//! - one file per family of methods: `info`, `invoices`, `pay`, `wait`, `funds`, `gossip`, `nodes`,
//!   `wallet`, `datastore`, `offers`, `decode` and `decode12` (on `bolt12`), `runes` and `checkrune`,
//!   `messages` (on `base32`, as is `bolt12`)

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use self::state::Node;

mod base32;
mod bolt12;
mod book;
mod channels;
mod checkrune;
mod datastore;
mod decode;
mod decode12;
mod filter;
mod frame;
mod funds;
mod gossip;
mod info;
mod invoices;
mod key;
mod messages;
mod nodes;
mod offers;
mod page;
mod params;
mod pay;
mod payments;
mod peers;
mod rpc;
mod runes;
mod server;
mod state;
mod store;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod wait;
mod wallet;

/// How to run the demo node.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it keeps its socket `lightning-rpc`, its key `demo-node-key` and its state
    /// `demo-state.json`. Made if absent.
    pub dir: PathBuf,
    /// How many channels `listchannels` knows of; each is listed once per direction.
    pub channels: usize,
    /// Whether the simulated peers pay invoices now and then: three in four, 5 to 30 seconds after
    /// they were made, while there is room in the channels.
    pub payers: bool,
}

/// A running demo node. Dropping it ends its connections, writes its state and removes its socket.
pub struct DemoNode {
    node: Arc<Node>,
    socket: PathBuf,
    tasks: Vec<JoinHandle<()>>,
}

impl DemoNode {
    /// Reads or makes the node's key, reads what it remembers, and listens.
    ///
    /// # Errors
    /// `AddrInUse` where another process answers on the socket, `InvalidData` where the key file
    /// does not hold a key or the state file no state, and whatever the file system refuses.
    pub async fn start(options: Options) -> Result<Self, io::Error> {
        server::prepare_dir(&options.dir)?;
        let key = key::load_or_create(&options.dir.join("demo-node-key"))?;
        let socket = options.dir.join("lightning-rpc");
        let listener = server::bind(&socket).await?;
        let node = Arc::new(Node::new(key, options.dir, options.channels)?);
        let mut tasks = vec![
            tokio::spawn(server::run(listener, Arc::clone(&node))),
            tokio::spawn(store::keep_saved(Arc::clone(&node))),
        ];
        if options.payers {
            tasks.push(tokio::spawn(peers::pay_some(Arc::clone(&node))));
        }
        tracing::debug!(socket = %socket.display(), node_id = node.id(), "demo node started");
        Ok(Self { node, socket, tasks })
    }

    /// The UNIX socket it answers on.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl std::fmt::Debug for DemoNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoNode").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Drop for DemoNode {
    fn drop(&mut self) {
        // The accepting task owns the connections' tasks: they end with it.
        self.tasks.iter().for_each(JoinHandle::abort);
        let _ = std::fs::remove_file(&self.socket);
        if let Err(error) = self.node.store.save() {
            tracing::warn!(%error, "demo node could not write its state");
        }
    }
}
