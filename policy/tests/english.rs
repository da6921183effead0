//! Runes in words, from the table that other implementations of ours are tested against too.

#![allow(clippy::unwrap_used, clippy::panic)]

use runeward_policy::{MasterSecret, Restriction, Rune, parse_restrictions};
use serde_json::{Map, Value, json};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/english.json");

#[test]
fn says_what_the_table_says() {
    let table = table();
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() > 500);
    for case in cases {
        assert_eq!(*case, said(&table, case["restrictions"].as_str().unwrap()));
    }
    for case in table["no_runes"].as_array().unwrap() {
        assert_eq!(*case, not_decoded(case["rune"].as_str().unwrap()));
    }
}

/// Writes the table's answers anew, for the restrictions that are in it.
#[test]
#[ignore = "writes: cargo test -p runeward-policy --test english -- --ignored"]
fn write_the_table() {
    let table = table();
    let lines = |name: &str, field: &str, answer: &dyn Fn(&str) -> Value| -> String {
        let cases = table[name].as_array().unwrap().iter();
        let lines = cases.map(|case| answer(case[field].as_str().unwrap()).to_string());
        format!("{}: [\n{}\n]", json!(name), lines.collect::<Vec<_>>().join(",\n"))
    };
    let heads = ["about", "now", "secret"].map(|name| format!("{}: {}", json!(name), table[name]));
    let parts = [
        heads.join(",\n"),
        lines("cases", "restrictions", &|text| said(&table, text)),
        lines("no_runes", "rune", &not_decoded),
    ];
    std::fs::write(TABLE, format!("{{\n{}\n}}\n", parts.join(",\n"))).unwrap();
}

fn table() -> Value {
    serde_json::from_str(&std::fs::read_to_string(TABLE).unwrap()).unwrap()
}

/// A case: all that is said of these restrictions, at the table's time.
fn said(table: &Value, text: &str) -> Value {
    let now = table["now"].as_u64().unwrap();
    let mut case = Map::new();
    case.insert("restrictions".to_owned(), text.into());
    let restrictions = match parse_restrictions(text) {
        Ok(restrictions) => restrictions,
        Err(error) => {
            case.insert("error".to_owned(), error.to_string().into());
            return case.into();
        }
    };
    let secret = MasterSecret::new(table["secret"].as_str().unwrap().as_bytes()).unwrap();
    let rune = secret.issue(1, &restrictions).unwrap();
    // What a holder makes is what the issuer would have made.
    let narrowed = restrictions.iter().fold(secret.issue(1, &[]).unwrap(), |rune, restriction| {
        rune.narrow(Restriction::parse(&restriction.to_string()).unwrap()).unwrap()
    });
    assert_eq!(narrowed, rune);
    let explained = |of: fn(&Restriction, u64) -> Value| restrictions.iter().map(|it| of(it, now)).collect();
    for (name, value) in [
        ("rune", rune.encode().into()),
        ("english", rune.english().into()),
        ("sentences", rune.explain(now).into()),
        ("alone", explained(|it, now| it.explain(now).into())),
        ("odd", explained(|it, now| it.odd(now).into())),
        ("impossible", rune.impossible(now).into()),
    ] {
        case.insert(name.to_owned(), value);
    }
    case.into()
}

fn not_decoded(text: &str) -> Value {
    let error = Rune::decode(text).unwrap_err();
    json!({ "rune": text, "error": error.to_string() })
}
