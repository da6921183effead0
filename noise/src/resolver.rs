//! The primitives handed to `snow`: secp256k1, ChaCha20-Poly1305 of `ring`, SHA-256.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use secp256k1::{PublicKey, ecdh::SharedSecret};
use sha2::{Digest, Sha256};
use snow::{
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::CryptoResolver,
    types,
};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{Identity, TAG, identity::KeyPair};

/// What both ends know after act three (BOLT 8 §Act Three). Wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Split {
    pub(crate) chaining_key: [u8; 32],
    /// Seals what the initiator sends.
    pub(crate) initiator: [u8; 32],
    /// Seals what the responder sends.
    pub(crate) responder: [u8; 32],
}

/// A compressed point and what it decompresses to.
type LastPoint = Mutex<Option<([u8; 33], PublicKey)>>;

/// One handshake's primitives.
pub(crate) struct Resolver {
    identity: Arc<KeyPair>,
    random: Random,
    last_point: Arc<LastPoint>,
    split: Arc<OnceLock<Split>>,
}

impl Resolver {
    /// `split` is filled when the last act has been read or written.
    pub(crate) fn new(identity: &Identity, random: Random, split: Arc<OnceLock<Split>>) -> Self {
        Self { identity: identity.key_pair().clone(), random, last_point: Arc::default(), split }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(self.random.clone()))
    }

    /// Whatever the choice, which cannot name secp256k1.
    fn resolve_dh(&self, _: &DHChoice) -> Option<Box<dyn types::Dh>> {
        Some(Box::new(Dh {
            identity: self.identity.clone(),
            keys: None,
            last_point: self.last_point.clone(),
        }))
    }

    fn resolve_hash(&self, _: &HashChoice) -> Option<Box<dyn types::Hash>> {
        Some(Box::new(RecordingHash { hash: Hash::default(), split: self.split.clone() }))
    }

    fn resolve_cipher(&self, _: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        Some(Box::new(Cipher(None)))
    }
}

/// Where ephemeral keys come from.
#[derive(Clone, Debug)]
pub(crate) enum Random {
    System,
    /// The ephemeral key itself, for test vectors.
    #[cfg(test)]
    Fixed([u8; 32]),
}

impl types::Random for Random {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        match self {
            Self::System => SystemRandom::new().fill(out).map_err(|_| snow::Error::Rng),
            #[cfg(test)]
            Self::Fixed(key) => {
                out.copy_from_slice(key);
                Ok(())
            }
        }
    }
}

/// `HKDF(chaining_key, input)` of BOLT 8, which gives two keys.
pub(crate) fn hkdf(chaining_key: &[u8; 32], input: &[u8]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
    let (mut first, mut second) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
    types::Hash::hkdf(
        &mut Hash::default(),
        chaining_key,
        input,
        2,
        first.as_mut_slice(),
        second.as_mut_slice(),
        &mut [],
    );
    (first, second)
}

/// Encrypts in place. Fails only on a length that ChaCha20-Poly1305 cannot take.
pub(crate) fn seal_in_place(
    key: &LessSafeKey,
    nonce: u64,
    associated: &[u8],
    text: &mut [u8],
) -> Option<Tag> {
    key.seal_in_place_separate_tag(aead_nonce(nonce), Aad::from(associated), text).ok()
}

/// Decrypts in place `text` and the tag at its end, and returns all but the tag. `None` if it is
/// not authentic; `text` is garbage then.
pub(crate) fn open_in_place<'a>(
    key: &LessSafeKey,
    nonce: u64,
    associated: &[u8],
    text: &'a mut [u8],
) -> Option<&'a mut [u8]> {
    key.open_in_place(aead_nonce(nonce), Aad::from(associated), text).ok()
}

/// Built where it is used: that takes some tens of nanoseconds, while a key kept by `ring` holds half
/// a kilobyte and is never wiped.
pub(crate) fn aead_key(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

/// 32 zero bits, then the counter, little-endian (BOLT 8 §Handshake State).
fn aead_nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// A static or an ephemeral key pair.
struct Dh {
    identity: Arc<KeyPair>,
    /// None until `snow` sets or generates them.
    keys: Option<Arc<KeyPair>>,
    /// Decompressing a point is a tenth of an ECDH, and the ephemeral one is used twice.
    last_point: Arc<LastPoint>,
}

impl Dh {
    fn parse(&self, bytes: &[u8; 33]) -> Result<PublicKey, snow::Error> {
        let mut last = self.last_point.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, point)) = &*last
            && last == bytes
        {
            return Ok(*point);
        }
        let point = PublicKey::from_slice(bytes).map_err(|_| snow::Error::Dh)?;
        *last = Some((*bytes, point));
        Ok(point)
    }
}

impl types::Dh for Dh {
    fn name(&self) -> &'static str {
        "secp256k1"
    }

    fn pub_len(&self) -> usize {
        33
    }

    fn priv_len(&self) -> usize {
        32
    }

    /// The default would be `pub_len`, but BOLT 8 hashes the shared point.
    fn dh_len(&self) -> usize {
        32
    }

    /// Only ever asked for the identity, whose public key is known. Any other key is not taken,
    /// and the handshake then fails for want of one.
    fn set(&mut self, secret: &[u8]) {
        let known = self.identity.secret.as_ref();
        self.keys = bool::from(known.ct_eq(secret)).then(|| self.identity.clone());
    }

    /// Fails where the system has no randomness, or gives an unusable key: once in 2^127 times.
    fn generate(&mut self, random: &mut dyn types::Random) -> Result<(), snow::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        random.try_fill_bytes(secret.as_mut_slice())?;
        let keys = KeyPair::from_secret(&secret).map_err(|_| snow::Error::Rng)?;
        self.keys = Some(Arc::new(keys));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.keys.as_ref().map_or(&[], |keys| keys.node_id.as_bytes())
    }

    /// `snow` has no use for it in a handshake.
    fn privkey(&self) -> &[u8] {
        &[]
    }

    /// `peer` and `out` are `snow`'s whole buffers, longer than a key.
    fn dh(&self, peer: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        let keys = self.keys.as_ref().ok_or(snow::Error::Input)?;
        let peer = peer.first_chunk::<33>().ok_or(snow::Error::Input)?;
        let out = out.first_chunk_mut::<32>().ok_or(snow::Error::Input)?;
        let mut shared = SharedSecret::new(&self.parse(peer)?, &keys.secret);
        out.copy_from_slice(shared.as_ref());
        shared.non_secure_erase();
        Ok(())
    }
}

struct Cipher(Option<Zeroizing<[u8; 32]>>);

impl types::Cipher for Cipher {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = Some(Zeroizing::new(*key));
    }

    /// Cannot fail by its signature. Where it would, it writes zeros, which the peer refuses.
    fn encrypt(&self, nonce: u64, associated: &[u8], text: &[u8], out: &mut [u8]) -> usize {
        let (sealed, rest) = out.split_at_mut(text.len());
        sealed.copy_from_slice(text);
        let key = self.0.as_ref().and_then(|key| aead_key(key));
        let tag = key.and_then(|key| seal_in_place(&key, nonce, associated, sealed));
        match &tag {
            Some(tag) => rest[..TAG].copy_from_slice(tag.as_ref()),
            None => {
                sealed.fill(0);
                rest[..TAG].fill(0);
            }
        }
        text.len() + TAG
    }

    fn decrypt(
        &self,
        nonce: u64,
        associated: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        // `out` has no room for the tag. The longest sealed part of an act is a public key.
        let mut text = [0; 33 + TAG];
        let text = text.get_mut(..sealed.len()).ok_or(snow::Error::Input)?;
        text.copy_from_slice(sealed);
        let key = self.0.as_ref().and_then(|key| aead_key(key)).ok_or(snow::Error::Input)?;
        let opened = open_in_place(&key, nonce, associated, text).ok_or(snow::Error::Decrypt)?;
        out[..opened.len()].copy_from_slice(opened);
        Ok(opened.len())
    }
}

#[derive(Default)]
struct Hash(Sha256);

impl types::Hash for Hash {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.0.finalize_reset());
    }
}

/// SHA-256 that keeps the outcome of the handshake, which `snow` does not show.
struct RecordingHash {
    hash: Hash,
    split: Arc<OnceLock<Split>>,
}

impl types::Hash for RecordingHash {
    fn name(&self) -> &'static str {
        self.hash.name()
    }

    fn block_len(&self) -> usize {
        self.hash.block_len()
    }

    fn hash_len(&self) -> usize {
        self.hash.hash_len()
    }

    fn reset(&mut self) {
        self.hash.reset();
    }

    fn input(&mut self, data: &[u8]) {
        self.hash.input(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        self.hash.result(out);
    }

    fn hkdf(
        &mut self,
        chaining_key: &[u8],
        input: &[u8],
        outputs: usize,
        first: &mut [u8],
        second: &mut [u8],
        third: &mut [u8],
    ) {
        self.hash.hkdf(chaining_key, input, outputs, first, second, third);
        // Only the split of act three has no input key material.
        if input.is_empty()
            && let Some(chaining_key) = chaining_key.first_chunk()
            && let Some(initiator) = first.first_chunk()
            && let Some(responder) = second.first_chunk()
        {
            self.split.get_or_init(|| Split {
                chaining_key: *chaining_key,
                initiator: *initiator,
                responder: *responder,
            });
        }
    }
}
