//! Why a rune does not allow a command.

use std::time::Duration;

use runeward_policy::Quota;

/// Why a rune does not allow a command.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The node has not been met yet, and the runes are its own.
    NoSecret,
    /// No unique id, or none that is a decimal number below 2^63.
    NoUniqueId,
    /// Revoked, or derived from one that is.
    Blacklisted,
    /// Of a version that is not issued.
    Version,
    /// Not derived from the master secret.
    NotDerived,
    /// Derived from the master secret, but never issued.
    Unknown,
    /// A restriction does not hold.
    NotPermitted(runeward_policy::Refusal),
    /// Nor does this one, until one more fits into a bucket.
    UsedUp {
        refusal: runeward_policy::Refusal,
        /// The bucket into which one fits first.
        quota: Quota,
        /// Milliseconds from now.
        retry_after: u64,
    },
    /// Whatever the command, a restriction on the time or the caller does not hold.
    Idle,
    /// A limit of the gateway's own leaves no room now.
    Busy { limit: String, wait: Duration },
    /// Its record cannot be read, or its use not be written.
    NotRecorded,
}

impl Denied {
    /// What is wrong, in a word or two.
    pub(crate) fn in_a_word(&self) -> &'static str {
        match self {
            Self::NoSecret => "no secret",
            Self::NoUniqueId => "no unique id",
            Self::Blacklisted => "revoked",
            Self::Version => "version",
            Self::NotDerived => "not derived",
            Self::Unknown => "unknown rune",
            Self::NotPermitted(_) | Self::Idle => "not permitted",
            Self::UsedUp { .. } => "used up",
            Self::Busy { .. } => "busy",
            Self::NotRecorded => "not recorded",
        }
    }

    /// What is wrong, in the node's words.
    pub(crate) fn reason(&self) -> String {
        match self {
            Denied::NoSecret => "Not authorized: The node's rune secret is not known yet".to_owned(),
            Denied::NoUniqueId => {
                "rune: should have valid numeric unique_id: invalid token (see logs for details)".to_owned()
            }
            Denied::Blacklisted => "Not authorized: Blacklisted rune".to_owned(),
            Denied::Version => "Not authorized: Version mismatch".to_owned(),
            Denied::NotDerived => "Not authorized: Not derived from master".to_owned(),
            Denied::Unknown => "Not authorized: Unknown rune".to_owned(),
            Denied::NotPermitted(refusal) | Denied::UsedUp { refusal, .. } => {
                format!("Not permitted: {refusal}")
            }
            Denied::Busy { limit, .. } => format!("Not permitted: over the limit {limit}"),
            Denied::Idle => "Not permitted: this rune allows this caller nothing now".to_owned(),
            Denied::NotRecorded => "Not permitted: its record cannot be read or written".to_owned(),
        }
    }
}
