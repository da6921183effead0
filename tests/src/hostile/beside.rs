use std::fmt;
use std::time::Duration;

use super::honest::{Honest, Ledger, Tally, Work};
use super::{Attack, Target, flood};
use crate::Gateway;

/// How many attack.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What they do.
    pub attack: Attack,
    /// How often, in all.
    pub count: usize,
    /// How many of them at once.
    pub at_once: usize,
    /// How long honest clients work alone first, to be compared with.
    pub quiet: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Row {
    name: String,
    count: usize,
    /// What became of the honest calls.
    pub tally: Tally,
    /// The gateway's peak memory, in bytes.
    pub peak: u64,
    quiet: Duration,
}

impl Row {
    /// The names of the columns.
    pub const HEAD: &str = "attack                         count  honest calls  lost  doubled  swapped  told to wait  \
                            peak MiB   p99 ms  quiet ms  slowdown";

    /// A line of the same columns.
    pub fn new(name: String, count: usize, tally: Tally, peak: u64, quiet: Duration) -> Self {
        Self { name, count, tally, peak, quiet }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, count, tally, peak, quiet } = self;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (p99, quiet) = (ms(tally.p99()), ms(*quiet));
        write!(
            f,
            "{name:28} {count:>7}  {:>12}  {:>4}  {:>7}  {:>7}  {:>12}  {:>8.1}  {p99:>7.1}  {quiet:>8.1}  {:>7.1}x",
            tally.calls,
            tally.lost,
            tally.doubled,
            tally.swapped,
            tally.told_to_wait,
            *peak as f64 / f64::from(1 << 20),
            p99 / quiet,
        )
    }
}

/// Lets honest clients work, alone first and then beside the attack, until it is over. Asserts that nothing of theirs
/// was lost, doubled or swapped.
pub async fn beside(gateway: &Gateway, ledger: &Ledger, rune: &str, plan: Plan) -> Row {
    let target = Target::new(gateway).await;
    let honest = Honest::begin(gateway, rune, ledger, &Work::ALL).await;
    tokio::time::sleep(plan.quiet).await;
    let quiet = honest.done().await;
    quiet.assert_whole();

    let honest = Honest::begin(gateway, rune, ledger, &Work::ALL).await;
    flood(&target, plan.attack, plan.count, plan.at_once).await;
    let tally = honest.done().await;
    let row = Row::new(format!("{:?}", plan.attack), plan.count, tally, gateway.peak_memory(), quiet.p99());
    println!("{}\n{row}", Row::HEAD);
    row.tally.assert_whole();
    row
}
