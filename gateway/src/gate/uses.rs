//! Last uses on their way to the store: grouped, and for limited runes awaited.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::store::Store;

/// Longest a use that no limit depends on stays unwritten.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// Most uses that wait for one commit; beyond, callers wait to be queued.
const QUEUE: usize = 1024;

/// A use, if any, that must be on disk, with all noted before it, when `done` says so.
struct Due {
    use_: Option<(u64, i64)>,
    done: oneshot::Sender<bool>,
}

/// Where uses are recorded. Times are nanoseconds since 1970.
#[derive(Debug)]
pub(crate) struct Uses {
    due: mpsc::Sender<Due>,
    noted: Arc<Mutex<HashMap<u64, i64>>>,
}

impl Uses {
    /// Starts recording into `store`.
    pub(crate) fn start(store: Store) -> Self {
        let (due, queue) = mpsc::channel(QUEUE);
        let noted = Arc::default();
        tokio::spawn(record(store, queue, Arc::clone(&noted)));
        Self { due, noted }
    }

    /// Records a use within [`FLUSH_INTERVAL`].
    pub(crate) fn note(&self, unique_id: u64, at: i64) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(unique_id, at);
    }

    /// Records a use and returns when it is on disk; `false` where it could not be written.
    pub(crate) async fn commit(&self, unique_id: u64, at: i64) -> bool {
        self.write(Some((unique_id, at))).await
    }

    /// Writes all uses noted so far; `false` where they could not be written.
    pub(crate) async fn flush(&self) -> bool {
        self.write(None).await
    }

    async fn write(&self, use_: Option<(u64, i64)>) -> bool {
        let (done, written) = oneshot::channel();
        self.due.send(Due { use_, done }).await.is_ok() && written.await.unwrap_or(false)
    }
}

/// Writes uses until the last [`Uses`] is gone.
async fn record(store: Store, mut queue: mpsc::Receiver<Due>, noted: Arc<Mutex<HashMap<u64, i64>>>) {
    let mut tick = tokio::time::interval(FLUSH_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut due = Vec::new();
    let mut open = true;
    while open {
        tokio::select! {
            received = queue.recv_many(&mut due, QUEUE) => open = received > 0,
            _ = tick.tick() => {}
        }
        let mut uses = std::mem::take(&mut *noted.lock().unwrap_or_else(PoisonError::into_inner));
        uses.extend(due.iter().filter_map(|due| due.use_));
        let written = if uses.is_empty() { Ok(()) } else { store.stamp(&uses).await };
        if let Err(error) = &written {
            tracing::error!(%error, "last uses of runes cannot be written");
        }
        for due in due.drain(..) {
            let _ = due.done.send(written.is_ok());
        }
    }
}
