//! The node behind the gateway: lightningd's JSON-RPC on a UNIX socket.
//!
//! # Layout
//! - here: the pool of sockets, one call at a time on each; whether the node is up, and the right one.
//! - `questions`: what the gateway itself asks the node.
//! - `scanner`: where a reply ends, and the client's id put back.
//! - `bench`: what the bench times.
//! - `demo`: a small node of our own behind the very same kind of socket.

pub mod bench;
pub mod demo;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod questions;
mod scanner;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{Limit, Limits};
use crate::gate::{Fact, Permit};
use crate::metrics::METRICS;
use questions::Info;
use scanner::Scanner;

/// Sockets kept open between calls.
const IDLE_SOCKETS: usize = 32;

/// How long a call waits for a socket before its client is told to come back.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the node may take to answer a question of ours.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait while the node has more connections to accept than it queues.
const BACKLOG_PAUSE: Duration = Duration::from_millis(5);

/// How much of a reply is read at once, in bytes; as much as goes out in one part.
const READ_SIZE: usize = 65_000;

/// The node's RPC.
pub(crate) struct Node {
    socket: PathBuf,
    /// Whether its runes are honoured.
    tells_runes: bool,
    /// Where what it tells goes.
    learn: Box<dyn Fn(Fact) + Send + Sync>,
    /// The node this gateway serves, once known.
    node_id: OnceLock<String>,
    /// Whether it answered, as that node, when last heard of.
    up: AtomicBool,
    probing: tokio::sync::Mutex<()>,
    idle: Mutex<Vec<Socket>>,
    /// Room for calls under way at once that the node answers as fast as it can; each has a socket of its own.
    calls: Arc<Semaphore>,
    /// Room for those that wait for something to happen. Apart, so that they hold up no others.
    waits: Arc<Semaphore>,
    next_id: AtomicU64,
}

/// Why the node is not ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    /// Nothing answers there.
    #[error("{}: {why}", socket.display())]
    Unreachable { socket: PathBuf, why: String },
    /// Another node answers there.
    #[error("{} now leads to node {}, not to {expected} whose runes these are", socket.display(), found.escape_debug())]
    Foreign { socket: PathBuf, expected: String, found: String },
}

/// Why a call has no reply, or no more of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The command was not sent.
    Unreachable(String),
    /// The command was not sent: as many are under way as this limit says.
    Busy(&'static str),
    /// The command was sent and the answer lost.
    Lost(String),
}

/// A reply as it comes in.
pub(crate) struct Reply {
    node: Arc<Node>,
    socket: Socket,
    scanner: Scanner,
    /// When the command was sent; `None` where the node waits with its answer.
    sent: Option<Instant>,
    slot: OwnedSemaphorePermit,
}

struct Socket {
    stream: UnixStream,
    buffer: Box<[u8]>,
}

impl Node {
    /// The node behind `socket`. With `node_id` no other node will do; without, the first one met is
    /// the one. Whenever it comes up, before any call is sent, `learn` is told what it tells about
    /// itself, with `tells_runes` its rune secret and revocations too.
    pub(crate) fn new(
        socket: PathBuf,
        node_id: Option<String>,
        tells_runes: bool,
        limits: &Limits,
        learn: impl Fn(Fact) + Send + Sync + 'static,
    ) -> Self {
        let slots = |limit: Limit| Arc::new(Semaphore::new(limit.most().min(Semaphore::MAX_PERMITS)));
        Self {
            socket,
            tells_runes,
            learn: Box::new(learn),
            node_id: node_id.map_or_else(OnceLock::new, OnceLock::from),
            up: AtomicBool::new(false),
            probing: tokio::sync::Mutex::default(),
            idle: Mutex::default(),
            calls: slots(limits.calls_at_the_node),
            waits: slots(limits.waits_at_the_node),
            next_id: AtomicU64::new(1),
        }
    }

    /// The node's id, once it has been met.
    pub(crate) fn node_id(&self) -> Option<&str> {
        self.node_id.get().map(String::as_str)
    }

    /// Makes sure that the node answers, is the right one, and has told what it tells about itself.
    /// Where it was so when last heard of, returns at once.
    pub(crate) async fn ready(&self) -> Result<(), NotReady> {
        if self.up.load(Ordering::Acquire) {
            return Ok(());
        }
        let _probing = self.probing.lock().await;
        if self.up.load(Ordering::Acquire) {
            return Ok(());
        }
        let (mut socket, network) = self.meet().await?;
        (self.learn)(Fact::Network(network));
        match within(socket.ask_help()).await {
            Ok(help) => (self.learn)(Fact::Help(help)),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                tracing::warn!(%error, "the node's commands are not known: `!` on a parameter refuses");
                (self.learn)(Fact::Help(Vec::new()));
                // The rest of that answer may still be coming.
                socket = self.connect().await?;
            }
            Err(error) => return Err(self.unreachable(&error)),
        }
        if self.tells_runes {
            let secret = within(socket.ask_rune_secret()).await.map_err(|error| self.unreachable(&error))?;
            let revoked = within(socket.ask_revoked()).await.map_err(|error| self.unreachable(&error))?;
            (self.learn)(Fact::RuneSecret(secret));
            (self.learn)(Fact::Revoked(revoked));
        }
        self.up.store(true, Ordering::Release);
        METRICS.node_is_up(true);
        self.keep(socket);
        tracing::info!(node = self.node_id().unwrap_or_default(), "node is up");
        Ok(())
    }

    /// Makes sure that a node that was up still is, so that a dead one shows before anybody calls it, and reads
    /// its revocations again, where they matter. Where that fails the node counts as down, and everything is
    /// read again when it comes up.
    pub(crate) async fn refresh(&self) {
        if !self.up.load(Ordering::Acquire) {
            return;
        }
        let _probing = self.probing.lock().await;
        let mut socket = match self.connect().await {
            Ok(socket) => socket,
            Err(not_ready) => return self.mark_down(&not_ready.to_string()),
        };
        if self.tells_runes {
            match within(socket.ask_revoked()).await {
                Ok(revoked) => (self.learn)(Fact::Revoked(revoked)),
                Err(error) => return self.mark_down(&error.to_string()),
            }
        }
        self.keep(socket);
    }

    /// Sends the command a permit allows.
    pub(crate) async fn call(self: &Arc<Self>, permit: &Permit) -> Result<Reply, CallError> {
        let (slots, limit) = match permit.waits() {
            true => (&self.waits, "waits_at_the_node"),
            false => (&self.calls, "calls_at_the_node"),
        };
        let slot = match Arc::clone(slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => tokio::time::timeout(QUEUE_TIMEOUT, Arc::clone(slots).acquire_owned())
                .await
                .map_err(|_| CallError::Busy(limit))?
                .map_err(|_| CallError::Busy(limit))?,
        };
        let id = format!("\"rw#{}\"", self.next_id.fetch_add(1, Ordering::Relaxed));
        let mut request = Vec::with_capacity(64 + permit.command().len());
        request.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        request.extend_from_slice(id.as_bytes());
        request.push(b',');
        request.extend_from_slice(permit.command());
        request.push(b'}');

        let mut socket = self.take_socket().await?;
        if let Err(error) = socket.stream.write_all(&request).await {
            // What was not sent whole cannot have run.
            self.mark_down(&error.to_string());
            return Err(CallError::Unreachable(error.to_string()));
        }
        let scanner = Scanner::new(id, permit.id().to_owned());
        let sent = (!permit.waits()).then(Instant::now);
        Ok(Reply { node: Arc::clone(self), socket, scanner, sent, slot })
    }

    /// An idle socket that is still good, or a new one. Either leads to the right node: each was asked
    /// who is there when it was opened.
    async fn take_socket(&self) -> Result<Socket, CallError> {
        while let Some(mut socket) = self.take_idle() {
            if socket.is_clean() {
                return Ok(socket);
            }
            self.mark_down("it closed a connection");
        }
        // Rare, and large: apart, so that not every call carries it.
        Box::pin(self.open()).await.map_err(|not_ready| {
            self.mark_down(&not_ready.to_string());
            CallError::Unreachable(not_ready.to_string())
        })
    }

    async fn open(&self) -> Result<Socket, NotReady> {
        self.ready().await?;
        // Getting ready may have opened one.
        match self.take_idle() {
            Some(socket) => Ok(socket),
            None => self.connect().await,
        }
    }

    fn take_idle(&self) -> Option<Socket> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Opens a socket to the node, and to no other.
    async fn connect(&self) -> Result<Socket, NotReady> {
        Ok(self.meet().await?.0)
    }

    /// Opens a socket and makes sure of who is at its other end; with the network it is on.
    async fn meet(&self) -> Result<(Socket, String), NotReady> {
        let opened = within(async {
            let mut socket = Socket::open(&self.socket).await?;
            let info = socket.ask_info().await?;
            Ok((socket, info))
        });
        let (socket, Info { id: found, network }) = opened.await.map_err(|error| self.unreachable(&error))?;
        let expected = self.node_id.get_or_init(|| found.clone());
        match *expected == found {
            true => Ok((socket, network)),
            false => {
                Err(NotReady::Foreign { socket: self.socket.clone(), expected: expected.clone(), found })
            }
        }
    }

    /// Keeps a socket on which nothing is under way for the next call.
    fn keep(&self, socket: Socket) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_SOCKETS {
            idle.push(socket);
        }
    }

    fn unreachable(&self, error: &io::Error) -> NotReady {
        NotReady::Unreachable { socket: self.socket.clone(), why: error.to_string() }
    }

    fn mark_down(&self, why: &str) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if self.up.swap(false, Ordering::AcqRel) {
            METRICS.node_is_up(false);
            tracing::warn!(why, "node is down");
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("socket", &self.socket)
            .field("node_id", &self.node_id)
            .finish_non_exhaustive()
    }
}

impl Reply {
    /// Appends the next piece of the reply to `out`; whether that was the last. The client's id is
    /// in its place, and there are no line breaks.
    pub(crate) async fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, CallError> {
        match self.socket.read(&mut self.scanner, out).await {
            Ok(last) => Ok(last),
            Err(error) => {
                self.node.mark_down(&error.to_string());
                Err(CallError::Lost(error.to_string()))
            }
        }
    }

    /// Makes room for other calls while this one waits for its client to read: from now on it counts among those
    /// that wait for something to happen, if there is room among them.
    pub(crate) fn step_aside(&mut self) {
        if let Ok(slot) = Arc::clone(&self.node.waits).try_acquire_owned() {
            self.slot = slot;
        }
    }

    /// Gives the socket back; only after the last piece.
    pub(crate) fn finish(self) {
        if let Some(sent) = self.sent {
            METRICS.node_call.observe(sent.elapsed().as_secs_f64());
        }
        self.node.keep(self.socket);
    }
}

impl Socket {
    /// Connects. A node that has many connections to accept is asked again: it is not down.
    async fn open(path: &Path) -> io::Result<Self> {
        loop {
            match UnixStream::connect(path).await {
                Ok(stream) => return Ok(Self { stream, buffer: vec![0; READ_SIZE].into_boxed_slice() }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::time::sleep(BACKLOG_PAUSE).await
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether nothing but white space has come in since the last reply, and the node is still there.
    fn is_clean(&mut self) -> bool {
        loop {
            match self.stream.try_read(&mut self.buffer) {
                Ok(read) if read > 0 && self.buffer[..read].iter().all(u8::is_ascii_whitespace) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                _ => return false,
            }
        }
    }

    /// Reads once; whether the reply ended.
    async fn read(&mut self, scanner: &mut Scanner, out: &mut Vec<u8>) -> io::Result<bool> {
        let read = self.stream.read(&mut self.buffer).await?;
        let input = &self.buffer[..read];
        if input.is_empty() {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the node closed the connection"));
        }
        let invalid = |error| io::Error::new(ErrorKind::InvalidData, error);
        match scanner.feed(input, out).map_err(invalid)? {
            None => Ok(false),
            Some(end) if input[end..].iter().all(u8::is_ascii_whitespace) => Ok(true),
            Some(_) => Err(io::Error::new(ErrorKind::InvalidData, "the node said more than it was asked")),
        }
    }
}

/// What the node answers to a question of ours, if it does in time.
async fn within<T>(answer: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let silence = |_| Err(io::Error::new(ErrorKind::TimedOut, "the node does not answer"));
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(silence)
}
