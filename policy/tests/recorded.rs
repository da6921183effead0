//! What others said about runes, in two tables: `recorded.json` holds a real node's answers,
//! `reference.json` runes made by the Python reference.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::Call;
use runeward_policy::{
    Alternative, MasterSecret, Restriction, Rune, SinceLastUse, evaluate, parse_restrictions,
};
use serde_json::Value as Json;

#[test]
fn refuses_and_allows_what_the_node_does_in_its_words() {
    let table = recorded();
    let secret = secret(&table["master_secret"]);
    let mut allowed = 0;
    for case in table["checked"].as_array().unwrap() {
        let request = &case["request"];
        let call = Call {
            time: table["time"].as_u64().unwrap(),
            peer: Some(table["peer"].as_str().unwrap().to_owned()),
            method: request["method"].as_str().map(str::to_owned),
            params: request["params"].clone(),
            since_last_use: match case["since_ms"].as_u64() {
                None => SinceLastUse::Never,
                Some(time) => SinceLastUse::Elapsed(Duration::from_millis(time)),
            },
            ..Call::default()
        };
        let message = answer(&secret, request["rune"].as_str().unwrap(), &call).err();
        let expected = if case["differs"].is_null() { &case["message"] } else { &case["ours"] };
        assert_eq!(message.as_deref(), expected.as_str(), "{}", case["case"]);
        allowed += usize::from(message.is_none());
    }
    assert!(allowed > 40, "only {allowed} were allowed");
}

/// The tests a gateway makes around [`evaluate`], in the node's order.
fn answer(secret: &MasterSecret, rune: &str, call: &Call) -> Result<(), String> {
    let rune = Rune::decode(rune).map_err(|_| "Invalid rune")?;
    if rune.numeric_id().is_none() {
        return Err(
            "Invalid rune: rune: should have valid numeric unique_id: invalid token (see logs for details)"
                .into(),
        );
    }
    if rune.unique_id().is_some_and(|id| id.version.is_some()) {
        return Err("Invalid rune: Not authorized: Version mismatch".into());
    }
    if !secret.derived(&rune) {
        return Err("Invalid rune: Not authorized: Not derived from master".into());
    }
    match evaluate(&rune, call) {
        Ok(_) => Ok(()),
        // The node escapes the reason as JSON would, once more than the reply around it.
        Err(refusal) => {
            let reason = Json::from(refusal.to_string()).to_string();
            let reason = reason.trim_matches('"');
            Err(format!("Invalid rune: Not permitted: {reason}"))
        }
    }
}

#[test]
fn issues_the_runes_the_node_did() {
    let table = recorded();
    let secret = secret(&table["master_secret"]);
    for case in table["issued"].as_array().unwrap() {
        let restrictions: Vec<_> = case["restrictions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|alternatives| {
                let alternatives = alternatives.as_array().unwrap().iter();
                let alternatives =
                    alternatives.map(|text| Alternative::parse_raw(text.as_str().unwrap()).unwrap());
                Restriction::new(alternatives).unwrap()
            })
            .collect();
        let rune = match case["from"].as_str() {
            None => secret.issue(case["unique_id"].as_u64().unwrap(), &restrictions),
            Some(from) => {
                restrictions.into_iter().try_fold(Rune::decode(from).unwrap(), |rune, it| rune.narrow(it))
            }
        };
        let rune = rune.unwrap();
        assert_eq!(rune.encode(), case["rune"].as_str().unwrap());
        assert_eq!(rune.numeric_id(), case["unique_id"].as_u64());
    }
}

#[test]
fn says_restrictions_as_the_node_shows_them() {
    for case in recorded()["shown"].as_array().unwrap() {
        let rune = Rune::decode(case["rune"].as_str().unwrap()).unwrap();
        assert_eq!(rune.unique_id().unwrap().id, case["unique_id"]);
        assert_eq!(rune.english(), case["restrictions_as_english"]);
        let shown = case["restrictions"].as_array().unwrap();
        assert_eq!(rune.restrictions().count(), shown.len());
        for (restriction, shown) in rune.restrictions().zip(shown) {
            assert_eq!(restriction.english(), shown["english"]);
            let shown = shown["alternatives"].as_array().unwrap();
            assert_eq!(restriction.alternatives().count(), shown.len());
            for (alternative, shown) in restriction.alternatives().zip(shown) {
                assert_eq!(alternative.field(), shown["fieldname"]);
                assert_eq!(alternative.condition().symbol().to_string(), shown["condition"]);
                assert_eq!(alternative.value(), shown["value"]);
                assert_eq!(alternative.english(), shown["english"]);
            }
        }
    }
}

#[test]
fn agrees_with_the_reference() {
    let table: Json = serde_json::from_str(include_str!("reference.json")).unwrap();
    for case in table["runes"].as_array().unwrap() {
        let secret = secret(&case["secret"]);
        let theirs = case["rune"].as_str().unwrap();
        let text = case["restrictions"].as_str().unwrap();

        let read = Rune::decode(theirs).unwrap();
        assert!(secret.derived(&read), "{text}");
        assert_eq!(read.numeric_id(), case["unique_id"].as_u64());
        assert_eq!(read.restrictions_text(), text);

        let restrictions = parse_restrictions(text).unwrap();
        let made = secret.issue(case["unique_id"].as_u64().unwrap(), &restrictions).unwrap();
        assert_eq!(made.encode(), theirs);
        assert_eq!(made, read);
    }
}

fn recorded() -> Json {
    serde_json::from_str(include_str!("recorded.json")).unwrap()
}

fn secret(hex: &Json) -> MasterSecret {
    let hex = hex.as_str().unwrap();
    let bytes: Vec<_> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    MasterSecret::new(&bytes).unwrap()
}
