use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use snow::{
    Builder, HandshakeState,
    params::{
        BaseChoice, CipherChoice, DHChoice, HandshakeChoice, HandshakeModifierList, HandshakePattern,
        HashChoice, NoiseParams,
    },
};

use crate::{
    Error, Identity, NodeId, Transport,
    resolver::{Random, Resolver, Split},
};

/// Bytes of act one (BOLT 8 §Act One): version, ephemeral key, tag.
pub const ACT_ONE: usize = 50;

/// Bytes of act two (BOLT 8 §Act Two): version, ephemeral key, tag.
pub const ACT_TWO: usize = 50;

/// Bytes of act three (BOLT 8 §Act Three): version, sealed static key, tag.
pub const ACT_THREE: usize = 66;

/// The node that is called, awaiting act one.
///
/// A handshake goes one way, so an act that cannot come next does not compile, nor does a second
/// try after a bad one:
///
/// ```compile_fail,E0382
/// # use runeward_noise::{Identity, Responder};
/// # fn example(node: &Identity, act: &[u8; 50]) {
/// let responder = Responder::new(node);
/// let first = responder.read_act_one(act);
/// let second = responder.read_act_one(act);
/// # }
/// ```
#[derive(Debug)]
pub struct Responder {
    identity: Identity,
    random: Random,
}

impl Responder {
    /// Starts a handshake as the node `identity`.
    pub fn new(identity: &Identity) -> Self {
        Self { identity: identity.clone(), random: Random::System }
    }

    /// As [`Responder::new`], with a fixed ephemeral key.
    #[cfg(test)]
    pub(crate) fn with_ephemeral(identity: &Identity, ephemeral: [u8; 32]) -> Self {
        Self { identity: identity.clone(), random: Random::Fixed(ephemeral) }
    }

    /// Reads act one and returns act two, to be sent in one piece.
    ///
    /// # Errors
    ///
    /// [`Error::BadVersion`], [`Error::BadPoint`] or [`Error::BadTag`] by the peer's fault.
    pub fn read_act_one(self, act: &[u8; ACT_ONE]) -> Result<(AwaitingActThree, [u8; ACT_TWO]), Error> {
        let mut noise = Noise::new(&self.identity, None, self.random)?;
        noise.read(act)?;
        let act_two = noise.write()?;
        Ok((AwaitingActThree(noise), act_two))
    }
}

/// The node that is called, having sent act two.
#[derive(Debug)]
pub struct AwaitingActThree(Noise);

impl AwaitingActThree {
    /// Reads act three, which ends the handshake: who the peer is, and the keys.
    ///
    /// # Errors
    ///
    /// [`Error::BadVersion`], [`Error::BadPoint`] or [`Error::BadTag`] by the peer's fault.
    pub fn read_act_three(mut self, act: &[u8; ACT_THREE]) -> Result<(NodeId, Transport), Error> {
        self.0.read(act)?;
        let peer = self.0.peer()?;
        let split = self.0.split()?;
        let transport = Transport::new(&split.chaining_key, &split.responder, &split.initiator);
        Ok((peer, transport))
    }
}

/// The node that calls.
#[derive(Debug)]
pub struct Initiator;

impl Initiator {
    /// Starts a handshake as the node `identity` with the node `peer`, and returns act one.
    ///
    /// # Errors
    ///
    /// [`Error::Random`] if the system gives no randomness.
    #[expect(clippy::new_ret_no_self, reason = "nothing happens before act one")]
    pub fn new(identity: &Identity, peer: NodeId) -> Result<(AwaitingActTwo, [u8; ACT_ONE]), Error> {
        Self::start(identity, peer, Random::System)
    }

    /// As [`Initiator::new`], with a fixed ephemeral key.
    #[cfg(test)]
    pub(crate) fn with_ephemeral(
        identity: &Identity,
        peer: NodeId,
        ephemeral: [u8; 32],
    ) -> Result<(AwaitingActTwo, [u8; ACT_ONE]), Error> {
        Self::start(identity, peer, Random::Fixed(ephemeral))
    }

    fn start(
        identity: &Identity,
        peer: NodeId,
        random: Random,
    ) -> Result<(AwaitingActTwo, [u8; ACT_ONE]), Error> {
        let mut noise = Noise::new(identity, Some(peer), random)?;
        let act_one = noise.write()?;
        Ok((AwaitingActTwo(noise), act_one))
    }
}

/// The node that calls, having sent act one.
#[derive(Debug)]
pub struct AwaitingActTwo(Noise);

impl AwaitingActTwo {
    /// Reads act two and ends the handshake: act three, to be sent, and the keys.
    ///
    /// # Errors
    ///
    /// [`Error::BadVersion`], [`Error::BadPoint`] or [`Error::BadTag`] by the peer's fault.
    pub fn read_act_two(mut self, act: &[u8; ACT_TWO]) -> Result<([u8; ACT_THREE], Transport), Error> {
        self.0.read(act)?;
        let act_three = self.0.write()?;
        let split = self.0.split()?;
        let transport = Transport::new(&split.chaining_key, &split.initiator, &split.responder);
        Ok((act_three, transport))
    }
}

/// `snow`'s handshake and what our resolver recorded of it.
struct Noise {
    state: HandshakeState,
    split: Arc<OnceLock<Split>>,
}

impl Noise {
    /// An initiator if `peer` is known.
    fn new(identity: &Identity, peer: Option<NodeId>, random: Random) -> Result<Self, Error> {
        let split = Arc::default();
        let resolver = Resolver::new(identity, random, Arc::clone(&split));
        let secret = identity.secret_bytes();
        let builder = Builder::with_resolver(params(), Box::new(resolver))
            .prologue(b"lightning")?
            .local_private_key(secret.as_slice())?;
        let state = match &peer {
            Some(peer) => builder.remote_public_key(peer.as_bytes())?.build_initiator()?,
            None => builder.build_responder()?,
        };
        Ok(Self { state, split })
    }

    fn read(&mut self, act: &[u8]) -> Result<(), Error> {
        match act {
            [0, act @ ..] => {
                self.state.read_message(act, &mut [])?;
                Ok(())
            }
            [version, ..] => Err(Error::BadVersion(*version)),
            [] => Err(Error::Truncated),
        }
    }

    /// Writes an act of `N` bytes, the first of which stays 0: the version.
    fn write<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut act = [0; N];
        let written = self.state.write_message(&[], &mut act[1..])?;
        (written + 1 == N).then_some(act).ok_or(Error::Internal)
    }

    /// The peer's static key, once an act that uses it has been read.
    fn peer(&self) -> Result<NodeId, Error> {
        let key = self.state.get_remote_static().ok_or(Error::Internal)?;
        let key = key.first_chunk().ok_or(Error::Internal)?;
        Ok(NodeId::from_valid(*key))
    }

    fn split(&self) -> Result<&Split, Error> {
        self.split.get().ok_or(Error::Internal)
    }
}

impl fmt::Debug for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noise").finish_non_exhaustive()
    }
}

/// `snow` has no name for our curve. It hashes `name` and asks our resolver for the rest, so the
/// choice of Curve25519 here has no effect.
fn params() -> NoiseParams {
    NoiseParams::new(
        "Noise_XK_secp256k1_ChaChaPoly_SHA256".to_owned(),
        BaseChoice::Noise,
        HandshakeChoice {
            pattern: HandshakePattern::XK,
            modifiers: HandshakeModifierList { list: Vec::new() },
        },
        DHChoice::Curve25519,
        CipherChoice::ChaChaPoly,
        HashChoice::SHA256,
    )
}
