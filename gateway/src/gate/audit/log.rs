//! The log on disk: appended to, put in order after a crash, turned over to a new file now and then.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::chain::{Chain, Fault, Place};
use super::files::{LogFile, SEGMENT, lines_beginning, whole_lines};
use super::line::{COMMITTED, Draft, Link, Position, number_behind};
use super::{AuditError, verify};

/// Where the line that the store knows is looked for first, in bytes from the end: after an orderly
/// stop it is the last one.
const LIKELY_TAILS: [u64; 2] = [64 * 1024, 2 * SEGMENT];

/// What the store knows of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The line before the first that is kept.
    pub(super) start: Position,
    /// The last line that the store vouches for.
    pub(super) head: Position,
}

/// How the log is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    /// A file is closed before it grows beyond this many bytes.
    pub(super) file_size: u64,
    /// How many files are kept; `None` for all.
    pub(super) files: Option<usize>,
}

/// The log, to be written by one process alone.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    keeping: Keeping,
    /// The newest file, opened for appending, and how many of its bytes are good.
    file: File,
    length: u64,
    /// Bytes behind those may have to be taken off.
    torn: bool,
    /// The last line.
    last: Position,
    /// What the next line has to say of what the store vouches for.
    committed: Option<u64>,
}

/// Lines that were written.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) positions: Vec<Position>,
    /// Whether they, and all before them, are on disk.
    pub(super) durable: bool,
    /// Whether they begin a new file.
    pub(super) new_file: bool,
}

impl Log {
    /// Opens the log in `dir`, which fits to what the store knows, or says why not. A last line that a
    /// crash left unfinished is taken off: how many bytes that were, comes second.
    pub(super) fn open(dir: &Path, known: Known, keeping: Keeping) -> Result<(Self, u64), AuditError> {
        let failed = |source| AuditError::io(dir, source);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let last = check(dir, known)?;
        let files = LogFile::all(dir).map_err(failed)?;
        let Some(newest) = files.last().filter(|file| file.first > known.start.seq) else {
            let (file, length) = (create(dir, last.seq + 1).map_err(failed)?, 0);
            return Ok((
                Self { dir: dir.to_owned(), keeping, file, length, torn: false, last, committed: None },
                0,
            ));
        };
        let file = OpenOptions::new().append(true).open(&newest.path).map_err(failed)?;
        let there = file.metadata().map_err(failed)?.len();
        let length = newest.whole_length().map_err(failed)?;
        if length < there {
            file.set_len(length).map_err(failed)?;
        }
        let log = Self { dir: dir.to_owned(), keeping, file, length, torn: false, last, committed: None };
        Ok((log, there - length))
    }

    /// Begins a log anew behind `last`, with a line that says why; the files before it stay. Returns
    /// what the store has to know from now on.
    pub(super) fn begin_anew(dir: &Path, last: u64, draft: &Draft) -> io::Result<Known> {
        let start = Position { seq: last, ..Position::START };
        let mut line = Vec::new();
        let head = draft.write(start, None, &mut line);
        let mut file = create(dir, head.seq)?;
        file.write_all(&line)?;
        file.sync_all()?;
        Ok(Known { start, head })
    }

    /// Writes lines, all or none; on disk on return where they are to be `durable`.
    pub(super) fn append<'a>(
        &mut self,
        drafts: impl ExactSizeIterator<Item = &'a Draft>,
        durable: bool,
    ) -> io::Result<Appended> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        let mut bytes = Vec::with_capacity(drafts.len() * 640);
        let (mut last, mut committed) = (self.last, self.committed);
        let mut positions = Vec::with_capacity(drafts.len());
        for draft in drafts {
            last = draft.write(last, committed.take(), &mut bytes);
            positions.push(last);
        }
        let more = bytes.len() as u64;
        let new_file = self.length > 0 && more > 0 && self.length + more > self.keeping.file_size;
        if new_file {
            self.file.sync_data()?;
            (self.file, self.length) = (create(&self.dir, self.last.seq + 1)?, 0);
        }
        let durable = durable || new_file;
        let written = self.file.write_all(&bytes);
        let written = written.and_then(|()| if durable { self.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            self.torn = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += more;
        (self.last, self.committed) = (last, committed);
        Ok(Appended { positions, durable, new_file })
    }

    /// The last line.
    pub(super) fn last(&self) -> Position {
        self.last
    }

    /// Takes note that the store vouches for all up to the line of this number.
    pub(super) fn vouched(&mut self, seq: u64) {
        self.committed = Some(seq).filter(|seq| *seq > 0);
    }

    /// The files that are kept no longer, and the line before the first that is.
    pub(super) fn surplus(&self) -> io::Result<Option<(Position, Vec<PathBuf>)>> {
        let mut files = LogFile::all(&self.dir)?;
        let Some(surplus) = self.keeping.files.and_then(|kept| files.len().checked_sub(kept.max(1))) else {
            return Ok(None);
        };
        files.truncate(surplus);
        let Some(last_line) = files.last().map(LogFile::last_line).transpose()?.flatten() else {
            return Ok(None);
        };
        let start = Link::read(&last_line).map(|link| link.position());
        Ok(start.map(|start| (start, files.into_iter().map(|file| file.path).collect())))
    }
}

/// Makes sure that the log in `dir` goes on from the line the store knows, and returns its last line.
/// What is before that line is not looked at.
pub(super) fn check(dir: &Path, known: Known) -> Result<Position, AuditError> {
    let head = known.head;
    let mut files = LogFile::all(dir).map_err(|source| AuditError::io(dir, source))?;
    files.retain(|file| file.first > known.start.seq);
    let damaged =
        |fault: Fault| AuditError::Damaged(verify::first_fault(dir, known).unwrap_or(fault).to_string());
    let first = files.partition_point(|file| file.first <= head.seq.max(1)).saturating_sub(1);
    let mut chain = (head == known.start).then(|| Chain::behind(head));
    let mut end = known.start;
    for (i, file) in files.iter().enumerate().skip(first) {
        let failed = |source| AuditError::io(&file.path, source);
        let open = File::open(&file.path).map_err(failed)?;
        let length = open.metadata().map_err(failed)?.len();
        let mut from = if i == first { likely_start(&open, length, head.seq).map_err(failed)? } else { 0 };
        while from < length {
            let lines = lines_beginning(&open, from, from + SEGMENT).map_err(failed)?;
            for line in whole_lines(&lines) {
                let (link, before) = (Link::read(line), end);
                end = link.map_or(end, |link| link.position());
                let Some(chain) = &mut chain else {
                    if let Some(link) = link.filter(|link| link.seq == head.seq) {
                        let edited = before.seq + 1 == link.seq && !link.follows(before.hash);
                        if link.hash != head.hash || edited {
                            return Err(damaged(Fault::Rewritten { seq: head.seq }));
                        }
                        chain = Some(Chain::behind(head));
                    }
                    continue;
                };
                chain.take(line, || Place { file: file.name(), line: 0 });
                if let Some(fault) = chain.first_fault() {
                    return Err(damaged(fault));
                }
                if let Some(committed) =
                    number_behind(COMMITTED, line).filter(|committed| *committed > head.seq)
                {
                    return Err(AuditError::OldDatabase { head: head.seq, committed });
                }
            }
            from += SEGMENT;
        }
    }
    match chain {
        Some(chain) => Ok(chain.last()),
        None if end.seq < head.seq => Err(damaged(Fault::Cut { end: end.seq, head: head.seq })),
        None => Err(damaged(Fault::Rewritten { seq: head.seq })),
    }
}

/// Where to begin so as to come by the line with this number, as late in the file as may be.
fn likely_start(file: &File, length: u64, seq: u64) -> io::Result<u64> {
    for tail in LIKELY_TAILS {
        let from = length.saturating_sub(tail);
        let lines = lines_beginning(file, from, from + LIKELY_TAILS[0])?;
        let first = whole_lines(&lines).next().and_then(Link::read);
        if first.is_some_and(|first| first.seq <= seq) {
            return Ok(from);
        }
    }
    Ok(0)
}

/// A new file, and its name, on disk.
fn create(dir: &Path, first: u64) -> io::Result<File> {
    let path = LogFile::starting(dir, first).path;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    // Left empty where an earlier attempt failed; anything else is not ours to write to.
    if file.metadata()?.len() > 0 {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    File::open(dir)?.sync_all()?;
    Ok(file)
}
