//! What a run measured, as a line to read or as JSON.

use serde::Serialize;

use crate::calls::Tally;
use crate::failure::{Failure, Result};
use crate::process::{Meter, Usage};

/// The figures of one run. Latencies and rate are those of the successful calls.
#[derive(Debug, Serialize)]
pub struct Report {
    calls_per_s: f64,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    p999_us: Option<f64>,
    errors: u64,
    calls: u64,
    seconds: f64,
    reply_bytes: u64,
    mb_per_s: f64,
    lost_connections: u64,
    /// Processor time per call, user and system, this process's.
    client_cpu_us: Option<f64>,
    /// The same of the process named by `--server-pid`.
    #[serde(flatten)]
    server: Option<Server>,
}

#[derive(Debug, Serialize)]
struct Server {
    server_cpu_us: Option<f64>,
    server_rss_before_kb: u64,
    server_rss_after_kb: u64,
    server_rss_peak_kb: u64,
}

impl Report {
    /// Works the figures out.
    pub fn new(tally: &Tally, client: Usage, server: Option<Usage>) -> Self {
        let calls = tally.latencies.total();
        let seconds = tally.elapsed.as_secs_f64();
        let answered = calls + tally.errors;
        let cpu_us =
            |usage: &Usage| (answered > 0).then(|| tenths(usage.cpu.as_secs_f64() * 1e6 / answered as f64));
        let per_s = |amount: f64| if seconds > 0.0 { tenths(amount / seconds) } else { 0.0 };
        let quantile = |share| tally.latencies.quantile_us(share).map(tenths);
        Self {
            calls_per_s: per_s(calls as f64),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            errors: tally.errors,
            calls,
            seconds: (seconds * 1e3).round() / 1e3,
            reply_bytes: tally.reply_bytes,
            mb_per_s: per_s(tally.reply_bytes as f64 / 1e6),
            lost_connections: tally.lost_connections,
            client_cpu_us: cpu_us(&client),
            server: server.map(|usage| Server {
                server_cpu_us: cpu_us(&usage),
                server_rss_before_kb: usage.rss_before_kb,
                server_rss_after_kb: usage.rss_after_kb,
                server_rss_peak_kb: usage.rss_peak_kb,
            }),
        }
    }

    /// One line of JSON.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|why| Failure::refused(why.to_string()))
    }

    /// A few lines to read.
    pub fn text(&self, what: &str, shape: &str) -> String {
        let us = |value: Option<f64>| value.map_or("-".to_owned(), |us| format!("{us} µs"));
        let mut text = format!(
            "{what}: {} calls/s, p50 {}, p99 {}, p99.9 {}, errors {}\n  {} calls in {} s on \
             {shape}; replies {:.1} MB, {} MB/s; client CPU {} a call",
            self.calls_per_s,
            us(self.p50_us),
            us(self.p99_us),
            us(self.p999_us),
            self.errors,
            self.calls,
            self.seconds,
            self.reply_bytes as f64 / 1e6,
            self.mb_per_s,
            us(self.client_cpu_us),
        );
        if let Some(server) = &self.server {
            text += &format!(
                "\n  server CPU {} a call; memory {} kB before, {} kB at its peak (+{} kB)",
                us(server.server_cpu_us),
                server.server_rss_before_kb,
                server.server_rss_peak_kb,
                server.server_rss_peak_kb.saturating_sub(server.server_rss_before_kb),
            );
        }
        text
    }
}

/// Meters of both sides of a run, started when all connections are open.
pub struct Meters {
    client: Meter,
    server: Option<Meter>,
}

impl Meters {
    /// Begins to measure this process, and the server's if its id is known.
    pub fn start(server_pid: Option<u32>) -> Result<Self> {
        Ok(Self { server: server_pid.map(Meter::of_server).transpose()?, client: Meter::of_client()? })
    }

    /// What was used since, and the report on it.
    pub fn report(self, tally: &Tally) -> Result<Report> {
        let client = self.client.stop()?;
        let server = self.server.map(Meter::stop).transpose()?;
        Ok(Report::new(tally, client, server))
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn usage(cpu_ms: u64) -> Usage {
        Usage { cpu: Duration::from_millis(cpu_ms), rss_before_kb: 10, rss_after_kb: 11, rss_peak_kb: 12 }
    }

    #[test]
    fn a_report_has_the_fields_scripts_read() {
        let mut tally =
            Tally { errors: 1, reply_bytes: 3_000_000, elapsed: Duration::from_secs(2), ..Tally::default() };
        for _ in 0..3 {
            tally.latencies.record(Duration::from_micros(100));
        }
        let report = Report::new(&tally, usage(4), Some(usage(8)));
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(json["calls_per_s"], 1.5);
        assert_eq!(json["mb_per_s"], 1.5);
        assert!((99.0..101.0).contains(&json["p999_us"].as_f64().unwrap()));
        assert_eq!(json["errors"], 1);
        assert_eq!(json["client_cpu_us"], 1_000.0);
        assert_eq!(json["server_cpu_us"], 2_000.0);
        assert_eq!(json["server_rss_before_kb"], 10);
        assert_eq!(json["server_rss_after_kb"], 11);
        assert_eq!(json["server_rss_peak_kb"], 12);
    }

    #[test]
    fn a_run_without_answers_has_no_latencies() {
        let report = Report::new(&Tally::default(), usage(0), None);
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(json["calls_per_s"], 0.0);
        assert!(json["p50_us"].is_null() && json.get("server_rss_peak_kb").is_none());
    }
}
