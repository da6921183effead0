use std::{fmt, str, str::FromStr, sync::Arc};

use ring::rand::{SecureRandom, SystemRandom};
use secp256k1::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::Error;

/// A node's public key: a secp256k1 point, compressed to 33 bytes.
///
/// Shown and parsed as 66 hexadecimal digits, shown in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; NodeId::LENGTH]);

impl NodeId {
    const LENGTH: usize = 33;

    /// Takes the 33 bytes of a compressed point.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] if there are more or fewer, or they are no point of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: [u8; Self::LENGTH] = bytes.try_into().map_err(|_| Error::InvalidKey)?;
        PublicKey::from_slice(&bytes).map_err(|_| Error::InvalidKey)?;
        Ok(Self(bytes))
    }

    /// The compressed point.
    pub fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// Takes a compressed point that has been parsed already, which is slow.
    pub(crate) fn from_valid(bytes: [u8; 33]) -> Self {
        Self(bytes)
    }
}

impl From<PublicKey> for NodeId {
    fn from(key: PublicKey) -> Self {
        Self(key.serialize())
    }
}

impl FromStr for NodeId {
    type Err = Error;

    /// Takes 66 hexadecimal digits of either case, or fails as [`NodeId::from_bytes`] does.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(Error::InvalidKey);
        };
        if pairs.len() != Self::LENGTH {
            return Err(Error::InvalidKey);
        }
        let mut bytes = [0; Self::LENGTH];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [[0; 2]; Self::LENGTH];
        for (pair, byte) in text.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        f.pad(str::from_utf8(text.as_flattened()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A node's static key pair.
///
/// Clones share one copy of the secret, which is wiped when the last of them is dropped.
#[derive(Clone)]
pub struct Identity(Arc<KeyPair>);

impl Identity {
    /// Makes a new key pair from the system's randomness.
    ///
    /// # Errors
    ///
    /// [`Error::Random`] if the system gives none.
    pub fn generate() -> Result<Self, Error> {
        let mut secret = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(secret.as_mut_slice()).map_err(|_| Error::Random)?;
        Self::from_secret(&secret)
    }

    /// Takes a secret key of 32 bytes, a big-endian number.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] if it is 0 or not below the order of the curve.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, Error> {
        Ok(Self(Arc::new(KeyPair::from_secret(secret)?)))
    }

    /// The public key.
    pub fn node_id(&self) -> NodeId {
        self.0.node_id
    }

    /// The secret key, to be stored.
    pub fn secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.secret.secret_bytes())
    }

    pub(crate) fn key_pair(&self) -> &Arc<KeyPair> {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.0.node_id).finish()
    }
}

/// A static or ephemeral key pair. The public key is computed once; the secret is wiped on drop.
pub(crate) struct KeyPair {
    pub(crate) secret: SecretKey,
    pub(crate) node_id: NodeId,
}

impl KeyPair {
    pub(crate) fn from_secret(secret: &[u8; 32]) -> Result<Self, Error> {
        let secret = SecretKey::from_slice(secret).map_err(|_| Error::InvalidKey)?;
        let node_id = PublicKey::from_secret_key_global(&secret).into();
        Ok(Self { secret, node_id })
    }
}

impl Drop for KeyPair {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

fn digit(character: u8) -> Result<u8, Error> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        b'A'..=b'F' => Ok(character - b'A' + 10),
        _ => Err(Error::InvalidKey),
    }
}
