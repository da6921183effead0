//! What the demo node knows.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use secp256k1::{PublicKey, SECP256K1, SecretKey};

use super::book::Invoices;
use super::gossip::Graph;

/// The node behind every connection.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) key: SecretKey,
    pub(super) dir: PathBuf,
    pub(super) graph: Graph,
    pub(super) invoices: Invoices,
    id: String,
}

impl Node {
    pub(super) fn new(key: SecretKey, dir: PathBuf, channels: usize) -> Self {
        let id = PublicKey::from_secret_key(SECP256K1, &key).to_string();
        Self { key, dir, graph: Graph::new(id.clone(), channels), invoices: Invoices::default(), id }
    }

    /// The node's public key in hex.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Bytes in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
