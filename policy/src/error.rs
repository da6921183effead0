//! What can be wrong with a rune or restriction as text.

use thiserror::Error;

use crate::authcode::AUTHCODE_BYTES;
use crate::coding::{MAX_ALTERNATIVES, MAX_RESTRICTIONS, MAX_RUNE_BYTES};
use crate::restriction::Condition;

/// A bound that a rune or restriction would go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Over [`MAX_RUNE_BYTES`] once encoded.
    #[error("a rune is at most {MAX_RUNE_BYTES} bytes long")]
    Length,
    /// Over [`MAX_RESTRICTIONS`].
    #[error("a rune has at most {MAX_RESTRICTIONS} restrictions")]
    Restrictions,
    /// Over [`MAX_ALTERNATIVES`].
    #[error("a restriction has at most {MAX_ALTERNATIVES} alternatives")]
    Alternatives,
    /// A unique id of 2^63 or more.
    #[error("a unique id is less than 2^63")]
    UniqueId,
}

/// What is wrong with the text of restrictions. `at` counts bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A field's name that no condition follows.
    #[error(
        "no condition after the field that starts at byte {at}: a restriction reads field, condition, value, as in method=getinfo (conditions: {conditions})",
        conditions = Condition::SYMBOLS
    )]
    NoCondition {
        /// Where the field starts.
        at: usize,
    },
    /// Punctuation that is no condition, where one was expected.
    #[error(
        "{found:?} at byte {at} is no condition: use one of {conditions}",
        conditions = Condition::SYMBOLS
    )]
    UnknownCondition {
        /// Where the character stands.
        at: usize,
        /// The character.
        found: char,
    },
    /// The empty field, which is a unique id's: only the issuer gives one.
    #[error("no field before the condition at byte {at}: name one, as in method=getinfo")]
    NoField {
        /// Where the condition stands.
        at: usize,
    },
    /// A field's name with a character that ends names.
    #[error("{found:?} at byte {at} cannot be part of a field's name: of punctuation, only _ can")]
    FieldPunctuation {
        /// Where the character stands, from the start of the name.
        at: usize,
        /// The character.
        found: char,
    },
    /// A `\` with nothing behind it.
    #[error("nothing follows the \\ at byte {at}: write \\\\ for a \\ in a value")]
    DanglingEscape {
        /// Where the `\` stands.
        at: usize,
    },
    /// More than one restriction where one was expected.
    #[error(
        "the & at byte {at} ends the restriction: give what follows as a separate restriction, or write \\& for an & in a value"
    )]
    Separator {
        /// Where the `&` stands.
        at: usize,
    },
    /// A NUL character.
    #[error("a NUL character at byte {at}: a rune cannot hold one, leave it out")]
    Nul {
        /// Where it stands.
        at: usize,
    },
    /// No text, or no alternatives.
    #[error("an empty restriction: write field, condition, value, as in method=getinfo")]
    Empty,
    /// Over a bound.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

/// Why a string is no rune.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not base64url, or its padding is neither whole nor absent.
    #[error("not base64url")]
    Base64,
    /// Fewer bytes than an authcode has.
    #[error("shorter than an authcode of {AUTHCODE_BYTES} bytes")]
    Short,
    /// The restrictions are not UTF-8.
    #[error("restrictions are not UTF-8")]
    Utf8,
    /// A unique id that is not the first restriction and its only alternative, or not given by `=`.
    #[error("a unique id out of its place")]
    UniqueId,
    /// The restrictions cannot be read.
    #[error("malformed restrictions: {0}")]
    Restrictions(#[source] ParseError),
    /// Over a bound.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

impl From<ParseError> for DecodeError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Limit(limit) => Self::Limit(limit),
            ParseError::NoField { .. } => Self::UniqueId,
            other => Self::Restrictions(other),
        }
    }
}
