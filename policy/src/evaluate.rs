//! The meaning of a rune: whether a request meets its restrictions.

use std::borrow::Cow;
use std::cell::Cell;

use crate::invoice::{self, Invoice, Part};
use crate::pace;
use crate::quota::{self, Quota};
use crate::refusal::{Fault, Refusal};
use crate::request::{Parameter, Request, Room, Value};
use crate::restriction::{Alternative, Condition, RestrictionRef};
use crate::rune::{Rune, canonical_decimal};
use crate::work::{INVOICE_COST, NAME_COST, SHORT, Work, charge};

/// Leave to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Whether a `rate` or `per` decided. Then this use must be recorded before the command runs
    /// and before the next evaluation for the same unique id, or two could pass in place of one.
    pub paced: bool,
    /// Each `quota` and `rows` that decided, once. Before the next evaluation for the same unique
    /// id, one must be taken from the bucket of each.
    pub charges: Vec<Quota>,
}

/// Tests a request against every restriction of a rune. The first alternative that holds decides
/// its restriction. Neither the authcode nor the unique id is looked at here.
///
/// Work is bounded: of parameters, all conditions together read about 2 MiB, and of invoices
/// fifteen. Beyond that every condition on a parameter fails but `#`, on an invoice `#` too. What is read for one
/// restriction does not depend on those behind it, so a restriction more still never allows more.
///
/// # Errors
/// The first restriction of which no alternative holds.
pub fn evaluate(rune: &Rune, request: &impl Request) -> Result<Pass, Refusal> {
    let mut work = Work::default();
    let mut pass = Pass::default();
    for (index, restriction) in rune.restrictions().enumerate() {
        let before = (work.left.get(), work.invoices.len());
        let mut alternatives = restriction.alternatives();
        match alternatives.find_map(|alternative| check(alternative, request, &mut work).ok()) {
            Some(Held::Freely) => {}
            Some(Held::Paced) => pass.paced = true,
            Some(Held::Charged(quota)) if pass.charges.contains(&quota) => {}
            Some(Held::Charged(quota)) => pass.charges.push(quota),
            None => {
                // The same answers again, this time with their words.
                work.left.set(before.0);
                work.invoices.truncate(before.1);
                return Err(refusal(index, restriction, request, &mut work));
            }
        }
    }
    Ok(pass)
}

/// What comes of an alternative that holds.
enum Held {
    Freely,
    /// By the time since the last use.
    Paced,
    /// By the room in a bucket.
    Charged(Quota),
}

/// Tests one alternative.
fn check<'a>(
    alternative: Alternative<'a>,
    request: &impl Request,
    work: &mut Work<'a>,
) -> Result<Held, Fault> {
    // Before the conditions: these take none but `=`, not even a comment, as the node's two.
    if let Some(interval) = pace::interval(alternative) {
        pace::rested(interval?, request.since_last_use())?;
        return Ok(Held::Paced);
    }
    if let Some(quota) = quota::read(alternative) {
        return charged(quota?, request);
    }
    // As on the node, a note on an invoice's field still wants that invoice.
    if alternative.condition() != Condition::Comment || alternative.field().starts_with("pinv") {
        let Work { left, invoices } = work;
        let subject = subject(alternative.field(), request, left, invoices)?;
        if alternative.condition() == Condition::Contains && subject.length() > SHORT {
            charge(left, subject.length())?;
        }
        if names_caller(alternative) {
            let caller = caller(alternative.condition(), request)?;
            compare(&subject, alternative.condition(), &caller)?;
        } else {
            compare(&subject, alternative.condition(), alternative.value())?;
        }
    }
    Ok(Held::Freely)
}

fn charged(quota: Quota, request: &impl Request) -> Result<Held, Fault> {
    if quota.counts_rows() && !request.writes_rows() {
        return Ok(Held::Freely);
    }
    if quota.per_peer() && request.peer().is_none() {
        return Err(Fault::NoCaller);
    }
    match request.room(quota) {
        Room::Left => Ok(Held::Charged(quota)),
        Room::UsedUp => Err(Fault::UsedUp(quota)),
        Room::Unknown => Err(Fault::NotPresent),
    }
}

/// Whether the value stands for the caller's node id: `@id`, where a parameter is compared with it.
pub(crate) fn names_caller(alternative: Alternative<'_>) -> bool {
    let compares = !matches!(alternative.condition(), Condition::Absent | Condition::Comment);
    let field = alternative.field();
    alternative.value() == "@id" && compares && (field.starts_with("pname") || field.starts_with("parr"))
}

/// What `@id` stands for. It takes no condition but `=`: with another it would be mere text to some.
fn caller<'a>(condition: Condition, request: &'a impl Request) -> Result<Cow<'a, str>, Fault> {
    if condition != Condition::Equal {
        return Err(Fault::Rule("@id operator must be ="));
    }
    request.peer().ok_or(Fault::NoCaller)
}

/// A field as a condition sees it.
pub(crate) enum Subject<'a> {
    Absent,
    /// As [`Parameter::Elsewhere`].
    Hidden,
    Given(Value<'a>),
    /// Turned into text only where a condition reads text.
    Number(u64),
}

/// Looks a field up. A field that means nothing here is absent.
fn subject<'a, 'r>(
    field: &'r str,
    request: &'a impl Request,
    left: &Cell<usize>,
    invoices: &'a mut Vec<(&'r str, Result<Invoice, &'static str>)>,
) -> Result<Subject<'a>, Fault> {
    Ok(match field {
        "time" => Subject::Number(request.time()),
        "id" => request.peer().into(),
        "method" => request.method().into(),
        "pnum" => Subject::Number(request.parameter_count()),
        _ => {
            if let Some(name) = field.strip_prefix("pname") {
                named(name, request, left)?.into()
            } else if let Some(index) = field.strip_prefix("parr") {
                positional(index, request, left)?
            } else if let Some(field) = field.strip_prefix("pinv") {
                let (parameter, part) = invoice::split_field(field).ok_or(Fault::UnknownInvoiceField)?;
                invoice_part(read_invoice(parameter, request, left, invoices)?, part)
            } else {
                Subject::Absent
            }
        }
    })
}

fn named<'a>(name: &str, request: &'a impl Request, left: &Cell<usize>) -> Result<Parameter<'a>, Fault> {
    let names = usize::try_from(request.parameter_count()).unwrap_or(usize::MAX);
    charge(left, names.saturating_add(1).saturating_mul(NAME_COST))?;
    made(request.named(name), left)
}

/// `parrN`. An index that is spelled in another way names no parameter, yet `parr00!` must not hold
/// where there is one.
fn positional<'a>(index: &str, request: &'a impl Request, left: &Cell<usize>) -> Result<Subject<'a>, Fault> {
    let Some(index) = canonical_decimal(index) else { return Ok(Subject::Hidden) };
    charge(left, NAME_COST)?;
    Ok(made(request.positional(index), left)?.into())
}

/// A parameter that was made for us costs as much as one that is read.
fn made<'a>(parameter: Parameter<'a>, left: &Cell<usize>) -> Result<Parameter<'a>, Fault> {
    if let Parameter::Present(Value::Text(Cow::Owned(text))) = &parameter {
        charge(left, text.len())?;
    }
    Ok(parameter)
}

/// The invoice in the parameter named `name`, which is read once.
fn read_invoice<'a, 'r>(
    name: &'r str,
    request: &impl Request,
    left: &Cell<usize>,
    invoices: &'a mut Vec<(&'r str, Result<Invoice, &'static str>)>,
) -> Result<&'a Invoice, Fault> {
    let index = match invoices.iter().position(|(read, _)| *read == name) {
        Some(index) => index,
        None => {
            let Parameter::Present(Value::Text(text) | Value::Integer { text, .. }) =
                named(name, request, left)?
            else {
                return Err(Fault::UnknownInvoiceParameter);
            };
            charge(left, INVOICE_COST)?;
            invoices.push((name, invoice::read(&text)));
            invoices.len() - 1
        }
    };
    invoices[index].1.as_ref().map_err(|reason| Fault::InvalidInvoice(reason))
}

fn invoice_part(invoice: &Invoice, part: Part) -> Subject<'_> {
    match part {
        Part::Amount => invoice.amount.map_or(Subject::Absent, Subject::Number),
        Part::Description => invoice.description.as_deref().map(Cow::Borrowed).into(),
        Part::Node => Some(Cow::Borrowed(&*invoice.node)).into(),
    }
}

/// What each condition means, beside what a field is called that does not meet it.
pub(crate) fn compare(subject: &Subject<'_>, condition: Condition, value: &str) -> Result<(), Fault> {
    let text = || subject.text();
    let (met, otherwise) = match condition {
        Condition::Comment => return Ok(()),
        Condition::Absent => {
            let absent = matches!(subject, Subject::Absent);
            return absent.then_some(()).ok_or(Fault::Present);
        }
        _ if !subject.is_given() => return Err(Fault::NotPresent),
        Condition::Equal => (text() == value, "is not equal to"),
        Condition::Differs => (text() != value, "is equal to"),
        Condition::StartsWith => (text().starts_with(value), "does not start with"),
        Condition::EndsWith => (text().ends_with(value), "does not end with"),
        Condition::Contains => (text().contains(value), "does not contain"),
        Condition::Less => (subject.integer()? < integer(value)?, "is greater or equal to"),
        Condition::Greater => (subject.integer()? > integer(value)?, "is less or equal to"),
        Condition::OrderedBefore => (&*text() < value, "is equal to or ordered after"),
        Condition::OrderedAfter => (&*text() > value, "is equal to or ordered before"),
    };
    met.then_some(()).ok_or(Fault::Unmet(otherwise))
}

/// Whether a text that is given meets a condition.
pub(crate) fn meets(text: &str, condition: Condition, value: &str) -> bool {
    compare(&Some(Cow::Borrowed(text)).into(), condition, value).is_ok()
}

/// Reads a rune's integer as C's `strtol` does on the node: white space may lead, nothing may trail.
pub(crate) fn integer(value: &str) -> Result<i64, Fault> {
    let value = value.trim_start_matches(pace::WHITE_SPACE);
    value.parse().map_err(|_| Fault::InvalidInteger)
}

impl Subject<'_> {
    fn is_given(&self) -> bool {
        matches!(self, Self::Given(_) | Self::Number(_))
    }

    /// Of its text, in bytes.
    fn length(&self) -> usize {
        match self {
            Self::Given(Value::Text(text) | Value::Integer { text, .. }) => text.len(),
            Self::Number(_) | Self::Absent | Self::Hidden => 0,
        }
    }

    fn integer(&self) -> Result<i64, Fault> {
        match self {
            Self::Number(number) => Ok(i64::try_from(*number).unwrap_or(i64::MAX)),
            Self::Given(Value::Integer { value, .. }) => Ok(*value),
            _ => Err(Fault::NotAnInteger),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Number(number) => number.to_string().into(),
            Self::Given(Value::Text(text) | Value::Integer { text, .. }) => Cow::Borrowed(text),
            Self::Absent | Self::Hidden => Cow::Borrowed(""),
        }
    }
}

impl<'a> From<Option<Cow<'a, str>>> for Subject<'a> {
    fn from(text: Option<Cow<'a, str>>) -> Self {
        text.map_or(Self::Absent, |text| Self::Given(Value::Text(text)))
    }
}

impl<'a> From<Parameter<'a>> for Subject<'a> {
    fn from(parameter: Parameter<'a>) -> Self {
        match parameter {
            Parameter::Absent => Self::Absent,
            Parameter::Elsewhere => Self::Hidden,
            Parameter::Present(value) => Self::Given(value),
        }
    }
}

/// The faults of all alternatives, in the node's words.
fn refusal<'a>(
    index: usize,
    restriction: RestrictionRef<'a>,
    request: &impl Request,
    work: &mut Work<'a>,
) -> Refusal {
    let (mut reasons, mut used_up) = (Vec::new(), Vec::new());
    for alternative in restriction.alternatives() {
        if let Err(fault) = check(alternative, request, work) {
            reasons.push(fault.describe(alternative));
            used_up.extend(match fault {
                Fault::UsedUp(quota) => Some(quota),
                _ => None,
            });
        }
    }
    Refusal::new(index, reasons.join(" AND "), used_up)
}
