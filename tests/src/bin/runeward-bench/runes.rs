//! How long it takes to check a rune: decoded, verified, evaluated.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

use runeward_policy::{MasterSecret, Parameter, Request, Rune, SinceLastUse, evaluate, parse_restrictions};

use crate::failure::{Failure, Result};

/// Checks timed together, so that the clock itself costs nothing.
const BATCH: u32 = 200;

/// Batches of which the median is told.
const BATCHES: usize = 101;

/// Measures runes of several sizes and prints a line each: microseconds a check, the median and the
/// best of the batches.
pub fn run() -> Result<()> {
    let id = "02d4bdc177c74c7c0dd16bda40b69c04b7d6db511a99a14249315ac36f14d986bf";
    let three = format!("id={id}&method^get|method=pay&time<4000000000");
    let sixteen = format!("{three}{}", "&method/withdraw".repeat(13));
    let runes = [
        ("no restriction", String::new()),
        ("3 restrictions", three),
        ("16 restrictions", sixteen),
        ("256 restrictions", vec!["method/withdraw"; 256].join("&")),
        ("8 KiB of alternatives", vec![vec!["a<"; 255].join("|"); 7].join("&")),
    ];
    let secret = MasterSecret::new(&[7; 32]).map_err(|error| Failure::usage(error.to_string()))?;
    let call = Call { id };
    for (what, restrictions) in runes {
        let restrictions =
            parse_restrictions(&restrictions).map_err(|error| Failure::usage(error.to_string()))?;
        let rune =
            secret.issue(1, &restrictions).map_err(|error| Failure::usage(error.to_string()))?.encode();
        let check = || {
            let rune = Rune::decode(black_box(&rune)).ok()?;
            secret.derived(&rune).then(|| evaluate(&rune, &call).is_ok())
        };
        let mut times: Vec<f64> = (0..BATCHES)
            .map(|_| {
                let start = Instant::now();
                (0..BATCH).for_each(|_| {
                    black_box(check());
                });
                start.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("check of {what:<24}{:>10.2} µs, at best {:.2} µs", times[BATCHES / 2], times[0]);
    }
    Ok(())
}

struct Call {
    id: &'static str,
}

impl Request for Call {
    fn time(&self) -> u64 {
        1_795_190_400
    }

    fn peer(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.id))
    }

    fn method(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("getinfo"))
    }

    fn parameter_count(&self) -> u64 {
        0
    }

    fn named(&self, _: &str) -> Parameter<'_> {
        Parameter::Absent
    }

    fn positional(&self, _: u64) -> Parameter<'_> {
        Parameter::Absent
    }

    fn since_last_use(&self) -> SinceLastUse {
        SinceLastUse::Never
    }
}
