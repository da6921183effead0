//! Following the chain: whether a line stands where it belongs and says what was written.

use super::line::{Link, Position};

/// What is wrong in a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It is no line of ours.
    #[error("{at} is no line of the log: it was edited")]
    Unreadable { at: Place },
    /// Its hash is not over what it says and the hash before.
    #[error("{at}, number {seq}, was edited, or the hash of the one before it was")]
    Edited { at: Place, seq: u64 },
    /// Lines are missing.
    #[error("before {at}, {} removed", lines(*from, *to, "was", "were"))]
    Removed { at: Place, from: u64, to: u64 },
    /// Lines that stand elsewhere than where they were written.
    #[error("at {at}, {} out of order", lines(*from, *to, "stands", "stand"))]
    Reordered { at: Place, from: u64, to: u64 },
    /// Lines that stand there twice.
    #[error("at {at}, {} once more", lines(*from, *to, "stands", "stand"))]
    Repeated { at: Place, from: u64, to: u64 },
    /// The end is missing.
    #[error("the log was cut: it ends with line number {end}, the database knows of number {head}")]
    Cut { end: u64, head: u64 },
    /// The chain holds, but not with what the store knows.
    #[error("the log was rewritten: the database knows another line number {seq}")]
    Rewritten { seq: u64 },
}

/// A line of a file, for people to look up: both count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file's name.
    pub(crate) file: String,
    pub(crate) line: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} of {}", self.line, self.file)
    }
}

fn lines(from: u64, to: u64, was: &str, were: &str) -> String {
    match from == to {
        true => format!("number {from} {was}"),
        false => format!("numbers {from} to {to} {were}"),
    }
}

/// A walk over lines in the order they stand in.
#[derive(Debug)]
pub(super) struct Chain {
    /// The last line in order; those that follow must follow it.
    last: Position,
    /// Numbers passed over, as inclusive ranges, and where that was seen.
    missing: Vec<(u64, u64, Place)>,
    /// Numbers that came too late, in the same form.
    late: Vec<(u64, u64, Place)>,
    faults: Vec<Fault>,
}

impl Chain {
    /// Begins behind `last`.
    pub(super) fn behind(last: Position) -> Self {
        Self { last, missing: Vec::new(), late: Vec::new(), faults: Vec::new() }
    }

    /// Takes the next line, without its line break.
    pub(super) fn take(&mut self, line: &[u8], at: impl Fn() -> Place) {
        let Some(link) = Link::read(line) else {
            return self.faults.push(Fault::Unreadable { at: at() });
        };
        let expected = self.last.seq + 1;
        if link.seq < expected {
            return match self.late.last_mut() {
                Some((_, to, _)) if *to + 1 == link.seq => *to = link.seq,
                _ => self.late.push((link.seq, link.seq, at())),
            };
        }
        if link.seq > expected {
            self.missing.push((expected, link.seq - 1, at()));
        } else if !link.follows(self.last.hash) {
            self.faults.push(Fault::Edited { at: at(), seq: link.seq });
        }
        self.last = link.position();
    }

    /// The last line in order.
    pub(super) fn last(&self) -> Position {
        self.last
    }

    /// The first fault so far.
    pub(super) fn first_fault(&self) -> Option<Fault> {
        let missing = self.missing.first().map(|(from, to, at)| (from, to, at, true));
        let apart = missing.or(self.late.first().map(|(from, to, at)| (from, to, at, false)));
        let apart = apart.map(|(from, to, at, removed)| match removed {
            true => Fault::Removed { at: at.clone(), from: *from, to: *to },
            false => Fault::Repeated { at: at.clone(), from: *from, to: *to },
        });
        self.faults.first().cloned().or(apart)
    }

    /// Goes on where another walk, over the lines that follow, has ended.
    pub(super) fn join(&mut self, next: Self) {
        self.last = next.last;
        self.missing.extend(next.missing);
        self.late.extend(next.late);
        self.faults.extend(next.faults);
    }

    /// Everything found. An edited line takes its number with it: only what is really gone is
    /// called removed.
    pub(super) fn faults(mut self) -> Vec<Fault> {
        for (from, to, at) in self.late {
            let moved = self.missing.iter_mut().find(|(first, last, _)| *first <= from && to <= *last);
            let Some(moved) = moved else {
                self.faults.push(Fault::Repeated { at, from, to });
                continue;
            };
            let (first, last, place) = (moved.0, moved.1, moved.2.clone());
            moved.1 = from - 1;
            if to < last {
                self.missing.push((to + 1, last, place));
            }
            debug_assert!(first <= from);
            self.faults.push(Fault::Reordered { at, from, to });
        }
        self.missing.retain(|(from, to, _)| from <= to);
        let unreadable = |at: &Place| {
            let before = Place { file: at.file.clone(), line: at.line.saturating_sub(1) };
            self.faults.contains(&Fault::Unreadable { at: before })
        };
        let removed: Vec<Fault> = self
            .missing
            .into_iter()
            // One number missing right behind a line that cannot be read is that line's.
            .filter(|(from, to, at)| !(from == to && unreadable(at)))
            .map(|(from, to, at)| Fault::Removed { at, from, to })
            .collect();
        self.faults.extend(removed);
        self.faults
    }
}
