//! What is counted, for Prometheus: how much, how fast, and how often not. Never who, by which rune, or under
//! a name that a peer chose: every label has a handful of values, known from the start.
//!
//! # Layout
//! - here: what is counted. One for the process, as the log is.
//! - `server`: the operator's address, where it is told.

mod server;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::Limits;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

pub(crate) use server::{bind, serve};

/// What this process has counted.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// Upper bounds of the buckets that durations are counted in, in seconds.
const SECONDS: [f64; 15] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What becomes of a connection that is to be opened.
const HANDSHAKES: [&str; 4] = ["done", "not done", "timed out", "over a limit"];

/// What a command risks, as the gate has it; the last: it is not known, or there is none.
const CLASSES: [&str; 8] = ["read", "private", "receive", "erase", "secret", "spend", "admin", "unknown"];

/// What becomes of a call.
const OUTCOMES: [&str; 5] = ["done", "error", "not sent", "unknown", "refused"];

/// Why a request is refused, in the gate's words.
const REASONS: [&str; 13] = [
    "malformed",
    "too large",
    "no unique id",
    "version",
    "not derived",
    "unknown rune",
    "revoked",
    "not permitted",
    "used up",
    "busy",
    "no secret",
    "not recorded",
    "other",
];

/// What may be over a limit beside the rows of the table of limits; those of a rune count as the field they stand in.
const LIMITS: [&str; 4] = ["reply_memory", "quota", "rows", "other"];

/// Handles are resolved once: to count is an atomic addition.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Open now, their handshake done.
    pub(crate) connections: Gauge,
    pub(crate) handshakes: Named,
    /// Bytes of BOLT 8, as they are on the wire inside of WebSocket and TLS.
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    /// Under way now.
    pub(crate) calls_under_way: Gauge,
    pub(crate) refusals: Named,
    pub(crate) limits: Named,
    /// 1 while the node answers, else 0.
    pub(crate) node_up: Gauge,
    pub(crate) node_lost: Counter,
    /// From a command sent to the node to the end of its reply, but for commands that wait.
    pub(crate) node_call: Histogram,
    calls: [OfClass; 8],
    memory: Gauge,
    files: Gauge,
}

/// The calls of one class.
#[derive(Debug)]
struct OfClass {
    outcomes: Named,
    took: Histogram,
}

/// Counters that are alike but for one label.
#[derive(Debug)]
pub(crate) struct Named {
    names: Vec<&'static str>,
    counters: Vec<Counter>,
}

/// Counts one more as open, or under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(&'static Gauge);

impl Metrics {
    fn new() -> Self {
        let mut all = Registry::with_prefix("runeward");
        let registry = &mut all;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", version);
        let started =
            one::<Gauge>(registry, "start_time_seconds", "When it was started, in seconds since 1970");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        started.set(now.try_into().unwrap_or(i64::MAX));

        let connections = one(registry, "connections", "Connections open now");
        let help = "Connections taken in, by what came of it";
        let handshakes = named(registry, "handshakes", help, "result", HANDSHAKES);
        let help = "Bytes of the Lightning transport";
        let bytes: Family<Labels<1>, Counter> = one(registry, "bytes", help);
        let [received, sent] =
            ["received", "sent"].map(|direction| bytes.get_or_create(&[("direction", direction)]).clone());
        let calls_under_way = one(registry, "calls_under_way", "Calls that are not answered yet");
        let calls = calls(registry);
        let refusals = named(registry, "refusals", "Requests refused, by the reason", "reason", REASONS);
        let limits = Limits::NAMES.iter().copied().chain(LIMITS);
        let limits = named(registry, "limits_hit", "Times that something was over a limit", "limit", limits);

        let node_up = one(registry, "node_up", "1 while the node answers, else 0");
        let node_lost = one(registry, "node_lost", "Times that the node ceased to answer");
        let node_call = Histogram::new(SECONDS);
        let help = "From a command sent to the node to the end of its reply, but for commands that wait";
        registry.register("node_call_seconds", help, node_call.clone());

        let memory = one(registry, "resident_memory_bytes", "Memory in use");
        let files = one(registry, "open_files", "Files and sockets open now");
        Self {
            connections,
            handshakes,
            received,
            sent,
            calls_under_way,
            refusals,
            limits,
            node_up,
            node_lost,
            node_call,
            calls,
            memory,
            files,
            registry: all,
        }
    }

    /// Counts a call that ended. `class`, `outcome`: in the gate's words. `took`: `None` where it waited for
    /// something to happen.
    pub(crate) fn call(&self, class: &str, outcome: &str, took: Option<Duration>) {
        let index = CLASSES.iter().position(|known| *known == class).unwrap_or(CLASSES.len() - 1);
        self.calls[index].outcomes.count(outcome);
        if let Some(took) = took {
            self.calls[index].took.observe(took.as_secs_f64());
        }
    }

    /// Takes note of whether the node answers.
    pub(crate) fn node_is_up(&self, up: bool) {
        if self.node_up.set(i64::from(up)) == 1 && !up {
            self.node_lost.inc();
        }
    }

    /// All of it, in the text format of OpenMetrics 1.0.
    fn render(&self) -> String {
        if let Some((memory, files)) = process() {
            self.memory.set(memory);
            self.files.set(files);
        }
        let mut text = String::new();
        // To a string nothing fails to be written.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl Named {
    /// Counts under this name; under the last one where it is none of them.
    pub(crate) fn count(&self, name: &str) {
        let known = self.names.iter().position(|known| *known == name);
        let counter = known.map_or(self.counters.last(), |index| self.counters.get(index));
        counter.map(Counter::inc);
    }
}

impl Held {
    pub(crate) fn new(gauge: &'static Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

fn one<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn named(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    names: impl IntoIterator<Item = &'static str>,
) -> Named {
    let family: Family<Labels<1>, Counter> = one(registry, name, help);
    let names: Vec<_> = names.into_iter().collect();
    let counters = names.iter().map(|name| family.get_or_create(&[(label, *name)]).clone()).collect();
    Named { names, counters }
}

fn calls(registry: &mut Registry) -> [OfClass; CLASSES.len()] {
    let help = "Calls that ended, by what they risk and what became of them";
    let ended: Family<Labels<2>, Counter> = one(registry, "calls", help);
    let took = Family::<Labels<1>, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
    let help = "From a whole request to the end of its reply, but for commands that wait";
    registry.register("call_seconds", help, took.clone());
    CLASSES.map(|class| {
        let counters =
            OUTCOMES.map(|outcome| ended.get_or_create(&[("class", class), ("outcome", outcome)]).clone());
        let took = took.get_or_create(&[("class", class)]).clone();
        let outcomes = Named { names: OUTCOMES.to_vec(), counters: counters.to_vec() };
        OfClass { outcomes, took }
    })
}

/// Bytes of memory in use and files open, where the system tells (Linux).
fn process() -> Option<(i64, i64)> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = pages.split(' ').nth(1)?.parse().ok()?;
    let page = i64::try_from(rustix::param::page_size()).ok()?;
    let files = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // The directory itself is open while it is read.
    Some((pages * page, i64::try_from(files).ok()? - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_from_the_start_and_none_is_added() {
        let metrics = Metrics::new();
        let series = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
        };
        let before = series(&metrics.render());
        metrics.call("spend", "done", Some(Duration::from_millis(3)));
        metrics.call("a class nobody knows", "nor this", None);
        metrics.limits.count("quota");
        metrics.refusals.count("what a stranger says");
        let text = metrics.render();
        assert_eq!(series(&text), before);
        for line in [
            "runeward_calls_total{class=\"spend\",outcome=\"done\"} 1",
            "runeward_calls_total{class=\"unknown\",outcome=\"refused\"} 1",
            "runeward_call_seconds_bucket{le=\"0.0025\",class=\"spend\"} 0",
            "runeward_call_seconds_bucket{le=\"0.005\",class=\"spend\"} 1",
            "runeward_limits_hit_total{limit=\"quota\"} 1",
            "runeward_refusals_total{reason=\"other\"} 1",
        ] {
            assert!(text.lines().any(|told| told == line), "no `{line}` in:\n{text}");
        }
        assert!(before.len() < 300, "{}", before.len());
    }

    #[test]
    fn what_is_held_is_let_go() {
        let held = Held::new(&METRICS.calls_under_way);
        assert!(METRICS.calls_under_way.get() >= 1);
        drop(held);
    }
}
