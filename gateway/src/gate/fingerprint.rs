//! A node id as three words, for people to compare two screens by.

use std::str::FromStr;

use ring::digest::{SHA256, digest};
use runeward_noise::NodeId;

/// A word for each value of a byte, one a line, in alphabetical order. Other clients read this very
/// file, so a word once in it stays where it is.
const WORDS: &str = include_str!("words.txt");

/// The words for the first three bytes of the SHA-256 of the node id's 33 bytes: `amber otter quilt`.
/// They tell devices apart at a glance; with 24 bits they prove nothing. `None` for what is no node id.
pub(crate) fn fingerprint(node_id: &str) -> Option<String> {
    let node_id = NodeId::from_str(node_id).ok()?;
    let hash = digest(&SHA256, node_id.as_bytes());
    let words: Option<Vec<&str>> =
        hash.as_ref().iter().take(3).map(|byte| WORDS.lines().nth(usize::from(*byte))).collect();
    Some(words?.join(" "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_are_distinct_and_easily_read() {
        assert_eq!(WORDS.lines().count(), 256);
        assert!(WORDS.lines().is_sorted());
        let starts: BTreeSet<&str> = WORDS.lines().map(|word| &word[..word.len().min(4)]).collect();
        assert_eq!(starts.len(), 256, "four letters tell them apart");
        for word in WORDS.lines() {
            assert!((3..=8).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
        }
    }

    /// Kept, so that every screen shows the same words, in every version.
    #[test]
    fn a_node_id_keeps_its_words() {
        let words = fingerprint("03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc");
        assert_eq!(words.as_deref(), Some("finch pocket opal"));
        assert_eq!(fingerprint("03aacc"), None);
        assert_eq!(fingerprint(""), None);
    }
}
