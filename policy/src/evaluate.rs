//! The meaning of a rune: whether a request meets its restrictions.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use crate::invoice::{self, Invoice, Part};
use crate::pace;
use crate::restriction::{Alternative, Condition};
use crate::rune::{Rune, canonical_decimal};
use crate::work::{INVOICE_COST, NAME_COST, SHORT, Work, charge};

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

/// Leave to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Whether a `rate` or `per` decided. Then this use must be recorded before the command runs
    /// and before the next evaluation for the same unique id, or two could pass in place of one.
    pub paced: bool,
}

/// Why a request was refused: [`Display`](fmt::Display) gives the node's words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    restriction: usize,
    reason: String,
}

impl Refusal {
    /// Which of [`Rune::restrictions`] refused, counted from 0: the first that does not hold.
    pub fn restriction(&self) -> usize {
        self.restriction
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

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
    let mut paced = false;
    for (index, restriction) in rune.restrictions().enumerate() {
        let before = (work.left.get(), work.invoices.len());
        let mut alternatives = restriction.alternatives();
        match alternatives.find_map(|alternative| check(alternative, request, &mut work).ok()) {
            Some(held) => paced |= held.paced,
            None => {
                // The same answers again, this time with their words.
                work.left.set(before.0);
                work.invoices.truncate(before.1);
                let reason = reason(restriction.alternatives(), request, &mut work);
                return Err(Refusal { restriction: index, reason });
            }
        }
    }
    Ok(Pass { paced })
}

/// Why one alternative does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What the field is in place of what the condition asks for.
    Unmet(&'static str),
    Present,
    NotPresent,
    NotAnInteger,
    InvalidInteger,
    UnknownInvoiceField,
    UnknownInvoiceParameter,
    InvalidInvoice(&'static str),
    TooMuchWork,
    /// Says itself what is wrong.
    Pace(&'static str),
}

/// Tests one alternative. The pass is paced where a `rate` or `per` held.
fn check<'a>(
    alternative: Alternative<'a>,
    request: &impl Request,
    work: &mut Work<'a>,
) -> Result<Pass, Fault> {
    // Before the conditions: these two take none but `=`, not even a comment, as on the node.
    if let Some(interval) = pace::interval(alternative) {
        pace::rested(interval?, request.since_last_use())?;
        return Ok(Pass { paced: true });
    }
    // As on the node, a note on an invoice's field still wants that invoice.
    if alternative.condition() != Condition::Comment || alternative.field().starts_with("pinv") {
        let Work { left, invoices } = work;
        let subject = subject(alternative.field(), request, left, invoices)?;
        if alternative.condition() == Condition::Contains && subject.length() > SHORT {
            charge(left, subject.length())?;
        }
        compare(&subject, alternative.condition(), alternative.value())?;
    }
    Ok(Pass { paced: false })
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

/// The faults of all alternatives in the node's words.
fn reason<'a>(
    alternatives: impl Iterator<Item = Alternative<'a>>,
    request: &impl Request,
    work: &mut Work<'a>,
) -> String {
    let faults = alternatives.filter_map(|alternative| {
        let fault = check(alternative, request, work).err()?;
        Some(fault.describe(alternative))
    });
    faults.collect::<Vec<_>>().join(" AND ")
}

impl Fault {
    fn describe(self, alternative: Alternative<'_>) -> String {
        let (field, value) = (alternative.field(), alternative.value());
        let name = FieldName(field);
        match self {
            Self::Unmet(otherwise) => format!("{name} {otherwise} {value}"),
            Self::Present => format!("{name} is present"),
            Self::NotPresent => format!("{name} not present"),
            Self::NotAnInteger => format!("{name} is not an integer field"),
            Self::InvalidInteger => format!("{value} is not a valid integer"),
            Self::UnknownInvoiceField => {
                let rest = field.strip_prefix("pinv").unwrap_or(field);
                format!("Unknown invoice field {rest}")
            }
            Self::UnknownInvoiceParameter => {
                let rest = field.strip_prefix("pinv").unwrap_or(field);
                let parameter = invoice::split_field(rest).map_or(rest, |(parameter, _)| parameter);
                format!("Unknown invoice parameter {parameter}")
            }
            Self::InvalidInvoice(reason) => format!("Invalid invoice: {reason}"),
            Self::TooMuchWork => "conditions on parameters read too much".to_owned(),
            Self::Pace(text) => text.to_owned(),
        }
    }
}

/// A field as refusals call it.
struct FieldName<'a>(&'a str);

impl fmt::Display for FieldName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, rest) = if self.0 == "pnum" {
            ("number of parameters", "")
        } else if let Some(name) = self.0.strip_prefix("pname") {
            ("parameter ", name)
        } else if let Some(index) = self.0.strip_prefix("parr") {
            ("parameter #", index)
        } else if let Some(rest) = self.0.strip_prefix("pinv") {
            ("invoice parameter ", rest)
        } else {
            ("", self.0)
        };
        write!(f, "{words}{rest}")
    }
}
