//! What a rune is made of: restrictions, each of alternatives, each a field, condition and value.

use std::fmt::{self, Write};

use crate::coding::{Mark, Text, escaped, field_length, separator, split_condition};
use crate::error::ParseError;

/// How an alternative compares a field with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `=`: the field equals the value.
    Equal,
    /// `/`: the field differs from the value.
    Differs,
    /// `^`: the field starts with the value.
    StartsWith,
    /// `$`: the field ends with the value.
    EndsWith,
    /// `~`: the field contains the value.
    Contains,
    /// `<`: both are decimal integers and the field is less.
    Less,
    /// `>`: both are decimal integers and the field is greater.
    Greater,
    /// `{`: the field sorts before the value, byte by byte; a prefix sorts first.
    OrderedBefore,
    /// `}`: the field sorts after the value, byte by byte.
    OrderedAfter,
    /// `!`: the field is absent. The value says nothing.
    Absent,
    /// `#`: a comment, always true.
    Comment,
}

impl Condition {
    /// Every symbol, for messages.
    pub(crate) const SYMBOLS: &str = "= / ^ $ ~ < > { } ! #";

    /// The character that stands between field and value.
    pub const fn symbol(self) -> char {
        match self {
            Self::Equal => '=',
            Self::Differs => '/',
            Self::StartsWith => '^',
            Self::EndsWith => '$',
            Self::Contains => '~',
            Self::Less => '<',
            Self::Greater => '>',
            Self::OrderedBefore => '{',
            Self::OrderedAfter => '}',
            Self::Absent => '!',
            Self::Comment => '#',
        }
    }

    /// The condition written as `symbol`.
    pub const fn from_symbol(symbol: char) -> Option<Self> {
        Some(match symbol {
            '=' => Self::Equal,
            '/' => Self::Differs,
            '^' => Self::StartsWith,
            '$' => Self::EndsWith,
            '~' => Self::Contains,
            '<' => Self::Less,
            '>' => Self::Greater,
            '{' => Self::OrderedBefore,
            '}' => Self::OrderedAfter,
            '!' => Self::Absent,
            '#' => Self::Comment,
            _ => return None,
        })
    }
}

/// One field compared with one value, such as `method=getinfo`.
///
/// Borrows its parts, which are plain: escapes belong to the encoded text, and [`Display`] writes
/// them.
///
/// [`Display`]: fmt::Display
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative<'a> {
    field: &'a str,
    condition: Condition,
    value: &'a str,
}

impl<'a> Alternative<'a> {
    /// Puts an alternative together.
    ///
    /// # Errors
    /// Where `field` is empty or holds ASCII punctuation other than `_`, or either holds a NUL.
    pub fn new(field: &'a str, condition: Condition, value: &'a str) -> Result<Self, ParseError> {
        if let Some(at) = field_length(field) {
            let found = char::from(field.as_bytes()[at]);
            return Err(ParseError::FieldPunctuation { at, found });
        }
        Self::checked(field, condition, value)
    }

    /// Reads an alternative in which `\` is an ordinary character, and so are `|` and `&` in the
    /// value: the inner strings of the node's `createrune`, as in `[["method=getinfo"]]`.
    ///
    /// # Errors
    /// Where no field or no condition is found, or there is a NUL.
    ///
    /// ```
    /// # use runeward_policy::Alternative;
    /// let alternative = Alternative::parse_raw(r"pnamelabel=a|b\")?;
    /// assert_eq!(alternative.value(), r"a|b\");
    /// assert_eq!(alternative.to_string(), r"pnamelabel=a\|b\\");
    /// # Ok::<_, runeward_policy::ParseError>(())
    /// ```
    pub fn parse_raw(text: &'a str) -> Result<Self, ParseError> {
        let (field, condition) = split_condition(text, 0)?;
        Self::checked(field, condition, &text[field.len() + 1..])
    }

    /// The field's name as written.
    pub fn field(&self) -> &'a str {
        self.field
    }

    /// The condition.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// The value, without escapes.
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// Parts that were checked before.
    pub(crate) fn from_parts(field: &'a str, condition: Condition, value: &'a str) -> Self {
        Self { field, condition, value }
    }

    fn checked(field: &'a str, condition: Condition, value: &'a str) -> Result<Self, ParseError> {
        if field.is_empty() {
            return Err(ParseError::NoField { at: 0 });
        }
        let in_value = || Some(field.len() + 1 + value.find('\0')?);
        if let Some(at) = field.find('\0').or_else(in_value) {
            return Err(ParseError::Nul { at });
        }
        Ok(Self::from_parts(field, condition, value))
    }
}

/// The encoded text.
impl fmt::Display for Alternative<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.field, self.condition.symbol())?;
        escaped(self.value).try_for_each(|character| f.write_char(character))
    }
}

/// Alternatives of which at least one must hold. Never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Restriction(Text);

impl Restriction {
    /// Puts a restriction together.
    ///
    /// # Errors
    /// Where there are no alternatives, or more or longer ones than a rune can hold.
    pub fn new<'a>(alternatives: impl IntoIterator<Item = Alternative<'a>>) -> Result<Self, ParseError> {
        let mut text = Text::default();
        text.append(alternatives)?;
        if text.encoded().is_empty() {
            return Err(ParseError::Empty);
        }
        Ok(Self(text))
    }

    /// Reads one restriction in its encoded form, such as `method=getinfo|method^list`.
    /// In values `\`, `|` and `&` are written `\\`, `\|` and `\&`.
    ///
    /// # Errors
    /// Says what is wrong, at which byte, and what to write instead.
    ///
    /// ```
    /// # use runeward_policy::Restriction;
    /// let restriction: Vec<_> = Restriction::parse("method=getinfo|method^list")?
    ///     .alternatives()
    ///     .map(|alternative| alternative.value().to_owned())
    ///     .collect();
    /// assert_eq!(restriction, ["getinfo", "list"]);
    /// # Ok::<_, runeward_policy::ParseError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if let Some(at) = separator(text) {
            return Err(ParseError::Separator { at });
        }
        let text = Text::parse(text)?;
        if text.encoded().is_empty() {
            return Err(ParseError::Empty);
        }
        if text.unique_id().is_some() {
            return Err(ParseError::NoField { at: 0 });
        }
        Ok(Self(text))
    }

    /// The alternatives in their order.
    pub fn alternatives(&self) -> impl Iterator<Item = Alternative<'_>> + Clone {
        self.view().alternatives()
    }

    pub(crate) fn view(&self) -> RestrictionRef<'_> {
        RestrictionRef { text: &self.0, marks: self.0.marks() }
    }
}

/// The encoded text.
impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.encoded())
    }
}

impl fmt::Debug for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

impl std::str::FromStr for Restriction {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Reads restrictions joined by `&`, as [`Rune::restrictions_text`](crate::Rune::restrictions_text)
/// writes them. The empty text has none.
///
/// # Errors
/// Says what is wrong, at which byte, and what to write instead.
pub fn parse_restrictions(text: &str) -> Result<Vec<Restriction>, ParseError> {
    let text = Text::parse(text)?;
    if text.unique_id().is_some() {
        return Err(ParseError::NoField { at: 0 });
    }
    text.restrictions().map(|restriction| Restriction::new(restriction.alternatives())).collect()
}

/// A restriction inside a rune.
#[derive(Clone, Copy)]
pub struct RestrictionRef<'a> {
    text: &'a Text,
    marks: &'a [Mark],
}

impl<'a> RestrictionRef<'a> {
    /// The alternatives in their order.
    pub fn alternatives(self) -> impl Iterator<Item = Alternative<'a>> + Clone {
        self.marks.iter().map(|mark| self.text.alternative(mark))
    }

    /// The encoded text.
    pub fn as_str(self) -> &'a str {
        self.text.slice(self.marks)
    }

    /// Its alternative, if it has only one: no way out.
    pub(crate) fn only(self) -> Option<Alternative<'a>> {
        match self.marks {
            [only] => Some(self.text.alternative(only)),
            _ => None,
        }
    }
}

/// The encoded text.
impl fmt::Display for RestrictionRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RestrictionRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Restriction").field(&self.as_str()).finish()
    }
}

/// Splits alternatives that stand side by side into their restrictions.
pub(crate) fn split<'a>(
    text: &'a Text,
    marks: &'a [Mark],
) -> impl Iterator<Item = RestrictionRef<'a>> + Clone {
    marks.split_inclusive(Mark::is_last).map(move |marks| RestrictionRef { text, marks })
}
