//! Why a request is refused, and the words for it.

use std::fmt;

use crate::invoice;
use crate::quota::Quota;
use crate::restriction::Alternative;

/// Why a request was refused: [`Display`](fmt::Display) gives the node's words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    restriction: usize,
    reason: String,
    used_up: Vec<Quota>,
}

impl Refusal {
    /// Which of [`Rune::restrictions`](crate::Rune::restrictions) refused, counted from 0: the first
    /// that does not hold.
    pub fn restriction(&self) -> usize {
        self.restriction
    }

    /// The `quota` and `rows` of that restriction that were used up. Once there is room for one of
    /// them, it holds for the same request.
    pub fn used_up(&self) -> &[Quota] {
        &self.used_up
    }

    pub(crate) fn new(restriction: usize, reason: String, used_up: Vec<Quota>) -> Self {
        Self { restriction, reason, used_up }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

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
    /// A caller without a node id, where it takes one.
    NoCaller,
    UsedUp(Quota),
    /// Of a field or value that has rules of its own. Says itself what is wrong.
    Rule(&'static str),
}

impl Fault {
    /// In the node's words, and for what only we know in like ones.
    pub(crate) fn describe(self, alternative: Alternative<'_>) -> String {
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
            Self::NoCaller => "id not present".to_owned(),
            Self::UsedUp(quota) => {
                let are = if quota.counts_rows() { "are" } else { "is" };
                format!("{field} of {value} {are} used up")
            }
            Self::Rule(text) => text.to_owned(),
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
