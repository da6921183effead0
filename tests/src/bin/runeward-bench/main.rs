//! The load generator: what stands before a node, measured against the node itself.
//!
//! # Layout
//! - `node`: a responder that stands where lightningd would, on a UNIX socket.
//! - `direct`, `load`: the same load on that socket and on a commando server; each is a transport
//!   for `calls`, which makes the calls and times them.
//! - `runes`: what checking a rune costs, in process.
//! - `uri`, `websocket`: where a commando server is and how its port is spoken to.
//! - `json`, `histogram`, `process`, `report`: what a reply is, how long it took, what it cost, and
//!   how that is shown.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod calls;
mod direct;
mod failure;
mod histogram;
mod json;
mod load;
mod node;
mod process;
mod report;
mod runes;
mod uri;
mod websocket;

#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::calls::{Plan, Replies, Requests};
use crate::failure::{Failure, Result};
use crate::report::Meters;
use crate::uri::Target;

/// Measures a Lightning node's command path: how many calls a second, how late, at what cost
///
/// The load is a closed loop: each connection keeps --in-flight calls under way and makes the next
/// one when an answer is complete. Compare `direct`, the node alone, with `load`, the same node
/// behind a gateway or behind its own commando.
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
    /// lightningd does. `getinfo` gets a node's answer; every other method a result of --reply-bytes
    /// bytes, made while it is sent. Runs until it is killed.
    Node {
        /// Where to listen; a stale socket is replaced
        socket: PathBuf,
        /// Processor time each call costs the one thread, in microseconds; lightningd's getinfo costs 35
        #[arg(long, value_name = "N", default_value_t = 0)]
        cost_us: u64,
        /// Length of the result of any method but getinfo, in bytes
        #[arg(long, value_name = "N", default_value_t = 200,
              value_parser = clap::value_parser!(u64).range(node::MIN_RESULT..))]
        reply_bytes: u64,
    },
    /// Puts the load straight on a node's UNIX socket
    ///
    /// The figure that everything between a client and the node is measured against. With more
    /// than one call in flight, requests are written ahead; a node answers them in order.
    Direct {
        /// The node's RPC socket, such as ~/.lightning/bitcoin/lightning-rpc
        socket: PathBuf,
        #[command(flatten)]
        load: Load,
    },
    /// Puts the load on a commando server: Runeward, or a lightningd's own
    ///
    /// Every connection is a peer of its own, with a key made for the run.
    Load {
        /// commando+ws://HOST:PORT?pubkey=NODEID, commando+tcp://HOST:PORT?pubkey=NODEID, NODEID@HOST:PORT
        /// or lnlink:NODEID@HOST:PORT?token=RUNE
        uri: String,
        /// The rune that allows the calls, `-` to read it from stdin; a rune in the URI serves as well
        // One rune in 64 starts with a hyphen.
        #[arg(long, env = "RUNEWARD_RUNE", hide_env_values = true, allow_hyphen_values = true)]
        rune: Option<String>,
        #[command(flatten)]
        load: Load,
    },
    /// Times the check of runes of several sizes, the worst that are taken among them
    Runes,
}

#[derive(Args)]
#[group(id = "load_options")]
struct Load {
    /// Connections kept open
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    connections: usize,
    /// Calls in flight on each connection
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    in_flight: usize,
    /// For how long calls are begun; those under way are then waited for
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// Stop after so many calls in all, even if time is left
    #[arg(long, value_name = "N")]
    calls: Option<u64>,
    /// The command to call
    #[arg(long, value_name = "NAME", default_value = "getinfo")]
    method: String,
    /// Its parameters: a JSON object or array
    #[arg(long, value_name = "JSON", default_value = "[]", value_parser = params)]
    params: String,
    /// Give a connection up when calls wait on it and nothing arrives for so long
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    timeout: Duration,
    /// Threads to make the calls with; one has room for all that one node can answer
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    threads: usize,
    /// Also observe this process on this machine: its processor time a call and its memory's peak
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Print one line of JSON; times in microseconds, null where no call succeeded
    ///
    /// {"calls_per_s","p50_us","p99_us","p999_us","errors","calls","seconds","reply_bytes",
    /// "lost_connections","client_cpu_us"}, and with --server-pid "server_cpu_us",
    /// "server_rss_before_kb", "server_rss_peak_kb". Rate and times are those of the calls that succeeded.
    #[arg(long)]
    json: bool,
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
            load.measure("direct", || direct::open(&socket, &request))
        }
        Command::Runes => runes::run(),
        Command::Load { uri, rune, load } => {
            let target: Target = uri.parse()?;
            let rune = rune_of(rune, &target)?;
            let request = load::Request::new(&load.method, &load.params, &rune);
            let over = if target.websocket { "commando over WebSocket" } else { "commando over TCP" };
            load.measure(over, || load::open(&target, &request))
        }
    }
}

/// The rune given on the command line or, failing that, in the URI.
fn rune_of(given: Option<String>, target: &Target) -> Result<String> {
    match given {
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

impl Load {
    /// Makes the calls and prints what was measured.
    fn measure<R, W, F>(&self, over: &str, open: impl Fn() -> F + Sync) -> Result<()>
    where
        R: Replies,
        W: Requests,
        F: Future<Output = Result<(R, W)>>,
    {
        let plan = Plan {
            connections: self.connections,
            in_flight: self.in_flight,
            duration: self.seconds,
            calls: self.calls,
            patience: self.timeout,
            threads: self.threads,
        };
        let (tally, meters) = calls::run(&plan, open, || Meters::start(self.server_pid))?;
        let report = meters.report(&tally)?;
        if self.json {
            println!("{}", report.json()?);
        } else {
            println!("{}", report.text(&format!("{} {over}", self.method), &plan));
        }

        if let Some(why) = &tally.first_loss {
            eprintln!("{} connection(s) lost; the first: {why}", tally.lost_connections);
        }
        if let Some(reply) = &tally.first_error {
            eprintln!("{} call(s) failed; the first error reply: {reply}", tally.errors);
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

fn params(text: &str) -> std::result::Result<String, String> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Array(_) | serde_json::Value::Object(_)) => Ok(text.to_owned()),
        Ok(_) => Err("expected a JSON object or array".to_owned()),
        Err(why) => Err(format!("not JSON: {why}")),
    }
}
