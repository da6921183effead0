use std::fmt;

use ring::aead::LessSafeKey;
use zeroize::Zeroizing;

use crate::{
    Error,
    resolver::{aead_key, hkdf, open_in_place, seal_in_place},
};

/// The most bytes a message may hold, as its length is written in two (BOLT 8 §Lightning Message
/// Specification).
pub const MAX_MESSAGE: usize = 65_535;

/// Bytes of a Poly1305 tag.
pub const TAG: usize = 16;

/// Bytes of a sealed length, which every message starts with.
pub const SEALED_LENGTH: usize = LENGTH + TAG;

/// Bytes of a length.
const LENGTH: usize = 2;

/// A key is replaced after this many uses, two of which make a message (BOLT 8 §Lightning Message
/// Key Rotation).
const USES_PER_KEY: u64 = 1000;

// A key is never replaced inside a message, so that one serves both its parts.
const _: () = assert!(USES_PER_KEY.is_multiple_of(2));

/// Both directions of a connection after its handshake. Keys are wiped on drop.
#[derive(Debug)]
pub struct Transport {
    /// For what we send.
    pub sealer: Sealer,
    /// For what the peer sends.
    pub opener: Opener,
}

impl Transport {
    pub(crate) fn new(chaining_key: &[u8; 32], sending: &[u8; 32], receiving: &[u8; 32]) -> Self {
        Self {
            sealer: Sealer(Direction::new(chaining_key, sending)),
            opener: Opener(Some(Direction::new(chaining_key, receiving))),
        }
    }
}

/// Seals the messages we send.
#[derive(Debug)]
pub struct Sealer(Direction);

impl Sealer {
    /// Appends to `out` one message made of all `parts` in order: its sealed length (18 bytes) and
    /// its sealed body (16 bytes longer than the parts). An empty message is allowed.
    ///
    /// # Errors
    ///
    /// [`Error::MessageTooLong`] if the parts together exceed [`MAX_MESSAGE`]; nothing is appended
    /// then, and the next message is not affected.
    pub fn seal(&mut self, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Error> {
        let length = parts.iter().map(|part| part.len()).sum();
        let length_bytes = u16::try_from(length).map_err(|_| Error::MessageTooLong(length))?.to_be_bytes();

        let start = out.len();
        out.reserve(SEALED_LENGTH + length + TAG);
        let sealed = aead_key(&self.0.key).and_then(|key| {
            self.append(&key, &[&length_bytes], out)?;
            self.append(&key, parts, out)
        });
        sealed.ok_or_else(|| {
            out.truncate(start);
            Error::Internal
        })
    }

    fn append(&mut self, key: &LessSafeKey, parts: &[&[u8]], out: &mut Vec<u8>) -> Option<()> {
        let start = out.len();
        for part in parts {
            out.extend_from_slice(part);
        }
        let tag = seal_in_place(key, self.0.uses, &[], &mut out[start..]);
        self.0.count();
        out.extend_from_slice(tag?.as_ref());
        Some(())
    }
}

/// Opens the messages the peer sends: for each a length, then a body.
///
/// The first error ends it, whatever comes after.
#[derive(Debug)]
pub struct Opener(Option<Direction>);

impl Opener {
    /// Opens the first 18 bytes of a message: how many bytes its body will have, not counting the
    /// 16 of its tag.
    ///
    /// # Errors
    ///
    /// [`Error::BadMac`] if the peer did not seal them here, [`Error::Poisoned`] after any error.
    pub fn open_length(&mut self, sealed: &[u8; SEALED_LENGTH]) -> Result<u16, Error> {
        let mut sealed = *sealed;
        let length = self.open(&mut sealed)?;
        let length = length.first_chunk().ok_or(Error::Internal)?;
        Ok(u16::from_be_bytes(*length))
    }

    /// Opens in place the body that follows a length: exactly that many bytes and 16 more, of
    /// which the returned slice leaves out the last 16.
    ///
    /// # Errors
    ///
    /// [`Error::BadMac`] if the peer did not seal them here, [`Error::Poisoned`] after any error.
    pub fn open_body<'a>(&mut self, sealed: &'a mut [u8]) -> Result<&'a mut [u8], Error> {
        self.open(sealed)
    }

    /// Whether an error has ended it.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.0.is_none()
    }

    /// The keys are gone, and wiped, after a failure.
    fn open<'a>(&mut self, sealed: &'a mut [u8]) -> Result<&'a mut [u8], Error> {
        let direction = self.0.as_mut().ok_or(Error::Poisoned)?;
        let opened =
            aead_key(&direction.key).and_then(|key| open_in_place(&key, direction.uses, &[], sealed));
        direction.count();
        if opened.is_none() {
            self.0 = None;
        }
        opened.ok_or(Error::BadMac)
    }
}

/// The keys of one direction.
struct Direction {
    chaining_key: Zeroizing<[u8; 32]>,
    key: Zeroizing<[u8; 32]>,
    uses: u64,
}

impl Direction {
    fn new(chaining_key: &[u8; 32], key: &[u8; 32]) -> Self {
        Self { chaining_key: Zeroizing::new(*chaining_key), key: Zeroizing::new(*key), uses: 0 }
    }

    /// Counts a use. The nonce of the next one is the number of uses before.
    fn count(&mut self) {
        self.uses += 1;
        if self.uses == USES_PER_KEY {
            (self.chaining_key, self.key) = hkdf(&self.chaining_key, self.key.as_slice());
            self.uses = 0;
        }
    }
}

impl fmt::Debug for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direction").field("uses", &self.uses).finish_non_exhaustive()
    }
}
