//! What a rune is tested against, as the caller gives it.

use std::borrow::Cow;
use std::time::Duration;

use crate::quota::Quota;

/// What a rune is tested against. Values are asked for only where a restriction needs them.
///
/// One evaluation may ask for the same value often: every answer must be the same, and should be
/// cheap (a rune has room for about 700 conditions on parameters).
pub trait Request {
    /// `time`: now, in UNIX seconds.
    fn time(&self) -> u64;

    /// `id`: the peer's node id as 66 lower-case hexadecimal digits.
    fn peer(&self) -> Option<Cow<'_, str>>;

    /// `method`: the command's name.
    fn method(&self) -> Option<Cow<'_, str>>;

    /// `pnum`: how many parameters there are.
    fn parameter_count(&self) -> u64;

    /// `pnameX`: the parameter named X. `name` is X as the rune writes it; a parameter matches
    /// with its punctuation kept or stripped.
    fn named(&self, name: &str) -> Parameter<'_>;

    /// `parrN`: the parameter at `index`, counted from 0.
    fn positional(&self, index: u64) -> Parameter<'_>;

    /// `rate` and `per`: the time since the last use of this rune's unique id, by whichever rune.
    fn since_last_use(&self) -> SinceLastUse;

    /// `quota` and `rows`: whether one more fits into the bucket that this rune's unique id has for
    /// `quota`. A caller that keeps no buckets can leave this out.
    fn room(&self, quota: Quota) -> Room {
        let _ = quota;
        Room::Unknown
    }

    /// `rows`: whether the command makes the node write a record that stays.
    fn writes_rows(&self) -> bool {
        true
    }
}

/// A parameter as a request sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter<'a> {
    /// Not given, neither by name nor by position.
    Absent,
    /// Not to be read in this view, but perhaps given in the other, or ambiguous: every condition
    /// reads it as absent, but `!` does not hold.
    Elsewhere,
    /// Given.
    Present(Value<'a>),
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string's contents, or the text of any other JSON value.
    Text(Cow<'a, str>),
    /// What JSON wrote as an integer in canonical decimal that fits.
    Integer {
        /// As written.
        text: Cow<'a, str>,
        /// Its number.
        value: i64,
    },
}

/// The time since a unique id was last used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinceLastUse {
    /// It never was.
    Never,
    /// This long ago. Zero where the clock has stepped back.
    Elapsed(Duration),
    /// Nobody can tell: `rate` and `per` refuse.
    Unknown,
}

/// Whether one more fits into a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Left,
    /// It does not, for now.
    UsedUp,
    /// Nobody keeps it: `quota` and `rows` refuse, as fields do that nobody knows.
    Unknown,
}
