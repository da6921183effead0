#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

#[test]
fn accepts_what_json_is() {
    for text in ["null", "true", "[]", "{}", r#"[1,-0.5e+3,"a"]"#, r#"{"a":{"b":[null]}}"#, "-0", "1E9"] {
        assert_eq!(parse(text).unwrap().to_text(), text);
    }
    assert_eq!(parse(r#""\u0061\ud83d\ude00\/""#).unwrap(), Json::String("a😀/".into()));
    assert_eq!(parse(" { \"a\" : [ 1 , 2 ] } ").unwrap().to_text(), r#"{"a":[1,2]}"#);
}

#[test]
fn refuses_what_json_is_not() {
    for text in [
        "",
        " ",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "tru",
        "nul",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "[1 2]",
        "\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "{} {}",
        "[]]",
        "{\"a\"}",
        "'a'",
        "NaN",
        "0x10",
    ] {
        assert_eq!(parse(text), Err(Unread::NotJson), "{text}");
    }
}

#[test]
fn refuses_a_key_twice_at_any_depth_and_however_spelt() {
    assert!(parse(r#"{"a":1,"a":2}"#).is_err());
    assert!(parse(r#"[{"x":{"a":1,"\u0061":2}}]"#).is_err());
    let many: Vec<String> = (0..1000).map(|i| format!("\"k{i}\":{i}")).collect();
    assert!(parse(&format!("{{{}}}", many.join(","))).is_ok());
    assert!(parse(&format!("{{{},\"k500\":0}}", many.join(","))).is_err());
    assert!(members(br#"{"id":1,"i\u0064":2}"#).is_err());
}

#[test]
fn bounds_the_depth() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert!(parse(&nested(MAX_DEPTH + 1)).is_err());
    assert!(members(format!("{{\"a\":{}}}", nested(MAX_DEPTH - 1)).as_bytes()).is_ok());
    assert!(members(format!("{{\"a\":{}}}", nested(MAX_DEPTH)).as_bytes()).is_err());
}

#[test]
fn bounds_the_depth_of_objects_and_of_both_in_turn() {
    let objects = |depth: usize| "{\"a\":".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
    assert!(parse(&objects(MAX_DEPTH)).is_ok());
    assert!(parse(&objects(MAX_DEPTH + 1)).is_err());
    let both = |pairs: usize| "[{\"a\":".repeat(pairs) + "0" + &"}]".repeat(pairs);
    assert!(parse(&both(MAX_DEPTH / 2)).is_ok());
    assert!(parse(&both(MAX_DEPTH / 2 + 1)).is_err());
}

#[test]
fn bounds_the_number_of_values() {
    let listed = |values: usize| format!("[{}]", vec!["[]"; values].join(","));
    assert!(parse(&listed(MAX_VALUES - 1)).is_ok());
    assert_eq!(parse(&listed(MAX_VALUES)), Err(Unread::TooMany));
    let keyed: Vec<String> = (0..MAX_VALUES).map(|i| format!("\"{i}\":0")).collect();
    assert!(parse(&format!("{{{}}}", keyed[1..].join(","))).is_ok());
    assert_eq!(parse(&format!("{{{}}}", keyed.join(","))), Err(Unread::TooMany));
    let request =
        |values: usize| format!(r#"{{"id":1,"params":{},"method":"pay"}}"#, listed(values)).into_bytes();
    assert!(members(&request(MAX_VALUES - 3)).is_ok());
    assert_eq!(members(&request(MAX_VALUES - 2)).map(drop), Err(Unread::TooMany));
    // What follows is not looked at.
    assert_eq!(parse(&"[[],".repeat(MAX_DEPTH)), Err(Unread::NotJson));
    assert_eq!(parse(&format!("[{}x", "0,".repeat(MAX_VALUES))), Err(Unread::TooMany));
}

#[test]
fn repeated_keys_are_found_in_few_and_in_many() {
    for members in [FEW_MEMBERS, FEW_MEMBERS + 1] {
        let mut keys: Vec<String> = (0..members).map(|i| format!("\"{i}\":0")).collect();
        assert!(parse(&format!("{{{}}}", keys.join(","))).is_ok());
        keys[members - 1] = keys[0].clone();
        assert!(parse(&format!("{{{}}}", keys.join(","))).is_err());
    }
}

#[test]
fn escapes_are_read_and_written() {
    assert_eq!(parse(r#""\"\\\/\b\f\n\r\t""#).unwrap(), Json::String("\"\\/\u{8}\u{c}\n\r\t".into()));
    let written = Json::String("\"\\\n\r\t\u{8}\u{c}\u{1}é".into()).to_text();
    assert_eq!(written, r#""\"\\\n\r\t\b\f\u0001é""#);
    assert!(parse("\"\\n\u{1}\"").is_err(), "a control character behind an escape");
    for same in ["[1,[2,3],false]", r#"{"a":false,"b":[]}"#] {
        assert_eq!(parse(same).unwrap().to_text(), same);
    }
    assert_eq!(Json::Null.as_str(), None);
    assert_eq!(Json::String("x".into()).as_str(), Some("x"));
}

#[test]
fn keeps_the_text_of_each_member() {
    let found = members(br#" {"id": 1.50 , "x":[ 1 ]} "#).unwrap().unwrap();
    assert_eq!(found[0].2, "1.50");
    assert_eq!(found[1].2, "[ 1 ]");
    assert!(members(b"[]").unwrap().is_none());
    assert!(members(b"[],").is_err());
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = members(&bytes);
    }

    #[test]
    fn never_panics_on_near_json(text in r#"[\[\]{}",:\\0-9eE.+u d8tn-]{0,60}"#) {
        let _ = parse(&text);
    }

    /// What is read is written so that a second reader finds the same meaning.
    #[test]
    fn agrees_with_another_reader(text in r#"[\[\]{}",:\\0-9a-c u-]{0,40}"#) {
        if let Ok(ours) = parse(&text) {
            let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
            let again: serde_json::Value = serde_json::from_str(&ours.to_text()).unwrap();
            prop_assert_eq!(theirs, again);
        }
    }

    #[test]
    fn strings_survive(text in any::<String>()) {
        let mut out = Vec::new();
        write_string(&text, &mut out);
        let back: String = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(back, text);
    }
}
