//! What the demo node knows.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secp256k1::{PublicKey, SECP256K1, SecretKey};

use super::channels::Balance;
use super::gossip::Graph;
use super::store::Store;

/// The node behind every connection.
pub(super) struct Node {
    pub(super) key: SecretKey,
    pub(super) dir: PathBuf,
    pub(super) graph: Graph,
    pub(super) store: Store,
    id: String,
}

impl Node {
    pub(super) fn new(key: SecretKey, dir: PathBuf, channels: usize) -> io::Result<Self> {
        let id = PublicKey::from_secret_key(SECP256K1, &key).to_string();
        let graph = Graph::new(id.clone(), channels);
        let store = Store::open(dir.join("demo-state.json"))?;
        {
            // The graph may have another size than the last time.
            let mut ledger = store.ledger();
            ledger.balances.truncate(graph.own_channels().count());
            let known = ledger.balances.len();
            ledger.balances.extend(graph.own_channels().skip(known).map(Balance::new));
        }
        Ok(Self { key, dir, graph, store, id })
    }

    /// The node's public key in hex.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    since_1970().as_secs()
}

/// The time since 1970.
pub(super) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Bytes in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hex stands for.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
