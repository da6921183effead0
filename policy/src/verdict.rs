//! What can be said of a restriction before there is a request: whether it can hold, and in which
//! words somebody who owns a node at home would say it.

use std::time::Duration;

use crate::evaluate::{integer, names_caller};
use crate::invoice::{Part, split_field};
use crate::outlook::reads_parameters;
use crate::pace;
use crate::quota::{self, MAX_SIZE, Quota};
use crate::refusal::Fault;
use crate::restriction::{Alternative, Condition};
use crate::rune::canonical_decimal;
use crate::say::{date, duration, number, quoted, relative, shown};

/// What one alternative comes to.
pub(crate) enum Verdict {
    /// It holds for every request, because of this.
    Always(String),
    /// It holds for no request, because of this.
    Never(String),
    /// It holds for some.
    Sometimes(Clause),
}

/// What a request must be like.
pub(crate) struct Clause {
    /// As a sentence, without its period: `Only the command getinfo`.
    pub(crate) alone: String,
    /// As one of several: `the command is getinfo`.
    pub(crate) among: String,
}

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A number that is never negative.
    Number,
    /// 66 lower-case hexadecimal digits.
    NodeId,
    /// A command's name.
    Method,
    /// Text that is no number.
    Text,
    /// A JSON value.
    Any,
}

/// Judges an alternative at `now`, in UNIX seconds.
pub(crate) fn judge(alternative: Alternative<'_>, now: u64) -> Verdict {
    match pace::interval(alternative) {
        Some(Ok(interval)) => return Verdict::Sometimes(rest(alternative, interval)),
        Some(Err(fault)) => return Verdict::Never(malformed_pace(fault)),
        None => {}
    }
    match quota::read(alternative) {
        Some(Ok(quota)) => return Verdict::Sometimes(at_most(quota)),
        Some(Err(fault)) => return Verdict::Never(malformed_quota(fault)),
        None => {}
    }
    let (field, condition, value) = (alternative.field(), alternative.condition(), alternative.value());
    if condition == Condition::Comment && !field.starts_with("pinv") {
        return Verdict::Always("a note limits nothing".to_owned());
    }
    let (subject, kind) = match field {
        "time" => return time(condition, value, now),
        "id" => return id(condition, value),
        "method" => return method(condition, value),
        "pnum" => ("the number of parameters".to_owned(), Kind::Number),
        _ => {
            if let Some(name) = field.strip_prefix("pname") {
                (format!("the parameter {}", shown(name)), Kind::Any)
            } else if let Some(index) = field.strip_prefix("parr") {
                let Some(index) = canonical_decimal(index) else {
                    return Verdict::Never(format!("{} is no position, which count from 0", quoted(index)));
                };
                (
                    format!("the parameter at position {} (of those without names)", index.saturating_add(1)),
                    Kind::Any,
                )
            } else if let Some(rest) = field.strip_prefix("pinv") {
                let Some((name, part)) = split_field(rest) else {
                    return Verdict::Never(
                        "of an invoice only _amount, _description and _node can be read".to_owned(),
                    );
                };
                let name = shown(name);
                match part {
                    Part::Amount => {
                        (format!("the amount in msat of the invoice in the parameter {name}"), Kind::Number)
                    }
                    Part::Description => {
                        (format!("the description of the invoice in the parameter {name}"), Kind::Text)
                    }
                    Part::Node => {
                        (format!("the payee's node id of the invoice in the parameter {name}"), Kind::NodeId)
                    }
                }
            } else {
                let why = unknown(field);
                return if condition == Condition::Absent {
                    Verdict::Always(why)
                } else {
                    Verdict::Never(why)
                };
            }
        }
    };
    if field == "pnum" && condition == Condition::Absent {
        return Verdict::Never("every command has a number of parameters".to_owned());
    }
    if field.starts_with("pinv") && condition == Condition::Comment {
        return Verdict::Sometimes(said(&subject, "must be readable", "is readable"));
    }
    if field.starts_with("pinv") && condition == Condition::Absent {
        return match kind {
            Kind::NodeId => Verdict::Never("every invoice names its payee".to_owned()),
            _ => Verdict::Sometimes(said(&subject, "must be left open", "is left open")),
        };
    }
    if names_caller(alternative) {
        return caller(&subject, condition, field);
    }
    if let Some(why) = unmeetable(kind, condition, value) {
        return Verdict::Never(why);
    }
    if field == "pnum" && condition == Condition::Equal && value == "0" {
        return Verdict::Sometimes(Clause {
            alone: "Only without parameters".to_owned(),
            among: "there are no parameters".to_owned(),
        });
    }
    Verdict::Sometimes(compared(&subject, field == "pnum", condition, value))
}

/// The words for a field that no request has.
fn unknown(field: &str) -> String {
    let known = ["time", "id", "method", "pnum", "pname", "parr", "pinv", "rate", "per", "quota", "rows"];
    let guess = field.trim().to_lowercase();
    let prefixed = |known: &&&str| guess.starts_with(**known) && matches!(**known, "pname" | "parr" | "pinv");
    match known.iter().find(|known| guess == **known).or(known.iter().find(prefixed)) {
        Some(known) => format!("nothing here knows the field {}: write {known}", quoted(field)),
        None => format!("nothing here knows the field {}", shown(field)),
    }
}

/// Whether a field is one that conditions read.
pub(crate) fn is_known(field: &str) -> bool {
    matches!(field, "time" | "id" | "method" | "rate" | "per" | "quota" | "rows") || reads_parameters(field)
}

fn rest(alternative: Alternative<'_>, interval: Duration) -> Clause {
    let interval = duration(interval);
    let apart = format!("at least {} have passed since the last use", interval.text);
    let apart = if interval.single { apart.replacen(" have ", " has ", 1) } else { apart };
    let alone = if alternative.field() == "rate" {
        let count = alternative.value().trim_matches(|c: char| !c.is_ascii_digit()).trim_start_matches('0');
        let count = count.parse().unwrap_or(0);
        let times = if count == 1 { "once".to_owned() } else { format!("{} times", number(count)) };
        format!("At most {times} a minute, at least {} apart", interval.text)
    } else if let Some(unit) = interval.text.strip_prefix("1 ").filter(|_| interval.single) {
        format!("Once per {unit}")
    } else {
        format!("Once every {}", interval.text)
    };
    Clause { alone, among: apart }
}

fn malformed_pace(fault: Fault) -> String {
    match fault {
        Fault::Rule("rate operator must be =") => "rate takes only =, as in rate=10",
        Fault::Rule("malformed rate") => "a rate is a whole number from 1, as in rate=10",
        Fault::Rule("per operator must be =") => "per takes only =, as in per=1hour",
        Fault::Rule("malformed suffix") => {
            "per takes nsec, usec, msec, sec, min, hour or day behind its number"
        }
        Fault::Rule("per overflow") => "per takes no more than about 584 years",
        _ => "per takes a whole number from 1, as in per=1hour",
    }
    .to_owned()
}

fn at_most(quota: Quota) -> Clause {
    let unit = duration(quota.refill()).text;
    let unit = unit.strip_prefix("1 ").unwrap_or(&unit);
    let article = if unit == "hour" { "an" } else { "a" };
    let what = if quota.counts_rows() { "new record" } else { "command" };
    let plural = if quota.size() == 1 { "" } else { "s" };
    let device = if quota.per_peer() { " for each device" } else { "" };
    let limit = format!("{} {what}{plural} {article} {unit}{device}", number(quota.size().into()));
    let otherwise = if quota.counts_rows() { ", or the command makes none" } else { "" };
    Clause { alone: format!("At most {limit}"), among: format!("of at most {limit} one is left{otherwise}") }
}

fn malformed_quota(fault: Fault) -> String {
    let largest = number(MAX_SIZE.into());
    match fault {
        Fault::Rule("quota operator must be =") => "quota takes only =, as in quota=600/hour".to_owned(),
        Fault::Rule("rows operator must be =") => "rows takes only =, as in rows=1000/day".to_owned(),
        Fault::Rule("malformed rows") => {
            format!("rows takes 1 to {largest} and min, hour or day, as in rows=1000/day")
        }
        _ => format!(
            "quota takes 1 to {largest} and min, hour or day, as in quota=600/hour or quota=60/hour/peer"
        ),
    }
}

/// A parameter compared with `@id`.
fn caller(subject: &str, condition: Condition, field: &str) -> Verdict {
    match condition {
        Condition::Equal => Verdict::Sometimes(said(
            subject,
            "must be the caller's own node id",
            "is the caller's own node id",
        )),
        _ => Verdict::Never(format!("@id takes only =, as in {}=@id", shown(field))),
    }
}

fn time(condition: Condition, value: &str, now: u64) -> Verdict {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    if condition == Condition::Absent {
        return Verdict::Never("there is always a time".to_owned());
    }
    if let Some(why) = unmeetable(Kind::Number, condition, value) {
        return Verdict::Never(why);
    }
    let clause = |alone: &str, among: &str, at: i64| {
        let at = format!("{} ({})", date(at), relative(at, now));
        Verdict::Sometimes(Clause { alone: format!("{alone} {at}"), among: format!("{among} {at}") })
    };
    let at = integer(value).unwrap_or(0);
    let over = || Verdict::Never(format!("{} is over ({})", date(at), relative(at, now)));
    match condition {
        Condition::Less if at <= now => over(),
        Condition::Less => clause("Until", "it is before", at),
        Condition::Greater => clause("Only after", "it is after", at),
        Condition::Equal if at < now => over(),
        Condition::Equal => {
            clause("Only in the second that starts at", "it is the second that starts at", at)
        }
        Condition::Differs if canonical_decimal(value).is_some() => {
            clause("Not in the second that starts at", "it is not the second that starts at", at)
        }
        _ => Verdict::Sometimes(compared("the time in UNIX seconds", true, condition, value)),
    }
}

fn id(condition: Condition, value: &str) -> Verdict {
    if let Some(why) = unmeetable(Kind::NodeId, condition, value) {
        return Verdict::Never(why);
    }
    let node = shown(value);
    let clause = |alone: String, among: String| Verdict::Sometimes(Clause { alone, among });
    match condition {
        Condition::Equal => clause(
            format!("Only from the device with node id {node}"),
            format!("the caller is the device with node id {node}"),
        ),
        Condition::Differs => clause(
            format!("Not from the device with node id {node}"),
            format!("the caller has another node id than {node}"),
        ),
        Condition::Absent => {
            clause("Only from callers without a node id".to_owned(), "the caller has no node id".to_owned())
        }
        _ => Verdict::Sometimes(compared("the caller's node id", false, condition, value)),
    }
}

fn method(condition: Condition, value: &str) -> Verdict {
    if let Some(why) = unmeetable(Kind::Method, condition, value) {
        return Verdict::Never(why);
    }
    Verdict::Sometimes(match condition {
        Condition::Absent => Clause {
            alone: "Only where no command is named".to_owned(),
            among: "no command is named".to_owned(),
        },
        Condition::Equal => Clause {
            alone: format!("Only the command {}", shown(value)),
            among: format!("the command is {}", shown(value)),
        },
        Condition::Differs => Clause {
            alone: format!("Every command but {}", shown(value)),
            among: format!("the command is another than {}", shown(value)),
        },
        _ => Clause {
            alone: format!("Only commands that {}", plural(condition, value)),
            among: compared("the command", true, condition, value).among,
        },
    })
}

/// `start with list`, of several.
pub(crate) fn plural(condition: Condition, value: &str) -> String {
    let value = shown(value);
    match condition {
        Condition::StartsWith => format!("start with {value}"),
        Condition::EndsWith => format!("end with {value}"),
        Condition::Contains => format!("contain {value}"),
        Condition::OrderedBefore => format!("sort before {value}, byte by byte"),
        Condition::OrderedAfter => format!("sort after {value}, byte by byte"),
        _ => format!("are {value}"),
    }
}

/// Why no value of this kind meets a condition.
fn unmeetable(kind: Kind, condition: Condition, value: &str) -> Option<String> {
    let not = |what: &str| Some(format!("{} is {what}", quoted(value)));
    match condition {
        Condition::Absent | Condition::Comment | Condition::Differs | Condition::OrderedAfter => None,
        Condition::OrderedBefore => value.is_empty().then(|| "nothing sorts before nothing".to_owned()),
        Condition::Less | Condition::Greater => match (kind, integer(value)) {
            (Kind::NodeId, _) => Some("a node id is no number".to_owned()),
            (Kind::Method, _) => Some("a command's name is no number".to_owned()),
            (Kind::Text, _) => Some("a description is no number".to_owned()),
            (_, Err(_)) => not("no whole number that can be compared"),
            (_, Ok(i64::MAX)) if condition == Condition::Greater => not("the highest number"),
            (_, Ok(i64::MIN)) if condition == Condition::Less => not("the lowest number"),
            (Kind::Number, Ok(..=0)) if condition == Condition::Less => {
                Some("it is never below zero".to_owned())
            }
            _ => None,
        },
        Condition::Equal => match kind {
            Kind::Number if canonical_decimal(value).is_none() => {
                not("no whole number written without sign, space or leading zero")
            }
            Kind::NodeId if value.len() != 66 || !value.bytes().all(is_hex) => {
                not("no node id: they are 66 lower-case hexadecimal digits")
            }
            Kind::Method if value.is_empty() || value.len() > 64 || !value.bytes().all(is_method) => {
                not("no command's name: they are lower-case letters, digits, - and _")
            }
            _ => None,
        },
        Condition::StartsWith | Condition::EndsWith | Condition::Contains => match kind {
            Kind::Number if value.len() > 20 || !value.bytes().all(|byte| byte.is_ascii_digit()) => {
                not("no part of a number")
            }
            Kind::NodeId if value.len() > 66 || !value.bytes().all(is_hex) => {
                not("no part of a node id: they are 66 lower-case hexadecimal digits")
            }
            Kind::Method if value.len() > 64 || !value.bytes().all(is_method) => {
                not("no part of a command's name: they are lower-case letters, digits, - and _")
            }
            _ => None,
        },
    }
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_method(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-' | b'_')
}

/// A comparison with a value. `always_given` is what no request lacks.
fn compared(subject: &str, always_given: bool, condition: Condition, value: &str) -> Clause {
    let text = shown(value);
    let whole = integer(value).map(number_signed).unwrap_or_default();
    let (must, does) = match condition {
        Condition::Equal => (format!("must be {text}"), format!("is {text}")),
        Condition::Differs if always_given => (format!("must not be {text}"), format!("is not {text}")),
        Condition::Differs => {
            (format!("must be given and must not be {text}"), format!("is given and is not {text}"))
        }
        Condition::StartsWith | Condition::EndsWith | Condition::Contains if value.is_empty() => {
            ("must be given".to_owned(), "is given".to_owned())
        }
        Condition::StartsWith => (format!("must start with {text}"), format!("starts with {text}")),
        Condition::EndsWith => (format!("must end with {text}"), format!("ends with {text}")),
        Condition::Contains => (format!("must contain {text}"), format!("contains {text}")),
        Condition::Less => (format!("must be below {whole}"), format!("is below {whole}")),
        Condition::Greater => (format!("must be above {whole}"), format!("is above {whole}")),
        Condition::OrderedBefore => {
            (format!("must sort before {text}, byte by byte"), format!("sorts before {text}, byte by byte"))
        }
        Condition::OrderedAfter => {
            (format!("must sort after {text}, byte by byte"), format!("sorts after {text}, byte by byte"))
        }
        Condition::Absent | Condition::Comment => ("must not be given".to_owned(), "is not given".to_owned()),
    };
    said(subject, &must, &does)
}

fn said(subject: &str, must: &str, does: &str) -> Clause {
    let mut alone = subject.to_owned();
    if let Some(first) = alone.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Clause { alone: format!("{alone} {must}"), among: format!("{subject} {does}") }
}

fn number_signed(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", number(value.unsigned_abs()))
}
