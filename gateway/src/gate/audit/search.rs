//! Looking for lines: on their bytes, newest first, several pieces at once.
//!
//! A line's form makes that exact: inside a string every quote stands behind a backslash, so that
//! `,"method":"pay"` can stand nowhere but where it means just that.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

use memchr::memmem::{Finder, find};

use super::files::{LogFile, SEGMENT, lines_beginning, whole_lines};
use super::key::AuditKey;
use super::line::{INTENT, Link, number_behind, time_of};
use super::text::{quoted, write_string};

/// Which lines are wanted: those for which all that is given holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    /// From this time on, and before that one: RFC 3339 in UTC, or the beginning of it.
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    /// A rune's unique id, or the name it had.
    pub(crate) rune: Option<String>,
    /// Node id, or the beginning of it.
    pub(crate) peer: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) class: Option<String>,
    /// A value among the params.
    pub(crate) find: Option<String>,
    /// No intent whose outcome is among the lines.
    pub(crate) merged: bool,
    /// At most so many lines, the newest.
    pub(crate) limit: usize,
}

/// Lines that were found, oldest first, without their line breaks.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) lines: Vec<Vec<u8>>,
    /// Whether there are older ones, too.
    pub(crate) more: bool,
}

/// Searches the log in `dir` with so many `threads`.
pub(super) fn search(dir: &Path, key: &AuditKey, query: &Query, threads: usize) -> io::Result<Found> {
    let files = LogFile::all(dir)?;
    let mut pieces = Vec::new();
    for file in &files {
        let length = file.path.metadata()?.len();
        pieces.extend((0..length.div_ceil(SEGMENT)).map(|i| (&file.path, i * SEGMENT)));
    }
    let matcher = Matcher::new(query, key);
    let mut answered = HashSet::new();
    let mut newest_first = Vec::new();
    while !pieces.is_empty() {
        let group = pieces.split_off(pieces.len().saturating_sub(threads.max(1)));
        let found = thread::scope(|scope| {
            let searches: Vec<_> = group
                .iter()
                .map(|&(path, from)| {
                    let matcher = &matcher;
                    scope.spawn(move || {
                        let lines = lines_beginning(&File::open(path)?, from, from + SEGMENT)?;
                        Ok(matcher.search(&lines))
                    })
                })
                .collect();
            let joined = searches
                .into_iter()
                .map(|search| search.join().map_err(|_| io::Error::other("a reader failed"))?);
            joined.collect::<io::Result<Vec<_>>>()
        })?;
        for line in found.into_iter().rev().flat_map(|lines| lines.into_iter().rev()) {
            if query.merged {
                answered.extend(number_behind(INTENT, &line));
                if Link::read(&line).is_some_and(|link| answered.remove(&link.seq)) {
                    continue;
                }
            }
            if newest_first.len() == query.limit {
                newest_first.reverse();
                return Ok(Found { lines: newest_first, more: true });
            }
            newest_first.push(line);
        }
    }
    newest_first.reverse();
    Ok(Found { lines: newest_first, more: false })
}

/// The line that has this hash.
pub(super) fn with_hash(dir: &Path, hash: &str) -> io::Result<Option<Vec<u8>>> {
    let needle = format!(",\"hash\":\"{hash}\"");
    let matcher = Matcher { needles: vec![needle.into_bytes()], since: None, until: None };
    matcher.newest(dir)
}

/// The line that tells what became of the intent with this number.
pub(super) fn outcome_of(dir: &Path, intent: u64) -> io::Result<Option<Vec<u8>>> {
    let needle = format!(",\"intent\":{intent},");
    let matcher = Matcher { needles: vec![needle.into_bytes()], since: None, until: None };
    matcher.newest(dir)
}

struct Matcher {
    /// Texts that a line must have, the rarest first.
    needles: Vec<Vec<u8>>,
    since: Option<Vec<u8>>,
    until: Option<Vec<u8>>,
}

impl Matcher {
    fn new(query: &Query, key: &AuditKey) -> Self {
        let mut needles = Vec::new();
        needles.extend(query.find.as_ref().map(|value| quoted(&key.value(value))));
        let member = |name: &str, text: &str| {
            let mut needle = format!(",\"{name}\":").into_bytes();
            write_string(text, &mut needle);
            needle
        };
        needles.extend(query.rune.as_ref().map(|rune| match rune.parse::<u64>() {
            Ok(id) => format!(",\"rune\":{id},").into_bytes(),
            Err(_) => member("name", rune),
        }));
        needles.extend(query.peer.as_ref().map(|peer| {
            let mut needle = member("peer", peer);
            needle.pop();
            needle
        }));
        needles.extend(query.method.as_ref().map(|method| member("method", method)));
        needles.extend(query.class.as_ref().map(|class| member("class", class)));
        let bytes = |text: &Option<String>| text.clone().map(String::into_bytes);
        Self { needles, since: bytes(&query.since), until: bytes(&query.until) }
    }

    /// The lines of `text` that are wanted.
    fn search(&self, text: &[u8]) -> Vec<Vec<u8>> {
        let Some((rarest, others)) = self.needles.split_first() else {
            return whole_lines(text).filter(|line| self.is_in_time(line)).map(<[u8]>::to_vec).collect();
        };
        let rarest = Finder::new(rarest);
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(hit) = rarest.find(&text[at..]) {
            let start = memchr::memrchr(b'\n', &text[..at + hit]).map_or(0, |end| end + 1);
            let Some(length) = memchr::memchr(b'\n', &text[at + hit..]) else { break };
            let line = &text[start..at + hit + length];
            at += hit + length + 1;
            if others.iter().all(|needle| find(line, needle).is_some()) && self.is_in_time(line) {
                found.push(line.to_vec());
            }
        }
        found
    }

    /// The newest line that is wanted.
    fn newest(&self, dir: &Path) -> io::Result<Option<Vec<u8>>> {
        for file in LogFile::all(dir)?.iter().rev() {
            let file = File::open(&file.path)?;
            for i in (0..file.metadata()?.len().div_ceil(SEGMENT)).rev() {
                let lines = lines_beginning(&file, i * SEGMENT, (i + 1) * SEGMENT)?;
                if let Some(line) = self.search(&lines).pop() {
                    return Ok(Some(line));
                }
            }
        }
        Ok(None)
    }

    fn is_in_time(&self, line: &[u8]) -> bool {
        let Some(time) = time_of(line) else { return self.since.is_none() && self.until.is_none() };
        self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time < until)
    }
}
