//! Runes as a client handles them: read, and narrowed without the secret.

use runeward_policy::{MasterSecret, Restriction, Rune};

/// The rune with one more restriction.
pub fn narrow(rune: &str, restriction: &str) -> String {
    let rune = Rune::decode(rune).unwrap();
    let restriction = Restriction::parse(restriction).unwrap();
    rune.narrow(restriction).unwrap().encode()
}

/// The unique id, which must be a number.
pub fn unique_id(rune: &str) -> u64 {
    Rune::decode(rune).unwrap().numeric_id().unwrap()
}

/// A rune made under another secret than any gateway's.
pub fn foreign(unique_id: u64) -> String {
    let secret = MasterSecret::new(&[0x55; 32]).unwrap();
    secret.issue(unique_id, &[]).unwrap().encode()
}
