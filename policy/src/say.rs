//! Numbers, times and names as people write them.

use std::time::Duration;

/// `100,001`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A value that nobody can take for words around it: plain where it is a word of letters, digits,
/// `_` and `-`, else in quotation marks with what is invisible escaped.
pub(crate) fn shown(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !value.is_empty() && value.bytes().all(plain) && value.bytes().any(|byte| byte != b'-') {
        value.to_owned()
    } else {
        quoted(value)
    }
}

/// A value in quotation marks, with what is invisible escaped.
pub(crate) fn quoted(value: &str) -> String {
    format!("{value:?}")
}

/// A length of time in words.
pub(crate) struct Words {
    pub(crate) text: String,
    /// One of its unit.
    pub(crate) single: bool,
}

/// `6 seconds`, `1 hour`, `8.571428571 seconds`: exact, in the largest unit that needs no fraction.
pub(crate) fn duration(interval: Duration) -> Words {
    let nanoseconds = interval.as_nanos();
    let units =
        [(86_400 * SECOND, "day"), (3_600 * SECOND, "hour"), (60 * SECOND, "minute"), (SECOND, "second")];
    if let Some((unit, name)) = units.into_iter().find(|(unit, _)| nanoseconds.is_multiple_of(*unit)) {
        let count = nanoseconds / unit;
        let plural = if count == 1 { "" } else { "s" };
        let count_text = u64::try_from(count).map_or_else(|_| count.to_string(), number);
        return Words { text: format!("{count_text} {name}{plural}"), single: count == 1 };
    }
    let fraction = format!("{:09}", nanoseconds % SECOND);
    let whole = u64::try_from(nanoseconds / SECOND).unwrap_or(u64::MAX);
    Words { text: format!("{}.{} seconds", number(whole), fraction.trim_end_matches('0')), single: false }
}

const SECOND: u128 = 1_000_000_000;

/// `in 30 days`, `5 minutes ago`: rounded.
pub(crate) fn relative(at: i64, now: i64) -> String {
    let seconds = at.abs_diff(now);
    let (unit, name) = match seconds {
        0 => return "now".to_owned(),
        1..=90 => (1, "second"),
        91..=5_400 => (60, "minute"),
        5_401..=172_800 => (3_600, "hour"),
        _ => (86_400, "day"),
    };
    let count = seconds / unit + u64::from(seconds % unit * 2 >= unit);
    let plural = if count == 1 { "" } else { "s" };
    let count = number(count);
    if at > now { format!("in {count} {name}{plural}") } else { format!("{count} {name}{plural} ago") }
}

/// `20 December 2026, 15:04 UTC`, with seconds where there are any.
pub(crate) fn date(at: i64) -> String {
    const END_OF_9999: i64 = 253_402_300_800;
    if at < 0 {
        return "a time before 1970".to_owned();
    }
    if at >= END_OF_9999 {
        return "a time after the year 9999".to_owned();
    }
    let (mut days, seconds) = (at / 86_400, at % 86_400);
    let mut year = 1970;
    while days >= days_in(year) {
        days -= days_in(year);
        year += 1;
    }
    let february = days_in(year) - 337;
    let months = [
        ("January", 31),
        ("February", february),
        ("March", 31),
        ("April", 30),
        ("May", 31),
        ("June", 30),
        ("July", 31),
        ("August", 31),
        ("September", 30),
        ("October", 31),
        ("November", 30),
        ("December", 31),
    ];
    let mut month = "";
    for (name, length) in months {
        month = name;
        if days < length {
            break;
        }
        days -= length;
    }
    let (day, hour, minute, second) = (days + 1, seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let second = if second == 0 { String::new() } else { format!(":{second:02}") };
    format!("{day} {month} {year}, {hour:02}:{minute:02}{second} UTC")
}

fn days_in(year: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if leap { 366 } else { 365 }
}
