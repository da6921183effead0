//! What is a rune or a restriction, what is not, and what the errors say.

#![allow(clippy::unwrap_used, clippy::panic)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use runeward_policy::{
    Alternative, Condition, DecodeError, LimitError, MAX_ALTERNATIVES, MAX_RESTRICTIONS, MAX_RUNE_BYTES,
    MasterSecret, ParseError, Restriction, Rune, UniqueId, parse_restrictions,
};

#[test]
fn reads_padded_and_unpadded_base64url_and_nothing_else() {
    // One, two and three bytes of text: padding of zero, two and one.
    for text in ["", "=1", "=10", "=100", "=1&a_b~é"] {
        let padded = rune(text.as_bytes());
        let bare = padded.trim_end_matches('=');
        assert_eq!(Rune::decode(bare), Rune::decode(&padded));
        assert_eq!(Rune::decode(&padded).unwrap().encode(), padded);
        for wrong in [
            format!("{bare}===="),
            format!("{padded}="),
            format!(" {padded}"),
            format!("{padded} "),
            format!("{padded}\n"),
            format!("{padded}\0"),
            format!("{bare}+"),
            format!("{bare}/"),
        ] {
            assert_eq!(Rune::decode(&wrong), Err(DecodeError::Base64), "{wrong:?}");
        }
        if padded.len() - bare.len() == 2 {
            let partly = format!("{bare}=");
            assert_eq!(Rune::decode(&partly), Err(DecodeError::Base64));
        }
    }
    // Bits behind the last byte would be a second spelling.
    let spelled = rune(b"=1");
    assert!(spelled.ends_with("MQ=="));
    let other = spelled.replace("MQ==", "MR==");
    assert_eq!(Rune::decode(&other), Err(DecodeError::Base64));
}

#[test]
fn refuses_what_is_no_rune() {
    let short = URL_SAFE.encode([0; 31]);
    assert_eq!(Rune::decode(&short), Err(DecodeError::Short));
    assert_eq!(Rune::decode(""), Err(DecodeError::Short));
    assert_eq!(decode(b"=1&a=\xff"), Err(DecodeError::Utf8));
    for text in ["=1&=2", "a=1&=2", "=1|a=2", "a=2|=1", "=1|=1", "!1", "#1", "/1"] {
        assert_eq!(decode(text.as_bytes()), Err(DecodeError::UniqueId), "{text:?}");
    }
    for (text, error) in [
        ("a=\0", ParseError::Nul { at: 2 }),
        ("method", ParseError::NoCondition { at: 0 }),
        ("=1&method", ParseError::NoCondition { at: 3 }),
        ("=1&a=1|", ParseError::NoCondition { at: 7 }),
        ("a=1|b", ParseError::NoCondition { at: 4 }),
        ("é", ParseError::NoCondition { at: 0 }),
        ("&", ParseError::UnknownCondition { at: 0, found: '&' }),
        ("=1&&", ParseError::UnknownCondition { at: 3, found: '&' }),
        ("&=1", ParseError::UnknownCondition { at: 0, found: '&' }),
        ("a=1|&", ParseError::UnknownCondition { at: 4, found: '&' }),
        ("a-b=1", ParseError::UnknownCondition { at: 1, found: '-' }),
        (r"a\=1", ParseError::UnknownCondition { at: 1, found: '\\' }),
        (r"a=1\", ParseError::DanglingEscape { at: 3 }),
        (r"a=\\\", ParseError::DanglingEscape { at: 4 }),
        (r"a=\\|b=\&\", ParseError::DanglingEscape { at: 9 }),
    ] {
        assert_eq!(decode(text.as_bytes()), Err(DecodeError::Restrictions(error)), "{text:?}");
    }
}

#[test]
fn reads_the_parts_of_a_rune() {
    let text = r"=12-3&a_b=x\|y|c!&dé~\\\&&e#";
    let rune = decode(text.as_bytes()).unwrap();
    assert_eq!(rune.unique_id(), Some(UniqueId { id: "12", version: Some("3") }));
    assert_eq!(rune.restrictions_text(), &text[6..]);
    let parts: Vec<Vec<_>> = rune
        .restrictions()
        .map(|restriction| {
            let parts = restriction.alternatives();
            parts.map(|it| (it.field(), it.condition(), it.value())).collect()
        })
        .collect();
    assert_eq!(
        parts,
        [
            vec![("a_b", Condition::Equal, "x|y"), ("c", Condition::Absent, "")],
            vec![("dé", Condition::Contains, r"\&")],
            vec![("e", Condition::Comment, "")],
        ]
    );
    let texts: Vec<_> = rune.restrictions().map(|it| it.to_string()).collect();
    assert_eq!(texts, [r"a_b=x\|y|c!", r"dé~\\\&", "e#"]);
}

#[test]
fn every_condition_has_one_symbol() {
    let mut conditions = 0;
    for symbol in '\0'..='\u{ff}' {
        if let Some(condition) = Condition::from_symbol(symbol) {
            assert_eq!(condition.symbol(), symbol);
            conditions += 1;
        }
    }
    assert_eq!(conditions, 11);
}

#[test]
fn needless_escapes_and_a_trailing_separator_do_not_count() {
    let secret = MasterSecret::new(b"secret").unwrap();
    let plain = secret.issue(1, &[Restriction::parse("a=bé").unwrap()]).unwrap();
    let bytes = URL_SAFE.decode(plain.encode()).unwrap();
    for text in [r"=\1&a=\b\é", "=1&a=bé&", r"=\1&a=bé"] {
        let respelled = [&bytes[..32], text.as_bytes()].concat();
        let respelled = Rune::decode(&URL_SAFE.encode(respelled)).unwrap();
        assert_eq!(respelled, plain);
        assert!(secret.derived(&respelled));
        assert_eq!(respelled.encode(), plain.encode());
    }
}

#[test]
fn unique_ids_have_one_spelling() {
    let largest = (1_u64 << 63) - 1;
    for (text, id) in [
        ("=0".to_owned(), Some(0)),
        ("=10".to_owned(), Some(10)),
        ("=10-2".to_owned(), Some(10)),
        (format!("={largest}"), Some(largest)),
        (format!("={}", largest + 1), None),
        ("=99999999999999999999".to_owned(), None),
    ] {
        assert_eq!(decode(text.as_bytes()).unwrap().numeric_id(), id, "{text:?}");
    }
    for text in ["", "a=1", "=", "=00", "=01", "=+1", "=-1", "=0x10", "= 1", "=1 ", "=x", "=١"] {
        assert_eq!(decode(text.as_bytes()).unwrap().numeric_id(), None, "{text:?}");
    }
    assert_eq!(decode(b"").unwrap().unique_id(), None);
    assert_eq!(decode(b"a=1").unwrap().unique_id(), None);
    assert_eq!(decode(b"=a-b-c").unwrap().unique_id().unwrap().id, "a");
    assert_eq!(decode(b"=a-b-c").unwrap().unique_id().unwrap().version, Some("b-c"));
}

#[test]
fn a_restriction_is_refused_with_advice() {
    for (text, message) in [
        ("", "an empty restriction: write field, condition, value, as in method=getinfo"),
        (
            "method",
            "no condition after the field that starts at byte 0: a restriction reads field, condition, value, as in method=getinfo (conditions: = / ^ $ ~ < > { } ! #)",
        ),
        ("method@x", "'@' at byte 6 is no condition: use one of = / ^ $ ~ < > { } ! #"),
        (
            "method=a&method=b",
            "the & at byte 8 ends the restriction: give what follows as a separate restriction, or write \\& for an & in a value",
        ),
        (
            r"method=\&a&b",
            "the & at byte 10 ends the restriction: give what follows as a separate restriction, or write \\& for an & in a value",
        ),
        ("=5", "no field before the condition at byte 0: name one, as in method=getinfo"),
        ("a=1|=5", "no field before the condition at byte 4: name one, as in method=getinfo"),
        (r"a=1\", "nothing follows the \\ at byte 3: write \\\\ for a \\ in a value"),
        ("a=\0", "a NUL character at byte 2: a rune cannot hold one, leave it out"),
    ] {
        let error = Restriction::parse(text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(text.parse::<Restriction>(), Err(error));
    }
    assert_eq!(Restriction::new([]), Err(ParseError::Empty));
    assert_eq!(parse_restrictions(""), Ok(vec![]));
    assert_eq!(parse_restrictions("=1&a=1"), Err(ParseError::NoField { at: 0 }));
    assert_eq!(parse_restrictions("a=1|b=2&c=3").unwrap().len(), 2);
}

#[test]
fn alternatives_hold_what_a_rune_can() {
    let new = |field, value| Alternative::new(field, Condition::Equal, value);
    assert_eq!(new("", "1"), Err(ParseError::NoField { at: 0 }));
    assert_eq!(new("a.b", "1"), Err(ParseError::FieldPunctuation { at: 1, found: '.' }));
    assert_eq!(new("a\0", "1"), Err(ParseError::Nul { at: 1 }));
    assert_eq!(new("a", "1\0"), Err(ParseError::Nul { at: 3 }));
    assert_eq!(new("é_1", r"|&\").unwrap().to_string(), r"é_1=\|\&\\");

    let plain = Alternative::parse_raw(r"method=a\|b\&c\\d").unwrap();
    assert_eq!(plain.value(), r"a\|b\&c\\d");
    for (text, error) in [
        ("=5", ParseError::NoField { at: 0 }),
        ("", ParseError::NoCondition { at: 0 }),
        ("a", ParseError::NoCondition { at: 0 }),
        ("a@", ParseError::UnknownCondition { at: 1, found: '@' }),
        ("a=\0", ParseError::Nul { at: 2 }),
    ] {
        assert_eq!(Alternative::parse_raw(text), Err(error));
    }
}

#[test]
fn debug_shows_the_encoded_text() {
    let restriction = Restriction::parse(r"a=x\|y|b!").unwrap();
    let shown = r#"Restriction("a=x\\|y|b!")"#;
    assert_eq!(format!("{restriction:?}"), shown);
    let rune = MasterSecret::new(b"secret").unwrap().issue(1, &[restriction]).unwrap();
    let shown_again: Vec<_> = rune.restrictions().map(|it| format!("{it:?}")).collect();
    assert_eq!(shown_again, [shown]);
}

#[test]
fn a_rune_has_bounds() {
    let secret = MasterSecret::new(b"secret").unwrap();
    let one = Restriction::parse("a!").unwrap();

    let full = secret.issue(1, &vec![one.clone(); MAX_RESTRICTIONS]);
    let full = full.unwrap();
    assert_eq!(full.restrictions().count(), MAX_RESTRICTIONS);
    assert_eq!(Rune::decode(&full.encode()).unwrap(), full);
    assert_eq!(full.narrow(one.clone()), Err(LimitError::Restrictions));
    let over = vec!["a!"; MAX_RESTRICTIONS + 1].join("&");
    assert_eq!(decode(over.as_bytes()), Err(DecodeError::Limit(LimitError::Restrictions)));

    let alternatives = |count| vec!["a!"; count].join("|");
    let full = alternatives(MAX_ALTERNATIVES);
    let over = alternatives(MAX_ALTERNATIVES + 1);
    let longest = Restriction::parse(&full).unwrap();
    assert_eq!(longest.alternatives().count(), MAX_ALTERNATIVES);
    assert_eq!(Restriction::parse(&over), Err(LimitError::Alternatives.into()));
    assert!(decode(full.as_bytes()).is_ok());
    let error = decode(over.as_bytes()).unwrap_err();
    assert_eq!(error, DecodeError::Limit(LimitError::Alternatives));
    let error = secret.issue(1 << 63, &[one]).unwrap_err();
    assert_eq!(error, LimitError::UniqueId);

    // To the byte, in every way to make one.
    let room = MAX_RUNE_BYTES / 4 * 3 - 32 - "=1&a=".len();
    for (length, fits) in [(room, true), (room + 1, false), (1 << 20, false)] {
        let value = "v".repeat(length);
        let encoded = rune(format!("=1&a={value}").as_bytes());
        assert_eq!(encoded.len() <= MAX_RUNE_BYTES, fits);
        let decoded = Rune::decode(&encoded);
        let alternative = Alternative::new("a", Condition::Equal, &value).unwrap();
        let narrowed = Restriction::new([alternative]).and_then(|it| Ok(secret.issue(1, &[])?.narrow(it)?));
        if fits {
            let narrowed = narrowed.unwrap();
            assert_eq!(narrowed.encode().len(), MAX_RUNE_BYTES);
            assert_eq!(Rune::decode(&narrowed.encode()), Ok(narrowed));
        } else {
            assert_eq!(decoded, Err(LimitError::Length.into()));
            assert_eq!(narrowed, Err(LimitError::Length.into()));
        }
    }
    // However field and value share the room.
    for field in [2, 100, room / 2, room] {
        let (field, value) = ("f".repeat(field), "v".repeat(room + 1 - field));
        let alternative = Alternative::new(&field, Condition::Equal, &value).unwrap();
        let shared = secret.issue(1, &[Restriction::new([alternative]).unwrap()]).unwrap();
        assert_eq!(shared.encode().len(), MAX_RUNE_BYTES);
        assert_eq!(Rune::decode(&shared.encode()), Ok(shared));
    }
    // Escapes count too.
    let escapes = "&".repeat(room / 2 + 1);
    let alternative = Alternative::new("a", Condition::Equal, &escapes).unwrap();
    let narrowed = Restriction::new([alternative]).and_then(|it| Ok(secret.issue(1, &[it])?));
    assert_eq!(narrowed, Err(LimitError::Length.into()));
}

#[test]
fn a_secret_is_1_to_55_bytes_and_stays_unseen() {
    assert!(MasterSecret::new(&[]).is_err());
    assert!(MasterSecret::new(&[1; 56]).is_err());
    assert!(MasterSecret::new(&[1]).is_ok());
    let secret = MasterSecret::new(&[7; 55]).unwrap();
    assert_eq!(format!("{secret:?}"), "MasterSecret { .. }");

    let rune = secret.issue(1, &[Restriction::parse("a=b").unwrap()]).unwrap();
    assert_eq!(format!("{rune:?}"), "Rune { unique_id: Some(1), .. }");
}

fn decode(text: &[u8]) -> Result<Rune, DecodeError> {
    Rune::decode(&rune(text))
}

/// A rune under no secret.
fn rune(text: &[u8]) -> String {
    URL_SAFE.encode([&[0; 32], text].concat())
}
