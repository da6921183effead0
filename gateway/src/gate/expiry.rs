//! How long an invoice may stand that is made under a rune with a `rows` field.
//!
//! A node keeps an invoice at least until it expires, whoever tidies up behind it: with so many a day
//! and a day for each, what stands open is bounded too. Where any alternative of the rune names
//! `rows`, an `invoice` without an expiry gets one of a day before anything is checked, so that the
//! command checked is the command run; once its rune has allowed it, one with a longer expiry is
//! refused.

use std::borrow::Cow;

use runeward_policy::Rune;

use super::json::Json;
use super::reply::Failure;

/// Longest expiry, and the one that is filled in, in seconds: a day.
const MAX_EXPIRY: u64 = 86_400;

const FILLED_IN: Json<'static> = Json::Number("86400");

/// The parameter's name, and where it stands: `invoice amount_msat label description [expiry] …`.
const NAME: &str = "expiry";
const POSITION: usize = 3;

/// Fills in an expiry where it is missing, or `null`, which to a node is the same. A list too short
/// for what must come before it stays: the node refuses that anyway.
pub(super) fn fill_in(rune: &Rune, method: &str, params: &mut Json<'_>) {
    if !applies(rune, method) {
        return;
    }
    match params {
        Json::Array(items) if items.len() == POSITION => items.push(FILLED_IN),
        Json::Array(items) => {
            items
                .get_mut(POSITION)
                .filter(|it| **it == Json::Null)
                .into_iter()
                .for_each(|it| *it = FILLED_IN);
        }
        Json::Object(members) => match members.iter_mut().find(|(name, _)| name == NAME) {
            Some((_, expiry @ Json::Null)) => *expiry = FILLED_IN,
            Some(_) => {}
            None => members.push((Cow::Borrowed(NAME), FILLED_IN)),
        },
        _ => {}
    }
}

/// Refuses an expiry that is no whole number of seconds or too long.
pub(super) fn check(rune: &Rune, method: &str, params: &Json<'_>) -> Result<(), Failure> {
    if !applies(rune, method) {
        return Ok(());
    }
    let expiry = match params {
        Json::Array(items) => items.get(POSITION),
        Json::Object(members) => members.iter().find(|(name, _)| name == NAME).map(|(_, value)| value),
        _ => None,
    };
    let seconds = |expiry: &Json<'_>| match expiry {
        Json::Number(text) => text.parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    };
    match expiry.map(seconds) {
        None | Some(Some(0..=MAX_EXPIRY)) => Ok(()),
        Some(_) => Err(Failure::invalid_params(format!(
            "expiry: the rune limits rows, so an invoice may stand for a day at most: give 0 to {MAX_EXPIRY} \
             seconds, or none"
        ))),
    }
}

fn applies(rune: &Rune, method: &str) -> bool {
    let mut alternatives = rune.restrictions().flat_map(|restriction| restriction.alternatives());
    method == "invoice" && alternatives.any(|alternative| alternative.field() == "rows")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::gate::json;
    use runeward_policy::{MasterSecret, parse_restrictions};

    /// What the node gets, or `None` where the expiry is refused.
    fn run(restrictions: &str, method: &str, params: &str) -> Option<String> {
        let restrictions = parse_restrictions(restrictions).unwrap();
        let rune = MasterSecret::new(&[7; 32]).unwrap().issue(1, &restrictions).unwrap();
        let mut params = json::parse(params).unwrap();
        fill_in(&rune, method, &mut params);
        check(&rune, method, &params).ok().map(|()| params.to_text())
    }

    #[test]
    fn is_filled_in_by_name_and_by_position() {
        for (given, run_with) in [
            (r#"{"label":"a"}"#, r#"{"label":"a","expiry":86400}"#),
            (r#"{"expiry":null,"label":"a"}"#, r#"{"expiry":86400,"label":"a"}"#),
            (r#"{"expiry":"60"}"#, r#"{"expiry":"60"}"#),
            (r#"{"expiry":86400}"#, r#"{"expiry":86400}"#),
            ("[1,2,3]", "[1,2,3,86400]"),
            ("[1,2,3,null,[]]", "[1,2,3,86400,[]]"),
            ("[1,2,3,60,[]]", "[1,2,3,60,[]]"),
            ("[1,2]", "[1,2]"),
        ] {
            assert_eq!(run("rows=5/day", "invoice", given).as_deref(), Some(run_with));
            assert_eq!(run("method=invoice|rows=5/day&pnum<9", "invoice", given).as_deref(), Some(run_with));
            assert_eq!(run("quota=5/day", "invoice", given).as_deref(), Some(given));
            assert_eq!(run("rows=5/day", "offer", given).as_deref(), Some(given));
        }
    }

    #[test]
    fn what_is_longer_or_unclear_is_refused() {
        for expiry in ["86401", "\"86401\"", "1e3", "-1", "60.0", "\"1d\"", "true", "[60]", "{}"] {
            for params in [format!("{{\"expiry\":{expiry}}}"), format!("[1,2,3,{expiry}]")] {
                assert_eq!(run("rows=5/day", "invoice", &params), None, "{params}");
                assert_eq!(run("pnum<9", "invoice", &params).as_deref(), Some(&*params));
            }
        }
    }
}
