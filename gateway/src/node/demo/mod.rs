//! A small simulated Core Lightning node, so that a newcomer can try Runeward with no node at all.
//!
//! It answers JSON-RPC 2.0 on a real UNIX socket, with the shapes, codes and texts of lightningd
//! v26.06.6: the gateway reaches it by the very path it uses for a real node. Its key survives a
//! restart; its invoices live in memory only. No money moves and it speaks to nobody.
//!
//! # Layout
//! - `server`: accepts connections, answers their requests in order, writes replies
//! - `frame`: cuts the byte stream into requests, and a request into its members
//! - `rpc`: what a request, a reply and an error are; the table of methods
//! - `params`, `filter`: a method's arguments, and the request's `filter` member
//! - `state`: what the node knows; `book`: its invoices; `key`: who it is
//! - one file per family of methods: `info`, `invoices`, `decode`, `funds`, `gossip`

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use self::state::Node;

mod book;
mod decode;
mod filter;
mod frame;
mod funds;
mod gossip;
mod info;
mod invoices;
mod key;
mod params;
mod rpc;
mod server;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

/// How to run the demo node.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it keeps its socket `lightning-rpc` and its key `demo-node-key`. Made if absent.
    pub dir: PathBuf,
    /// How many channels `listchannels` knows of; each is listed once per direction.
    pub channels: usize,
}

/// A running demo node. Dropping it ends its connections and removes its socket.
#[derive(Debug)]
pub struct DemoNode {
    #[cfg(test)]
    node: Arc<Node>,
    socket: PathBuf,
    accepting: JoinHandle<()>,
}

impl DemoNode {
    /// Reads or makes the node's key, and listens.
    ///
    /// # Errors
    /// `AddrInUse` where another process answers on the socket, `InvalidData` where the key file
    /// does not hold a key, and whatever the file system refuses.
    pub async fn start(options: Options) -> Result<Self, io::Error> {
        server::prepare_dir(&options.dir)?;
        let key = key::load_or_create(&options.dir.join("demo-node-key"))?;
        let socket = options.dir.join("lightning-rpc");
        let listener = server::bind(&socket).await?;
        let node = Arc::new(Node::new(key, options.dir, options.channels));
        let accepting = tokio::spawn(server::run(listener, Arc::clone(&node)));
        tracing::debug!(socket = %socket.display(), node_id = node.id(), "demo node started");
        Ok(Self {
            #[cfg(test)]
            node,
            socket,
            accepting,
        })
    }

    /// The UNIX socket it answers on.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its public key: 33 bytes in lower-case hex.
    #[cfg(test)]
    pub fn node_id(&self) -> String {
        self.node.id().to_owned()
    }

    /// Has a simulated peer pay the invoice of this label, in full. False where there is no such
    /// invoice, or none that can still be paid.
    #[cfg(test)]
    pub fn pay(&self, label: &str) -> bool {
        self.node.invoices.pay(label)
    }
}

impl Drop for DemoNode {
    fn drop(&mut self) {
        // The accepting task owns the connections' tasks: they end with it.
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}
