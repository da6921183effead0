//! What is to be sent to a peer: sealed in order, written in batches.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

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

/// Messages for one peer, from all its calls. They live in the one task that also writes them: whatever it has them
/// seal it looks for afterwards, so that nobody has to wake it.
pub(super) struct Outbox {
    sealed: Mutex<Sealed>,
    /// Room has been made.
    room: Notify,
}

struct Sealed {
    sealer: Sealer,
    bytes: Vec<u8>,
    /// Whether anybody waits for room.
    full: bool,
}

/// Writes an outbox to the peer's stream.
pub(super) struct Drain<W> {
    stream: W,
    bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    pub(super) fn new(sealer: Sealer) -> Self {
        let sealed = Mutex::new(Sealed { sealer, bytes: Vec::new(), full: false });
        Self { sealed, room: Notify::new() }
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
            // Waits from before the look, so that room made in between is not missed.
            let room = self.room.notified();
            {
                let mut sealed = self.lock();
                if sealed.bytes.len() < water {
                    let Sealed { sealer, bytes, .. } = &mut *sealed;
                    return sealer.seal(parts, bytes);
                }
                sealed.full = true;
            }
            room.await;
        }
    }

    /// What is sealed by now.
    fn take(&self) -> Vec<u8> {
        let mut sealed = self.lock();
        if mem::take(&mut sealed.full) {
            self.room.notify_waiters();
        }
        mem::take(&mut sealed.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Sealed> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: AsyncWrite + Unpin> Drain<W> {
    pub(super) fn new(stream: W) -> Self {
        Self { stream, bytes: Vec::new(), written: 0 }
    }

    /// Writes whatever is there each time the task looks; ready only with an error. To be polled after all that may seal.
    pub(super) async fn run(&mut self, outbox: &Outbox) -> io::Error {
        poll_fn(|cx| match ready!(self.poll_flush(cx, outbox)) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        })
        .await
    }

    /// Writes what there is. Cancel-safe.
    pub(super) async fn flush(&mut self, outbox: &Outbox) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx, outbox)).await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<()>> {
        loop {
            while self.written < self.bytes.len() {
                let written = Pin::new(&mut self.stream).poll_write(cx, &self.bytes[self.written..]);
                match ready!(written)? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => {
                        METRICS.sent.inc_by(written as u64);
                        self.written += written;
                    }
                }
            }
            // An idle peer holds no memory.
            (self.bytes, self.written) = (outbox.take(), 0);
            if self.bytes.is_empty() {
                break;
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Tells the peer that nothing more comes.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::stream::{FuturesUnordered, StreamExt};
    use runeward_noise::{Identity, Initiator, Reader, Responder, Transport};

    use super::*;

    /// Takes little at once, and every other time makes wait.
    #[derive(Default)]
    struct Slow {
        wire: Vec<u8>,
        waits: bool,
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.waits = !self.waits;
            if self.waits {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = bytes.len().min(50_000);
            self.wire.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn connected() -> (Transport, Transport) {
        let [node, client] = [1, 2].map(|byte| Identity::from_secret(&[byte; 32]).unwrap());
        let (awaiting_two, act_one) = Initiator::new(&client, node.node_id()).unwrap();
        let (awaiting_three, act_two) = Responder::new(&node).read_act_one(&act_one).unwrap();
        let (act_three, near) = awaiting_two.read_act_two(&act_two).unwrap();
        (near, awaiting_three.read_act_three(&act_three).unwrap().1)
    }

    /// Calls that send more than there is room for, beside a stream that takes little: every part arrives, each call's in
    /// their order, and nobody waits for room that was made.
    #[tokio::test]
    async fn nothing_is_lost_and_nobody_waits_for_ever() {
        const CALLS: u8 = 16;
        const PARTS: u8 = 4;
        let (near, far) = connected();
        let outbox = Outbox::new(near.sealer);
        let call = async |id: u8| {
            for part in 0..PARTS {
                outbox.reply([id; 8], &vec![part; MAX_PART], part == PARTS - 1).await.unwrap();
            }
        };
        let mut calls: FuturesUnordered<_> = (0..CALLS).map(call).collect();
        let mut drain = Drain::new(Slow::default());
        outbox.message(b"pong").await.unwrap();
        while !calls.is_empty() {
            tokio::select! {
                biased;
                _ = calls.next() => {}
                error = drain.run(&outbox) => panic!("{error}"),
            }
        }
        drain.flush(&outbox).await.unwrap();

        let mut reader = Reader::new(drain.stream.wire.as_slice(), far.opener);
        let (mut pongs, mut next) = (0, [0; CALLS as usize]);
        while let Some(message) = reader.next().await.unwrap() {
            if message == b"pong" {
                pongs += 1;
                continue;
            }
            let part = &mut next[usize::from(message[2])];
            assert!(message.len() == 10 + MAX_PART && message[10..].iter().all(|byte| *byte == *part));
            *part += 1;
        }
        assert_eq!((pongs, next), (1, [PARTS; CALLS as usize]));
    }
}
