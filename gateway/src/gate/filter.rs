//! The reply filter a client may send beside its params: the node applies it, we check its shape.
//!
//! A filter is outside the rune. It only takes away from a reply, but nothing that is not of its
//! plain form reaches the node: objects, arrays of one element, and `true`.

use super::json::Json;
use super::reply::Failure;

/// Refuses, with the node's own words, a filter that is not of that form. Its depth is bounded by
/// the parser.
pub(crate) fn check(filter: &Json<'_>) -> Result<(), Failure> {
    match filter {
        Json::Object(_) => part(filter),
        _ => Err(invalid("Expected object")),
    }
}

fn part(filter: &Json<'_>) -> Result<(), Failure> {
    match filter {
        Json::Object(members) => members.iter().try_for_each(|(_, value)| part(value)),
        Json::Array(items) => match items.as_slice() {
            [item] => part(item),
            _ => Err(invalid("arrays must have one element")),
        },
        Json::Bool(true) => Ok(()),
        _ => Err(invalid("value must be true")),
    }
}

fn invalid(what: &str) -> Failure {
    Failure::invalid_params(format!("filter: {what}: invalid token (see logs for details)"))
}
