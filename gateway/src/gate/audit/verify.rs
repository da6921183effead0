//! Whether the log is what was written: every line in its place, none edited, none missing.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

use super::chain::{Chain, Fault, Place};
use super::files::{LogFile, SEGMENT, lines_beginning, whole_lines};
use super::line::{COMMITTED, Hash, Link, Position, number_behind};
use super::log::Known;

/// What a look at the whole log found.
#[derive(Debug)]
pub(crate) struct Verified {
    /// How many lines there are.
    pub(crate) lines: u64,
    /// The numbers of the first and the last one.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// How many files, and how many more from before the log was begun anew, which nothing vouches for.
    pub(crate) files: usize,
    pub(crate) older_files: usize,
    pub(crate) faults: Vec<Fault>,
    /// The last line that the store had come to vouch for, as the log tells.
    pub(super) committed: u64,
}

/// Reads the log in `dir` from end to end. `known` was read from the store before.
pub(super) fn verify(dir: &Path, known: Known) -> io::Result<Verified> {
    let mut files = LogFile::all(dir)?;
    let all = files.len();
    files.retain(|file| file.first > known.start.seq);
    let mut whole = Walk::behind(known.start);
    if known.head == known.start {
        whole.at_head = Some(known.head.hash);
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut before = known.start;
    for group in files.chunks(threads) {
        // Each file is begun with the last line of the file before as it stands there, so that several
        // are read at once; whether that line is good shows where its own file is read.
        let begun = group.iter().map(|file| {
            let behind = before;
            let last_line = file.last_line()?;
            let last = last_line.as_deref().and_then(Link::read).map(|link| link.position());
            before = last.filter(|last| last.seq > behind.seq).unwrap_or(behind);
            Ok((file, behind))
        });
        let begun = begun.collect::<io::Result<Vec<_>>>()?;
        let walks = thread::scope(|scope| {
            let walks: Vec<_> = begun
                .into_iter()
                .map(|(file, behind)| scope.spawn(move || walk(file, behind, known.head.seq)))
                .collect();
            walks
                .into_iter()
                .map(|walk| walk.join().map_err(|_| io::Error::other("a reader failed"))?)
                .collect()
        });
        let walks: io::Result<Vec<Walk>> = walks;
        for walk in walks? {
            whole.chain.join(walk.chain);
            whole.lines += walk.lines;
            whole.at_head = whole.at_head.or(walk.at_head);
            whole.committed = whole.committed.max(walk.committed);
        }
    }
    let last = whole.chain.last().seq;
    let mut faults = whole.chain.faults();
    let head = known.head;
    match whole.at_head {
        Some(hash) if hash == head.hash => {}
        None if last < head.seq => faults.push(Fault::Cut { end: last, head: head.seq }),
        _ => faults.push(Fault::Rewritten { seq: head.seq }),
    }
    let first = known.start.seq + 1;
    Ok(Verified {
        lines: whole.lines,
        first,
        last,
        files: files.len(),
        older_files: all - files.len(),
        faults,
        committed: whole.committed,
    })
}

/// The first thing wrong, where anything is.
pub(super) fn first_fault(dir: &Path, known: Known) -> Option<Fault> {
    verify(dir, known).ok()?.faults.into_iter().next()
}

struct Walk {
    chain: Chain,
    lines: u64,
    /// The hash of the line with the head's number.
    at_head: Option<Hash>,
    committed: u64,
}

impl Walk {
    fn behind(last: Position) -> Self {
        Self { chain: Chain::behind(last), lines: 0, at_head: None, committed: 0 }
    }
}

fn walk(file: &LogFile, behind: Position, head: u64) -> io::Result<Walk> {
    let mut walk = Walk::behind(behind);
    let open = File::open(&file.path)?;
    let length = open.metadata()?.len();
    let mut from = 0;
    while from < length {
        let lines = lines_beginning(&open, from, from + SEGMENT)?;
        for line in whole_lines(&lines) {
            walk.lines += 1;
            walk.chain.take(line, || Place { file: file.name(), line: walk.lines });
            walk.committed = number_behind(COMMITTED, line).unwrap_or(0).max(walk.committed);
            if let Some(link) = Link::read(line).filter(|link| link.seq == head) {
                walk.at_head = Some(link.hash);
            }
        }
        from += SEGMENT;
    }
    Ok(walk)
}
