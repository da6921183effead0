//! `runeward-bench handshakes`: connections opened and closed again, one after another.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::calls::Tally;
use crate::failure::Result;
use crate::load::{self, Request};
use crate::uri::Target;

/// Goes on for `duration` with so many connections at a time, each by a new peer: connect, upgrade
/// to a WebSocket where the URI says so, shake hands, exchange inits, close. In the tally each
/// counts as a call.
///
/// # Errors
/// Where not even a first connection succeeds.
pub fn run<T>(
    target: &Target,
    connections: usize,
    duration: Duration,
    ready: impl FnOnce() -> Result<T>,
) -> Result<(Tally, T)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        drop(load::open(target, &Request::default()).await?);
        let ready = ready()?;
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            tasks.spawn(repeat(target.clone(), start, duration));
        }
        let mut sum = Tally::default();
        while let Some(done) = tasks.join_next().await {
            sum = sum.merge(done.map_err(|why| std::io::Error::other(why.to_string()))?);
        }
        Ok((sum, ready))
    })
}

async fn repeat(target: Target, start: Instant, duration: Duration) -> Tally {
    let mut tally = Tally::default();
    loop {
        let since = Instant::now();
        if since >= start + duration {
            return tally;
        }
        match load::open(&target, &Request::default()).await {
            Ok(connection) => {
                drop(connection);
                tally.latencies.record(since.elapsed());
            }
            Err(why) => {
                tally.errors += 1;
                tally.first_error.get_or_insert_with(|| why.to_string());
            }
        }
        tally.elapsed = start.elapsed();
    }
}
