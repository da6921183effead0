//! What restrictions read of invoices, and how much they may read at all.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::Call;
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};
use proptest::prelude::*;
use proptest::test_runner::Config;
use runeward_policy::{MAX_RUNE_BYTES, MasterSecret, Rune, evaluate, parse_restrictions};
use secp256k1::hashes::{Hash, sha256};
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use serde_json::{Value as Json, json};

#[test]
fn reads_every_part_of_an_invoice() {
    let node = node();
    let priced = bolt11(Some(100_000), Some("a cup | of é"), false);
    let free = bolt11(None, None, true);
    for (invoice, restriction, refusal) in [
        (&priced, "pinvx_amount=100000", None),
        (&priced, "pinvx_amount<100001", None),
        (&priced, "pinvx_amount>99999", None),
        (&priced, "pinvx_amount<100000", Some("invoice parameter x_amount is greater or equal to 100000")),
        (&priced, "pinvx_amount^1", None),
        (&priced, "pinvx_amount~00", None),
        (&priced, "pinvx_amount~01", Some("invoice parameter x_amount does not contain 01")),
        (&priced, "pinvx_amount!", Some("invoice parameter x_amount is present")),
        (&priced, r"pinvx_description=a cup \| of é", None),
        (&priced, "pinvx_description~tea", Some("invoice parameter x_description does not contain tea")),
        (&priced, "pinvx_description<5", Some("invoice parameter x_description is not an integer field")),
        (&priced, "pinvx_description!", Some("invoice parameter x_description is present")),
        (&priced, &format!("pinvx_node={node}"), None),
        (
            &priced,
            &format!("pinvx_node/{node}"),
            Some(&format!("invoice parameter x_node is equal to {node}")),
        ),
        (&priced, "pinvx_node!", Some("invoice parameter x_node is present")),
        // What an invoice leaves open is absent.
        (&free, "pinvx_amount<5", Some("invoice parameter x_amount not present")),
        (&free, "pinvx_amount/5", Some("invoice parameter x_amount not present")),
        (&free, "pinvx_amount!", None),
        (&free, "pinvx_description/tea", Some("invoice parameter x_description not present")),
        (&free, "pinvx_description!", None),
        (&free, &format!("pinvx_node={node}"), None),
    ] {
        let restriction: &str = restriction;
        for text in [
            invoice.clone(),
            invoice.to_uppercase(),
            format!("lightning:{invoice}"),
            format!("LIGHTNING:{invoice}"),
            format!("LIGHTNING:{}", invoice.to_uppercase()),
        ] {
            let reason = refused(restriction, &Call::with(json!({"x": text, "y": invoice})));
            assert_eq!(reason.as_deref(), refusal, "{restriction} {text}");
        }
    }
}

#[test]
fn refuses_what_is_no_invoice() {
    let good = bolt11(Some(5), Some("tea"), true);
    let long = |length: usize| format!("lightning:{}", "q".repeat(length - 10));
    for (text, reason) in [
        (json!(good.replacen("tb", "bc", 1)), "Bad bech32 string"),
        (json!(good[..40].to_owned() + &good[40..].to_uppercase()), "Bad bech32 string"),
        (json!(format!("Lightning:{good}")), "Bad bech32 string"),
        (json!(format!("lightning:lightning:{good}")), "Bad bech32 string"),
        (json!(format!(" {good}")), "Bad bech32 string"),
        (json!(format!("{good} ")), "Bad bech32 string"),
        (json!([good]), "Bad bech32 string"),
        (json!(""), "Bad bech32 string"),
        (json!(5), "Bad bech32 string"),
        (json!("lni1"), "Missing node_id"),
        (json!("lni"), "Bad bech32 string"),
        (json!("LNI1QQQ"), "invalid bech32 string"),
        (json!("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), "malformed data"),
        (json!(bolt11(Some(5), Some("tea\0"), false)), "a NUL in the description"),
        (json!(signed_by_another()), "Invalid signature"),
        (json!(checksummed("lnxx", 0)), "not the prefix of an invoice"),
        (json!(checksummed("lnbc5k", 0)), "malformed amount"),
        (json!(checksummed("lnbc99999999999999999999m", 0)), "malformed amount"),
        (json!(checksummed("lnbc", 0xff)), "malformed data"),
        (json!(long(16 * 1024)), "Bad bech32 string"),
        (json!(long(16 * 1024 + 1)), "too long"),
    ] {
        let call = Call::with(json!({ "x": text }));
        for restriction in ["pinvx_amount/1", "pinvx_description!", "pinvx_node^0"] {
            let expected = format!("Invalid invoice: {reason}");
            assert_eq!(refused(restriction, &call), Some(expected), "{text}");
        }
    }
}

/// Only what is named can be read, so what stands by position is not there, yet not absent either.
#[test]
fn reads_no_invoice_by_position() {
    let invoice = bolt11(Some(5), Some("tea"), false);
    for params in [json!([invoice]), json!([]), json!({}), json!({ "y": invoice })] {
        for restriction in ["pinvx_amount=5", "pinvx_amount!", "pinvx_description!", "pinv0_node!"] {
            let reason = refused(restriction, &Call::with(params.clone())).unwrap();
            assert!(reason.starts_with("Unknown invoice parameter "), "{reason}");
        }
    }
}

#[test]
fn conditions_on_the_same_invoice_read_it_once() {
    let call = Call::with(json!({ "x": bolt11(Some(5), Some("tea"), false) }));
    assert_eq!(refused(&["pinvx_amount=5"; 256].join("&"), &call), None);
    // Fifteen different ones are read, and no more.
    let invoice = bolt11(Some(5), Some("tea"), false);
    let params: serde_json::Map<_, _> = (0..17).map(|n| (format!("x{n}"), json!(invoice))).collect();
    let rune = |count: u32| (0..count).map(|n| format!("pinvx{n}_amount=5")).collect::<Vec<_>>().join("&");
    let call = Call::with(Json::Object(params));
    assert_eq!(refused(&rune(15), &call), None);
    assert_eq!(refused(&rune(16), &call).as_deref(), Some(TOO_MUCH));
    // What comes before is told as it is.
    let alternatives = format!("method=x|{}", rune(17).replace("&", "&method=pay|"));
    assert_eq!(refused(&alternatives, &call), None);
    let alternatives = format!("{}|pinvx0_amount=6", rune(17).replace("=5", "=6").replace("&", "|"));
    let reason = refused(&alternatives, &call).unwrap();
    assert_eq!(reason.matches("is not equal to 6").count(), 16);
    assert_eq!(reason.matches(TOO_MUCH).count(), 2);
}

const TOO_MUCH: &str = "conditions on parameters read too much";

#[test]
fn reading_is_bounded_and_comments_cost_nothing() {
    let mib = "a".repeat(1 << 20);
    let named = Call::with(json!({ "x": mib }));
    let listed = Call::with(json!([mib]));
    let many: serde_json::Map<_, _> = (0..100_000).map(|n| (format!("k{n}"), json!(n))).collect();
    let many = Call::with(Json::Object(many));
    for (restrictions, call, refusal) in [
        (["pnamex~a"; 2].join("&"), &named, None),
        (["pnamex~a"; 3].join("&"), &named, Some(TOO_MUCH)),
        (["parr0~a"; 2].join("&"), &listed, None),
        (["parr0~a"; 3].join("&"), &listed, Some(TOO_MUCH)),
        // The other conditions look at no more than their value's length.
        (["pnamex^a"; 250].join("&"), &named, None),
        (["pnamex/a"; 250].join("&"), &named, None),
        // What does not read parameters goes on.
        (format!("{}|method=pay&method~pay&time>5&pnum=1", ["pnamex~b"; 9].join("|")), &named, None),
        (format!("{}&pnamex#note", ["pnamex~b|method=pay"; 9].join("&")), &named, None),
        (format!("{}&pnamex!", ["pnamex~b|method=pay"; 9].join("&")), &named, Some(TOO_MUCH)),
        (format!("{}&parr0!", ["pnamex~b|method=pay"; 9].join("&")), &named, Some(TOO_MUCH)),
        (["pnamek7=7"; 2].join("&"), &many, None),
        (["pnamek7=7"; 3].join("&"), &many, Some(TOO_MUCH)),
    ] {
        let reason = refused(&restrictions, call);
        assert_eq!(reason.as_deref(), refusal, "{}", &restrictions[..60.min(restrictions.len())]);
    }
}

#[test]
fn searching_what_is_short_goes_on_where_work_has_run_out() {
    let spent = format!("{}|method^m", ["pnamex~b"; 9].join("|"));
    for (length, refusal) in [(128, None), (129, Some(TOO_MUCH))] {
        let method = Some("m".repeat(length));
        let call = Call { method, ..Call::with(json!({ "x": "a".repeat(1 << 20) })) };
        assert_eq!(refused("method~m", &call), None);
        assert_eq!(refused(&format!("{spent}&method~m"), &call).as_deref(), refusal, "{length}");
    }
}

/// The most a holder of a rune can ask for: the longest runes over the largest requests.
#[test]
fn the_worst_rune_over_the_worst_request_takes_milliseconds() {
    let mib = 1 << 20;
    let a = "a".repeat(mib);
    let needle = format!("{}b{}", "a".repeat(10), "a".repeat(10));
    let fill = |alternative: &str, with: &str, limit: usize| {
        let count = (6_000 / (alternative.len() + 1)).min(limit);
        vec![alternative; count].join(with)
    };
    let invoice = bolt11(Some(5), Some("tea"), false);
    let invoices: serde_json::Map<_, _> = (0..400).map(|n| (format!("{n}"), json!(invoice))).collect();
    let names: serde_json::Map<_, _> = (0..90_000).map(|n| (format!("{n}"), json!(0))).collect();
    let numbered =
        |field: &str, end: &str| (0..255).map(|n| format!("{field}{n}{end}")).collect::<Vec<_>>().join("|");
    // A long BOLT 12 invoice of many small records.
    let bytes: Vec<_> = (0..255_u32)
        .flat_map(|n| [&[0xfe][..], &(1_000_000_001 + 2 * n).to_be_bytes(), &[0]].concat())
        .collect();
    let digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l".as_bytes();
    let bits: Vec<_> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let lni: String = bits
        .chunks_exact(5)
        .map(|bits| char::from(digits[usize::from(bits.iter().fold(0, |n, bit| n << 1 | bit))]))
        .collect();
    let lni: serde_json::Map<_, _> =
        (0..400).map(|n| (format!("{n}"), json!(format!("lni1{lni}")))).collect();

    for (what, restrictions, params) in [
        ("searches", fill("pnamex~b", "|", 255), json!({ "x": a })),
        ("deep searches", fill(&format!("pnamex~{needle}"), "|", 255), json!({ "x": a })),
        ("searches of 8 KiB", fill(&format!("pnamex~{needle}"), "|", 255), json!({ "x": a[..8192] })),
        ("passing searches", fill("pnamex~a", "&", 256), json!({ "x": a })),
        ("long prefixes", fill(&format!("pnamex^{}", "a".repeat(1_000)), "&", 256), json!({ "x": a })),
        ("objects", fill("pnamex^b", "|", 255), json!({ "x": [a] })),
        ("names", numbered("pname", "=1"), Json::Object(names)),
        ("invoices", numbered("pinv", "_amount=1"), Json::Object(invoices)),
        ("long invoices", numbered("pinv", "_amount=1"), Json::Object(lni)),
        ("one invoice", fill("pinvx_amount=1", "|", 255), json!({ "x": invoice })),
    ] {
        let rune = rune(&restrictions);
        assert!(rune.encode().len() <= MAX_RUNE_BYTES);
        let call = Call::with(params);
        let best = (0..5).map(|_| {
            let start = Instant::now();
            let _ = evaluate(&rune, &call);
            start.elapsed()
        });
        let best = best.min().unwrap();
        let limit = if cfg!(debug_assertions) { 200 } else { 20 };
        assert!(best < Duration::from_millis(limit), "{what} took {best:?}");
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(300 * (Config::default().cases / 256).max(1)) })]

    /// An invoice reads as it was written.
    #[test]
    fn reads_what_was_written(
        amount in prop::option::of(0..100_000_000_000_u64),
        description in prop::option::of(r"[a-zA-Z0-9 é|&\\]{0,60}"),
        explicit in any::<bool>(),
    ) {
        let invoice = bolt11(amount, description.as_deref(), explicit);
        let call = Call::with(json!({ "x": invoice }));
        let amount = amount.map_or("!".to_owned(), |amount| format!("={amount}"));
        let description = description.map_or("!".to_owned(), |text| {
            let escaped = text.replace('\\', r"\\").replace('|', r"\|").replace('&', r"\&");
            format!("={escaped}")
        });
        let node = node();
        let all = format!("pinvx_amount{amount}&pinvx_description{description}&pinvx_node={node}");
        prop_assert_eq!(refused(&all, &call), None);
    }

    /// Nor does a restriction more allow more where it is the work that runs out.
    #[test]
    fn narrowing_never_widens_where_work_runs_out(
        restrictions in prop::collection::vec(prop::collection::vec(heavy(), 1..5), 0..5),
        extra in prop::collection::vec(heavy(), 1..5),
    ) {
        let call = heavy_call();
        let extra = extra.join("|");
        let wide: Vec<_> = restrictions.iter().map(|alternatives| alternatives.join("|")).collect();
        let narrow = [&wide[..], &[extra]].concat();
        let before = refused(&wide.join("&"), call);
        match refused(&narrow.join("&"), call) {
            None => prop_assert_eq!(before, None),
            Some(reason) => {
                prop_assert!(!reason.is_empty());
                prop_assert!(before.is_none_or(|before| before == reason));
            }
        }
    }

    /// No byte of an invoice can change unseen.
    #[test]
    fn every_byte_of_an_invoice_counts(at in any::<prop::sample::Index>(), to in "[02-9ac-hj-np-z]") {
        let invoice = bolt11(Some(5_000), Some("tea"), false);
        let at = at.index(invoice.len());
        let mut changed = invoice.clone();
        changed.replace_range(at..=at, &to);
        let call = Call::with(json!({ "x": changed }));
        let allowed = refused("pinvx_amount=5000", &call).is_none();
        prop_assert_eq!(allowed, changed == invoice);
    }
}

/// Alternatives that take much work, and some that take none.
fn heavy() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "pnamea~b",
        "pnamea~a",
        "pnameb^[",
        "pnameb~a",
        "pnamec!",
        "pnamec=1",
        "pinvx_amount=5",
        "pinvy_amount=5",
        "pinvz_amount=6",
        "pinva_node!",
        "method=pay",
        "method~pay",
        "method=x",
        "pnamea#",
    ])
}

fn heavy_call() -> &'static Call {
    static CALL: std::sync::LazyLock<Call> = std::sync::LazyLock::new(|| {
        let invoice = bolt11(Some(5), Some("tea"), false);
        let text = "a".repeat(600_000);
        Call::with(json!({ "a": text, "b": [&text[..300_000]], "x": invoice, "y": invoice, "z": invoice }))
    });
    &CALL
}

fn refused(restrictions: &str, call: &Call) -> Option<String> {
    evaluate(&rune(restrictions), call).err().map(|refusal| refusal.to_string())
}

fn rune(restrictions: &str) -> Rune {
    let restrictions = parse_restrictions(restrictions).unwrap();
    MasterSecret::new(b"secret").unwrap().issue(1, &restrictions).unwrap()
}

fn key() -> SecretKey {
    SecretKey::from_slice(&[7; 32]).unwrap()
}

fn node() -> String {
    PublicKey::from_secret_key(SECP256K1, &key()).to_string()
}

/// An invoice by [`key`]; without a description it has the hash of one.
fn bolt11(amount: Option<u64>, description: Option<&str>, explicit_payee: bool) -> String {
    build(amount, description, explicit_payee.then(|| PublicKey::from_secret_key(SECP256K1, &key())))
}

/// Bytes of one kind that pass for an invoice as far as bech32 goes.
fn checksummed(prefix: &str, byte: u8) -> String {
    bech32::encode::<bech32::Bech32>(bech32::Hrp::parse(prefix).unwrap(), &[byte; 100]).unwrap()
}

fn signed_by_another() -> String {
    let another = SecretKey::from_slice(&[8; 32]).unwrap();
    build(Some(5), Some("tea"), Some(PublicKey::from_secret_key(SECP256K1, &another)))
}

fn build(amount: Option<u64>, description: Option<&str>, payee: Option<PublicKey>) -> String {
    let hash = sha256::Hash::hash(b"text");
    let builder = InvoiceBuilder::new(Currency::BitcoinTestnet);
    let builder = match description {
        Some(text) => builder.invoice_description(lightning_invoice::Bolt11InvoiceDescription::Direct(
            lightning_invoice::Description::new(text.to_owned()).unwrap(),
        )),
        None => builder.description_hash(hash),
    };
    let mut builder = builder
        .payment_hash(hash)
        .payment_secret(PaymentSecret([1; 32]))
        .duration_since_epoch(Duration::from_secs(1_700_000_000))
        .min_final_cltv_expiry_delta(18);
    if let Some(amount) = amount {
        builder = builder.amount_milli_satoshis(amount);
    }
    if let Some(payee) = payee {
        builder = builder.payee_pub_key(payee);
    }
    let raw = builder.build_raw().unwrap();
    raw.sign::<_, ()>(|hash| Ok(SECP256K1.sign_ecdsa_recoverable(hash, &key()))).unwrap().to_string()
}
