//! The wire form of a rune: base64url, an authcode, and restrictions as text.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use memchr::{memchr, memchr3};
use smallvec::SmallVec;

use crate::authcode::{AUTHCODE_BYTES, Authcode};
use crate::error::{DecodeError, LimitError, ParseError};
use crate::restriction::{Alternative, Condition, RestrictionRef, split};

/// Longest encoded rune, in bytes of base64url with its padding.
pub const MAX_RUNE_BYTES: usize = 8 * 1024;
/// Most restrictions in one rune, not counting its unique id.
pub const MAX_RESTRICTIONS: usize = 256;
/// Most alternatives in one restriction.
pub const MAX_ALTERNATIVES: usize = 256;

/// Longest encoded rune that is decoded on the stack.
const SHORT_RUNE_BYTES: usize = 512;
/// Longest text of all restrictions together: what an encoded rune of full length has room for.
const MAX_TEXT_BYTES: usize = MAX_RUNE_BYTES / 4 * 3 - AUTHCODE_BYTES;

// Marks hold offsets into a text as 16 bits.
const _: () = assert!(MAX_TEXT_BYTES <= u16::MAX as usize);

/// Reads a rune's wire form.
pub(crate) fn decode(rune: &str) -> Result<(Authcode, Text), DecodeError> {
    if rune.len() > MAX_RUNE_BYTES {
        return Err(LimitError::Length.into());
    }
    let engine = if rune.ends_with('=') { URL_SAFE } else { URL_SAFE_NO_PAD };
    // Nearly all runes are short: those take no allocation here.
    let (mut short, mut long) = ([0; SHORT_RUNE_BYTES / 4 * 3], Vec::new());
    let bytes = if rune.len() <= SHORT_RUNE_BYTES {
        &mut short[..]
    } else {
        long.resize(MAX_RUNE_BYTES / 4 * 3, 0);
        &mut long[..]
    };
    let length = engine.decode_slice(rune, bytes).map_err(|_| DecodeError::Base64)?;
    let bytes = &bytes[..length];
    let (authcode, text) = bytes.split_first_chunk::<AUTHCODE_BYTES>().ok_or(DecodeError::Short)?;
    let text = std::str::from_utf8(text).map_err(|_| DecodeError::Utf8)?;
    let text = Text::parse(text)?;

    match text.marks.first() {
        Some(id) if id.is_nameless() && (id.condition != Condition::Equal || !id.last) => {
            Err(DecodeError::UniqueId)
        }
        _ => Ok((Authcode(*authcode), text)),
    }
}

/// Writes a rune's wire form, padded.
pub(crate) fn encode(authcode: &Authcode, text: &Text) -> String {
    let mut bytes = Vec::with_capacity(AUTHCODE_BYTES + text.encoded.len());
    bytes.extend_from_slice(&authcode.0);
    bytes.extend_from_slice(text.encoded.as_bytes());
    URL_SAFE.encode(bytes)
}

/// Restrictions in their one canonical spelling, read once: `marks` tell where each part stands.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    /// `a=b|c^d&e=f`: what is hashed, with every escape that is needed and no other.
    encoded: String,
    /// The values that need escapes, without them, one after another. Mostly empty.
    plain: String,
    /// Inline as long as they are few, as in nearly all runes.
    marks: SmallVec<[Mark; 8]>,
}

/// Where one alternative stands in a [`Text`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    start: u16,
    condition_at: u16,
    end: u16,
    condition: Condition,
    /// The last alternative of its restriction.
    last: bool,
    /// Where the value stands in `plain`, if it needs escapes.
    plain: Option<(u16, u16)>,
}

impl Text {
    /// Reads restrictions joined by `&`. A trailing `&` is accepted, as the node does.
    ///
    /// The first alternative's field may be empty, as a unique id's is.
    pub(crate) fn parse(source: &str) -> Result<Self, ParseError> {
        if let Some(at) = memchr(0, source.as_bytes()) {
            return Err(ParseError::Nul { at });
        }
        // Without escapes, as nearly always, it is canonical and taken over as it is.
        let verbatim = memchr(b'\\', source.as_bytes()).is_none();
        let encoded = match verbatim {
            true => bounded(source.strip_suffix('&').unwrap_or(source))?.to_owned(),
            false => String::with_capacity(source.len().min(MAX_TEXT_BYTES)),
        };
        let mut text = Self { encoded, plain: String::new(), marks: SmallVec::new() };
        let mut at = 0;
        let mut last = true;
        while at < source.len() || !last {
            let (field, condition) = split_condition(source, at)?;
            if field.is_empty() && at > 0 {
                return Err(ParseError::NoField { at });
            }
            let (value, end) = read_value(source, at + field.len() + 1)?;
            last = !source[end..].starts_with('|');
            match verbatim {
                true => text.mark(at..end, field.len(), condition, last, None),
                false => text.push(field, condition, &value, last)?,
            }
            at = end + 1;
        }
        text.check_counts()?;
        Ok(text)
    }

    /// Appends one restriction. After an error `self` is incomplete: drop it.
    pub(crate) fn append<'a>(
        &mut self,
        alternatives: impl IntoIterator<Item = Alternative<'a>>,
    ) -> Result<(), LimitError> {
        let mut alternatives = alternatives.into_iter().peekable();
        while let Some(alternative) = alternatives.next() {
            self.push(
                alternative.field(),
                alternative.condition(),
                alternative.value(),
                alternatives.peek().is_none(),
            )?;
        }
        self.check_counts()
    }

    pub(crate) fn encoded(&self) -> &str {
        &self.encoded
    }

    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Every restriction, the unique id among them.
    pub(crate) fn all(&self) -> impl Iterator<Item = RestrictionRef<'_>> + Clone {
        split(self, &self.marks)
    }

    /// The restrictions without the unique id.
    pub(crate) fn restrictions(&self) -> impl Iterator<Item = RestrictionRef<'_>> + Clone {
        split(self, self.without_unique_id())
    }

    /// The encoded restrictions without the unique id.
    pub(crate) fn restrictions_encoded(&self) -> &str {
        self.slice(self.without_unique_id())
    }

    /// The first alternative, if its field is the empty one.
    pub(crate) fn unique_id(&self) -> Option<Alternative<'_>> {
        let first = self.marks.first()?;
        first.is_nameless().then(|| self.alternative(first))
    }

    pub(crate) fn alternative(&self, mark: &Mark) -> Alternative<'_> {
        let condition_at = usize::from(mark.condition_at);
        let field = &self.encoded[usize::from(mark.start)..condition_at];
        let value = match mark.plain {
            Some((start, end)) => &self.plain[usize::from(start)..usize::from(end)],
            None => &self.encoded[condition_at + 1..usize::from(mark.end)],
        };
        Alternative::from_parts(field, mark.condition, value)
    }

    /// The encoded text of neighbouring alternatives.
    pub(crate) fn slice(&self, marks: &[Mark]) -> &str {
        match (marks.first(), marks.last()) {
            (Some(first), Some(last)) => &self.encoded[usize::from(first.start)..usize::from(last.end)],
            _ => "",
        }
    }

    fn without_unique_id(&self) -> &[Mark] {
        match self.marks.split_first() {
            Some((first, rest)) if first.is_nameless() => rest,
            _ => &self.marks,
        }
    }

    fn push(&mut self, field: &str, condition: Condition, value: &str, last: bool) -> Result<(), LimitError> {
        // Before anything is copied: what a caller gives may have any length.
        if self.encoded.len() + field.len() + value.len() > MAX_TEXT_BYTES {
            return Err(LimitError::Length);
        }
        if let Some(before) = self.marks.last() {
            self.encoded.push(if before.last { '&' } else { '|' });
        }
        let start = self.encoded.len();
        self.encoded.push_str(field);
        self.encoded.push(condition.symbol());
        let plain = if value.bytes().any(needs_escape) {
            let start = self.plain.len();
            self.plain.push_str(value);
            self.encoded.extend(escaped(value));
            Some((start as u16, self.plain.len() as u16))
        } else {
            self.encoded.push_str(value);
            None
        };
        let end = bounded(&self.encoded)?.len();
        self.mark(start..end, field.len(), condition, last, plain);
        Ok(())
    }

    /// Marks an alternative within [`MAX_TEXT_BYTES`], of which the first `field` bytes are its field.
    fn mark(
        &mut self,
        Range { start, end }: Range<usize>,
        field: usize,
        condition: Condition,
        last: bool,
        plain: Option<(u16, u16)>,
    ) {
        let (start, condition_at, end) = (start as u16, (start + field) as u16, end as u16);
        self.marks.push(Mark { start, condition_at, end, condition, last, plain });
    }

    fn check_counts(&self) -> Result<(), LimitError> {
        let restrictions = self.without_unique_id().split_inclusive(|mark| mark.last);
        let mut count = 0;
        for alternatives in restrictions {
            count += 1;
            if alternatives.len() > MAX_ALTERNATIVES {
                return Err(LimitError::Alternatives);
            }
        }
        if count > MAX_RESTRICTIONS {
            return Err(LimitError::Restrictions);
        }
        Ok(())
    }
}

/// The text, unless it is too long.
fn bounded(text: &str) -> Result<&str, LimitError> {
    if text.len() > MAX_TEXT_BYTES { Err(LimitError::Length) } else { Ok(text) }
}

impl Mark {
    /// Whether this alternative has the empty field, as unique ids do.
    pub(crate) fn is_nameless(&self) -> bool {
        self.start == self.condition_at
    }

    /// Whether this is the last alternative of its restriction.
    pub(crate) fn is_last(&self) -> bool {
        self.last
    }
}

/// Splits the field that starts at `at` from the condition that ends it.
pub(crate) fn split_condition(source: &str, at: usize) -> Result<(&str, Condition), ParseError> {
    // Behind a trailing `|` there is nothing, not even an end.
    let rest = source.get(at..).unwrap_or_default();
    let length = field_length(rest).ok_or(ParseError::NoCondition { at })?;
    let found = char::from(rest.as_bytes()[length]);
    let condition =
        Condition::from_symbol(found).ok_or(ParseError::UnknownCondition { at: at + length, found })?;
    Ok((&rest[..length], condition))
}

/// Where the punctuation stands that ends the field at the start of `text`.
pub(crate) fn field_length(text: &str) -> Option<usize> {
    text.bytes().position(|byte| byte.is_ascii_punctuation() && byte != b'_')
}

/// The value that starts at `at`, without its escapes, and where it ends.
fn read_value(source: &str, at: usize) -> Result<(Cow<'_, str>, usize), ParseError> {
    let stop = |from: usize| {
        let rest = &source.as_bytes()[from..];
        from + memchr3(ESCAPED[0], ESCAPED[1], ESCAPED[2], rest).unwrap_or(rest.len())
    };
    let mut end = stop(at);
    let mut value = Cow::Borrowed(&source[at..end]);
    while let Some(behind) = source[end..].strip_prefix('\\') {
        // Any character may be escaped, though only three need it.
        let escaped = behind.chars().next().ok_or(ParseError::DanglingEscape { at: end })?;
        let from = end + 1 + escaped.len_utf8();
        end = stop(from);
        let value = value.to_mut();
        value.push(escaped);
        value.push_str(&source[from..end]);
    }
    Ok((value, end))
}

/// The encoded form of a value.
pub(crate) fn escaped(value: &str) -> impl Iterator<Item = char> {
    value.chars().flat_map(|character| {
        let escape = u8::try_from(character).is_ok_and(needs_escape);
        escape.then_some('\\').into_iter().chain([character])
    })
}

/// Where the first `&` stands that is not escaped.
pub(crate) fn separator(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'&' => return Some(at),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

/// What stands behind a `\` in values.
const ESCAPED: [u8; 3] = *b"\\|&";

fn needs_escape(byte: u8) -> bool {
    ESCAPED.contains(&byte)
}
