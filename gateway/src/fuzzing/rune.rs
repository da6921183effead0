//! Runes as strangers write them: decoded, issued, narrowed, evaluated and put in words.
//!
//! An input is lines: a rune, or restrictions as text; then a restriction more, then a request's
//! method, then its parameters, a line each: `name=value`, or only `value`.

use std::borrow::Cow;
use std::time::Duration;

use runeward_policy::{
    MasterSecret, Parameter, Quota, Request, Restriction, Room, Rune, SinceLastUse, Value, evaluate,
    parse_restrictions,
};

const NOW: u64 = 1_795_190_400;

/// An input that is no text is none.
pub(super) fn rune(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let mut lines = input.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (rune, more, method) = (line(), line(), line());
    let call =
        Call { method, parameters: lines.map(|line| line.split_once('=').unwrap_or(("", line))).collect() };

    if let Ok(rune) = Rune::decode(rune) {
        put_in_words(&rune);
        let _ = evaluate(&rune, &call);
        let canonical = rune.encode();
        assert_eq!(Rune::decode(&canonical).as_ref(), Ok(&rune));
    }

    let Ok(restrictions) = parse_restrictions(rune) else { return };
    let secret = MasterSecret::new(&[7; 32]).unwrap();
    let Ok(issued) = secret.issue(1, &restrictions) else { return };
    assert!(secret.derived(&issued));
    assert_eq!(Rune::decode(&issued.encode()).as_ref(), Ok(&issued));
    assert_eq!(parse_restrictions(issued.restrictions_text()).as_ref(), Ok(&restrictions));
    put_in_words(&issued);
    let allowed = evaluate(&issued, &call).is_ok();
    assert!(!(allowed && call.can_be() && issued.impossible(NOW).is_some()), "what cannot be was allowed");
    assert!(!allowed || issued.could_allow(NOW, None, None), "what could not be was allowed");

    let Some(narrowed) = Restriction::parse(more).ok().and_then(|more| issued.narrow(more).ok()) else {
        return;
    };
    assert!(secret.derived(&narrowed));
    assert!(allowed || evaluate(&narrowed, &call).is_err(), "a restriction more allowed more");
}

fn put_in_words(rune: &Rune) {
    let _ = (rune.english(), rune.unique_id(), rune.numeric_id(), rune.impossible(NOW));
    assert!(!rune.explain(NOW).is_empty());
    for restriction in rune.restrictions() {
        let _ = restriction.odd(NOW);
        assert!(!restriction.explain(NOW).is_empty());
    }
}

/// A command whose parameters are named where the first of them is.
struct Call<'a> {
    method: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Call<'_> {
    /// Whether the gateway could forward it: its method is one, and it has a peer.
    fn can_be(&self) -> bool {
        (1..=64).contains(&self.method.len())
            && self.method.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    }

    fn is_named(&self) -> bool {
        self.parameters.first().is_some_and(|(name, _)| !name.is_empty())
    }

    fn absent(&self) -> Parameter<'_> {
        if self.parameters.is_empty() { Parameter::Absent } else { Parameter::Elsewhere }
    }
}

impl Request for Call<'_> {
    fn time(&self) -> u64 {
        NOW
    }

    fn peer(&self) -> Option<Cow<'_, str>> {
        self.can_be().then(|| format!("02{}", "ab".repeat(32)).into())
    }

    fn method(&self) -> Option<Cow<'_, str>> {
        (!self.method.is_empty()).then_some(Cow::Borrowed(self.method))
    }

    fn parameter_count(&self) -> u64 {
        self.parameters.len() as u64
    }

    fn named(&self, name: &str) -> Parameter<'_> {
        match self.parameters.iter().find(|(known, _)| *known == name) {
            _ if !self.is_named() => self.absent(),
            Some((_, value)) => read(value),
            None => Parameter::Absent,
        }
    }

    fn positional(&self, index: u64) -> Parameter<'_> {
        match self.parameters.get(usize::try_from(index).unwrap_or(usize::MAX)) {
            _ if self.is_named() => self.absent(),
            Some((_, value)) => read(value),
            None => Parameter::Absent,
        }
    }

    fn since_last_use(&self) -> SinceLastUse {
        match self.parameters.len() {
            0 => SinceLastUse::Never,
            1 => SinceLastUse::Unknown,
            seconds => SinceLastUse::Elapsed(Duration::from_secs(1 << seconds.min(20))),
        }
    }

    fn room(&self, quota: Quota) -> Room {
        if quota.size().is_multiple_of(2) { Room::Left } else { Room::UsedUp }
    }

    fn writes_rows(&self) -> bool {
        self.parameters.len() > 1
    }
}

fn read(value: &str) -> Parameter<'_> {
    let text = Cow::Borrowed(value);
    Parameter::Present(match value.parse::<i64>() {
        Ok(number) if number.to_string() == value => Value::Integer { text, value: number },
        _ => Value::Text(text),
    })
}
