//! What can be told of a rune before there is a request.

#![allow(clippy::unwrap_used, clippy::panic)]

use runeward_policy::{MasterSecret, Rune, parse_restrictions};

#[test]
fn ends_at_the_earliest_time_without_a_way_out() {
    for (restrictions, at) in [
        ("", None),
        ("method=pay", None),
        ("time<50", Some(50)),
        ("time< 50", Some(50)),
        ("time<50&method=pay&time<40&time<60", Some(40)),
        ("time<50|method=pay", None),
        ("time<50&time<40|method=pay", Some(50)),
        ("time>50", None),
        ("time=50", None),
        ("time<-5", Some(0)),
        ("time<soon", None),
        ("time<soon&time<7", Some(7)),
        ("time<9223372036854775807", Some(i64::MAX as u64)),
    ] {
        assert_eq!(rune(restrictions).expires_at(), at, "{restrictions:?}");
    }
}

#[test]
fn is_bound_to_the_caller_that_it_names_without_a_way_out() {
    for (restrictions, peer) in [
        ("", None),
        ("id=02ab", Some("02ab")),
        ("method=pay&id=02ab", Some("02ab")),
        ("id=02ab|method=pay", None),
        ("id=02ab|id=02cd", None),
        ("id^02ab", None),
        ("id/02ab", None),
        ("pnameid=02ab", None),
    ] {
        assert_eq!(rune(restrictions).bound_peer(), peer, "{restrictions:?}");
    }
}

#[test]
fn what_is_not_given_could_hold() {
    let (nobody, ab, pay) = (None, Some("02ab"), Some("pay"));
    for (restrictions, peer, method, could) in [
        ("", nobody, None, true),
        ("time<101", nobody, None, true),
        ("time<100", nobody, None, false),
        ("time>100", nobody, None, false),
        ("time<x", nobody, None, false),
        ("time<100|method=pay", nobody, None, true),
        ("time<100|method=pay", nobody, pay, true),
        ("time<100|method=pay", nobody, Some("stop"), false),
        ("id=02ab", nobody, pay, true),
        ("id=02ab", ab, pay, true),
        ("id=02cd", ab, pay, false),
        ("id!", ab, pay, false),
        ("id!", nobody, pay, true),
        ("method^pa&method/pay", nobody, None, true),
        ("method^pa&method/pay", nobody, pay, false),
        ("method^pa&method/pay", nobody, Some("paystatus"), true),
        ("method!", nobody, pay, false),
        ("method#pay", nobody, Some("stop"), true),
        ("method<5", nobody, pay, false),
        ("method=pay&pnum=1&pnamea=1&parr0=2&pinvb_amount<5", nobody, pay, true),
        ("rate=1&per=1day", nobody, pay, true),
        ("rate=0", nobody, pay, false),
        ("rate#", nobody, pay, false),
        ("per=1year|method=pay", nobody, pay, true),
        ("quota=1/day&quota=1/min/peer&rows=5/day", nobody, pay, true),
        ("quota=1/year", nobody, pay, false),
        ("quota/1/day", nobody, pay, false),
        ("rows=0/day", nobody, pay, false),
        ("pnameid=@id", nobody, pay, true),
        ("pnameid/@id", nobody, pay, false),
        ("nosuch=1", nobody, pay, false),
        ("nosuch!", nobody, pay, true),
        ("nosuch#", nobody, pay, true),
        ("nosuch=1|pnum=0", nobody, pay, true),
    ] {
        assert_eq!(rune(restrictions).could_allow(100, peer, method), could, "{restrictions:?}");
    }
}

fn rune(restrictions: &str) -> Rune {
    let restrictions = parse_restrictions(restrictions).unwrap();
    MasterSecret::new(b"secret").unwrap().issue(1, &restrictions).unwrap()
}
