//! `runeward-bench floors`: what the gateway computes, each beside its floor: what the same libraries
//! take for the part of it that nobody can leave out.
//!
//! Both take turns in one process, so that whatever else the machine does meets both alike; told
//! is the median of the ratios, turn by turn, and the quartiles around it.

mod json;
mod noise;
mod rune;

use std::time::Duration;

use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::process::thread_time;

/// A computation and its floor. Each closure does it [`Pair::batch`] times and returns how long that took.
struct Pair {
    name: &'static str,
    what: &'static str,
    floor_is: &'static str,
    batch: u32,
    ours: Box<dyn FnMut() -> Duration>,
    floor: Box<dyn FnMut() -> Duration>,
}

/// A computation beside its floor, in microseconds for one.
#[derive(Debug, Serialize)]
pub struct Row {
    name: &'static str,
    what: &'static str,
    floor_is: &'static str,
    us: f64,
    floor_us: f64,
    /// The median of the ratios, and their quartiles.
    ratio: f64,
    ratio_low: f64,
    ratio_high: f64,
}

/// Times what is named, or everything, in so many turns.
///
/// # Errors
/// A name that nothing has.
pub fn run(names: &[String], turns: usize) -> Result<Vec<Row>> {
    let pairs: Vec<Pair> = noise::pairs()?.into_iter().chain(rune::pairs()?).chain(json::pairs()?).collect();
    let all: Vec<&str> = pairs.iter().map(|pair| pair.name).collect();
    if let Some(unknown) = names.iter().find(|name| !all.contains(&name.as_str())) {
        return Err(Failure::usage(format!("nothing is named {unknown:?}; there are {}", all.join(", "))));
    }
    let wanted = |pair: &Pair| names.is_empty() || names.iter().any(|name| name == pair.name);
    Ok(pairs.into_iter().filter(wanted).map(|pair| pair.time(turns)).collect())
}

/// One line of JSON.
pub fn json(rows: &[Row]) -> Result<String> {
    serde_json::to_string(rows).map_err(|why| Failure::refused(why.to_string()))
}

/// A table to read.
pub fn text(rows: &[Row]) -> String {
    let mut text = format!("{:<44}{:>12}{:>12}{:>8}   quartiles", "", "µs", "floor µs", "ratio");
    for row in rows {
        text += &format!(
            "\n{:<44}{:>12.3}{:>12.3}{:>8.2}   {:.2}–{:.2}   {}",
            row.what, row.us, row.floor_us, row.ratio, row.ratio_low, row.ratio_high, row.floor_is
        );
    }
    text
}

impl Pair {
    fn time(mut self, turns: usize) -> Row {
        // The first turn of each finds cold caches.
        let _cold = ((self.ours)(), (self.floor)());
        let each = |took: Duration| took.as_secs_f64() * 1e6 / f64::from(self.batch);
        let (mut ours, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..turns {
            let (our, floor);
            if turn % 2 == 0 {
                our = each((self.ours)());
                floor = each((self.floor)());
            } else {
                floor = each((self.floor)());
                our = each((self.ours)());
            }
            ours.push(our);
            floors.push(floor);
            ratios.push(our / floor);
        }
        Row {
            name: self.name,
            what: self.what,
            floor_is: self.floor_is,
            us: quantile(&mut ours, 0.5),
            floor_us: quantile(&mut floors, 0.5),
            ratio: quantile(&mut ratios, 0.5),
            ratio_low: quantile(&mut ratios, 0.25),
            ratio_high: quantile(&mut ratios, 0.75),
        }
    }
}

/// The value that `share` of them do not exceed.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

/// The processor time that `count` runs of `work` take: other processes on the core do not count.
fn timed(count: u32, mut work: impl FnMut()) -> Duration {
    let start = thread_time();
    (0..count).for_each(|_| work());
    thread_time() - start
}

/// A fault in the bench itself.
fn broken(why: impl std::fmt::Debug) -> Failure {
    Failure::refused(format!("the bench is broken: {why:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_floor() {
        let rows = run(&[], 1).unwrap();
        assert!(rows.iter().all(|row| row.us > 0.0 && row.floor_us > 0.0 && row.ratio > 0.0), "{rows:?}");
        let json: serde_json::Value = serde_json::from_str(&json(&rows).unwrap()).unwrap();
        assert_eq!(json[0]["name"], "handshake");
        assert!(text(&rows).contains("quartiles"));
    }

    #[test]
    fn one_can_be_named() {
        assert_eq!(run(&["rune_3".to_owned()], 1).unwrap().len(), 1);
        let why = run(&["rune_4".to_owned()], 1).unwrap_err().to_string();
        assert!(why.contains("rune_3"), "{why}");
    }

    #[test]
    fn quantiles_are_of_the_sorted_values() {
        let mut values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|share| quantile(&mut values, share)), [1.0, 2.0, 3.0, 5.0]);
    }
}
