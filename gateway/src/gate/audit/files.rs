//! The files of a log: each named by the number of its first line, so that they sort by age.

use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Ending of their names.
const ENDING: &str = ".jsonl";

/// How much of a file's end is looked at first for its last line, in bytes; no line of ours is longer.
const LONGEST_LINE: u64 = 16 * 1024;

/// How much of a file is read at once, in bytes.
pub(super) const SEGMENT: u64 = 4 * 1024 * 1024;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFile {
    /// The number of its first line, as its name says.
    pub(super) first: u64,
    pub(super) path: PathBuf,
}

impl LogFile {
    /// The file in `dir` whose first line has this number.
    pub(super) fn starting(dir: &Path, first: u64) -> Self {
        Self { first, path: dir.join(format!("{first:020}{ENDING}")) }
    }

    /// All of them, oldest first; none where there is no directory.
    pub(super) fn all(dir: &Path) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let first = name.and_then(|name| name.strip_suffix(ENDING)?.parse().ok());
            if let Some(first) = first.filter(|first| *first > 0) {
                files.push(Self { first, path });
            }
        }
        files.sort_by_key(|file| file.first);
        Ok(files)
    }

    /// Its name, without the directory.
    pub(super) fn name(&self) -> String {
        format!("{:020}{ENDING}", self.first)
    }

    /// How many bytes its whole lines take.
    pub(super) fn whole_length(&self) -> io::Result<u64> {
        let mut wanted = LONGEST_LINE;
        loop {
            let (start, bytes) = self.tail(wanted)?;
            match memchr::memrchr(b'\n', &bytes) {
                Some(at) => return Ok(start + at as u64 + 1),
                None if start == 0 => return Ok(0),
                None => wanted *= 2,
            }
        }
    }

    /// Its last `wanted` bytes, or all where it has fewer, and where they begin.
    fn tail(&self, wanted: u64) -> io::Result<(u64, Vec<u8>)> {
        let file = File::open(&self.path)?;
        let start = file.metadata()?.len().saturating_sub(wanted);
        read(&file, start, u64::MAX).map(|bytes| (start, bytes))
    }

    /// Its last whole line, without its line break.
    pub(super) fn last_line(&self) -> io::Result<Option<Vec<u8>>> {
        let (start, bytes) = self.tail(2 * LONGEST_LINE)?;
        let Some(end) = memchr::memrchr(b'\n', &bytes) else { return Ok(None) };
        Ok(match memchr::memrchr(b'\n', &bytes[..end]) {
            Some(before) => Some(bytes[before + 1..end].to_vec()),
            None if start == 0 => Some(bytes[..end].to_vec()),
            None => None,
        })
    }
}

/// The lines, without their line breaks, that begin in `file` at `start` or later and before `end`;
/// one without a line break at its end is still being written and left out.
pub(super) fn lines_beginning(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let from = start.saturating_sub(1);
    let mut bytes = read(file, from, end.saturating_sub(from) + LONGEST_LINE)?;
    // The last one begins before `end` and may reach beyond it.
    let before_end = usize::try_from(end - from).unwrap_or(usize::MAX).saturating_sub(1);
    let stop = match bytes.get(before_end..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        Some(at) => before_end + at + 1,
        None => memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1),
    };
    bytes.truncate(stop);
    if start > 0 {
        let first = memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |at| at + 1);
        bytes.drain(..first);
    }
    Ok(bytes)
}

/// The lines of this text, without their line breaks; what has none at its end is no line.
pub(super) fn whole_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', text).map(move |end| &text[mem::replace(&mut start, end + 1)..end])
}

fn read(file: &File, start: u64, length: u64) -> io::Result<Vec<u8>> {
    let there = file.metadata()?.len().saturating_sub(start);
    let mut bytes = vec![0; usize::try_from(there.min(length)).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn segments_share_the_lines_out_whatever_their_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let file = LogFile::starting(dir.path(), 1);
        let text = "one\ntwo\n\nthree and a half\nf\n";
        fs::write(&file.path, format!("{text}torn")).unwrap();
        let open = File::open(&file.path).unwrap();
        let length = open.metadata().unwrap().len();
        for size in 1..=length + 3 {
            let mut together = Vec::new();
            let mut start = 0;
            while start < length {
                together.extend(lines_beginning(&open, start, start + size).unwrap());
                start += size;
            }
            assert_eq!(String::from_utf8(together).unwrap(), text, "{size}");
        }
        assert_eq!(file.last_line().unwrap().as_deref(), Some(&b"f"[..]));
        assert_eq!(file.whole_length().unwrap(), text.len() as u64);
        fs::write(&file.path, "torn".repeat(20_000)).unwrap();
        assert_eq!(file.last_line().unwrap(), None);
        assert_eq!(file.whole_length().unwrap(), 0);
    }

    #[test]
    fn files_sort_by_age_and_nothing_else_is_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LogFile::all(&dir.path().join("none")).unwrap(), []);
        for first in [10, 9, 100] {
            fs::write(LogFile::starting(dir.path(), first).path, "").unwrap();
        }
        for other in ["notes.txt", "x.jsonl", "00000000000000000000.jsonl"] {
            fs::write(dir.path().join(other), "").unwrap();
        }
        let firsts: Vec<u64> = LogFile::all(dir.path()).unwrap().iter().map(|file| file.first).collect();
        assert_eq!(firsts, [9, 10, 100]);
    }
}
