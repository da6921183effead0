//! Latencies, counted in buckets that widen with the value.

use std::time::Duration;

/// Each power of two is cut into this many buckets, so that a value read back is within 1 % of the
/// one recorded.
const PER_OCTAVE: u64 = 64;

/// Counts of durations, from one nanosecond to the longest `u64` holds, in at most a few thousand
/// buckets. It grows to the longest value seen.
#[derive(Debug, Default, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, took: Duration) {
        let index = bucket(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// How many durations were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration, in microseconds, that `share` (0 to 1) of all counted ones do not exceed;
    /// `None` where nothing was counted.
    pub fn quantile_us(&self, share: f64) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(middle(index) / 1_000.0)
    }
}

/// The bucket of a value: the values below `PER_OCTAVE` have one each, then every octave has
/// `PER_OCTAVE` of equal width.
fn bucket(nanos: u64) -> usize {
    let index = match nanos.checked_ilog2() {
        None | Some(0..6) => nanos,
        Some(octave) => {
            let shift = u64::from(octave) - 6;
            (shift + 1) * PER_OCTAVE + (nanos >> shift) - PER_OCTAVE
        }
    };
    index as usize
}

/// The middle of a bucket, in nanoseconds.
fn middle(index: usize) -> f64 {
    let index = index as u64;
    if index < PER_OCTAVE {
        return index as f64;
    }
    let shift = index / PER_OCTAVE - 1;
    let low = (PER_OCTAVE + index % PER_OCTAVE) << shift;
    low as f64 + ((1u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_back_within_one_percent() {
        for value in (0..2_000).chain((11..63).map(|bit| (1u64 << bit) + 12_345)).chain([u64::MAX]) {
            let read = middle(bucket(value));
            assert!((read - value as f64).abs() <= value as f64 * 0.01, "{value} {read}");
        }
    }

    #[test]
    fn buckets_are_contiguous_and_ordered() {
        let mut last = 0;
        for value in 0..1_000_000u64 {
            let index = bucket(value);
            assert!(index == last || index == last + 1, "{value}");
            last = index;
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut even = Histogram::default();
        let mut odd = Histogram::default();
        assert_eq!(even.quantile_us(0.5), None);
        for micros in 1..=1_000u64 {
            let half = if micros % 2 == 0 { &mut even } else { &mut odd };
            half.record(Duration::from_micros(micros));
        }
        even.merge(&odd);
        assert_eq!(even.total(), 1_000);
        for (share, micros) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let read = even.quantile_us(share).unwrap();
            assert!((read - micros).abs() <= micros * 0.01, "{share} {read}");
        }
    }
}
