//! What is to be sent to a peer: sealed in order, written in batches.

use std::sync::{Mutex, PoisonError};

use runeward_noise::{Error, Sealer};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::messages::{REPLY_LAST, REPLY_MORE, RequestId};
use crate::metrics::METRICS;

/// Longest part of a reply, in bytes of JSON; the size a node uses.
pub(super) const MAX_PART: usize = 65_000;

/// With this many bytes waiting to be written, replies wait to be sealed.
const HIGH_WATER: usize = 64 * 1024;

/// With this many, everything else waits too. No less, or what goes before replies would wait behind the last of them;
/// no more, as whoever asks and does not read can have twice as much held.
const HIGHEST_WATER: usize = 2 * HIGH_WATER;

const _: () = assert!(HIGH_WATER + MAX_PART + 64 < HIGHEST_WATER);

/// Messages for one peer, from all the tasks that serve it.
pub(super) struct Outbox {
    sealed: Mutex<Sealed>,
    /// Something is there to be written.
    ready: Notify,
    /// Room has been made.
    room: Notify,
}

struct Sealed {
    sealer: Sealer,
    bytes: Vec<u8>,
}

/// Writes an outbox to the peer's stream.
pub(super) struct Drain<W> {
    stream: W,
    bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    pub(super) fn new(sealer: Sealer) -> Self {
        let sealed = Mutex::new(Sealed { sealer, bytes: Vec::new() });
        Self { sealed, ready: Notify::new(), room: Notify::new() }
    }

    /// Sends a part of a reply, at most [`MAX_PART`] bytes, once there is room.
    pub(super) async fn reply(&self, id: RequestId, part: &[u8], last: bool) -> Result<(), Error> {
        let kind = if last { REPLY_LAST } else { REPLY_MORE };
        self.send(&[&kind.to_be_bytes(), &id, part], HIGH_WATER).await
    }

    /// Sends a whole message. It goes before replies that wait for room.
    pub(super) async fn message(&self, message: &[u8]) -> Result<(), Error> {
        self.send(&[message], HIGHEST_WATER).await
    }

    async fn send(&self, parts: &[&[u8]], water: usize) -> Result<(), Error> {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Registered before the look, so that room made in between is not missed.
            room.as_mut().enable();
            {
                let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
                if sealed.bytes.len() < water {
                    let Sealed { sealer, bytes } = &mut *sealed;
                    sealer.seal(parts, bytes)?;
                    break;
                }
            }
            room.await;
        }
        self.ready.notify_one();
        Ok(())
    }

    /// Exchanges what is sealed for the emptied `bytes`; whether there was anything.
    fn take(&self, bytes: &mut Vec<u8>) -> bool {
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut sealed.bytes, bytes);
        self.room.notify_waiters();
        !bytes.is_empty()
    }
}

impl<W: AsyncWrite + Unpin> Drain<W> {
    pub(super) fn new(stream: W) -> Self {
        Self { stream, bytes: Vec::new(), written: 0 }
    }

    /// Writes whatever comes; returns only on an error. Cancel-safe.
    pub(super) async fn run(&mut self, outbox: &Outbox) -> std::io::Error {
        loop {
            if let Err(error) = self.flush(outbox).await {
                return error;
            }
            outbox.ready.notified().await;
        }
    }

    /// Writes what there is. Cancel-safe.
    pub(super) async fn flush(&mut self, outbox: &Outbox) -> std::io::Result<()> {
        loop {
            while self.written < self.bytes.len() {
                match self.stream.write(&self.bytes[self.written..]).await? {
                    0 => return Err(std::io::ErrorKind::WriteZero.into()),
                    written => {
                        METRICS.sent.inc_by(written as u64);
                        self.written += written;
                    }
                }
            }
            self.written = 0;
            self.bytes.clear();
            if !outbox.take(&mut self.bytes) {
                break;
            }
        }
        // An idle peer holds no memory.
        self.bytes = Vec::new();
        self.stream.flush().await
    }

    /// Tells the peer that nothing more comes.
    pub(super) async fn close(&mut self) -> std::io::Result<()> {
        self.stream.shutdown().await
    }
}
