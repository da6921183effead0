//! A rune as a whole, and the secret that runes come from.

use std::fmt;

use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::authcode::{Authcode, Chain, MAX_SECRET_BYTES};
use crate::coding::{self, Text};
use crate::error::{DecodeError, LimitError};
use crate::restriction::{Alternative, Condition, Restriction, RestrictionRef};

/// A bearer token: an authcode and the restrictions it vouches for.
///
/// Decoded, never changed. [`encode`](Self::encode) is the only way to its text, so that none
/// slips into a log: there is no `Display`, and `Debug` shows the unique id alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Rune {
    authcode: Authcode,
    text: Text,
}

/// A rune's unique id as written, `=ID` or `=ID-VERSION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniqueId<'a> {
    /// What stands before the first `-`.
    pub id: &'a str,
    /// What stands behind it, if there is one.
    pub version: Option<&'a str>,
}

impl Rune {
    /// Reads a rune's base64url, padded in full or not at all.
    ///
    /// This says nothing about who made it: see [`MasterSecret::derived`].
    ///
    /// # Errors
    /// Where it is not base64url, shorter than an authcode, over a bound
    /// ([`MAX_RUNE_BYTES`](crate::MAX_RUNE_BYTES), [`MAX_RESTRICTIONS`](crate::MAX_RESTRICTIONS),
    /// [`MAX_ALTERNATIVES`](crate::MAX_ALTERNATIVES)), or its restrictions cannot be read.
    pub fn decode(rune: &str) -> Result<Self, DecodeError> {
        let (authcode, text) = coding::decode(rune)?;
        Ok(Self { authcode, text })
    }

    /// The rune's base64url with its padding: the bearer token itself. Canonical, so a rune that
    /// was spelled with needless escapes comes out shorter.
    pub fn encode(&self) -> String {
        coding::encode(&self.authcode, &self.text)
    }

    /// The unique id as written.
    pub fn unique_id(&self) -> Option<UniqueId<'_>> {
        let value = self.text.unique_id()?.value();
        Some(match value.split_once('-') {
            Some((id, version)) => UniqueId { id, version: Some(version) },
            None => UniqueId { id: value, version: None },
        })
    }

    /// The unique id as a number, where it is one in decimal without leading zeros, below 2^63.
    pub fn numeric_id(&self) -> Option<u64> {
        canonical_decimal(self.unique_id()?.id).filter(|id| *id < UNIQUE_ID_END)
    }

    /// The restrictions in their order, without the unique id.
    pub fn restrictions(&self) -> impl Iterator<Item = RestrictionRef<'_>> + Clone {
        self.text.restrictions()
    }

    /// The encoded restrictions, `a=b|c^d&e=f`, without the unique id.
    pub fn restrictions_text(&self) -> &str {
        self.text.restrictions_encoded()
    }

    /// The same rune with one more restriction. Takes no secret: every holder of a rune can.
    ///
    /// # Errors
    /// Where the rune would go over a bound.
    pub fn narrow(&self, restriction: Restriction) -> Result<Self, LimitError> {
        let mut text = self.text.clone();
        text.append(restriction.alternatives())?;
        let mut chain = Chain::resume(&self.authcode, self.text.all().map(RestrictionRef::as_str));
        chain.append(restriction.view().as_str());
        Ok(Self { authcode: chain.authcode(), text })
    }
}

/// Shows the unique id alone: the authcode makes it a token, and a restriction may hold an invoice.
impl fmt::Debug for Rune {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rune").field("unique_id", &self.numeric_id()).finish_non_exhaustive()
    }
}

/// The secret that every rune of one issuer is derived from. Wiped from memory on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterSecret(Chain);

/// A secret that no chain can start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a master secret is 1 to {MAX_SECRET_BYTES} bytes long")]
pub struct SecretError;

impl MasterSecret {
    /// Takes a secret of 1 to 55 bytes, such as the 32 of the node's
    /// `makesecret string=commando`. Only its hash is kept.
    ///
    /// # Errors
    /// Where it has another length.
    pub fn new(secret: &[u8]) -> Result<Self, SecretError> {
        if secret.is_empty() {
            return Err(SecretError);
        }
        Chain::start(secret).map(Self).ok_or(SecretError)
    }

    /// Makes a rune.
    ///
    /// # Errors
    /// Where `unique_id` is 2^63 or more, or the rune would go over a bound.
    pub fn issue(&self, unique_id: u64, restrictions: &[Restriction]) -> Result<Rune, LimitError> {
        if unique_id >= UNIQUE_ID_END {
            return Err(LimitError::UniqueId);
        }
        let unique_id = unique_id.to_string();
        let mut text = Text::default();
        text.append([Alternative::from_parts("", Condition::Equal, &unique_id)])?;
        for restriction in restrictions {
            text.append(restriction.alternatives())?;
        }
        Ok(Rune { authcode: self.authcode(&text), text })
    }

    /// Whether `rune` was made from this secret, narrowed or not. Takes the same time whichever
    /// bytes differ.
    pub fn derived(&self, rune: &Rune) -> bool {
        self.authcode(&rune.text) == rune.authcode
    }

    fn authcode(&self, text: &Text) -> Authcode {
        let mut chain = self.0.clone();
        for restriction in text.all() {
            chain.append(restriction.as_str());
        }
        chain.authcode()
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterSecret").finish_non_exhaustive()
    }
}

/// Reads an integer that is written in decimal without sign or leading zeros: one spelling each.
pub(crate) fn canonical_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| canonical)
}

/// Unique ids are below this: the node keeps them as signed 64-bit integers.
const UNIQUE_ID_END: u64 = 1 << 63;
