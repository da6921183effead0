//! Lines on their way to the log: gathered, and for intents awaited.

use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use super::line::{Draft, Position};
use super::log::{Appended, Log};
use crate::store::{Store, StoreError};
use crate::sync::{Mutex, Notify};

/// How long lines nobody waits for are gathered.
const GATHERING: Duration = Duration::from_millis(50);

/// How long lines may stand in the log before they are on disk and the store vouches for them.
const SETTLING: Duration = Duration::from_secs(10);

/// How many bytes of them.
const UNSETTLED: usize = 4 * 1024 * 1024;

/// How long after a failure lines that nobody waits for are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Most bytes of lines that wait: beyond, calls and refusals go unrecorded, but counted.
const WAITING: usize = 8 * 1024 * 1024;

/// Beyond this no intent is taken in either.
const MOST_WAITING: usize = 4 * WAITING;

/// Refusals of strangers, who hold no rune of ours, that are told one by one: so many at once, and so
/// many a second for long. Others are counted. Anybody could fill the disk with them.
const STRANGERS_AT_ONCE: u32 = 1000;
const STRANGERS_A_SECOND: u32 = 10;

/// Lines that wait to be written.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// There are lines.
    due: Notify,
    /// Somebody waits.
    urgent: Notify,
}

#[derive(Debug)]
struct Waiting {
    lines: Vec<Line>,
    bytes: usize,
    /// Lines for which there was no room.
    dropped: u64,
    /// Strangers' refusals that may still be told, as of `since`, and those that were not.
    strangers: f64,
    since: Instant,
    untold: u64,
    /// Nothing could be written when last tried: nobody is made to wait for it again until it can.
    failing: bool,
    closed: bool,
}

#[derive(Debug)]
struct Line {
    draft: Draft,
    /// Told where the line stands, once it is on disk and the store vouches for it.
    done: Option<oneshot::Sender<Position>>,
}

/// How much depends on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// An outcome or a note: kept as long as there is any room.
    Heavy,
    /// A call or a refusal.
    Light,
    /// The refusal of a stranger.
    Stranger,
}

impl Queue {
    pub(super) fn new() -> Self {
        let waiting = Waiting {
            lines: Vec::new(),
            bytes: 0,
            dropped: 0,
            strangers: f64::from(STRANGERS_AT_ONCE),
            since: Instant::now(),
            untold: 0,
            failing: false,
            closed: false,
        };
        Self { waiting: Mutex::new(waiting), due: Notify::new(), urgent: Notify::new() }
    }

    /// Takes in a line that nobody waits for.
    pub(super) fn note(&self, draft: Draft, weight: Weight) {
        let mut waiting = self.lock();
        let room = if weight == Weight::Heavy { MOST_WAITING } else { WAITING };
        if weight == Weight::Stranger && !waiting.tell_of_stranger() {
            waiting.untold += 1;
        } else if waiting.bytes >= room {
            waiting.dropped += 1;
        } else {
            waiting.push(Line { draft, done: None });
        }
        let first = waiting.lines.len() == 1;
        drop(waiting);
        if first {
            self.due.notify_one();
        }
    }

    /// Takes in a line, and returns where it stands once it is on disk; `None` where it cannot be
    /// written.
    pub(super) async fn write(&self, draft: Draft) -> Option<Position> {
        let (done, written) = oneshot::channel();
        {
            let mut waiting = self.lock();
            if waiting.closed || waiting.failing || waiting.bytes >= MOST_WAITING {
                return None;
            }
            waiting.push(Line { draft, done: Some(done) });
        }
        self.due.notify_one();
        self.urgent.notify_one();
        written.await.ok()
    }

    /// Lets the writing end once all is written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.due.notify_one();
        self.urgent.notify_one();
    }

    /// Everything that waits; with `settle` also how many strangers have not been told of.
    fn take(&self, settle: bool) -> (Vec<Line>, bool) {
        let mut waiting = self.lock();
        if waiting.untold > 0 && (settle || waiting.closed) {
            let untold = mem::take(&mut waiting.untold);
            waiting.push(Line { draft: Draft::gap(untold, "refusals of strangers in a flood"), done: None });
        }
        let dropped = mem::take(&mut waiting.dropped);
        if dropped > 0 {
            waiting.push(Line { draft: Draft::gap(dropped, "no room for lines"), done: None });
        }
        waiting.bytes = 0;
        (mem::take(&mut waiting.lines), waiting.closed)
    }

    /// Puts lines that could not be written back in front; those who wait are told so.
    fn put_back(&self, lines: Vec<Line>) {
        let mut waiting = self.lock();
        let later = mem::take(&mut waiting.lines);
        waiting.bytes = 0;
        let again = lines.into_iter().filter(|line| line.done.is_none());
        again.chain(later).for_each(|line| waiting.push(line));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, line: Line) {
        self.bytes += line.draft.members.len() + size_of::<Line>();
        self.lines.push(line);
    }

    fn tell_of_stranger(&mut self) -> bool {
        let more = self.since.elapsed().as_secs_f64() * f64::from(STRANGERS_A_SECOND);
        self.since = Instant::now();
        self.strangers = (self.strangers + more).min(f64::from(STRANGERS_AT_ONCE));
        let told = self.strangers >= 1.0;
        if told {
            self.strangers -= 1.0;
        }
        told
    }
}

/// Writes what comes until the queue is closed.
pub(super) async fn run(queue: Arc<Queue>, log: Log, store: Store) {
    let mut writer = Writer { queue, store, unsettled: 0, settle_at: None };
    let mut log = Some(log);
    while let Some(open) = log {
        log = writer.step(open).await;
    }
}

struct Writer {
    queue: Arc<Queue>,
    store: Store,
    /// Bytes in the log that the store does not vouch for, about.
    unsettled: usize,
    /// When something has to be done though nothing comes.
    settle_at: Option<Instant>,
}

impl Writer {
    /// Waits for lines and writes them; `None` at the end.
    async fn step(&mut self, log: Log) -> Option<Log> {
        let settle_at = self.settle_at.unwrap_or_else(Instant::now);
        tokio::select! {
            () = self.queue.due.notified() => {}
            () = sleep_until(settle_at), if self.settle_at.is_some() => {}
        }
        tokio::select! {
            () = self.queue.urgent.notified() => {}
            () = sleep(GATHERING) => {}
        }
        let settle = self.settle_at.is_some_and(|at| at <= Instant::now());
        let (lines, closed) = self.queue.take(settle);
        let awaited = lines.iter().any(|line| line.done.is_some());
        self.unsettled += lines.iter().map(|line| line.draft.members.len()).sum::<usize>();
        let durable = awaited || settle || closed || self.unsettled >= UNSETTLED;
        if lines.is_empty() && !durable {
            return Some(log);
        }
        let written = tokio::task::spawn_blocking(move || {
            let (mut log, lines) = (log, lines);
            let appended = log.append(lines.iter().map(|line| &line.draft), durable);
            (log, lines, appended)
        });
        let Ok((mut log, lines, appended)) = written.await else {
            tracing::error!("the audit log is written no more");
            self.queue.lock().closed = true;
            return None;
        };
        match appended {
            Ok(appended) => {
                self.settle(&mut log, lines, appended).await;
            }
            Err(error) => {
                self.fail(&error.to_string());
                self.queue.put_back(lines);
            }
        }
        (!closed).then_some(log)
    }

    /// Has the store vouch for what is on disk, and tells those who wait.
    async fn settle(&mut self, log: &mut Log, lines: Vec<Line>, appended: Appended) {
        if !appended.durable {
            self.settle_at.get_or_insert_with(|| Instant::now() + SETTLING);
            return;
        }
        let head = log.last();
        if let Err(error) = self.store.set_audit_head(head.into()).await {
            // The lines stand, but nothing vouches for them: what they announce is not done.
            return self.fail(&error.to_string());
        }
        log.vouched(head.seq);
        (self.unsettled, self.settle_at) = (0, None);
        if mem::take(&mut self.queue.lock().failing) {
            tracing::info!("the audit log is written again");
        }
        for (line, position) in lines.into_iter().zip(appended.positions) {
            if let Some(done) = line.done {
                let _ = done.send(position);
            }
        }
        if appended.new_file
            && let Err(error) = self.drop_surplus(log).await
        {
            tracing::error!(%error, "old files of the audit log cannot be removed");
        }
    }

    /// Removes the files that are kept no longer, once the store knows where the log begins then.
    async fn drop_surplus(&self, log: &Log) -> Result<(), StoreError> {
        let Ok(Some((start, paths))) = log.surplus() else { return Ok(()) };
        self.store.set_audit_start(start.into()).await?;
        for path in paths {
            std::fs::remove_file(&path).map_err(|source| StoreError::File { path, source })?;
        }
        Ok(())
    }

    fn fail(&mut self, error: &str) {
        self.settle_at = Some(Instant::now() + RETRY);
        if !mem::replace(&mut self.queue.lock().failing, true) {
            tracing::error!(
                error,
                "the audit log cannot be written: commands that must be recorded are refused until it can"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use shuttle::future::spawn;

    use super::super::line::Hash;
    use super::*;
    use crate::sync::in_many_orders;

    fn draft(lines: u64) -> Draft {
        Draft::gap(lines, "a test")
    }

    /// Lines come while others are written, and once cannot be: each that nobody waits for is written once, in its
    /// caller's order, and whoever waits is told what became of his.
    #[test]
    fn no_line_is_lost_and_nobody_waits_for_ever() {
        const CALLERS: u64 = 3;
        in_many_orders(async || {
            let queue = Arc::new(Queue::new());
            let call = |name: u64| {
                let queue = Arc::clone(&queue);
                spawn(async move {
                    queue.note(draft(name), Weight::Light);
                    let intent = queue.write(draft(10 + name)).await;
                    queue.note(draft(20 + name), Weight::Heavy);
                    intent.is_some()
                })
            };
            let calls: Vec<_> = (0..CALLERS).map(call).collect();
            let writing = spawn(write_all(Arc::clone(&queue)));
            let mut on_disk = 0;
            for call in calls {
                on_disk += usize::from(call.await.unwrap());
            }
            queue.close();
            let written = writing.await.unwrap();
            let position = |lines: u64| {
                let line = draft(lines).members;
                let mut found = written.iter().enumerate().filter(|(_, written)| **written == line);
                let (first, again) = (found.next().map(|(at, _)| at), found.next());
                assert_eq!(again, None, "written twice: {lines}");
                first
            };
            let intents: Vec<_> = (0..CALLERS).filter_map(|name| position(10 + name)).collect();
            assert_eq!(intents.len(), on_disk, "each caller was told the truth");
            for name in 0..CALLERS {
                assert!(position(name).unwrap() < position(20 + name).unwrap());
            }
        });
    }

    /// Writes what comes until the queue is closed, but for the first batch that somebody waits for.
    async fn write_all(queue: Arc<Queue>) -> Vec<Vec<u8>> {
        let (mut written, mut fails) = (Vec::new(), true);
        loop {
            queue.due.notified().await;
            loop {
                let (lines, closed) = queue.take(false);
                if fails && lines.iter().any(|line| line.done.is_some()) {
                    fails = false;
                    queue.put_back(lines);
                    continue;
                }
                let none = lines.is_empty();
                for Line { draft, done } in lines {
                    written.push(draft.members);
                    if let Some(done) = done {
                        let _ = done.send(Position { seq: 1, hash: Hash([0; 32]) });
                    }
                }
                match (none, closed) {
                    (_, true) => return written,
                    (true, _) => break,
                    (false, _) => {}
                }
            }
        }
    }
}
