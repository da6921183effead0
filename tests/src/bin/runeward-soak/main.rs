//! The long run: floods of strangers, very many calls, hours of both, while every honest call is counted.
//!
//! `make soak` runs it at full length; `ARGS='--scale 0.05 --minutes 2'` shortens it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use clap::Parser;
use runeward_tests::hostile::honest::{Honest, Ledger, Tally, Work};
use runeward_tests::hostile::{Acts, Attack, Http, Parts, Row, Target, Tcp, WebSocket, flood};
use runeward_tests::{FakeNode, Gateway, Setup};

/// How long honest clients work alone, to be compared with.
const QUIET: Duration = Duration::from_secs(3);

/// Strangers of one kind at once under mixed load.
const AT_ONCE: usize = 20;

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
    /// What part of the counts is made: of 1,000,000 handshakes, 10,000 strangers, 100,000 calls.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,

    /// Minutes of mixed load.
    #[arg(long, default_value_t = 120.0)]
    minutes: f64,
}

impl Args {
    fn of(&self, count: usize) -> usize {
        (count as f64 * self.scale).ceil() as usize
    }
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    println!("{}", Row::HEAD);
    handshakes(&args).await;
    dripping(&args).await;
    long_calls(&args).await;
    mixed(&args).await;
}

/// A gateway with limits that let the flood in, as it is the work behind them that is tested.
struct Ground {
    _node: FakeNode,
    ledger: Ledger,
    gateway: Gateway,
    rune: String,
    target: Target,
}

impl Ground {
    async fn new() -> Self {
        let node = FakeNode::start().await;
        let ledger = Ledger::of(&node);
        let setup = Setup::fake(&node).arg("--tls").arg("self-signed").config(
            "[limits]\nconnections = 12000\nconnections_per_address = 12000\nhandshakes_per_second = 100000\n\
             handshakes_per_second_per_address = 100000\nrequest_memory_per_address = 33554432\n",
        );
        let (gateway, rune) = Gateway::with_rune(setup).await;
        let target = Target::new(&gateway).await;
        Self { _node: node, ledger, gateway, rune, target }
    }

    async fn begin(&self) -> Honest {
        Honest::begin(&self.gateway, &self.rune, &self.ledger, &Work::ALL).await
    }

    /// The time that 99 of 100 calls do not exceed while nobody attacks.
    async fn quiet(&self) -> Duration {
        let honest = self.begin().await;
        tokio::time::sleep(QUIET).await;
        let tally = honest.done().await;
        tally.assert_whole();
        tally.p99()
    }

    fn report(&self, name: &str, count: usize, tally: Tally, quiet: Duration) {
        let row = Row::new(name.to_owned(), count, tally, self.gateway.peak_memory(), quiet);
        println!("{row}");
        row.tally.assert_whole();
    }
}

async fn handshakes(args: &Args) {
    let ground = Ground::new().await;
    let quiet = ground.quiet().await;
    let each = args.of(1_000_000).div_ceil(BAD_HANDSHAKES.len());
    let honest = ground.begin().await;
    for attack in BAD_HANDSHAKES {
        flood(&ground.target, Attack::Acts(attack), each, 64).await;
    }
    let tally = honest.done().await;
    ground.report("bad handshakes", each * BAD_HANDSHAKES.len(), tally, quiet);
}

async fn dripping(args: &Args) {
    let ground = Ground::new().await;
    let quiet = ground.quiet().await;
    let count = args.of(2_500);
    let drips = [Attack::Tcp(Tcp::Drip), Attack::Http(Http::SlowHead), Attack::WebSocket(WebSocket::Drip)];
    let honest = ground.begin().await;
    tokio::join!(
        flood(&ground.target, drips[0], count, count),
        flood(&ground.target, drips[1], count, count),
        flood(&ground.target, drips[2], count, count),
        flood(&ground.target, Attack::Parts(Parts::Drip), count, count),
    );
    let tally = honest.done().await;
    ground.report("dripping strangers", 4 * count, tally, quiet);
}

async fn long_calls(args: &Args) {
    const PEERS: usize = 1000;
    let ground = Ground::new().await;
    let quiet = ground.quiet().await;
    let each = args.of(100_000).div_ceil(PEERS);
    let tally = Honest::make(&ground.gateway, &ground.rune, &ground.ledger, &[Work::Long; PEERS], each).await;
    ground.report("calls of 200 kB by 1,000", each * PEERS, tally, quiet);
}

/// Every attack there is, over and over, beside honest clients of every kind. What the first rounds took is taken again by
/// the later ones; more would be a leak.
async fn mixed(args: &Args) {
    let ground = Ground::new().await;
    let quiet = ground.quiet().await;
    let end = Instant::now() + Duration::from_secs_f64(60.0 * args.minutes);
    let honest = ground.begin().await;
    let (mut count, mut rounds) = (0, Vec::new());
    while Instant::now() < end {
        for attack in Attack::all() {
            flood(&ground.target, attack, AT_ONCE, AT_ONCE).await;
            count += AT_ONCE;
        }
        rounds.push(ground.gateway.memory());
    }
    let tally = honest.done().await;
    ground.report("everything", count, tally, quiet);
    let mib: Vec<u64> = rounds.iter().map(|bytes| bytes >> 20).collect();
    println!("MiB of memory after each round: {mib:?}");
    if let ([first, second, ..], Some(last)) = (rounds.as_slice(), rounds.last()) {
        assert!(*last <= first.max(second) * 5 / 4 + (16 << 20), "memory creeps");
    }
}
