//! How fast one connection may ask, and how many of its calls may wait for something to happen.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::time::sleep;

use super::RETRY_AFTER;
use crate::config::{Limit, Limits};
use crate::gate::Failure;
use crate::rate::Rate;

/// A pong counts once more for each of so many bytes.
const PONG_UNIT: u16 = 1024;

/// A part of a stranger's request counts once more for each of so many bytes: the longest request still comes at once.
const PART_UNIT: usize = 4096;

/// One connection's share of what may be asked in a second.
pub(super) struct Flow {
    calls: Option<Box<Rate>>,
    messages_per_second: Limit,
    /// Made with the first message: many connections never send one.
    messages: Option<Box<Rate>>,
    /// Messages that were read and are not yet taken from the rate: until they are, no more is read.
    owed: u32,
}

/// The calls of one connection that wait for something to happen: they leave the room of the others.
#[derive(Default)]
pub(super) struct Waits {
    under_way: AtomicUsize,
    /// Whether room was made since somebody last asked.
    room: AtomicBool,
}

/// The place of one of them; dropped when it ends.
pub(super) struct Place<'a>(&'a Waits);

impl Flow {
    pub(super) fn new(limits: &Limits) -> Self {
        let calls = Rate::new(limits.calls_per_second_per_connection).map(Box::new);
        let messages_per_second = limits.messages_per_second_per_connection;
        Self { calls, messages_per_second, messages: None, owed: 0 }
    }

    /// Counts a message that carries no command.
    pub(super) fn message(&mut self) {
        self.owe(1);
    }

    /// Counts a ping that is answered with so many zero bytes.
    pub(super) fn ping(&mut self, zeros: u16) {
        self.owe(1 + u32::from(zeros / PONG_UNIT));
    }

    /// Counts a part of a stranger's request, which is to be opened and kept before its rune is seen.
    pub(super) fn part(&mut self, bytes: usize) {
        self.owe(1 + u32::try_from(bytes / PART_UNIT).unwrap_or(u32::MAX - 1));
    }

    /// Counts a call, or says when to come back with it.
    pub(super) fn call(&self) -> Result<(), Failure> {
        let Some(calls) = &self.calls else { return Ok(()) };
        calls.take(1).map_err(|wait| Failure::over_rate("calls_per_second_per_connection", wait))
    }

    /// Whether the next message has to wait.
    pub(super) fn rests(&self) -> bool {
        self.owed > 0
    }

    /// Waits until the next message may be read. Cancel-safe.
    pub(super) async fn rest(&mut self) {
        while let (true, Some(rate)) = (self.owed > 0, &self.messages) {
            match rate.take(self.owed) {
                Ok(()) => self.owed = 0,
                Err(wait) => sleep(wait).await,
            }
        }
        self.owed = 0;
    }

    fn owe(&mut self, count: u32) {
        if self.messages.is_none() {
            self.messages = Rate::new(self.messages_per_second).map(Box::new);
        }
        let taken = self.messages.as_ref().map_or(Ok(()), |rate| rate.take(count));
        self.owed = if taken.is_ok() { 0 } else { count };
    }
}

impl Waits {
    /// A place among them; an error where all are taken.
    pub(super) fn begin(&self, limits: &Limits) -> Result<Place<'_>, Failure> {
        let most = limits.waits_per_connection.most();
        let one_more = |under_way| (under_way < most).then_some(under_way + 1);
        match self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => {
                self.make_room();
                Ok(Place(self))
            }
            Err(_) => Err(Failure::busy("waits_per_connection", RETRY_AFTER)),
        }
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Says that there may be room for one more call.
    pub(super) fn make_room(&self) {
        self.room.store(true, Ordering::Relaxed);
    }

    /// Whether that was said since this was last asked.
    pub(super) fn has_room(&self) -> bool {
        self.room.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
