//! What the node remembers, and the file that keeps it.
//!
//! Every change is made under one lock; a task of its own writes the whole of it to the file soon
//! after. The file is replaced at once and as a whole: it is never half written.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::book::Book;
use super::channels::Balance;
use super::datastore::Datastore;
use super::offers::Offers;
use super::payments::Payments;
use super::runes::Runes;
use super::state::Node;

/// How soon after a change it is written.
const DELAY: Duration = Duration::from_millis(100);

/// Everything that outlives the process. What a file from before does not have begins empty.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Ledger {
    pub(super) invoices: Book,
    pub(super) payments: Payments,
    /// Of our own channels, in the graph's order.
    pub(super) balances: Vec<Balance>,
    pub(super) offers: Offers,
    pub(super) datastore: Datastore,
    pub(super) runes: Runes,
    /// How many addresses were given out.
    pub(super) addresses: u64,
}

/// A number that grows by one with every event of a kind, as `wait` knows them.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Index {
    pub(super) value: u64,
    /// What the last event was about.
    #[serde(skip)]
    pub(super) last: Value,
}

impl Index {
    /// Counts an event.
    pub(super) fn advance(&mut self, about: Value) -> u64 {
        self.value += 1;
        self.last = about;
        self.value
    }
}

/// The three numbers `wait` knows of a subsystem.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Indexes {
    pub(super) created: Index,
    pub(super) updated: Index,
    pub(super) deleted: Index,
}

/// The ledger, shared by all connections.
pub(super) struct Store {
    path: PathBuf,
    ledger: Mutex<Ledger>,
    /// The number of changes so far, for those who wait for the next. Sent under the lock.
    changes: watch::Sender<u64>,
    /// How many of them the file has. Held while the file is written.
    saved: Mutex<u64>,
}

impl Store {
    /// Reads the ledger in `path`, or begins one.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let mut ledger = match fs::read(&path) {
            Ok(bytes) => parse(&bytes, &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ledger::default(),
            Err(error) => return Err(error),
        };
        ledger.invoices.find_all();
        Ok(Self { path, ledger: Mutex::new(ledger), changes: watch::Sender::new(0), saved: Mutex::new(0) })
    }

    /// The ledger, to look at.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the ledger. A `change` that fails must have left everything as it was.
    pub(super) fn change<T, E>(&self, change: impl FnOnce(&mut Ledger) -> Result<T, E>) -> Result<T, E> {
        let mut ledger = self.ledger();
        let done = change(&mut ledger)?;
        self.changes.send_modify(|changes| *changes += 1);
        Ok(done)
    }

    /// Resolves once `look` finds what it looks for.
    pub(super) async fn when<T>(&self, look: impl Fn(&Ledger) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let found = look(&self.ledger());
            if let Some(found) = found {
                return found;
            }
            // The sender lives in `self`: this cannot fail while we are here.
            let _ = changes.changed().await;
        }
    }

    /// Writes the ledger, where the file does not have all of it.
    pub(super) fn save(&self) -> io::Result<()> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let (changes, bytes) = {
            let ledger = self.ledger();
            let changes = *self.changes.borrow();
            if changes == *saved {
                return Ok(());
            }
            (changes, serde_json::to_vec(&*ledger)?)
        };
        replace(&self.path, &bytes)?;
        *saved = changes;
        Ok(())
    }
}

/// Writes every change to the file soon after it was made, for ever.
pub(super) async fn keep_saved(node: Arc<Node>) {
    let mut changes = node.store.changes.subscribe();
    // There may be some from before.
    changes.mark_changed();
    let mut pause = DELAY;
    while changes.changed().await.is_ok() {
        tokio::time::sleep(pause).await;
        changes.borrow_and_update();
        let before = Instant::now();
        let saving = tokio::task::spawn_blocking({
            let node = Arc::clone(&node);
            move || node.store.save()
        });
        if let Ok(Err(error)) = saving.await {
            tracing::warn!(%error, "demo node could not write its state");
        }
        // A large ledger must not keep the disk busy all the time.
        pause = DELAY.max(before.elapsed() * 4);
    }
}

fn parse(bytes: &[u8], path: &Path) -> io::Result<Ledger> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("{} does not hold a demo node's state: {error}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    // One that a crash left behind may have another mode.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}
