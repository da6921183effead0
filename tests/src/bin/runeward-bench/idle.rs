//! `runeward-bench idle`: connections that only stay open, and what they cost the server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::calls::{Incoming, OPENING, Replies, Requests};
use crate::failure::{Failure, Result};
use crate::load::{self, CommandoReplies, CommandoRequests, Request};
use crate::process::{Meter, Usage};
use crate::uri::Target;

/// What idle connections cost.
#[derive(Debug, Serialize)]
pub struct Report {
    connections: usize,
    /// Those that broke while they were idle.
    lost_connections: u64,
    /// How long all were open.
    seconds: f64,
    /// How long it took to open them.
    opening_s: f64,
    /// Pings of the server, all of which were answered.
    pings: u64,
    /// Processor time of this process per connection while all were open.
    client_cpu_us: f64,
    #[serde(flatten)]
    server: Option<Server>,
}

#[derive(Debug, Serialize)]
struct Server {
    /// Processor time per connection while all were open.
    server_cpu_us: f64,
    /// Resident memory before the first was opened, and in the end.
    server_rss_before_kb: u64,
    server_rss_after_kb: u64,
    bytes_per_connection: f64,
}

/// Opens the connections, inits exchanged, and keeps them for `duration`, answering pings.
///
/// # Errors
/// Where one cannot be opened.
pub fn run(
    target: &Target,
    connections: usize,
    duration: Duration,
    server_pid: Option<u32>,
) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let meter = || server_pid.map(Meter::of_server).transpose();
        let opening = meter()?;
        let start = Instant::now();
        let opened: Vec<_> = stream::iter(0..connections)
            .map(|_| async { load::open(target, &Request::default()).await })
            .buffer_unordered(OPENING)
            .try_collect()
            .await?;
        let opening_s = start.elapsed().as_secs_f64();

        let pings = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for (replies, requests) in opened {
            tasks.spawn(stay(replies, requests, Arc::clone(&pings)));
        }
        let (client, waiting) = (Meter::of_client()?, meter()?);
        tokio::time::sleep(duration).await;
        let usage = |meter: Option<Meter>| meter.map(Meter::stop).transpose();
        let (opening, waiting) = (usage(opening)?, usage(waiting)?);

        let mut lost = 0;
        while tasks.try_join_next().is_some() {
            lost += 1;
        }
        Ok(Report {
            connections,
            lost_connections: lost,
            seconds: duration.as_secs_f64(),
            opening_s: (opening_s * 1e3).round() / 1e3,
            pings: pings.load(Ordering::Relaxed),
            client_cpu_us: per(connections, client.stop()?.cpu.as_secs_f64() * 1e6),
            server: opening
                .zip(waiting)
                .map(|(opening, waiting)| Server::new(connections, &opening, &waiting)),
        })
    })
}

/// Ends where the connection does.
async fn stay(
    mut replies: CommandoReplies,
    mut requests: CommandoRequests,
    pings: Arc<AtomicU64>,
) -> io::Result<()> {
    while let Some(incoming) = replies.next().await? {
        if let Incoming::Ping(bytes) = incoming {
            requests.pong(bytes)?;
            requests.flush().await?;
            pings.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

impl Server {
    fn new(connections: usize, since_before: &Usage, while_open: &Usage) -> Self {
        let (before, after) = (since_before.rss_before_kb, since_before.rss_after_kb);
        Self {
            server_cpu_us: per(connections, while_open.cpu.as_secs_f64() * 1e6),
            server_rss_before_kb: before,
            server_rss_after_kb: after,
            bytes_per_connection: per(connections, (after as f64 - before as f64) * 1024.0),
        }
    }
}

impl Report {
    /// One line of JSON.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|why| Failure::refused(why.to_string()))
    }

    /// A few lines to read.
    pub fn text(&self, over: &str) -> String {
        let mut text = format!(
            "{} idle connections {over}: opened in {} s, open for {} s, {} lost, {} pings; client CPU \
             {} µs each",
            self.connections,
            self.opening_s,
            self.seconds,
            self.lost_connections,
            self.pings,
            self.client_cpu_us,
        );
        if let Some(server) = &self.server {
            text += &format!(
                "\n  server memory {} kB before, {} kB after: {} bytes each; server CPU {} µs each while idle",
                server.server_rss_before_kb,
                server.server_rss_after_kb,
                server.bytes_per_connection,
                server.server_cpu_us,
            );
        }
        text
    }
}

/// A share in tenths.
fn per(connections: usize, amount: f64) -> f64 {
    (amount / connections as f64 * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_per_connection() {
        let opening =
            Usage { cpu: Duration::ZERO, rss_before_kb: 1_000, rss_after_kb: 1_400, rss_peak_kb: 2_000 };
        let waiting = Usage { cpu: Duration::from_micros(500), rss_before_kb: 1_500, ..opening };
        let report = Report {
            connections: 100,
            lost_connections: 0,
            seconds: 61.0,
            opening_s: 0.5,
            pings: 100,
            client_cpu_us: 1.0,
            server: Some(Server::new(100, &opening, &waiting)),
        };
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(json["bytes_per_connection"], 4_096.0);
        assert_eq!(json["server_cpu_us"], 5.0);
        assert!(report.text("over TCP").contains("100 idle connections over TCP"));
    }
}
