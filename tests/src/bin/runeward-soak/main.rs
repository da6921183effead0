//! The long run: floods of strangers, very many calls, hours of both, while every honest call is counted.
//!
//! `make soak` runs all of it at full length; `ARGS='attacks --seconds 2'` one part, `ARGS='--scale 0.05 --minutes 2'` all of
//! them, shortened. What a busy disk adds to every honest call is left out where TMPDIR lies in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use runeward_tests::hostile::honest::{Honest, Ledger, Work};
use runeward_tests::hostile::{
    Acts, Attack, Http, Parts, Row, Stretch, Target, Tcp, WebSocket, aside, flood, flood_for, spin,
};
use runeward_tests::{FakeNode, Gateway, Setup};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How long honest clients work alone before and again after, to be compared with.
const QUIET: Duration = Duration::from_secs(2);

/// Strangers at once where each attack is mounted by itself.
const MANY: usize = 50;

/// Strangers of one kind at once under mixed load.
const FEW: usize = 20;

/// Most memory of the gateway under any attack, in bytes.
const MEMORY: u64 = 256 << 20;

/// Handshakes that fail, each in another way.
const BAD_HANDSHAKES: [Acts; 7] = [
    Acts::WrongVersion,
    Acts::NoPoint,
    Acts::BadTag,
    Acts::OtherNode,
    Acts::BadThree,
    Acts::WrongVersionThree,
    Acts::Replay,
];

/// Attacks the gateway at length while honest clients work beside, and prints what that cost them.
#[derive(Parser)]
struct Args {
    /// What is run; all of it, where nothing is named.
    parts: Vec<Part>,

    /// Only attacks whose names hold this, such as `Json::`; of the part that mounts each by itself.
    #[arg(long, default_value = "")]
    only: String,

    /// Seconds for which each attack is mounted.
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,

    /// What part of the counts is made: of 1,000,000 handshakes, 10,000 strangers, 100,000 calls.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,

    /// Minutes of mixed load.
    #[arg(long, default_value_t = 120.0)]
    minutes: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Each attack there is, by itself, under the default limits.
    Attacks,
    /// 1,000,000 handshakes that fail.
    Handshakes,
    /// 10,000 strangers that drip.
    Dripping,
    /// 100,000 calls of 200 kB over 1,000 connections.
    Calls,
    /// Every attack over and over, for hours.
    Mixed,
}

impl Args {
    fn of(&self, count: usize) -> usize {
        (count as f64 * self.scale).ceil() as usize
    }
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    open_as_many_files_as_allowed();
    println!("{}", Row::HEAD);
    let parts = if args.parts.is_empty() { Part::value_variants() } else { &args.parts };
    for part in parts {
        let begun = Instant::now();
        match part {
            Part::Attacks => attacks(&args).await,
            Part::Handshakes => handshakes(&args).await,
            Part::Dripping => dripping(&args).await,
            Part::Calls => calls(&args).await,
            Part::Mixed => mixed(&args).await,
        }
        println!("{:.0} s", begun.elapsed().as_secs_f64());
    }
}

/// Each stranger is a file.
fn open_as_many_files_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

struct Ground {
    _node: FakeNode,
    ledger: Ledger,
    gateway: Gateway,
    rune: String,
    target: Target,
}

impl Ground {
    /// A gateway as it is by default.
    async fn usual() -> Self {
        Self::with(|setup| setup).await
    }

    /// A gateway with limits that let the flood in, as it is the work behind them that is tested.
    async fn open() -> Self {
        Self::with(|setup| {
            setup.config(
                "[limits]\nconnections = 12000\nconnections_per_address = 12000\nhandshakes_per_second = 100000\n\
                 handshakes_per_second_per_address = 100000\nrequest_memory_per_address = 33554432\n",
            )
        })
        .await
    }

    async fn with(limits: impl FnOnce(Setup) -> Setup) -> Self {
        let node = FakeNode::start().await;
        let ledger = Ledger::of(&node);
        let (gateway, rune) =
            Gateway::with_rune(limits(Setup::fake(&node).arg("--tls").arg("self-signed"))).await;
        let target = Target::new(&gateway).await;
        Self { _node: node, ledger, gateway, rune, target }
    }

    async fn stretch<T>(&self, other: impl Future<Output = T>) -> (Stretch, T) {
        Stretch::beside(&self.gateway, &self.ledger, &self.rune, other).await
    }

    async fn quiet(&self) -> Stretch {
        let (quiet, ()) = self.stretch(tokio::time::sleep(QUIET)).await;
        quiet.tally.assert_whole();
        quiet
    }

    /// Lets honest clients work alone, beside an attack, and alone again. `attack` tells how often it was mounted.
    async fn withstand(&self, name: &str, attack: impl Future<Output = usize> + Send + 'static) {
        let before = self.quiet().await;
        let (attacked, count) = self.stretch(aside(attack)).await;
        let peak = self.gateway.peak_memory();
        let row = Row::new(name.to_owned(), count, attacked, before.and(self.quiet().await), peak);
        println!("{row}");
        row.attacked.tally.assert_whole();
        assert!(peak < MEMORY, "{peak} bytes at the peak");
    }
}

async fn attacks(args: &Args) {
    let time = Duration::from_secs_f64(args.seconds);
    let idle = async move {
        spin(time).await;
        0
    };
    // How much of what follows is due to how it is measured.
    Ground::usual().await.withstand("none: strangers' threads spin", idle).await;
    for attack in Attack::all() {
        let name = format!("{attack:?}");
        if !name.contains(&args.only) {
            continue;
        }
        let ground = Ground::usual().await;
        let target = ground.target.clone();
        let flood = async move { flood_for(&target, attack, time, MANY).await };
        ground.withstand(&name, flood).await;
    }
}

async fn handshakes(args: &Args) {
    let ground = Ground::open().await;
    let target = ground.target.clone();
    let each = args.of(1_000_000).div_ceil(BAD_HANDSHAKES.len());
    let floods = async move {
        for attack in BAD_HANDSHAKES {
            flood(&target, Attack::Acts(attack), each, 64).await;
        }
        each * BAD_HANDSHAKES.len()
    };
    ground.withstand("bad handshakes", floods).await;
}

async fn dripping(args: &Args) {
    let ground = Ground::open().await;
    let target = ground.target.clone();
    let count = args.of(2_500);
    let drips = async move {
        tokio::join!(
            flood(&target, Attack::Tcp(Tcp::Drip), count, count),
            flood(&target, Attack::Http(Http::SlowHead), count, count),
            flood(&target, Attack::WebSocket(WebSocket::Drip), count, count),
            flood(&target, Attack::Parts(Parts::Drip), count, count),
        );
        4 * count
    };
    ground.withstand("dripping strangers", drips).await;
}

async fn calls(args: &Args) {
    const PEERS: usize = 1000;
    let ground = Ground::open().await;
    let each = args.of(100_000).div_ceil(PEERS);
    let Ground { gateway, ledger, rune, .. } = &ground;
    let begun = Instant::now();
    let tally = Honest::make(gateway, rune, ledger, &[Work::Long; PEERS], each).await;
    let (time, peak) = (begun.elapsed().as_secs_f64(), gateway.peak_memory() >> 20);
    println!(
        "{} calls of 200 kB by {PEERS} in {time:.1} s: {} lost, {} doubled, {} swapped, {} told to wait; p99 {:?}; peak {peak} MiB",
        tally.calls,
        tally.lost,
        tally.doubled,
        tally.swapped,
        tally.told_to_wait,
        tally.p99(&Work::ALL),
    );
    tally.assert_whole();
}

/// Every attack there is, over and over, beside honest clients of every kind. What the first rounds took is taken again by
/// the later ones; more would be a leak.
async fn mixed(args: &Args) {
    let ground = Ground::open().await;
    let end = Instant::now() + Duration::from_secs_f64(60.0 * args.minutes);
    let before = ground.quiet().await;
    let rounds = async {
        let (mut count, mut rounds) = (0, Vec::new());
        while Instant::now() < end {
            for attack in Attack::all() {
                let target = ground.target.clone();
                aside(async move { flood(&target, attack, FEW, FEW).await }).await;
                count += FEW;
            }
            rounds.push(ground.gateway.memory());
        }
        (count, rounds)
    };
    let (attacked, (count, rounds)) = ground.stretch(rounds).await;
    let peak = ground.gateway.peak_memory();
    let row = Row::new("everything".to_owned(), count, attacked, before.and(ground.quiet().await), peak);
    println!("{row}");
    row.attacked.tally.assert_whole();
    let mib: Vec<u64> = rounds.iter().map(|bytes| bytes >> 20).collect();
    println!("MiB of memory after each round: {mib:?}");
    if let ([first, second, ..], Some(last)) = (rounds.as_slice(), rounds.last()) {
        assert!(*last <= first.max(second) * 5 / 4 + (16 << 20), "memory creeps");
    }
}
