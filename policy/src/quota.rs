//! `quota` and `rows`: how much may be taken from a bucket that fills again.

use std::fmt;
use std::time::Duration;

use crate::refusal::Fault;
use crate::restriction::{Alternative, Condition};
use crate::rune::canonical_decimal;

/// A bucket that a unique id has: `quota=600/hour` counts commands, `rows=1000/day` only those that
/// make the node write a record that stays. [`Display`](fmt::Display) gives the restriction's text,
/// of which there is one for each, so that either tells buckets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    counted: Counted,
    size: u32,
    refill: Refill,
    per_peer: bool,
}

impl Quota {
    /// How many the full bucket holds, from 1 to 1,000,000,000.
    pub fn size(self) -> u32 {
        self.size
    }

    /// How long an empty bucket takes to be full again, evenly.
    pub fn refill(self) -> Duration {
        Duration::from_secs(match self.refill {
            Refill::Minute => 60,
            Refill::Hour => 60 * 60,
            Refill::Day => 24 * 60 * 60,
        })
    }

    /// Whether each calling node id has a bucket of its own.
    pub fn per_peer(self) -> bool {
        self.per_peer
    }

    pub(crate) fn counts_rows(self) -> bool {
        self.counted == Counted::Rows
    }
}

/// `quota=60/hour/peer`.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = match self.counted {
            Counted::Commands => "quota",
            Counted::Rows => "rows",
        };
        let per_peer = if self.per_peer { PER_PEER } else { "" };
        write!(f, "{field}={}/{}{per_peer}", self.size, self.refill.symbol())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Commands,
    Rows,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Refill {
    Minute,
    Hour,
    Day,
}

impl Refill {
    fn symbol(self) -> &'static str {
        match self {
            Self::Minute => "min",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// Largest bucket.
pub(crate) const MAX_SIZE: u32 = 1_000_000_000;

const PER_PEER: &str = "/peer";

/// The bucket that an alternative names; `None` for every other field.
pub(crate) fn read(alternative: Alternative<'_>) -> Option<Result<Quota, Fault>> {
    let (counted, malformed, otherwise) = match alternative.field() {
        "quota" => (Counted::Commands, "malformed quota", "quota operator must be ="),
        "rows" => (Counted::Rows, "malformed rows", "rows operator must be ="),
        _ => return None,
    };
    let equal = alternative.condition() == Condition::Equal;
    Some(if equal {
        quota(alternative.value(), counted).ok_or(Fault::Rule(malformed))
    } else {
        Err(Fault::Rule(otherwise))
    })
}

/// `N/min`, `N/hour` or `N/day`, and for commands also `N/…/peer`: whoever calls, a disk is one.
fn quota(value: &str, counted: Counted) -> Option<Quota> {
    let (value, per_peer) = match (value.strip_suffix(PER_PEER), counted) {
        (Some(value), Counted::Commands) => (value, true),
        _ => (value, false),
    };
    let (size, symbol) = value.split_once('/')?;
    let size = u32::try_from(canonical_decimal(size)?).ok()?;
    let refill = [Refill::Minute, Refill::Hour, Refill::Day].into_iter().find(|it| it.symbol() == symbol)?;
    (1..=MAX_SIZE).contains(&size).then_some(Quota { counted, size, refill, per_peer })
}
