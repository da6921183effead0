//! Restrictions in the words the node's `showrunes` uses.

use crate::restriction::{Alternative, Condition, Restriction, RestrictionRef};
use crate::rune::Rune;

impl Alternative<'_> {
    /// `method equal to getinfo`.
    pub fn english(&self) -> String {
        let (field, value) = (self.field(), self.value());
        let words = match self.condition() {
            Condition::Absent => return format!("{field} is missing"),
            Condition::Comment => return format!("comment: {field} {value}"),
            Condition::Equal => "equal to",
            Condition::Differs => "unequal to",
            Condition::StartsWith => "starts with",
            Condition::EndsWith => "ends with",
            Condition::Contains => "contains",
            Condition::Less => "<",
            Condition::Greater => ">",
            Condition::OrderedBefore => "sorts before",
            Condition::OrderedAfter => "sorts after",
        };
        format!("{field} {words} {value}")
    }
}

impl RestrictionRef<'_> {
    /// `method equal to getinfo OR method starts with list`.
    pub fn english(&self) -> String {
        join(self.alternatives().map(|it| it.english()), " OR ")
    }
}

impl Restriction {
    /// `method equal to getinfo OR method starts with list`.
    pub fn english(&self) -> String {
        self.view().english()
    }
}

impl Rune {
    /// All restrictions but the unique id, joined by ` AND `.
    pub fn english(&self) -> String {
        join(self.restrictions().map(|it| it.english()), " AND ")
    }
}

fn join(parts: impl Iterator<Item = String>, with: &str) -> String {
    parts.collect::<Vec<_>>().join(with)
}
