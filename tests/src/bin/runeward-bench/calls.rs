//! The calls of a run: how many are under way, when each began, how each ended.
//!
//! The load is a closed loop: every connection keeps a fixed number of calls in flight and makes
//! the next one when an answer is complete, or at a steady pace where one is set. A transport is a
//! pair of [`Replies`] and [`Requests`].

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::failure::{Failure, Result};
use crate::histogram::Histogram;
use crate::slots::Slots;

/// Messages read in a row before what waits to be written gets its turn.
const BURST: u32 = 32;
/// Connections being opened at once, per thread.
pub const OPENING: usize = 32;

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Connections kept open.
    pub connections: usize,
    /// Calls in flight on each.
    pub in_flight: usize,
    /// For how long new calls are begun.
    pub duration: Duration,
    /// At most so many calls in all.
    pub calls: Option<u64>,
    /// Calls a second that each connection makes; without it, as many as are answered.
    pub rate: Option<f64>,
    /// A connection on which calls wait and nothing arrives for so long is given up.
    pub patience: Duration,
    /// Threads the connections are spread over.
    pub threads: usize,
}

/// The receiving half of a connection.
pub trait Replies: Send + 'static {
    /// The next thing that arrived; `None` at the end. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Incoming<'_>>>> + Send;
}

/// The sending half of a connection: what is queued leaves with the next flush.
pub trait Requests: Send + 'static {
    /// Queues a call. Its id counts up from 0 on each connection.
    fn call(&mut self, id: u64) -> io::Result<()>;
    /// Queues the answer to a ping.
    fn pong(&mut self, bytes: u16) -> io::Result<()>;
    /// Whether something is queued.
    fn pending(&self) -> bool;
    /// Sends what is queued. Dropping the future loses nothing: the next one goes on.
    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// Something that arrived.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Bytes of the answer to call `id`.
    Reply {
        /// The call.
        id: u64,
        /// The next bytes of its answer.
        bytes: &'a [u8],
        /// Whether they are the last.
        last: bool,
    },
    /// To be answered with so many bytes.
    Ping(u16),
    /// Nothing that concerns a call.
    Other,
}

/// Bytes on their way out: filled at one end, written from the other.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Append here.
    pub bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    /// Whether there is anything to send.
    pub fn pending(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Writes and flushes everything; may be dropped at any point and begun again.
    pub async fn flush(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while self.written < self.bytes.len() {
            match to.write(&self.bytes[self.written..]).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.written += written,
            }
        }
        to.flush().await?;
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }
}

/// What came of the calls of one or more connections.
#[derive(Debug, Default)]
pub struct Tally {
    /// How long the successful calls took.
    pub latencies: Histogram,
    /// Calls that were answered with an error, or not at all.
    pub errors: u64,
    /// Bytes of all replies, the transport's own not counted.
    pub reply_bytes: u64,
    /// Connections that broke before their calls were answered.
    pub lost_connections: u64,
    /// Why the first of them broke.
    pub first_loss: Option<String>,
    /// The first error reply, cut.
    pub first_error: Option<String>,
    /// From the first call to the last answer.
    pub elapsed: Duration,
}

impl Tally {
    /// Adds what another part of the same run came to.
    pub fn merge(mut self, other: Self) -> Self {
        self.latencies.merge(&other.latencies);
        self.errors += other.errors;
        self.reply_bytes += other.reply_bytes;
        self.lost_connections += other.lost_connections;
        self.first_loss = self.first_loss.or(other.first_loss);
        self.first_error = self.first_error.or(other.first_error);
        self.elapsed = self.elapsed.max(other.elapsed);
        self
    }
}

/// Opens all connections with `open`, tells `ready`, then makes the calls. Returns what came of them
/// and what `ready` returned.
///
/// # Errors
/// Where a connection cannot be opened or `ready` fails: then no call is made.
pub fn run<R, W, F, T>(
    plan: &Plan,
    open: impl Fn() -> F + Sync,
    ready: impl FnOnce() -> Result<T>,
) -> Result<(Tally, T)>
where
    R: Replies,
    W: Requests,
    F: Future<Output = Result<(R, W)>>,
{
    let threads = plan.threads.clamp(1, plan.connections);
    let budget = Arc::new(Budget(plan.calls.map(AtomicU64::new)));
    let (opened, go) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let abandoned = AtomicBool::new(false);
    let abandon = || abandoned.store(true, Ordering::SeqCst);

    let work = |share: usize| -> Result<Tally> {
        let prepared = prepare(share, &open).inspect_err(|_| abandon());
        opened.wait();
        go.wait();
        let (runtime, connections) = prepared?;
        if abandoned.load(Ordering::SeqCst) {
            return Ok(Tally::default());
        }
        Ok(runtime.block_on(drive_all(connections, plan, &budget)))
    };
    let work = &work;

    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| (plan.connections + thread) / threads)
            .map(|share| scope.spawn(move || work(share)))
            .collect();

        opened.wait();
        let ready = if abandoned.load(Ordering::SeqCst) { None } else { Some(ready()) };
        if let Some(Err(_)) = ready {
            abandon();
        }
        go.wait();

        let mut sum = Tally::default();
        for worker in workers {
            sum = sum.merge(worker.join().map_err(|_| Failure::refused("a thread broke down"))??);
        }
        let ready = ready.ok_or_else(|| Failure::refused("a thread broke down"))?;
        Ok((sum, ready?))
    })
}

/// Calls that may still be begun, over all connections.
pub struct Budget(Option<AtomicU64>);

impl Budget {
    /// Takes one of them; `false` where none is left.
    pub fn take(&self) -> bool {
        self.0.as_ref().is_none_or(|left| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        })
    }
}

/// A thread's runtime and its open connections.
fn prepare<R, W, F>(
    connections: usize,
    open: &(impl Fn() -> F + Sync),
) -> Result<(tokio::runtime::Runtime, Vec<(R, W)>)>
where
    F: Future<Output = Result<(R, W)>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let opened = runtime
        .block_on(stream::iter(0..connections).map(|_| open()).buffer_unordered(OPENING).try_collect())?;
    Ok((runtime, opened))
}

async fn drive_all<R: Replies, W: Requests>(
    connections: Vec<(R, W)>,
    plan: &Plan,
    budget: &Arc<Budget>,
) -> Tally {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    let count = connections.len() as f64;
    for (index, (replies, requests)) in connections.into_iter().enumerate() {
        let slots = Slots::new(plan, budget, start, index as f64 / count);
        tasks.spawn(drive(replies, requests, slots));
    }
    let mut sum = Tally::default();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(tally) => sum = sum.merge(tally),
            Err(why) => {
                sum.lost_connections += 1;
                sum.first_loss.get_or_insert(why.to_string());
            }
        }
    }
    sum
}

/// Makes the calls of one connection.
async fn drive<R: Replies, W: Requests>(mut replies: R, mut requests: W, mut slots: Slots) -> Tally {
    match exchange(&mut replies, &mut requests, &mut slots).await {
        Ok(()) => slots.tally,
        Err(why) => slots.lost(&why),
    }
}

async fn exchange<R: Replies, W: Requests>(
    replies: &mut R,
    requests: &mut W,
    slots: &mut Slots,
) -> io::Result<()> {
    while let Some(id) = slots.begin() {
        requests.call(id)?;
    }
    let mut impatience = pin!(tokio::time::sleep(slots.patience));
    let mut burst = 0;
    while slots.under_way() > 0 || slots.due().is_some() {
        if burst >= BURST && requests.pending() {
            burst = 0;
            requests.flush().now_or_never().transpose()?;
        }
        // Reading comes first, so that the calls which follow a batch of answers leave in one write.
        tokio::select! {
            biased;
            incoming = replies.next() => {
                burst += 1;
                match incoming? {
                    Some(Incoming::Reply { id, bytes, last }) => {
                        if let Some(next) = slots.reply(id, bytes, last)? {
                            requests.call(next)?;
                        }
                    }
                    Some(Incoming::Ping(bytes)) => requests.pong(bytes)?,
                    Some(Incoming::Other) => {}
                    None => return Err(io::Error::other("the server closed the connection")),
                }
            }
            sent = requests.flush(), if requests.pending() => {
                burst = 0;
                sent?;
            }
            () = instant(slots.due()) => {
                if let Some(id) = slots.begin() {
                    requests.call(id)?;
                }
            }
            () = &mut impatience => {
                let until = slots.impatient_at();
                if until <= Instant::now() {
                    return Err(io::Error::other(format!(
                        "no bytes of an answer for {} s",
                        slots.patience.as_secs()
                    )));
                }
                impatience.as_mut().reset(until);
            }
        }
    }
    Ok(())
}

/// Waits for an instant, or for ever.
async fn instant(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
