//! Presets: what is usually handed out, by name. Each is an ordinary restriction that names its
//! commands one by one, never by how they begin, so that a command the node adds later is in none.
//! Behind it stands how much, where that matters.

use runeward_policy::{Alternative, Condition, ParseError, Restriction, Rune};

use super::methods::{Class, OUTBOUND, of_class};

/// A preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Preset {
    /// Look at what anyone may know: changes nothing, tells nothing of balances and peers.
    Readonly,
    /// Look at everything but secrets: balances, peers, channels and payments too.
    Watch,
    /// Make invoices, offers and addresses, and see what was paid.
    Receive,
    /// Receive, and pay; needs an end (--expires).
    Pay,
    /// Safe to publish: getinfo, and what the caller's own channels look like from here.
    Public,
    /// Everything the node can do.
    Admin,
}

/// Every preset.
pub(crate) const PRESETS: [Preset; 6] =
    [Preset::Readonly, Preset::Watch, Preset::Receive, Preset::Pay, Preset::Public, Preset::Admin];

/// Most commands of a preset that are named where it is explained.
const MOST_NAMED: usize = 20;

const RECEIVE: [&str; 10] = [
    "getinfo",
    "help",
    "decode",
    "invoice",
    "offer",
    "listinvoices",
    "listoffers",
    "waitinvoice",
    "waitanyinvoice",
    "newaddr",
];

const PAY: [&str; 6] = ["listpays", "listsendpays", "paystatus", "pay", "xpay", "fetchinvoice"];

const PUBLIC: [&str; 2] = ["getinfo", "runeward-peer"];

impl Preset {
    /// Its name, as it is written and kept.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Readonly => "readonly",
            Self::Watch => "watch",
            Self::Receive => "receive",
            Self::Pay => "pay",
            Self::Public => "public",
            Self::Admin => "admin",
        }
    }

    /// The preset of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        PRESETS.into_iter().find(|preset| preset.name() == name)
    }

    /// The commands it allows; `None`: all.
    pub(crate) fn methods(self) -> Option<Vec<&'static str>> {
        let read = of_class(Class::Read).iter().filter(|name| !OUTBOUND.contains(name)).copied();
        Some(match self {
            Self::Readonly => read.collect(),
            Self::Watch => read.chain(of_class(Class::Private).iter().copied()).collect(),
            Self::Receive => RECEIVE.to_vec(),
            Self::Pay => RECEIVE.into_iter().chain(PAY).collect(),
            Self::Public => PUBLIC.to_vec(),
            Self::Admin => return None,
        })
    }

    /// What a rune made by it is restricted to: its commands, then how much; for `admin` nothing.
    pub(crate) fn restrictions(self) -> Result<Vec<Restriction>, ParseError> {
        let limits = self.limits().iter().map(|limit| Restriction::parse(limit));
        self.commands().into_iter().chain(limits).collect()
    }

    /// The restriction to its commands; `None`: all.
    fn commands(self) -> Option<Result<Restriction, ParseError>> {
        let methods = self.methods()?;
        let alternatives: Result<Vec<_>, _> =
            methods.iter().map(|name| Alternative::new("method", Condition::Equal, name)).collect();
        Some(alternatives.and_then(Restriction::new))
    }

    /// How much of it: what a shop or a wallet does not notice, and a disk can hold. Those that only
    /// look have none, so that any other checker of runes understands them.
    fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Receive => &["rows=1000/day"],
            Self::Pay => &["rows=1000/day", "quota=600/hour"],
            Self::Public => &["quota=60/hour/peer"],
            Self::Readonly | Self::Watch | Self::Admin => &[],
        }
    }

    /// Whether a rune made by it must end.
    pub(crate) fn needs_expiry(self) -> bool {
        self == Self::Pay
    }

    /// What its holder can do.
    fn meaning(self) -> &'static str {
        match self {
            Self::Readonly => "change nothing, and tell nothing of balances and peers",
            Self::Watch => "tell balances, channels, peers, invoices and payments, and change nothing",
            Self::Receive => "make invoices, offers and addresses, and tell what was paid",
            Self::Pay => "can pay with all that the channels hold, and receive",
            Self::Public => "tell what anyone may know, and each caller of its own channels",
            Self::Admin => "do everything",
        }
    }
}

/// What a rune allows at `now` (UNIX seconds), in sentences, as [`Rune::explain`] has them; where it
/// allows the commands of a preset, that is said in place of their names, and where it limits
/// something else alone, that it allows every command.
pub(crate) fn explain(rune: &Rune, now: u64) -> Vec<String> {
    say(rune, now, |preset, methods| {
        let (name, count, meaning) = (preset.name(), methods.len(), preset.meaning());
        let named = match count {
            ..=MOST_NAMED => format!(" ({})", methods.join(", ")),
            _ => String::new(),
        };
        format!("Only the {count} commands of the preset {name}: they {meaning}{named}")
    })
}

/// As [`explain`], in fewer words.
pub(crate) fn summary(rune: &Rune, now: u64) -> String {
    say(rune, now, |preset, _| format!("Preset {}", preset.name())).join(" ")
}

fn say(rune: &Rune, now: u64, words: impl Fn(Preset, &[&str]) -> String) -> Vec<String> {
    let mut sentences = rune.explain(now);
    let mut alternatives = rune.restrictions().flat_map(|restriction| restriction.alternatives()).peekable();
    if alternatives.peek().is_some() && !alternatives.any(|alternative| alternative.field() == "method") {
        sentences.insert(0, "Every command.".to_owned());
    }
    for preset in PRESETS {
        let Some(methods) = preset.methods() else { continue };
        let Some(Ok(commands)) = preset.commands() else { continue };
        let listed = commands.explain(now);
        for sentence in &mut sentences {
            // Exceptions may follow, as in `…, but not getinfo.`
            if let Some(rest) = sentence.strip_prefix(listed.trim_end_matches('.'))
                && (rest == "." || rest.starts_with(", but not "))
            {
                *sentence = words(preset, &methods) + rest;
            }
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::gate::methods::class_of;
    use runeward_policy::{MasterSecret, parse_restrictions};

    #[test]
    fn each_names_commands_that_are_known_once_and_nothing_else() {
        let counts = [Some(15), Some(50), Some(10), Some(16), Some(2), None];
        for (preset, count) in PRESETS.into_iter().zip(counts) {
            assert_eq!(Preset::named(preset.name()), Some(preset));
            let methods = preset.methods();
            assert_eq!(methods.as_ref().map(Vec::len), count, "{preset:?}");
            let Some(mut methods) = methods else { continue };
            assert!(methods.iter().all(|name| class_of(name).is_some()));
            let restrictions = preset.restrictions().unwrap();
            assert!(restrictions[0].alternatives().all(|alternative| {
                (alternative.field(), alternative.condition()) == ("method", Condition::Equal)
            }));
            assert_eq!(restrictions[0].alternatives().count(), methods.len());
            methods.sort_unstable();
            methods.dedup();
            assert_eq!(Some(methods.len()), count);
        }
    }

    #[test]
    fn a_preset_is_told_by_its_name() {
        let tell = |restrictions: &str| {
            let restrictions = parse_restrictions(restrictions).unwrap();
            let rune = MasterSecret::new(&[7; 32]).unwrap().issue(1, &restrictions).unwrap();
            (explain(&rune, 1_800_000_000), summary(&rune, 1_800_000_000))
        };
        let receive = Preset::Receive.restrictions().unwrap()[0].to_string();
        let words = "Only the 10 commands of the preset receive: they make invoices, offers and addresses, and \
                     tell what was paid (getinfo, help, decode, invoice, offer, listinvoices, listoffers, \
                     waitinvoice, waitanyinvoice, newaddr)";
        assert_eq!(tell(&receive), (vec![format!("{words}.")], "Preset receive.".to_owned()));
        let (sentences, summary) = tell(&format!("{receive}&method/newaddr&pnum=0"));
        assert_eq!(sentences[0], format!("{words}, but not newaddr."));
        assert!(summary.starts_with("Preset receive, but not newaddr. "), "{summary}");
        assert_eq!(tell("rate=1").0, ["Every command.", "At most once a minute, at least 1 minute apart."]);
        assert_eq!(tell("").0.len(), 1);
        // One command more is another list.
        let (sentences, _) = tell(&format!("{receive}|method=pay"));
        assert!(sentences[0].starts_with("Only these commands: getinfo, help"), "{sentences:?}");
    }

    /// Nothing in a preset that only looks gives anything but a look.
    #[test]
    fn what_only_looks_has_no_other_class() {
        let highest = |preset: Preset| preset.methods().unwrap().into_iter().filter_map(class_of).max();
        assert_eq!(highest(Preset::Readonly), Some(Class::Read));
        assert_eq!(highest(Preset::Watch), Some(Class::Private));
        assert_eq!(highest(Preset::Receive), Some(Class::Receive));
        assert_eq!(highest(Preset::Pay), Some(Class::Spend));
        assert_eq!(highest(Preset::Public), Some(Class::Private));
    }
}
