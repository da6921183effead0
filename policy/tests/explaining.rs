//! Runes explained to people, and what minting should refuse.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Call;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;
use runeward_policy::{MasterSecret, Restriction, Rune, SinceLastUse, evaluate, parse_restrictions};
use serde_json::{Value as Json, json};

/// 20 November 2026, 15:04 UTC.
const NOW: u64 = 1_795_187_040;

#[test]
fn tells_a_rune_to_its_owner() {
    let node = NODE;
    for (restrictions, sentences) in [
        ("", &["No limits: it can do everything the node can."][..]),
        ("method=getinfo|method=listpeers", &["Only these commands: getinfo, listpeers."]),
        ("method=getinfo", &["Only the command getinfo."]),
        (
            "method^list|method^get|method=summary&method/listdatastore",
            &[
                "Only these commands: summary, and those that start with list, or start with get, but not listdatastore.",
            ],
        ),
        (
            "method^list&method/listdatastore&time<1797779040",
            &[
                "Only commands that start with list, but not listdatastore.",
                "Until 20 December 2026, 15:04 UTC (in 30 days).",
            ],
        ),
        (
            "method/pay&rate=10&method/stop",
            &["Every command but pay, stop.", "At most 10 times a minute, at least 6 seconds apart."],
        ),
        (
            "method/stop&method=pay|method=getinfo&method^p",
            &["Only these commands: pay, getinfo, but not stop.", "Only commands that start with p."],
        ),
        (
            &format!("id={node}&per=1hour"),
            &[&format!("Only from the device with node id {node}."), "Once per hour."],
        ),
        (
            "method=pay&pnameamount_msat<100001",
            &["Only the command pay.", "The parameter amount_msat must be below 100,001."],
        ),
        (
            "method=getinfo|pinvbolt11_amount<5000",
            &[
                "Only where at least one of these holds: the command is getinfo; or the amount in msat of the invoice in the parameter bolt11 is below 5,000.",
            ],
        ),
        (
            "method=getinfo&method=pay",
            &[
                "Only the command getinfo.",
                "Only the command pay.",
                r#"As it is, it allows nothing: "method=getinfo" and "method=pay" shut each other out."#,
            ],
        ),
        (
            "time<5&method=a",
            &[
                r#"Allows nothing: 1 January 1970, 00:00:05 UTC is over (20,778 days ago) ("time<5")."#,
                "Only the command a.",
            ],
        ),
    ] {
        assert_eq!(rune(restrictions).explain(NOW), sentences, "{restrictions}");
    }
}

#[test]
fn tells_every_field_and_condition() {
    let node = NODE;
    for (restriction, sentence) in [
        ("method^list", "Only commands that start with list."),
        ("method$s", "Only commands that end with s."),
        ("method~peer", "Only commands that contain peer."),
        ("method{b", "Only commands that sort before b, byte by byte."),
        ("method}b", "Only commands that sort after b, byte by byte."),
        ("method!", "Only where no command is named."),
        ("method/pay", "Every command but pay."),
        ("method/Pay x", r#"Every command but "Pay x"."#),
        (
            "method{b|method=pay",
            "Only where at least one of these holds: the command sorts before b, byte by byte; or the command is pay.",
        ),
        (
            "method!|method/pay",
            "Only where at least one of these holds: no command is named; or the command is another than pay.",
        ),
        (
            "method^a|pnum=0",
            "Only where at least one of these holds: the command starts with a; or there are no parameters.",
        ),
        ("method$a|method~b", "Only commands that end with a, or contain b."),
        ("time<1795187041", "Until 20 November 2026, 15:04:01 UTC (in 1 second)."),
        ("time> 1795187040", "Only after 20 November 2026, 15:04 UTC (now)."),
        ("time>1795100000", "Only after 19 November 2026, 14:53:20 UTC (24 hours ago)."),
        (
            "time=1795190000",
            "Only in the second that starts at 20 November 2026, 15:53:20 UTC (in 49 minutes).",
        ),
        (
            "time/1709164799",
            "Not in the second that starts at 28 February 2024, 23:59:59 UTC (996 days ago).",
        ),
        ("time/x", "The time in UNIX seconds must not be x."),
        ("time^17", "The time in UNIX seconds must start with 17."),
        (
            "time<1709251199|time<1835395200",
            r#"Only where at least one of these holds: "time<1709251199" (which never holds: 29 February 2024, 23:59:59 UTC is over (995 days ago)); or it is before 29 February 2028, 00:00 UTC (in 465 days)."#,
        ),
        (
            "time>1795190000|time=1795190000",
            "Only where at least one of these holds: it is after 20 November 2026, 15:53:20 UTC (in 49 minutes); or it is the second that starts at 20 November 2026, 15:53:20 UTC (in 49 minutes).",
        ),
        ("time<253402300799", "Until 31 December 9999, 23:59:59 UTC (in 2,912,119 days)."),
        ("time<253402300800", "Until a time after the year 9999 (in 2,912,119 days)."),
        ("time>-5", "Only after a time before 1970 (20,778 days ago)."),
        ("id^02ab", "The caller's node id must start with 02ab."),
        ("id!", "Only from callers without a node id."),
        ("id/02ab", "Not from the device with node id 02ab."),
        (
            "id!|id/02",
            "Only where at least one of these holds: the caller has no node id; or the caller has another node id than 02.",
        ),
        (
            &format!("id={node}|id~00"),
            &format!(
                "Only where at least one of these holds: the caller is the device with node id {node}; or the caller's node id contains 00."
            ),
        ),
        ("pnum=0", "Only without parameters."),
        ("pnum=2", "The number of parameters must be 2."),
        ("pnum<3", "The number of parameters must be below 3."),
        ("pnum/2", "The number of parameters must not be 2."),
        ("pnamelabel=a b", r#"The parameter label must be "a b"."#),
        ("pnamelabel/a", "The parameter label must be given and must not be a."),
        ("pnamelabel^", "The parameter label must be given."),
        (
            "pnamelabel$x|pnamelabel~y",
            "Only where at least one of these holds: the parameter label ends with x; or the parameter label contains y.",
        ),
        ("pnamelabel!", "The parameter label must not be given."),
        (
            "pnamelabel!|pnamelabel/a",
            "Only where at least one of these holds: the parameter label is not given; or the parameter label is given and is not a.",
        ),
        ("pnamelabel{m", "The parameter label must sort before m, byte by byte."),
        ("pnamelabel}m", "The parameter label must sort after m, byte by byte."),
        ("pnamea>-1000", "The parameter a must be above -1,000."),
        ("pnamea b=\u{202e}x", r#"The parameter "a b" must be "\u{202e}x"."#),
        ("parr0<5", "The parameter at position 1 (of those without names) must be below 5."),
        ("pinvbolt11_amount=1000", "The amount in msat of the invoice in the parameter bolt11 must be 1000."),
        (
            "pinvbolt11_amount!",
            "The amount in msat of the invoice in the parameter bolt11 must be left open.",
        ),
        (
            "pinvbolt11_description~tea",
            "The description of the invoice in the parameter bolt11 must contain tea.",
        ),
        (
            "pinvbolt11_node^03",
            "The payee's node id of the invoice in the parameter bolt11 must start with 03.",
        ),
        ("rate=1", "At most once a minute, at least 1 minute apart."),
        ("rate=60", "At most 60 times a minute, at least 1 second apart."),
        ("rate= +070", "At most 70 times a minute, at least 0.857142857 seconds apart."),
        ("per=1", "Once per second."),
        ("per=1day", "Once per day."),
        ("per=60", "Once per minute."),
        ("per=90", "Once every 90 seconds."),
        ("per=48hour", "Once every 2 days."),
        ("per=1msec", "Once every 0.001 seconds."),
        (
            "per=1min|method=a",
            "Only where at least one of these holds: at least 1 minute has passed since the last use; or the command is a.",
        ),
        (
            "rate=2|method=a",
            "Only where at least one of these holds: at least 30 seconds have passed since the last use; or the command is a.",
        ),
        ("for#my phone", r#"A note, which limits nothing: "for my phone"."#),
        ("method#x", r#"A note on method, which limits nothing: "x"."#),
        (
            "method=a|for#b",
            r#"Limits nothing, as one of these is enough: the command is a; or "for#b" (which always holds: a note limits nothing)."#,
        ),
        ("nosuch!", r#"Limits nothing: nothing here knows the field nosuch ("nosuch!")."#),
        ("pnameid=@id", "The parameter id must be the caller's own node id."),
        ("pnamelabel=@id ", r#"The parameter label must be "@id "."#),
        ("pinva_description=@id", r#"The description of the invoice in the parameter a must be "@id"."#),
        (
            "parr0=@id|pnum=0",
            "Only where at least one of these holds: the parameter at position 1 (of those without names) is the caller's own node id; or there are no parameters.",
        ),
        ("quota=600/hour", "At most 600 commands an hour."),
        ("quota=1/min", "At most 1 command a minute."),
        ("quota=60/day/peer", "At most 60 commands a day for each device."),
        ("rows=1000/day", "At most 1,000 new records a day."),
        (
            "quota=5/hour|method=getinfo",
            "Only where at least one of these holds: of at most 5 commands an hour one is left; or the command is getinfo.",
        ),
        (
            "rows=5/min|method=getinfo",
            "Only where at least one of these holds: of at most 5 new records a minute one is left, or the command makes none; or the command is getinfo.",
        ),
        ("quota#x", r#"Allows nothing: quota takes only =, as in quota=600/hour ("quota#x")."#),
        (
            "a=1|b=2",
            r#"Allows nothing, as one of these would have to hold: "a=1" (which never holds: nothing here knows the field a); or "b=2" (which never holds: nothing here knows the field b)."#,
        ),
    ] {
        assert_eq!(one(restriction).explain(NOW), *sentence, "{restriction}");
    }
}

#[test]
fn sees_what_can_never_hold() {
    let short = &NODE[1..];
    let upper = NODE.to_uppercase();
    for (restriction, why) in [
        ("method=getinfo", None),
        ("time<1795187040", Some("20 November 2026, 15:04 UTC is over (now)")),
        ("time<1795187041", None),
        ("time=1795187039", Some("20 November 2026, 15:03:59 UTC is over (1 second ago)")),
        ("time=1795187040", None),
        ("time<tomorrow", Some(r#""tomorrow" is no whole number that can be compared"#)),
        ("time<0", Some("it is never below zero")),
        ("time!", Some("there is always a time")),
        ("time=05", Some(r#""05" is no whole number written without sign, space or leading zero"#)),
        ("time^x", Some(r#""x" is no part of a number"#)),
        ("pnum!", Some("every command has a number of parameters")),
        ("pnum<1", None),
        ("pnum<0", Some("it is never below zero")),
        ("pnum>9223372036854775807", Some(r#""9223372036854775807" is the highest number"#)),
        ("pnamea<-9223372036854775808", Some(r#""-9223372036854775808" is the lowest number"#)),
        ("pnamea<0", None),
        ("pnamea<5x", Some(r#""5x" is no whole number that can be compared"#)),
        ("pnamea{", Some("nothing sorts before nothing")),
        ("pnamea}", None),
        ("id=02ab", Some(r#""02ab" is no node id: they are 66 lower-case hexadecimal digits"#)),
        (
            &format!("id={short}"),
            Some(&format!("{short:?} is no node id: they are 66 lower-case hexadecimal digits")),
        ),
        (
            &format!("id={upper}"),
            Some(&format!("{upper:?} is no node id: they are 66 lower-case hexadecimal digits")),
        ),
        ("id^02AB", Some(r#""02AB" is no part of a node id: they are 66 lower-case hexadecimal digits"#)),
        (&format!("id^{NODE}"), None),
        (
            &format!("id~{NODE}0"),
            Some(&format!(
                "{:?} is no part of a node id: they are 66 lower-case hexadecimal digits",
                format!("{NODE}0")
            )),
        ),
        ("id<5", Some("a node id is no number")),
        (
            "method=GetInfo",
            Some(r#""GetInfo" is no command's name: they are lower-case letters, digits, - and _"#),
        ),
        ("method=", Some(r#""" is no command's name: they are lower-case letters, digits, - and _"#)),
        ("method= pay", Some(r#"" pay" is no command's name: they are lower-case letters, digits, - and _"#)),
        (
            "method^ list",
            Some(r#"" list" is no part of a command's name: they are lower-case letters, digits, - and _"#),
        ),
        ("method<5", Some("a command's name is no number")),
        ("parr00=1", Some(r#""00" is no position, which count from 0"#)),
        ("pinvx_amount=1k", Some(r#""1k" is no whole number written without sign, space or leading zero"#)),
        ("pinvx_node=03", Some(r#""03" is no node id: they are 66 lower-case hexadecimal digits"#)),
        ("pinvx_node!", Some("every invoice names its payee")),
        ("pinvx_description<5", Some("a description is no number")),
        ("pinvx_foo=1", Some("of an invoice only _amount, _description and _node can be read")),
        ("rate=0", Some("a rate is a whole number from 1, as in rate=10")),
        ("rate<5", Some("rate takes only =, as in rate=10")),
        ("rate#", Some("rate takes only =, as in rate=10")),
        ("per=0", Some("per takes a whole number from 1, as in per=1hour")),
        ("per/5", Some("per takes only =, as in per=1hour")),
        ("per=5days", Some("per takes nsec, usec, msec, sec, min, hour or day behind its number")),
        ("per=4000000000day", Some("per takes no more than about 584 years")),
        ("quota/5/min", Some("quota takes only =, as in quota=600/hour")),
        ("rows!", Some("rows takes only =, as in rows=1000/day")),
        (
            "quota=5",
            Some(
                "quota takes 1 to 1,000,000,000 and min, hour or day, as in quota=600/hour or quota=60/hour/peer",
            ),
        ),
        ("rows=5/day/peer", Some("rows takes 1 to 1,000,000,000 and min, hour or day, as in rows=1000/day")),
        ("pnameid/@id", Some("@id takes only =, as in pnameid=@id")),
        ("parr0^@id", Some("@id takes only =, as in parr0=@id")),
        ("pnameid!@id", None),
        ("nosuch=1", Some("nothing here knows the field nosuch")),
        ("Quota=1/day", Some(r#"nothing here knows the field "Quota": write quota"#)),
        ("method =pay", Some(r#"nothing here knows the field "method ": write method"#)),
        ("Method=pay", Some(r#"nothing here knows the field "Method": write method"#)),
        ("PNAMEa=pay", Some(r#"nothing here knows the field "PNAMEa": write pname"#)),
        ("nosuch!", None),
        ("nosuch#", None),
    ] {
        let expected = why.map(|why| format!("{restriction:?} can never hold: {why}"));
        assert_eq!(one(restriction).impossible(NOW), expected, "{restriction}");
        // With a way out it is only odd.
        let with = one(&format!("pnamez=1|{restriction}"));
        assert_eq!(with.impossible(NOW), None);
        if expected.is_some() {
            assert_eq!(with.odd(NOW), expected);
            assert_eq!(one(restriction).odd(NOW), expected);
        }
    }
    assert_eq!(
        one("a=1|b=1").impossible(NOW).unwrap(),
        r#""a=1" can never hold: nothing here knows the field a; "b=1" can never hold: nothing here knows the field b"#
    );
    for (restriction, odd) in [
        ("method=pay", None),
        ("for#my phone", None),
        (
            "method=pay|for#x",
            Some(r#""for#x" always holds, so that the others limit nothing: a note limits nothing"#),
        ),
        ("nosuch!", Some(r#""nosuch!" always holds: nothing here knows the field nosuch"#)),
    ] {
        assert_eq!(one(restriction).odd(NOW).as_deref(), odd);
    }
}

#[test]
fn sees_restrictions_that_shut_each_other_out() {
    for (restrictions, why) in [
        ("method=a&method=b", Some(r#""method=a" and "method=b" shut each other out"#)),
        ("method=a|method=b&method=b", None),
        ("method=a&method/a", Some(r#""method=a" and "method/a" shut each other out"#)),
        (
            "method^list&pnum=0&method=a|method=b",
            Some(r#""method^list" and "method=a|method=b" shut each other out"#),
        ),
        ("method=a|pnum=0&method=b", None),
        (&format!("id={NODE}&id^03"), Some(&format!("\"id={NODE}\" and \"id^03\" shut each other out"))),
        ("time>1795190000&time<1795190002", None),
        ("time>1795190000&time<1795190001", Some("no time is after 1795190000 and before 1795190001")),
        ("time>1795190000&time<1795190001|pnum=0", None),
        ("time>1795190000|pnum=0&time<1795190001", None),
        (
            "method=b&time>1795190000&time<1795190009&time>1795190008",
            Some("no time is after 1795190008 and before 1795190009"),
        ),
        (
            "method=a&rate=0",
            Some(r#""rate=0" can never hold: a rate is a whole number from 1, as in rate=10"#),
        ),
    ] {
        assert_eq!(rune(restrictions).impossible(NOW).as_deref(), why, "{restrictions}");
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(5_000 * (Config::default().cases / 256).max(1)) })]

    /// What is said to be impossible is refused, and what is said to limit nothing does not.
    #[test]
    fn what_is_said_is_so(restrictions in prop::collection::vec(restriction(), 0..4), call in call()) {
        let all = parse_restrictions(&restrictions.join("&")).unwrap();
        let rune = secret().issue(1, &all).unwrap();
        let sentences = rune.explain(NOW);
        prop_assert!(!sentences.is_empty());
        for sentence in &sentences {
            prop_assert!(sentence.ends_with('.') && !sentence.contains(char::is_control), "{sentence}");
        }
        if rune.impossible(NOW).is_some() {
            prop_assert!(evaluate(&rune, &call).is_err(), "{restrictions:?} allows {call:?}");
            prop_assert!(sentences.iter().any(|it| it.contains("llows nothing")));
        }
        for restriction in all {
            let alone = secret().issue(1, std::slice::from_ref(&restriction)).unwrap();
            let answer = evaluate(&alone, &call);
            let words = restriction.explain(NOW);
            if restriction.impossible(NOW).is_some() {
                prop_assert!(answer.is_err() && words.starts_with("Allows nothing"));
                prop_assert!(restriction.odd(NOW).is_some());
            } else {
                prop_assert!(!words.starts_with("Allows nothing"));
            }
            if words.contains("imits nothing") {
                prop_assert!(answer.is_ok());
            }
        }
    }

    /// Two restrictions that differ in what they allow differ in their words.
    #[test]
    fn nothing_is_ambiguous(one in restriction(), other in restriction(), call in call()) {
        let allows = |text: &str| evaluate(&rune(text), &call).is_ok();
        if self::one(&one).explain(NOW) == self::one(&other).explain(NOW) {
            prop_assert_eq!(allows(&one), allows(&other), "{} {}", one, other);
        }
    }

    #[test]
    fn no_text_panics(text in r"[=/^$~<>{}!#\\|&_a-eimpt0-9\x00é ]{0,40}", now in any::<u64>()) {
        if let Ok(restrictions) = parse_restrictions(&text) {
            let rune = secret().issue(1, &restrictions).unwrap();
            let _ = (rune.explain(now), rune.impossible(now));
            for restriction in restrictions {
                let _ = (restriction.explain(now), restriction.odd(now));
            }
        }
    }

    /// Dates as another calendar has them: 400 years repeat, and within them days follow each other.
    #[test]
    fn a_day_later_is_another_day(day in 20_778..2_000_000_u64) {
        let until = |day: u64| one(&format!("time<{}", day * 86_400)).explain(NOW);
        let date = |day: u64| until(day).split(", 00:00").next().unwrap().to_owned();
        let (today, later) = (date(day), date(day + 146_097));
        let year = |text: &str| text.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        prop_assert_eq!(year(&today) + 400, year(&later));
        prop_assert_eq!(today.rsplit_once(' ').unwrap().0, later.rsplit_once(' ').unwrap().0);
        prop_assert_ne!(today, date(day + 1));
    }
}

const NODE: &str = "02d4bdc177c74c7c0dd16bda40b69c04b7d6db511a99a14249315ac36f14d986bf";

fn restriction() -> impl Strategy<Value = String> {
    let field = select(vec![
        "time",
        "id",
        "method",
        "method",
        "pnum",
        "pnamea",
        "pnameb_c",
        "parr0",
        "parr00",
        "pinva_amount",
        "pinva_description",
        "pinva_node",
        "pinva",
        "rate",
        "per",
        "quota",
        "rows",
        "nosuch",
        "Method",
    ]);
    let value = select(vec![
        "",
        "a",
        "A",
        "pay",
        "p",
        "5",
        " 5",
        "+5",
        "05",
        "0",
        "-1",
        "\u{202e}",
        "02",
        "1795187040",
        "1795187041",
        "1795187045",
        "1min",
        "60",
        "5/min",
        "5/min/peer",
        "@id",
        "9223372036854775807",
        NODE,
    ]);
    let alternative = (field, "[=/^$~<>{}!#]", value)
        .prop_map(|(field, condition, value)| format!("{field}{condition}{value}"));
    prop::collection::vec(alternative, 1..4).prop_map(|alternatives| alternatives.join("|"))
}

fn call() -> impl Strategy<Value = Call> {
    let value =
        || select(vec![json!(5), json!("5"), json!("a"), json!(""), json!(true), json!(-2), json!(NODE)]);
    let params = prop_oneof![
        Just(Json::Null),
        value().prop_map(|value| json!([value])),
        value().prop_map(|value| json!({ "a": value })),
        value().prop_map(|value| json!({ "b_c": value })),
    ];
    let since = select(vec![SinceLastUse::Never, SinceLastUse::Unknown]);
    (
        NOW..NOW + 8,
        prop::option::of(Just(NODE)),
        prop::option::of(select(vec!["a", "pay", "5"])),
        params,
        since,
        select(vec![None, Some(vec![]), Some(vec!["quota=5/min"]), Some(vec!["rows=5/min"])]),
        any::<bool>(),
    )
        .prop_map(|(time, peer, method, params, since_last_use, used_up, writes_rows)| Call {
            time,
            peer: peer.map(str::to_owned),
            method: method.map(str::to_owned),
            params,
            since_last_use,
            used_up,
            writes_rows,
        })
}

fn one(restriction: &str) -> Restriction {
    Restriction::parse(restriction).unwrap()
}

fn rune(restrictions: &str) -> Rune {
    secret().issue(1, &parse_restrictions(restrictions).unwrap()).unwrap()
}

fn secret() -> MasterSecret {
    MasterSecret::new(b"secret").unwrap()
}
