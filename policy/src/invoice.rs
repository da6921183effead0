//! What `pinvX_amount`, `pinvX_description` and `pinvX_node` read: a BOLT 11 or BOLT 12 invoice.

use lightning_invoice::{Bolt11Invoice, Bolt11ParseError, Bolt11SemanticError, ParseOrSemanticError};

use crate::bolt12;

/// Longest text that is read as an invoice, in bytes. Longer ones are invalid.
pub(crate) const MAX_INVOICE_BYTES: usize = 16 * 1024;

/// An invoice whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invoice {
    /// In millisatoshi.
    pub(crate) amount: Option<u64>,
    pub(crate) description: Option<String>,
    /// The payee's node id as 66 lower-case hexadecimal digits.
    pub(crate) node: String,
}

/// A part of an invoice that restrictions can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Amount,
    Description,
    Node,
}

/// The parameter and the part that a field names behind `pinv`: `bolt11_amount`.
pub(crate) fn split_field(field: &str) -> Option<(&str, Part)> {
    let (parameter, part) = field.rsplit_once('_')?;
    Some((
        parameter,
        match part {
            "amount" => Part::Amount,
            "description" => Part::Description,
            "node" => Part::Node,
            _ => return None,
        },
    ))
}

/// Reads an invoice, with or without the `lightning:` of its URI, as the node takes it: all in
/// lower or all in upper case.
///
/// The chain it is for, its features and its expiry are the node's business.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(text: &str) -> Result<Invoice, &'static str> {
    if text.len() > MAX_INVOICE_BYTES {
        return Err("too long");
    }
    let text =
        ["lightning:", "LIGHTNING:"].into_iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    let is_bolt12 = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("lni1"));
    let invoice = if is_bolt12 { bolt12::read(text)? } else { bolt11(text)? };
    // A node that ends text at a NUL would read another description than we do.
    match &invoice.description {
        Some(description) if description.contains('\0') => Err("a NUL in the description"),
        _ => Ok(invoice),
    }
}

fn bolt11(text: &str) -> Result<Invoice, &'static str> {
    let invoice: Bolt11Invoice = text.parse().map_err(|error| match error {
        ParseOrSemanticError::ParseError(error) => malformed(&error),
        ParseOrSemanticError::SemanticError(error) => invalid(&error),
    })?;
    Ok(Invoice {
        amount: invoice.amount_milli_satoshis(),
        description: match invoice.description() {
            lightning_invoice::Bolt11InvoiceDescriptionRef::Direct(text) => Some(text.as_inner().0.clone()),
            lightning_invoice::Bolt11InvoiceDescriptionRef::Hash(_) => None,
        },
        node: invoice.get_payee_pub_key().to_string(),
    })
}

fn malformed(error: &Bolt11ParseError) -> &'static str {
    match error {
        Bolt11ParseError::Bech32Error(_) => "Bad bech32 string",
        Bolt11ParseError::BadPrefix | Bolt11ParseError::MalformedHRP | Bolt11ParseError::UnknownCurrency => {
            "not the prefix of an invoice"
        }
        Bolt11ParseError::ParseAmountError(_)
        | Bolt11ParseError::UnknownSiPrefix
        | Bolt11ParseError::IntegerOverflowError => "malformed amount",
        _ => "malformed data",
    }
}

fn invalid(error: &Bolt11SemanticError) -> &'static str {
    match error {
        Bolt11SemanticError::NoPaymentHash => "missing payment hash",
        Bolt11SemanticError::MultiplePaymentHashes => "several payment hashes",
        Bolt11SemanticError::NoDescription => "neither description nor its hash",
        Bolt11SemanticError::MultipleDescriptions => "several descriptions",
        Bolt11SemanticError::NoPaymentSecret => "missing payment secret",
        Bolt11SemanticError::MultiplePaymentSecrets => "several payment secrets",
        Bolt11SemanticError::InvalidFeatures => "features that do not fit together",
        Bolt11SemanticError::InvalidSignature => "Invalid signature",
        Bolt11SemanticError::ImpreciseAmount => "an amount below one millisatoshi",
    }
}
