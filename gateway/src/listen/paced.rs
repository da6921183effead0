//! A stream that is read and written no faster than it may be: what is over a limit comes later.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::config::{Limit, Limits};
use crate::rate::Rate;

/// Most bytes read or written in one go where there is a limit: so much may one connection be ahead of the others.
const STEP: u32 = 16 * 1024;

/// The limits on bytes that all connections share, and what each has of its own.
#[derive(Debug)]
pub(super) struct Bandwidth {
    incoming: Direction,
    outgoing: Direction,
}

#[derive(Debug)]
struct Direction {
    /// Of all connections.
    all: Option<Arc<Rate>>,
    each: Limit,
}

/// A stream within its limits.
pub(super) struct Paced<S> {
    stream: S,
    incoming: Option<Box<Pace>>,
    outgoing: Option<Box<Pace>>,
}

/// One direction of one stream.
struct Pace {
    rates: Vec<Arc<Rate>>,
    /// Most bytes that may go in one go.
    step: u32,
    /// Bytes that have gone and are not yet taken from the rates, the first so many of which have been.
    owed: u32,
    paid: usize,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Bandwidth {
    pub(super) fn new(limits: &Limits) -> Self {
        let direction = |all, each| Direction { all: Rate::new(all).map(Arc::new), each };
        Self {
            incoming: direction(limits.bytes_in_per_second, limits.bytes_in_per_second_per_connection),
            outgoing: direction(limits.bytes_out_per_second, limits.bytes_out_per_second_per_connection),
        }
    }

    /// Keeps a new connection within the limits.
    pub(super) fn pace<S>(&self, stream: S) -> Paced<S> {
        Paced { stream, incoming: self.incoming.pace(), outgoing: self.outgoing.pace() }
    }
}

impl Direction {
    fn pace(&self) -> Option<Box<Pace>> {
        let own = Rate::new(self.each).map(Arc::new);
        let rates: Vec<_> = own.into_iter().chain(self.all.clone()).collect();
        let step = rates.iter().map(|rate| rate.burst()).min()?.min(STEP);
        Some(Box::new(Pace { rates, step, owed: 0, paid: 0, waiting: None }))
    }
}

impl Pace {
    /// Ready once all that has gone is taken from the rates.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            let rate = self.rates.get(self.paid).filter(|_| self.owed > 0);
            match rate.map(|rate| rate.take(self.owed)) {
                Some(Ok(())) => self.paid += 1,
                Some(Err(wait)) => self.waiting = Some(Box::pin(sleep(wait))),
                None => {
                    self.owed = 0;
                    self.paid = 0;
                    return Poll::Ready(());
                }
            }
        }
    }

    fn went(&mut self, bytes: usize) {
        self.owed = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    fn step(&self) -> usize {
        usize::try_from(self.step).unwrap_or(usize::MAX)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, incoming, .. } = &mut *self;
        let Some(pace) = incoming else { return Pin::new(stream).poll_read(cx, buf) };
        ready!(pace.poll_ready(cx));
        let step = pace.step().min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(step));
        ready!(Pin::new(stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        pace.went(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, outgoing, .. } = &mut *self;
        let Some(pace) = outgoing else { return Pin::new(stream).poll_write(cx, buf) };
        ready!(pace.poll_ready(cx));
        let written = ready!(Pin::new(stream).poll_write(cx, &buf[..buf.len().min(pace.step())]))?;
        pace.went(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.outgoing.is_none() {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        self.poll_write(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.outgoing.is_none() && self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
