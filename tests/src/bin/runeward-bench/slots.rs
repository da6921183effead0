//! The calls of one connection: a slot for each that may be in flight, and when the next is due.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::calls::{Budget, Plan, Tally};
use crate::json::{Outcome, Scanner};

/// How much of a refused call's answer is shown.
const SHOWN: usize = 300;

/// What one connection has under way, and what came of its calls.
pub struct Slots {
    slots: Vec<Slot>,
    /// The slots without a call, the longest idle first: where answers come in order, ids count up.
    free: VecDeque<usize>,
    /// At a steady pace: when the next call is due, and how far apart they are.
    pace: Option<(Instant, Duration)>,
    /// No call is begun any more.
    over: bool,
    budget: Arc<Budget>,
    start: Instant,
    deadline: Instant,
    last_bytes: Instant,
    /// How long to wait for bytes of an answer.
    pub patience: Duration,
    /// What came of the calls that have ended.
    pub tally: Tally,
}

/// A place for one call in flight. Slot `s` of `n` carries the calls `s`, `s + n`, `s + 2n`, …
struct Slot {
    id: u64,
    since: Option<Instant>,
    scanner: Scanner,
    head: Vec<u8>,
}

impl Slots {
    /// `phase` (0 to 1) is where in the first interval of a steady pace the first call falls, so
    /// that connections take turns.
    pub fn new(plan: &Plan, budget: &Arc<Budget>, start: Instant, phase: f64) -> Self {
        let slot = |id| Slot { id, since: None, scanner: Scanner::default(), head: Vec::new() };
        let interval = plan.rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        Self {
            slots: (0..plan.in_flight as u64).map(slot).collect(),
            free: (0..plan.in_flight).collect(),
            pace: interval.map(|interval| (start + interval.mul_f64(phase), interval)),
            over: false,
            budget: Arc::clone(budget),
            start,
            deadline: start + plan.duration,
            last_bytes: start,
            patience: plan.patience,
            tally: Tally::default(),
        }
    }

    /// Begins a call if one is due and a slot is free: its id.
    pub fn begin(&mut self) -> Option<u64> {
        let now = Instant::now();
        let &index = self.free.front()?;
        if self.pace.is_some_and(|(due, _)| now < due.min(self.deadline)) {
            return None;
        }
        self.over = self.over || now >= self.deadline || !self.budget.take();
        if self.over {
            return None;
        }
        if let Some((due, interval)) = &mut self.pace {
            *due += *interval;
        }
        if self.under_way() == 0 {
            self.last_bytes = now;
        }
        self.free.pop_front();
        let slot = &mut self.slots[index];
        slot.since = Some(now);
        slot.scanner.reset();
        slot.head.clear();
        Some(slot.id)
    }

    /// How many calls wait for an answer.
    pub fn under_way(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// When, at a steady pace, to begin the next call or find that there is none.
    pub fn due(&self) -> Option<Instant> {
        let (due, _) = self.pace.filter(|_| !self.over && !self.free.is_empty())?;
        Some(due.min(self.deadline))
    }

    /// When a connection on which nothing arrives any more is given up.
    pub fn impatient_at(&self) -> Instant {
        match self.under_way() {
            0 => Instant::now() + self.patience,
            _ => self.last_bytes + self.patience,
        }
    }

    /// Takes bytes of an answer. With the last ones the call ends, and the next may begin: its id.
    pub fn reply(&mut self, id: u64, bytes: &[u8], last: bool) -> io::Result<Option<u64>> {
        let count = self.slots.len() as u64;
        let index = (id % count) as usize;
        let slot = &mut self.slots[index];
        let (Some(since), true) = (slot.since, slot.id == id) else {
            return Err(io::Error::other(format!(
                "the server answered call {id}, which waits for no answer"
            )));
        };
        self.tally.reply_bytes += bytes.len() as u64;
        self.last_bytes = Instant::now();
        let room = SHOWN - slot.head.len();
        slot.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let outcome = slot.scanner.outcome(bytes);
        if !last {
            return Ok(None);
        }

        if outcome == Some(Outcome::Success) && slot.answers_its_call() {
            self.tally.latencies.record(self.last_bytes - since);
        } else {
            self.tally.errors += 1;
            self.tally.first_error.get_or_insert_with(|| String::from_utf8_lossy(&slot.head).into_owned());
        }
        self.tally.elapsed = self.last_bytes - self.start;
        slot.since = None;
        slot.id += count;
        self.free.push_back(index);
        Ok(self.begin())
    }

    /// The connection broke: its calls in flight are errors.
    pub fn lost(mut self, why: &io::Error) -> Tally {
        self.tally.errors += self.under_way() as u64;
        self.tally.lost_connections = 1;
        self.tally.first_loss = Some(why.to_string());
        self.tally
    }
}

impl Slot {
    /// Whether the answer carries this call's JSON id: a server that mixes up its answers must not
    /// look fast. An id that comes after a result is not looked at.
    fn answers_its_call(&self) -> bool {
        match self.scanner.id() {
            b"" => true,
            id => std::str::from_utf8(id).is_ok_and(|id| id.parse() == Ok(self.id)),
        }
    }
}
