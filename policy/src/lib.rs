//! Runes.
