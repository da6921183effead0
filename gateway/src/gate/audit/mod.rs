//! The audit log: every decision a line, every line vouching for those before it.
//!
//! A command that can change anything is announced by an *intent* line, which is on disk, and which
//! the store knows of, before the command is sent; where it cannot be written the command is refused.
//! An *outcome* line follows. Anything else is one line, written within 100 ms and waited for by
//! nobody. Where lines are missing, because there was no room for them or a flood of strangers was
//! counted rather than told, a *gap* line says how many.
//!
//! The store keeps the log's *head*, the last line it vouches for, so that a log whose end was cut
//! off shows; and the log notes what the store had come to vouch for, so that an older database put
//! in its place shows as well. No rune, key, invoice or other parameter is ever in it: of params there
//! are keyed hashes.
//!
//! # Layout
//! - here: what the gate records, and what the owner asks.
//! - `record`: one request from decision to last byte. `line`: the form of a line, `text` of the values in it.
//!   `key`: keyed hashes of params.
//! - `writer`: lines gathered and, for intents, awaited. `log`, `files`: the log on disk.
//! - `chain`, `verify`: whether it is what was written. `search`: lines found again; `method`: over the
//!   wire.

mod chain;
mod files;
mod key;
mod line;
mod log;
mod method;
mod record;
mod search;
#[cfg(test)]
mod tests;
mod text;
mod verify;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

use super::json::{self, Json};
use crate::config::Authority;
use crate::store::{Anchor, StateDir, Store, StoreError};
use files::LogFile;
use key::AuditKey;
use line::{Draft, Hash, Kind, Link, Position};
use log::{Keeping, Known, Log};
use writer::{Queue, Weight};

pub(crate) use key::Fingerprints;
pub(crate) use line::{Entry, Subject};
pub(crate) use record::Record;
pub(crate) use search::{Found, Query};
pub(crate) use verify::Verified;

/// A file of the log is closed before it grows beyond this, in bytes.
const FILE_SIZE: u64 = 64 * 1024 * 1024;

/// Why the audit log cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file of it cannot be read or written.
    #[error("cannot use the audit log {}: {source}; its owner must be able to read and write it", path.display())]
    Io {
        /// The file or the directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what was written.
    #[error(
        "the audit log is not what was written: {0}; put it back from your backup, or go on with it as it is by `runeward audit accept`, which makes a note of that"
    )]
    Damaged(
        /// The first thing found.
        String,
    ),
    /// The database has forgotten what the log tells of.
    #[error(
        "the database is older than its audit log (line {head} against {committed}): what was revoked since would be good again; put the newer database back, or make all runes void with `runeward rotate-secret` (where runes are the node's own: `runeward audit accept`)"
    )]
    OldDatabase {
        /// The last line the database knows of.
        head: u64,
        /// The last line it had known of when the log was written.
        committed: u64,
    },
    /// The database or a secret's file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The audit log of a running gateway.
#[derive(Debug)]
pub(crate) struct Audit {
    dir: PathBuf,
    key: Arc<AuditKey>,
    queue: Arc<Queue>,
    writing: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Opens the log of a state directory for writing. `files`: how many of its files are kept, if not
    /// all.
    pub(crate) async fn open(
        dir: &StateDir,
        store: &Store,
        files: Option<usize>,
    ) -> Result<Self, AuditError> {
        let key = Arc::new(AuditKey::new(dir.audit_key()?.as_slice()));
        let known = known(dir, store).await?;
        let (log, torn) = Log::open(&dir.audit(), known, Keeping { file_size: FILE_SIZE, files })?;
        let queue = Arc::new(Queue::new());
        let writing = tokio::spawn(writer::run(Arc::clone(&queue), log, store.clone()));
        let audit = Self { dir: dir.audit(), key, queue, writing: Mutex::new(Some(writing)) };
        if torn > 0 {
            audit.note("a crash left the last line unfinished, it was taken off");
        }
        audit.note("started");
        Ok(audit)
    }

    /// A log that is not written to: what has to be recorded is refused.
    pub(crate) fn closed() -> Self {
        let queue = Queue::new();
        queue.close();
        let (dir, writing) = Default::default();
        Self { dir, key: Arc::new(AuditKey::new(&[])), queue: Arc::new(queue), writing }
    }

    /// Keyed hashes of `params`, an array or an object. `unknown`: the method's name where nobody knows
    /// it; it is then kept as one more of these.
    pub(crate) fn fingerprints(&self, params: &Json<'_>, unknown: Option<&str>) -> Fingerprints {
        let fingerprints = self.key.params(params);
        match unknown {
            Some(name) => fingerprints.and(self.key.value(name)),
            None => fingerprints,
        }
    }

    /// Records a request that is refused with this code, for this reason in a word or two. `stranger`:
    /// whoever sent it holds no rune of ours.
    pub(crate) fn refuse(
        &self,
        subject: &Subject<'_>,
        code: i64,
        why: &'static str,
        stranger: bool,
    ) -> Record {
        let weight = if stranger { Weight::Stranger } else { Weight::Light };
        Record::new(Arc::clone(&self.queue), weight, subject, subject.members(), None).refused(code, why)
    }

    /// Begins to record an allowed request. With `announced` its intent is on disk on return; `None`
    /// where it cannot be written.
    pub(crate) async fn begin(&self, subject: &Subject<'_>, announced: bool) -> Option<Record> {
        let members = subject.members();
        let queue = Arc::clone(&self.queue);
        if !announced {
            return Some(Record::new(queue, Weight::Light, subject, members, None));
        }
        let intent = self.queue.write(Draft::now(Kind::Intent, members.clone())).await?;
        Some(Record::new(queue, Weight::Heavy, subject, members, Some(intent)))
    }

    /// Writes what is still to be written.
    pub(crate) async fn close(&self) {
        self.note("stopped");
        self.queue.close();
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writing) = writing {
            let _ = writing.await;
        }
    }

    fn note(&self, why: &str) {
        self.queue.note(Draft::note(why), Weight::Heavy);
    }
}

/// Searches the log of a state directory. `threads`: how many may work on it at once.
pub(crate) fn search(dir: &StateDir, query: &Query, threads: usize) -> Result<Found, AuditError> {
    let key = AuditKey::new(dir.audit_key()?.as_slice());
    let path = dir.audit();
    search::search(&path, &key, query, threads).map_err(|source| AuditError::io(&path, source))
}

/// Whether the log of a state directory goes on from where its database says, as a daemon that starts makes
/// sure. `anchors`: what the database says.
pub(crate) fn fits(dir: &StateDir, anchors: Option<(Anchor, Anchor)>) -> Result<(), AuditError> {
    let path = dir.audit();
    if let Some((start, head)) = anchors {
        return log::check(&path, Known { start: start.into(), head: head.into() }).map(drop);
    }
    match LogFile::all(&path).map_err(|source| AuditError::io(&path, source))?.last() {
        Some(newest) => Err(AuditError::OldDatabase { head: 0, committed: newest.first }),
        None => Ok(()),
    }
}

/// Whether the log of a state directory is what was written; works beside a running gateway.
pub(crate) async fn verify(dir: &StateDir, store: &Store) -> Result<Verified, AuditError> {
    let known = known(dir, store).await?;
    let path = dir.audit();
    let verified = verify::verify(&path, known).map_err(|source| AuditError::io(&path, source))?;
    // Read again: what the log says the store vouches for, the store has come to know by now.
    let head = self::known(dir, store).await?.head.seq;
    match verified.committed {
        committed if committed > head => Err(AuditError::OldDatabase { head, committed }),
        _ => Ok(verified),
    }
}

/// What a receipt stands for.
#[derive(Debug)]
pub(crate) struct Receipted {
    /// The line announcing the command, and the one telling what became of it.
    pub(crate) intent: Vec<u8>,
    pub(crate) outcome: Option<Vec<u8>>,
    /// Whether the params are those that were asked about.
    pub(crate) params_match: bool,
}

/// The line whose hash `receipt` is. `params`: JSON text of what the command is said to have been given.
pub(crate) fn receipted(
    dir: &StateDir,
    receipt: &str,
    params: Option<&str>,
) -> Result<Option<Receipted>, AuditError> {
    let path = dir.audit();
    let failed = |source| AuditError::io(&path, source);
    if Hash::parse(receipt.as_bytes()).is_none() {
        return Ok(None);
    }
    let Some(intent) = search::with_hash(&path, receipt).map_err(failed)? else { return Ok(None) };
    let seq = Link::read(&intent).map_or(0, |link| link.seq);
    let outcome = search::outcome_of(&path, seq).map_err(failed)?;
    let key = AuditKey::new(dir.audit_key()?.as_slice());
    let params = params.map(json::parse);
    let params_match =
        params.is_none_or(|params| params.is_ok_and(|params| key.params(&params).is_of(&intent)));
    Ok(Some(Receipted { intent, outcome, params_match }))
}

/// Goes on with a log that is not what was written, from a line on that says so; `false` where nothing
/// is wrong with it. What was there before can still be searched, but nothing vouches for it. A database
/// older than its log is let be: runes that it has forgotten to be revoked would be good again, except
/// where the runes are the node's own.
pub(crate) async fn accept(dir: &StateDir, store: &Store) -> Result<bool, AuditError> {
    let is_nodes = store.bound("authority").await?.as_deref() == Some(Authority::Node.name());
    match whats_wrong(dir, store).await {
        None => Ok(false),
        Some(AuditError::OldDatabase { .. }) if is_nodes => begin_anew(dir, store).await,
        Some(AuditError::Damaged(_)) => begin_anew(dir, store).await,
        Some(error) => Err(error),
    }
}

/// Goes on from a line that says so where the database was older than its log. Only once no rune that
/// was ever given out is good any more.
pub(crate) async fn accept_old_database(dir: &StateDir, store: &Store) -> Result<bool, AuditError> {
    match known(dir, store).await.and_then(|known| log::check(&dir.audit(), known).map(drop)) {
        Err(AuditError::OldDatabase { .. }) => begin_anew(dir, store).await,
        _ => Ok(false),
    }
}

async fn whats_wrong(dir: &StateDir, store: &Store) -> Option<AuditError> {
    let (path, known) = match known(dir, store).await {
        Ok(known) => (dir.audit(), known),
        Err(error) => return Some(error),
    };
    let earlier = || verify::first_fault(&path, known).map(|fault| AuditError::Damaged(fault.to_string()));
    log::check(&path, known).err().or_else(earlier)
}

async fn begin_anew(dir: &StateDir, store: &Store) -> Result<bool, AuditError> {
    let path = dir.audit();
    let failed = |source| AuditError::io(&path, source);
    let head = store.audit().await?.map_or(0, |(_, head)| head.seq);
    let files = LogFile::all(&path).map_err(failed)?;
    let first = files.last().map_or(0, |file| file.first);
    let last_line = files.last().map(LogFile::last_line).transpose().map_err(failed)?.flatten();
    let last = last_line.as_deref().and_then(Link::read).map_or(0, |link| link.seq);
    let note = Draft::note("begun anew, what was before is not vouched for");
    let known = Log::begin_anew(&path, head.max(first).max(last), &note).map_err(failed)?;
    store.set_audit(known.start.into(), known.head.into()).await?;
    Ok(true)
}

/// What the store knows of the log. A store that knows nothing, beside a log, has lost it; where there
/// is no log yet, the store knows of none from now on.
async fn known(dir: &StateDir, store: &Store) -> Result<Known, AuditError> {
    if let Some((start, head)) = store.audit().await? {
        return Ok(Known { start: start.into(), head: head.into() });
    }
    let path = dir.audit();
    let files = LogFile::all(&path).map_err(|source| AuditError::io(&path, source))?;
    match files.last() {
        Some(newest) => Err(AuditError::OldDatabase { head: 0, committed: newest.first }),
        None => {
            store.set_audit(Position::START.into(), Position::START.into()).await?;
            Ok(Known { start: Position::START, head: Position::START })
        }
    }
}

impl AuditError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

impl From<Anchor> for Position {
    fn from(anchor: Anchor) -> Self {
        Self { seq: anchor.seq, hash: Hash(anchor.hash) }
    }
}

impl From<Position> for Anchor {
    fn from(position: Position) -> Self {
        Self { seq: position.seq, hash: position.hash.0 }
    }
}
