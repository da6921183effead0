//! BOLT 8.
