//! How much one evaluation may read, so that no rune makes a request dear.
//!
//! What a restriction costs does not depend on those behind it: where work runs out, it runs out for
//! every longer rune too.

use std::cell::Cell;

use crate::invoice::Invoice;
use crate::refusal::Fault;

/// What one evaluation has read so far.
pub(crate) struct Work<'a> {
    /// How many bytes of parameters may still be read.
    pub(crate) left: Cell<usize>,
    /// The invoices read, by their parameter's name as the rune writes it.
    pub(crate) invoices: Vec<(&'a str, Result<Invoice, &'static str>)>,
}

/// Bytes of parameters that one evaluation may read: a few milliseconds' worth, and enough for two
/// searches through the largest request.
const READABLE_BYTES: usize = 33 << 16;
/// Searching no more bytes than these, such as a command's name, costs nothing.
pub(crate) const SHORT: usize = 128;
/// Looking at one parameter's name takes as long as reading so many bytes.
pub(crate) const NAME_COST: usize = 8;
/// Checking an invoice's signature takes as long as reading so many bytes.
pub(crate) const INVOICE_COST: usize = READABLE_BYTES / 16;

impl Default for Work<'_> {
    fn default() -> Self {
        Self { left: Cell::new(READABLE_BYTES), invoices: Vec::new() }
    }
}

/// Takes what reading costs from what is `left`.
pub(crate) fn charge(left: &Cell<usize>, cost: usize) -> Result<(), Fault> {
    match left.get().checked_sub(cost) {
        Some(rest) => {
            left.set(rest);
            Ok(())
        }
        None => {
            left.set(0);
            Err(Fault::TooMuchWork)
        }
    }
}
