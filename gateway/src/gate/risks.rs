//! What whoever hands out a rune should know of it, in words.

use runeward_policy::Rune;

use super::methods::{Class, of_class};

/// Most commands that a warning names.
const NAMED: usize = 4;

/// What is risky about a rune from `now` (UNIX seconds) on, the worst first: what its holder can do,
/// as in `can spend the node's money: pay, xpay`. Nothing where it only tells what anyone may know.
pub(crate) fn risks(rune: &Rune, now: u64) -> Vec<String> {
    if rune.restrictions().next().is_none() {
        return vec!["has no restrictions: whoever holds it can spend everything the node has".to_owned()];
    }
    let could = |method: &&str| rune.could_allow(now, None, Some(method));
    let tell = |what: &str, methods: &mut dyn Iterator<Item = &'static str>| {
        let mut methods: Vec<_> = methods.filter(could).collect();
        methods.sort_by_key(|name| !TELLING.contains(name));
        (!methods.is_empty()).then(|| format!("can {what}: {}", some(&methods)))
    };
    let mut risks: Vec<String> =
        tell("make runes that can do everything", &mut MAKE_RUNES.into_iter()).into_iter().collect();
    for (class, what) in WORDS {
        let methods = of_class(class).iter().copied();
        risks.extend(tell(what, &mut methods.filter(|name| !MAKE_RUNES.contains(name))));
    }
    risks
}

const MAKE_RUNES: [&str; 5] =
    ["createrune", "invokerune", "commando-rune", "runeward-create", "runeward-offer"];

const WORDS: [(Class, &str); 6] = [
    (Class::Spend, "spend the node's money"),
    (Class::Admin, "change the node, or make it run anything"),
    (Class::Secret, "read keys, settings and logs"),
    (Class::Erase, "remove records"),
    (Class::Receive, "fill the node's disk with records"),
    (Class::Private, "see balances, peers and payments"),
];

/// Commands named before others, as most people know what they do.
const TELLING: [&str; 18] = [
    "pay",
    "withdraw",
    "close",
    "keysend",
    "plugin",
    "setconfig",
    "stop",
    "sendcustommsg",
    "exposesecret",
    "makesecret",
    "listconfigs",
    "getlog",
    "invoice",
    "newaddr",
    "listfunds",
    "listpeerchannels",
    "listinvoices",
    "listpays",
];

/// `pay, xpay and 8 more`.
fn some(names: &[&str]) -> String {
    match names.split_at_checked(NAMED) {
        Some((first, more)) if more.len() > 1 => format!("{} and {} more", first.join(", "), more.len()),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::gate::presets::{PRESETS, Preset};
    use runeward_policy::{MasterSecret, Restriction, parse_restrictions};

    fn of(restrictions: &[Restriction]) -> Vec<String> {
        risks(&MasterSecret::new(&[7; 32]).unwrap().issue(1, restrictions).unwrap(), 1_800_000_000)
    }

    #[test]
    fn what_is_plain_and_safe_is_not_warned_of() {
        for preset in PRESETS {
            let risks = of(&preset.restrictions().unwrap());
            let is_safe = matches!(preset, Preset::Readonly | Preset::Public);
            assert_eq!(risks.is_empty(), is_safe, "{preset:?}: {risks:?}");
        }
        assert!(of(&parse_restrictions("method=getinfo|method=decode&rate=1").unwrap()).is_empty());
    }

    #[test]
    fn what_is_risky_is_said_the_worst_first() {
        assert_eq!(
            of(&parse_restrictions("method=pay|method=createrune|method=invoice&rate=1").unwrap()),
            [
                "can make runes that can do everything: createrune",
                "can spend the node's money: pay",
                "can fill the node's disk with records: invoice",
            ]
        );
        let watch = of(&Preset::Watch.restrictions().unwrap());
        let names = "listfunds, listinvoices, listpays, listpeerchannels and 31 more";
        assert_eq!(watch, [format!("can see balances, peers and payments: {names}")]);
        assert_eq!(of(&parse_restrictions("rate=1").unwrap()).len(), 7);
        assert!(of(&[])[0].contains("no restrictions"));
    }
}
