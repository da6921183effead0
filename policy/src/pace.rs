//! `rate` and `per`: how long a unique id must rest between two uses.

use std::time::Duration;

use crate::refusal::Fault;
use crate::request::SinceLastUse;
use crate::restriction::{Alternative, Condition};

/// The rest that `rate=N` or `per=N[unit]` asks for; `None` for every other field.
pub(crate) fn interval(alternative: Alternative<'_>) -> Option<Result<Duration, Fault>> {
    let (read, otherwise): (fn(&str) -> _, _) = match alternative.field() {
        "rate" => (rate, "rate operator must be ="),
        "per" => (per, "per operator must be ="),
        _ => return None,
    };
    let equal = alternative.condition() == Condition::Equal;
    Some(if equal { read(alternative.value()) } else { Err(Fault::Rule(otherwise)) })
}

/// Whether the rest is over.
pub(crate) fn rested(interval: Duration, since: SinceLastUse) -> Result<(), Fault> {
    match since {
        SinceLastUse::Never => Ok(()),
        SinceLastUse::Elapsed(time) if time >= interval => Ok(()),
        SinceLastUse::Elapsed(_) => Err(Fault::Rule("too soon")),
        SinceLastUse::Unknown => Err(Fault::Rule("last use is unknown")),
    }
}

/// `rate=N`: N uses a minute, evenly spaced.
fn rate(value: &str) -> Result<Duration, Fault> {
    match count(value) {
        Some((count, "")) => Ok(Duration::from_nanos(60 * SECOND / count)),
        _ => Err(Fault::Rule("malformed rate")),
    }
}

/// `per=N` with a unit: one use in that time.
fn per(value: &str) -> Result<Duration, Fault> {
    let (count, unit) = count(value).ok_or(Fault::Rule("malformed per"))?;
    let unit = match unit {
        "" | "sec" => SECOND,
        "nsec" => 1,
        "usec" => 1_000,
        "msec" => 1_000_000,
        "min" => 60 * SECOND,
        "hour" => 60 * 60 * SECOND,
        "day" => 24 * 60 * 60 * SECOND,
        _ => return Err(Fault::Rule("malformed suffix")),
    };
    let nanoseconds = count.checked_mul(unit).ok_or(Fault::Rule("per overflow"))?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// In nanoseconds, which is how the node counts.
const SECOND: u64 = 1_000_000_000;

/// The number a value starts with, from 1 to 2^32 - 2 as on the node, and what follows it. Like C's
/// `strtoul`, skips white space and takes a `+`; unlike it, refuses a `-`, which would wrap around.
fn count(value: &str) -> Option<(u64, &str)> {
    let value = value.trim_start_matches(WHITE_SPACE);
    let value = value.strip_prefix('+').unwrap_or(value);
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = value.split_at(digits);
    let count = digits.parse().ok()?;
    (1..u64::from(u32::MAX)).contains(&count).then_some((count, rest))
}

/// What C's `isspace` is true of.
pub(crate) const WHITE_SPACE: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];
