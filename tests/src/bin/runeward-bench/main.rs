//! The load generator: what stands before a node, measured against the node itself.
//!
//! # Layout
//! - `node`: a responder that stands where lightningd would, on a UNIX socket.
//! - `direct`, `load`: the same load on that socket and on a commando server; each is a transport
//!   for `calls`, which makes the calls and times them; `slots` are those of one connection.
//! - `handshakes`, `idle`: connections that make no calls.
//! - `floors`: what the gateway computes, beside what it has to compute, in process.
//! - `uri`, `websocket`: where a commando server is and how its port is spoken to.
//! - `json`, `histogram`, `process`, `report`: what a reply is, how long it took, what it cost, and
//!   how that is shown.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod calls;
mod direct;
mod failure;
mod floors;
mod handshakes;
mod histogram;
mod idle;
mod json;
mod load;
mod node;
mod process;
mod report;
mod slots;
mod uri;
mod websocket;

#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::calls::{Plan, Replies, Requests, Tally};
use crate::failure::{Failure, Result};
use crate::report::Meters;
use crate::uri::Target;

/// Measures a Lightning node's command path: how many calls a second, how late, at what cost
///
/// The load is a closed loop: each connection keeps --in-flight calls under way and makes the next
/// one when an answer is complete; with --rate it makes its calls at a steady pace instead. Compare
/// `direct`, the node alone, with `load`, the same node behind a gateway or behind its own commando.
#[derive(Parser)]
#[command(name = "runeward-bench", version, after_long_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLE: &str = "\
Example, a gateway beside the node it stands before:
  runeward-bench node /tmp/node.sock --cost-us 35 &
  runeward serve --node cln:/tmp/node.sock --state-dir /tmp/state --listen 127.0.0.1:9736 &
  runeward-bench direct /tmp/node.sock --connections 16
  runeward-bench load 'commando+ws://127.0.0.1:9736?pubkey=02…' --rune \"$RUNE\" --connections 16

Exit status: 0 measured, 1 no call succeeded, 2 usage, 3 could not connect.";

#[derive(Subcommand)]
enum Command {
    /// Answers on a UNIX socket in place of lightningd
    ///
    /// One thread answers everything, and one connection has one call answered at a time, as
    /// lightningd does. `getinfo` gets a node's answer, `reply-N` a result of N bytes, and every other
    /// method one of --reply-bytes, made while it is sent. Runs until it is killed.
    Node {
        /// Where to listen; a stale socket is replaced
        socket: PathBuf,
        /// Processor time each call costs the one thread, in microseconds; lightningd's getinfo costs 35
        #[arg(long, value_name = "N", default_value_t = 0)]
        cost_us: u64,
        /// Length of the result of any other method, in bytes
        #[arg(long, value_name = "N", default_value_t = 200,
              value_parser = clap::value_parser!(u64).range(node::MIN_RESULT..))]
        reply_bytes: u64,
    },
    /// Puts the load straight on a node's UNIX socket
    ///
    /// The figure that everything between a client and the node is measured against. With more
    /// than one call in flight, requests are written ahead; a node answers them in order.
    #[command(after_long_help = CALLS_JSON)]
    Direct {
        /// The node's RPC socket, such as ~/.lightning/bitcoin/lightning-rpc
        socket: PathBuf,
        #[command(flatten)]
        load: Load,
    },
    /// Puts the load on a commando server: Runeward, or a lightningd's own
    ///
    /// Every connection is a peer of its own, with a key made for the run.
    #[command(after_long_help = CALLS_JSON)]
    Load {
        /// commando+ws://HOST:PORT?pubkey=NODEID, commando+tcp://HOST:PORT?pubkey=NODEID, NODEID@HOST:PORT
        /// or lnlink:NODEID@HOST:PORT?token=RUNE
        uri: String,
        #[command(flatten)]
        rune: RuneOption,
        #[command(flatten)]
        load: Load,
    },
    /// Fetches long replies from a commando server
    ///
    /// Calls `reply-N`, which runeward-bench's own node answers with N bytes. Of another node's long
    /// replies, `load --method listchannels` tells the same.
    #[command(after_long_help = CALLS_JSON)]
    Stream {
        /// As for `load`
        uri: String,
        #[command(flatten)]
        rune: RuneOption,
        /// Length of each result, in bytes
        #[arg(long, value_name = "N", default_value_t = 100_000_000,
              value_parser = clap::value_parser!(u64).range(node::MIN_RESULT..))]
        bytes: u64,
        #[command(flatten)]
        calls: Calls,
    },
    /// Opens and closes connections to a commando server
    ///
    /// Each is by a new peer: connect, shake hands, exchange inits, close. The report counts each as a
    /// call; --connections says how many are being opened at a time.
    #[command(after_long_help = CALLS_JSON)]
    Handshakes {
        /// As for `load`
        uri: String,
        #[command(flatten)]
        common: Common,
    },
    /// Keeps connections to a commando server open and makes no call
    ///
    /// Tells the server's memory per connection (with --server-pid). To see what keeps connections
    /// alive, stay longer than the server's interval: 60 s for Runeward.
    #[command(after_long_help = IDLE_JSON)]
    Idle {
        /// As for `load`
        uri: String,
        #[command(flatten)]
        common: Common,
    },
    /// Times what the gateway computes beside the least that it could
    ///
    /// Handshakes, messages, runes of several sizes, requests and replies, each in turn with its floor:
    /// the same libraries doing only what cannot be left out. Needs no server.
    Floors {
        /// What to time, such as `handshake`; everything by default
        names: Vec<String>,
        /// Turns of each, of which the median is told
        #[arg(long, value_name = "N", default_value_t = 201, value_parser = positive)]
        turns: usize,
        /// Print one line of JSON: an array of {"name","what","floor_is","us","floor_us","ratio",
        /// "ratio_low","ratio_high"}
        #[arg(long)]
        json: bool,
    },
}

const CALLS_JSON: &str = "\
With --json: {\"calls_per_s\",\"p50_us\",\"p99_us\",\"p999_us\",\"errors\",\"calls\",\"seconds\",\"reply_bytes\",
\"mb_per_s\",\"lost_connections\",\"client_cpu_us\"}, and with --server-pid \"server_cpu_us\",
\"server_rss_before_kb\", \"server_rss_after_kb\", \"server_rss_peak_kb\". Rates and times are those of the
calls that succeeded, null where none did; times are in microseconds, processor time is per call.";

const IDLE_JSON: &str = "\
With --json: {\"connections\",\"lost_connections\",\"seconds\",\"opening_s\",\"pings\",\"client_cpu_us\"}, and
with --server-pid \"server_cpu_us\", \"server_rss_before_kb\", \"server_rss_after_kb\",
\"bytes_per_connection\". Processor times are per connection while all are open, in microseconds.";

#[derive(Args)]
struct RuneOption {
    /// The rune that allows the calls, `-` to read it from stdin; a rune in the URI serves as well
    // One rune in 64 starts with a hyphen.
    #[arg(long, env = "RUNEWARD_RUNE", hide_env_values = true, allow_hyphen_values = true)]
    rune: Option<String>,
}

/// Options of every run.
#[derive(Args)]
struct Common {
    /// Connections kept open
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    connections: usize,
    /// How long the run lasts; calls under way at its end are waited for
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// Also observe this process on this machine: its processor time a call and its memory
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Print one line of JSON, whose keys --help names
    #[arg(long)]
    json: bool,
}

/// Options of a run that makes calls.
#[derive(Args)]
struct Calls {
    #[command(flatten)]
    common: Common,
    /// Calls in flight on each connection
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    in_flight: usize,
    /// Stop after so many calls in all, even if time is left
    #[arg(long, value_name = "N")]
    calls: Option<u64>,
    /// Calls a second that each connection makes, with at most --in-flight of them waiting for their
    /// answers; without it as many as are answered
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// Give a connection up when calls wait on it and nothing arrives for so long
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    timeout: Duration,
    /// Threads to make the calls with; one has room for all that one node can answer
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    threads: usize,
}

/// Options of a run whose calls can be chosen.
#[derive(Args)]
#[group(id = "load_options")]
struct Load {
    #[command(flatten)]
    calls: Calls,
    /// The command to call
    #[arg(long, value_name = "NAME", default_value = "getinfo")]
    method: String,
    /// Its parameters: a JSON object or array
    #[arg(long, value_name = "JSON", default_value = "[]", value_parser = params)]
    params: String,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("runeward-bench: {why}");
            why.status()
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Node { socket, cost_us, reply_bytes } => {
            node::run(&socket, Duration::from_micros(cost_us), reply_bytes)
        }
        Command::Direct { socket, load } => {
            let request = direct::Request::new(&load.method, &load.params);
            load.calls.measure(&format!("{} direct", load.method), || direct::open(&socket, &request))
        }
        Command::Load { uri, rune, load } => {
            let target: Target = uri.parse()?;
            let request = load::Request::new(&load.method, &load.params, &rune.of(&target)?);
            load.calls
                .measure(&format!("{} {}", load.method, target.over()), || load::open(&target, &request))
        }
        Command::Stream { uri, rune, bytes, calls } => {
            let target: Target = uri.parse()?;
            let method = format!("{}{bytes}", node::REPLY_METHOD);
            let request = load::Request::new(&method, "[]", &rune.of(&target)?);
            calls.measure(&format!("{bytes} bytes {}", target.over()), || load::open(&target, &request))
        }
        Command::Handshakes { uri, common } => common.measure_handshakes(&uri.parse()?),
        Command::Idle { uri, common } => common.measure_idle(&uri.parse()?),
        Command::Floors { names, turns, json } => {
            let rows = floors::run(&names, turns)?;
            println!("{}", if json { floors::json(&rows)? } else { floors::text(&rows) });
            Ok(())
        }
    }
}

impl RuneOption {
    /// The rune given on the command line or, failing that, in the URI.
    fn of(self, target: &Target) -> Result<String> {
        match self.rune {
            Some(dash) if dash == "-" => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                Ok(text.trim().to_owned())
            }
            Some(rune) => Ok(rune),
            None => target.rune.clone().ok_or_else(|| {
                Failure::usage("no rune: give --rune RUNE, set RUNEWARD_RUNE, or use a URI that carries one")
            }),
        }
    }
}

impl Calls {
    /// Makes the calls and prints what was measured.
    fn measure<R, W, F>(&self, what: &str, open: impl Fn() -> F + Sync) -> Result<()>
    where
        R: Replies,
        W: Requests,
        F: Future<Output = Result<(R, W)>>,
    {
        let common = &self.common;
        process::allow_connections(common.connections)?;
        let plan = Plan {
            connections: common.connections,
            in_flight: self.in_flight,
            duration: common.seconds,
            calls: self.calls,
            rate: self.rate,
            patience: self.timeout,
            threads: self.threads,
        };
        let (tally, meters) = calls::run(&plan, open, || Meters::start(common.server_pid))?;
        let shape = format!("{} connection(s) with {} in flight", plan.connections, plan.in_flight);
        common.print(what, &shape, &tally, meters)
    }
}

impl Common {
    /// Opens and closes connections and prints what was measured.
    fn measure_handshakes(&self, target: &Target) -> Result<()> {
        process::allow_connections(self.connections)?;
        let (tally, meters) =
            handshakes::run(target, self.connections, self.seconds, || Meters::start(self.server_pid))?;
        let shape = format!("{} connection(s) at a time", self.connections);
        self.print(&format!("handshakes {}", target.over()), &shape, &tally, meters)
    }

    /// Keeps connections open and prints what was measured.
    fn measure_idle(&self, target: &Target) -> Result<()> {
        process::allow_connections(self.connections)?;
        let report = idle::run(target, self.connections, self.seconds, self.server_pid)?;
        println!("{}", if self.json { report.json()? } else { report.text(target.over()) });
        Ok(())
    }

    fn print(&self, what: &str, shape: &str, tally: &Tally, meters: Meters) -> Result<()> {
        let report = meters.report(tally)?;
        println!("{}", if self.json { report.json()? } else { report.text(what, shape) });
        if let Some(why) = &tally.first_loss {
            eprintln!("{} connection(s) lost; the first: {why}", tally.lost_connections);
        }
        if let Some(reply) = &tally.first_error {
            eprintln!("{} call(s) failed; the first error: {reply}", tally.errors);
        }
        if tally.latencies.total() == 0 {
            return Err(Failure::refused("no call succeeded"));
        }
        Ok(())
    }
}

fn positive(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1_000_000) => Ok(number),
        _ => Err("expected a number from 1 to 1000000".to_owned()),
    }
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let number = text.parse().ok().filter(|seconds| (0.001..=86_400.0).contains(seconds));
    number.map(Duration::from_secs_f64).ok_or_else(|| "expected seconds from 0.001 to 86400".to_owned())
}

fn rate(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|rate| (0.001..=1_000_000.0).contains(rate));
    number.ok_or_else(|| "expected calls a second from 0.001 to 1000000".to_owned())
}

fn params(text: &str) -> std::result::Result<String, String> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Array(_) | serde_json::Value::Object(_)) => Ok(text.to_owned()),
        Ok(_) => Err("expected a JSON object or array".to_owned()),
        Err(why) => Err(format!("not JSON: {why}")),
    }
}
