use std::io;

use crate::MAX_MESSAGE;

/// All that can go wrong in this crate.
///
/// After any error of a handshake or of an [`Opener`](crate::Opener) the connection is to be
/// closed without another byte (BOLT 8 §Handshake Exchange).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's act starts with this version; only 0 is known.
    #[error("peer's act has unknown version {0}")]
    BadVersion(u8),

    /// The key in the peer's act is no point of the curve.
    #[error("peer's act holds an invalid public key")]
    BadPoint,

    /// The peer's act is not authentic. In act one: the peer holds another node id to be ours.
    #[error("peer's act has a bad authentication tag")]
    BadTag,

    /// A key given to us is unusable: a secret that is 0 or not below the curve's order, or a
    /// node id that is not 33 bytes (66 hexadecimal digits) of a point on the curve.
    #[error("invalid key")]
    InvalidKey,

    /// A message to be sealed has this many bytes, more than [`MAX_MESSAGE`].
    #[error("message of {0} bytes is over the limit of {MAX_MESSAGE}")]
    MessageTooLong(usize),

    /// A length or body from the peer is not authentic.
    #[error("peer's message has a bad authentication tag")]
    BadMac,

    /// An earlier message was refused, so nothing after it can be opened.
    #[error("an earlier message was refused")]
    Poisoned,

    /// The stream ended inside an act or a message.
    #[error("stream ended inside an act or a message")]
    Truncated,

    /// The system gave no random bytes.
    #[error("no randomness available")]
    Random,

    /// The handshake or a cipher refused what this crate asked of it: a defect of ours.
    #[error("cryptography refused a step")]
    Internal,

    /// The stream below failed.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Io(error),
        }
    }
}

/// What `snow` may say of a peer's act.
impl From<snow::Error> for Error {
    fn from(error: snow::Error) -> Self {
        match error {
            snow::Error::Dh => Self::BadPoint,
            snow::Error::Decrypt => Self::BadTag,
            snow::Error::Rng => Self::Random,
            _ => Self::Internal,
        }
    }
}
