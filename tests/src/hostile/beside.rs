use std::fmt;
use std::time::{Duration, Instant};

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

/// What honest clients did for a while.
#[derive(Debug)]
pub struct Stretch {
    /// What became of their calls.
    pub tally: Tally,
    /// How long it was.
    time: Duration,
    /// What processor time the gateway took.
    cpu: Duration,
}

impl Stretch {
    /// Lets honest clients of every kind work, beside something else, until that is over.
    pub async fn beside<T>(
        gateway: &Gateway,
        ledger: &Ledger,
        rune: &str,
        other: impl Future<Output = T>,
    ) -> (Self, T) {
        let (begun, cpu) = (Instant::now(), gateway.cpu());
        let honest = Honest::begin(gateway, rune, ledger, &Work::ALL).await;
        let other = other.await;
        let tally = honest.done().await;
        (Self { tally, time: begun.elapsed(), cpu: gateway.cpu() - cpu }, other)
    }

    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.tally.add(other.tally);
        Self { time: self.time + other.time, cpu: self.cpu + other.cpu, ..self }
    }

    /// How much of one core the gateway kept busy, in hundredths.
    fn busy(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }
}

/// What came of an attack.
#[derive(Debug)]
pub struct Row {
    name: String,
    count: usize,
    /// What became of honest calls beside it.
    pub attacked: Stretch,
    quiet: Stretch,
    /// The gateway's peak memory, in bytes.
    pub peak: u64,
}

impl Row {
    /// The names of the columns. Times are p99 in ms, of all calls and of the short ones; how much of one core the gateway
    /// kept busy is told in hundredths; each beside what it is while nobody attacks.
    pub const HEAD: &str = "attack                         count  honest calls  lost  doubled  swapped  told to wait  peak MiB  \
                            busy quiet    p99  quiet         short  quiet";

    /// A line of the same columns.
    pub fn new(name: String, count: usize, attacked: Stretch, quiet: Stretch, peak: u64) -> Self {
        Self { name, count, attacked, quiet, peak }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, count, attacked, quiet, peak } = self;
        let tally = &attacked.tally;
        write!(
            f,
            "{name:28} {count:>7}  {:>12}  {:>4}  {:>7}  {:>7}  {:>12}  {:>8.1}  {:>4.0} {:>5.0}",
            tally.calls,
            tally.lost,
            tally.doubled,
            tally.swapped,
            tally.told_to_wait,
            *peak as f64 / f64::from(1 << 20),
            attacked.busy(),
            quiet.busy(),
        )?;
        for works in [&Work::ALL[..], &[Work::Short]] {
            let [p99, quiet] = [attacked, quiet].map(|stretch| stretch.tally.p99(works).as_secs_f64() * 1e3);
            write!(f, "  {p99:>5.1}  {quiet:>5.1}  {:>4.1}x", p99 / quiet)?;
        }
        Ok(())
    }
}

/// Lets honest clients work, alone first and then beside the attack, until it is over. Asserts that nothing of theirs
/// was lost, doubled or swapped.
pub async fn beside(gateway: &Gateway, ledger: &Ledger, rune: &str, plan: Plan) -> Row {
    let target = Target::new(gateway).await;
    let (quiet, ()) = Stretch::beside(gateway, ledger, rune, tokio::time::sleep(plan.quiet)).await;
    quiet.tally.assert_whole();

    let attack = flood(&target, plan.attack, plan.count, plan.at_once);
    let (attacked, ()) = Stretch::beside(gateway, ledger, rune, attack).await;
    let row = Row::new(format!("{:?}", plan.attack), plan.count, attacked, quiet, gateway.peak_memory());
    println!("{}\n{row}", Row::HEAD);
    row.attacked.tally.assert_whole();
    row
}
