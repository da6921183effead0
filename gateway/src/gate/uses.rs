//! Uses on their way to the store: grouped, and for limited runes awaited.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::store::{Store, Used};

/// Longest a use that no limit depends on stays unwritten.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// Most uses that wait for one commit; beyond, callers wait to be queued.
const QUEUE: usize = 1024;

/// Where uses are recorded. Times are nanoseconds since 1970.
#[derive(Debug)]
pub(crate) struct Uses {
    /// Whoever waits for all that was noted before to be on disk.
    waiting: mpsc::Sender<oneshot::Sender<bool>>,
    due: Arc<Mutex<Due>>,
}

/// Uses by unique id that are not on disk.
#[derive(Debug, Default)]
struct Due {
    noted: HashMap<u64, Used>,
    /// Those on their way.
    writing: Arc<HashMap<u64, Used>>,
}

impl Uses {
    /// Starts recording into `store`.
    pub(crate) fn start(store: Store) -> Self {
        let (waiting, queue) = mpsc::channel(QUEUE);
        let due = Arc::default();
        tokio::spawn(record(store, queue, Arc::clone(&due)));
        Self { waiting, due }
    }

    /// Records a use within [`FLUSH_INTERVAL`].
    pub(crate) fn note(&self, unique_id: u64, used: Used) {
        lock(&self.due).note(unique_id, used);
    }

    /// Records a use and returns when it is on disk; `false` where it could not be written.
    pub(crate) async fn commit(&self, unique_id: u64, used: Used) -> bool {
        self.note(unique_id, used);
        self.flush().await
    }

    /// Writes all uses noted so far; `false` where they could not be written.
    pub(crate) async fn flush(&self) -> bool {
        let (done, written) = oneshot::channel();
        self.waiting.send(done).await.is_ok() && written.await.unwrap_or(false)
    }

    /// Whether a use of this unique id is still to be written.
    pub(crate) fn is_due(&self, unique_id: u64) -> bool {
        let due = lock(&self.due);
        due.noted.contains_key(&unique_id) || due.writing.contains_key(&unique_id)
    }
}

impl Due {
    fn note(&mut self, unique_id: u64, used: Used) {
        let noted = self.noted.entry(unique_id).or_default();
        noted.last = noted.last.max(used.last);
        noted.count += used.count;
        for (bucket, full_at) in used.buckets {
            let noted = noted.buckets.entry(bucket).or_insert(full_at);
            *noted = full_at.max(*noted);
        }
    }
}

/// Writes uses until the last [`Uses`] is gone.
async fn record(store: Store, mut queue: mpsc::Receiver<oneshot::Sender<bool>>, due: Arc<Mutex<Due>>) {
    let mut tick = tokio::time::interval(FLUSH_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut waiting = Vec::new();
    let mut open = true;
    while open {
        tokio::select! {
            received = queue.recv_many(&mut waiting, QUEUE) => open = received > 0,
            _ = tick.tick() => {}
        }
        let uses = {
            let mut due = lock(&due);
            due.writing = Arc::new(std::mem::take(&mut due.noted));
            Arc::clone(&due.writing)
        };
        let written = if uses.is_empty() { Ok(()) } else { store.stamp(&uses).await };
        {
            let mut due = lock(&due);
            due.writing = Arc::default();
            if let Err(error) = &written {
                tracing::error!(%error, "last uses of runes cannot be written");
                // They are written with the next ones.
                uses.iter().for_each(|(unique_id, used)| due.note(*unique_id, used.clone()));
            }
        }
        for done in waiting.drain(..) {
            let _ = done.send(written.is_ok());
        }
    }
}

fn lock(due: &Mutex<Due>) -> MutexGuard<'_, Due> {
    due.lock().unwrap_or_else(PoisonError::into_inner)
}
