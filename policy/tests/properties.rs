//! What must hold of every rune, restriction and request.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::cell::Cell;
use std::time::Duration;

use common::Call;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};
use runeward_policy::{
    Alternative, Condition, MasterSecret, Restriction, Rune, SinceLastUse, evaluate, parse_restrictions,
};
use serde_json::{Value as Json, json};

/// Nobody can knock a hole in a rune: a restriction more never allows more.
#[test]
fn narrowing_never_widens() {
    let (allowed, shut_out, refused) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let cases = 20_000;
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let strategy = (restrictions(), restriction(), call());
    runner
        .run(&strategy, |(restrictions, extra, call)| {
            let wide = secret().issue(1, &restrictions).unwrap();
            let narrow = wide.narrow(extra).unwrap();
            let before = evaluate(&wide, &call);
            let count = match evaluate(&narrow, &call) {
                Ok(pass) => {
                    prop_assert!(before.is_ok(), "{wide:?} refuses what {narrow:?} allows");
                    // Nor does it lose the duty to record a use, nor a charge.
                    let before = before.unwrap();
                    prop_assert!(pass.paced || !before.paced);
                    prop_assert!(pass.charges.starts_with(&before.charges));
                    &allowed
                }
                // The earlier restrictions refuse as before, in the same words.
                Err(refusal) if before.is_err() => {
                    prop_assert_eq!(refusal, before.unwrap_err());
                    &refused
                }
                Err(refusal) => {
                    prop_assert_eq!(refusal.restriction(), restrictions.len());
                    prop_assert!(!refusal.to_string().is_empty());
                    &shut_out
                }
            };
            count.set(count.get() + 1);
            Ok(())
        })
        .unwrap();
    for (what, count) in [("allowed", allowed), ("shut out", shut_out), ("refused", refused)] {
        let count = count.get();
        assert!(count > cases / 20, "only {count} of {cases} were {what}");
    }
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn a_holder_narrows_as_the_issuer_would(restrictions in restrictions(), extra in restriction()) {
        let narrowed = secret().issue(7, &restrictions).unwrap().narrow(extra.clone()).unwrap();
        let issued = secret().issue(7, &[&restrictions[..], &[extra]].concat()).unwrap();
        prop_assert!(secret().derived(&narrowed));
        prop_assert_eq!(narrowed, issued);
    }

    #[test]
    fn decoding_undoes_encoding(restrictions in restrictions(), id in 0..1_u64 << 63) {
        let rune = secret().issue(id, &restrictions).unwrap();
        let encoded = rune.encode();
        let decoded = Rune::decode(&encoded).unwrap();
        prop_assert_eq!(&decoded, &rune);
        prop_assert_eq!(decoded.encode(), encoded.as_str());
        prop_assert_eq!(&Rune::decode(encoded.trim_end_matches('=')).unwrap(), &rune);
        prop_assert_eq!(decoded.numeric_id(), Some(id));
        prop_assert_eq!(parse_restrictions(rune.restrictions_text()).unwrap(), restrictions);
    }

    #[test]
    fn another_secret_or_another_text_is_not_derived(
        restrictions in restrictions(),
        extra in restriction(),
        bit in 0..32 * 8_usize,
    ) {
        let rune = secret().issue(1, &restrictions).unwrap();
        prop_assert!(secret().derived(&rune));
        prop_assert!(!MasterSecret::new(b"another").unwrap().derived(&rune));

        let flipped = respell(&rune, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        prop_assert!(!secret().derived(&flipped));

        // A restriction appended without its hash, and one taken away.
        let appended = respell(&rune, |bytes| bytes.extend(format!("&{extra}").bytes()));
        prop_assert!(!secret().derived(&appended));
        let narrowed = rune.narrow(extra.clone()).unwrap();
        let length = extra.to_string().len() + 1;
        let removed = respell(&narrowed, |bytes| bytes.truncate(bytes.len() - length));
        prop_assert!(!secret().derived(&removed));
    }

    /// What is allowed could be, told with all that is known of the call or with nothing.
    #[test]
    fn what_is_allowed_could_be(restrictions in restrictions(), call in call()) {
        let rune = secret().issue(1, &restrictions).unwrap();
        if evaluate(&rune, &call).is_ok() {
            let (peer, method) = (call.peer.as_deref(), call.method.as_deref());
            prop_assert!(rune.could_allow(call.time, peer, method), "{rune:?}");
            prop_assert!(rune.could_allow(call.time, None, None), "{rune:?}");
            prop_assert!(rune.expires_at().is_none_or(|at| call.time < at));
            prop_assert!(rune.bound_peer().is_none_or(|bound| peer == Some(bound)));
        }
    }

    /// However a rune is spelled, it is the same rune: same restrictions, same unique id.
    #[test]
    fn spelling_does_not_matter(restrictions in restrictions()) {
        let rune = secret().issue(1, &restrictions).unwrap();
        let respelled = respell(&rune, |bytes| {
            let text = String::from_utf8(bytes.split_off(32)).unwrap();
            let mut escaped = false;
            let mut in_value = false;
            for character in text.chars() {
                if in_value && !escaped && character.is_alphanumeric() {
                    bytes.push(b'\\');
                }
                let separates = !escaped && matches!(character, '|' | '&');
                in_value = !separates && (in_value || character.is_ascii_punctuation() && character != '_');
                escaped = !escaped && character == '\\';
                bytes.extend(character.to_string().bytes());
            }
            bytes.push(b'&');
        });
        prop_assert_eq!(&respelled, &rune);
        prop_assert!(secret().derived(&respelled));
    }

    #[test]
    fn no_text_panics(text in text(), call in call()) {
        try_everything(&text, &call);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), call in call()) {
        try_rune(&base64(&bytes), &call);
        try_everything(&String::from_utf8_lossy(&bytes), &call);
    }
}

/// Failures are told on the terminal, not in a file.
fn config(cases: u32) -> Config {
    Config { failure_persistence: None, ..Config::with_cases(cases * (Config::default().cases / 256).max(1)) }
}

fn try_everything(text: &str, call: &Call) {
    let _ = Rune::decode(text);
    let _ = Alternative::parse_raw(text).map(|it| (it.to_string(), it.english()));
    if let Ok(restriction) = Restriction::parse(text) {
        assert_eq!(Restriction::parse(&restriction.to_string()).unwrap(), restriction);
    }
    if let Ok(restrictions) = parse_restrictions(text) {
        let rune = secret().issue(1, &restrictions).unwrap();
        assert_eq!(Rune::decode(&rune.encode()).unwrap(), rune);
        let _ = evaluate(&rune, call);
    }
    try_rune(&base64(&[&[0; 32], text.as_bytes()].concat()), call);
}

fn try_rune(encoded: &str, call: &Call) {
    if let Ok(rune) = Rune::decode(encoded) {
        assert_eq!(Rune::decode(&rune.encode()).unwrap(), rune);
        let _ = (rune.unique_id(), rune.numeric_id(), rune.english());
        let _ = evaluate(&rune, call).map_err(|refusal| refusal.to_string());
        assert!(!secret().derived(&rune));
    }
}

fn secret() -> MasterSecret {
    MasterSecret::new(&[7; 32]).unwrap()
}

/// The rune whose bytes (authcode and text) `edit` has changed.
fn respell(rune: &Rune, edit: impl FnOnce(&mut Vec<u8>)) -> Rune {
    use base64::Engine;
    let engine = base64::engine::general_purpose::URL_SAFE;
    let mut bytes = engine.decode(rune.encode()).unwrap();
    edit(&mut bytes);
    Rune::decode(&base64(&bytes)).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE.encode(bytes)
}

fn restrictions() -> impl Strategy<Value = Vec<Restriction>> {
    prop::collection::vec(restriction(), 0..4)
}

fn restriction() -> impl Strategy<Value = Restriction> {
    prop::collection::vec((field(), condition(), value()), 1..4).prop_map(|alternatives| {
        let alternatives = alternatives
            .iter()
            .map(|(field, condition, value)| Alternative::new(field, *condition, value).unwrap());
        Restriction::new(alternatives).unwrap()
    })
}

fn field() -> impl Strategy<Value = &'static str> {
    select(vec![
        "time",
        "id",
        "method",
        "pnum",
        "pnamea",
        "pnameb_c",
        "pnamebc",
        "parr0",
        "parr1",
        "parr00",
        "parr",
        "pname",
        "pinva_amount",
        "pinva_amount",
        "pinva_description",
        "pinva_node",
        "pinvbc_amount",
        "pinva",
        "rate",
        "per",
        "nosuch",
        "quota",
        "quota",
        "rows",
        "é",
    ])
}

fn condition() -> impl Strategy<Value = Condition> {
    "[=/^$~<>{}!#]".prop_map(|text| Condition::from_symbol(text.chars().next().unwrap()).unwrap())
}

fn value() -> impl Strategy<Value = String> {
    let likely = vec![
        "",
        "a",
        "b",
        "ab",
        "5",
        "6",
        " 5",
        "+7",
        "-1",
        "05",
        "5x",
        "1sec",
        "2min",
        "60",
        "0",
        r"\|&",
        "é",
        "m",
        "1000",
        "hello world",
        "5/min",
        "6/day/peer",
        "@id",
        "03",
    ];
    prop_oneof![
        9 => select(likely).prop_map(str::to_owned),
        1 => "[^\0]{0,80}",
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let text = || prop::option::of(select(vec!["a", "ab", "b", "5", "é", r"\|&"]));
    let since = prop_oneof![
        Just(SinceLastUse::Never),
        Just(SinceLastUse::Unknown),
        (0..3_u64).prop_map(|time| SinceLastUse::Elapsed(Duration::from_secs(time))),
    ];
    let used_up = subsequence(vec!["quota=5/min", "quota=6/day/peer", "rows=5/min"], 0..=3);
    let used_up = prop_oneof![1 => Just(None), 3 => used_up.prop_map(Some)];
    (4..8_u64, text(), text(), params(), since, used_up, any::<bool>()).prop_map(
        |(time, peer, method, params, since_last_use, used_up, writes_rows)| Call {
            time,
            peer: peer.map(str::to_owned),
            method: method.map(str::to_owned),
            params,
            since_last_use,
            used_up,
            writes_rows,
        },
    )
}

fn params() -> impl Strategy<Value = Json> {
    let value = || {
        select(vec![
            json!(5),
            json!(6),
            json!("5"),
            json!("a"),
            json!("ab"),
            json!(true),
            json!(5.5),
            json!({"a": 1}),
            json!(recorded("lnbcrt10n1p4sq43s")),
            json!(recorded("lni1qqg8esfg")),
        ])
    };
    prop_oneof![
        Just(Json::Null),
        prop::collection::vec(value(), 0..3).prop_map(Json::from),
        value().prop_map(|value| json!({ "a": value })),
        value().prop_map(|value| json!({ "b_c": value })),
    ]
}

/// An invoice that the node's own calls held.
fn recorded(start: &str) -> &'static str {
    let table = include_str!("recorded.json");
    let table = &table[table.find(&format!("\"{start}")).unwrap() + 1..];
    &table[..table.find('"').unwrap()]
}

/// Text in which the characters that mean something are frequent.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        r"[=/^$~<>{}!#\\|&_a-cé\x00]{0,40}",
        r"(=[0-9]{1,3}(-[0-9])?&)?([a-c]{1,2}[=/^$~<>{}!#][a-c\\]{0,3}[|&]?){0,6}",
        any::<String>(),
    ]
}
