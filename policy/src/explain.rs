//! Runes explained to who owns the node, and what minting should not let pass.

use crate::evaluate::meets;
use crate::restriction::{Alternative, Condition, Restriction, RestrictionRef};
use crate::rune::Rune;
use crate::say::{quoted, shown};
use crate::verdict::{Verdict, is_known, judge, plural};

impl Rune {
    /// What this rune allows at `now` (UNIX seconds), in sentences for the owner of a node. Together
    /// they say all that its restrictions do; those on which command may run come as one.
    ///
    /// ```
    /// # use runeward_policy::{MasterSecret, parse_restrictions};
    /// let restrictions = parse_restrictions("method^list&method/listdatastore&rate=10")?;
    /// let rune = MasterSecret::new(&[7; 32])?.issue(1, &restrictions)?;
    /// assert_eq!(
    ///     rune.explain(1_795_190_400),
    ///     [
    ///         "Only commands that start with list, but not listdatastore.",
    ///         "At most 10 times a minute, at least 6 seconds apart.",
    ///     ],
    /// );
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain(&self, now: u64) -> Vec<String> {
        let exceptions: Vec<_> = self.restrictions().filter_map(exception).collect();
        let exceptions = exceptions.join(", ");
        let mut told = exceptions.is_empty();
        // A list of commands takes the exceptions along; without one they stand for themselves.
        let has_list = self.restrictions().any(|restriction| commands(restriction, now).is_some());
        let mut sentences = Vec::new();
        for restriction in self.restrictions() {
            if exception(restriction).is_some() {
                if !told && !has_list {
                    sentences.push(format!("Every command but {exceptions}."));
                    told = true;
                }
                continue;
            }
            sentences.push(match commands(restriction, now) {
                Some(commands) if !told => {
                    told = true;
                    format!("{commands}, but not {exceptions}.")
                }
                Some(commands) => format!("{commands}."),
                None => restriction.explain(now),
            });
        }
        if sentences.is_empty() {
            sentences.push("No limits: it can do everything the node can.".to_owned());
        }
        if self.restrictions().all(|restriction| restriction.impossible(now).is_none())
            && let Some(why) = self.impossible(now)
        {
            sentences.push(format!("As it is, it allows nothing: {why}."));
        }
        sentences
    }

    /// Why no request can ever meet all restrictions, if that is so and simple to see: one that
    /// cannot hold at `now` or later, or several that shut each other out.
    pub fn impossible(&self, now: u64) -> Option<String> {
        self.restrictions()
            .find_map(|restriction| restriction.impossible(now))
            .or_else(|| contradiction(self, "method"))
            .or_else(|| contradiction(self, "id"))
            .or_else(|| no_time_left(self))
    }
}

impl Restriction {
    /// See [`RestrictionRef::explain`].
    pub fn explain(&self, now: u64) -> String {
        self.view().explain(now)
    }

    /// See [`RestrictionRef::impossible`].
    pub fn impossible(&self, now: u64) -> Option<String> {
        self.view().impossible(now)
    }

    /// See [`RestrictionRef::odd`].
    pub fn odd(&self, now: u64) -> Option<String> {
        self.view().odd(now)
    }
}

impl RestrictionRef<'_> {
    /// What this restriction asks for, in one sentence for the owner of a node.
    pub fn explain(self, now: u64) -> String {
        if let Some(only) = self.only() {
            return match judge(only, now) {
                Verdict::Sometimes(clause) => format!("{}.", clause.alone),
                Verdict::Never(why) => format!("Allows nothing: {why} ({}).", quoted(self.as_str())),
                Verdict::Always(_) if only.condition() == Condition::Comment => format!("{}.", note(only)),
                Verdict::Always(why) => format!("Limits nothing: {why} ({}).", quoted(self.as_str())),
            };
        }
        if let Some(commands) = commands(self, now) {
            return format!("{commands}.");
        }
        let mut limits = true;
        let mut allows = false;
        let clauses: Vec<_> = self
            .alternatives()
            .map(|alternative| match judge(alternative, now) {
                Verdict::Sometimes(clause) => {
                    allows = true;
                    clause.among
                }
                Verdict::Never(why) => {
                    format!("{} (which never holds: {why})", quoted(&alternative.to_string()))
                }
                Verdict::Always(why) => {
                    limits = false;
                    format!("{} (which always holds: {why})", quoted(&alternative.to_string()))
                }
            })
            .collect();
        let start = match (limits, allows) {
            (false, _) => "Limits nothing, as one of these is enough",
            (true, true) => "Only where at least one of these holds",
            (true, false) => "Allows nothing, as one of these would have to hold",
        };
        format!("{start}: {}.", clauses.join("; or "))
    }

    /// Why no request can ever meet this restriction, at `now` (UNIX seconds) or later.
    pub fn impossible(self, now: u64) -> Option<String> {
        let mut reasons = Vec::new();
        for alternative in self.alternatives() {
            match judge(alternative, now) {
                Verdict::Never(why) => reasons.push(never(alternative, &why)),
                Verdict::Always(_) | Verdict::Sometimes(_) => return None,
            }
        }
        Some(reasons.join("; "))
    }

    /// What its author can hardly have meant: an alternative that cannot hold, one that makes the
    /// others idle, a field that nobody knows. Whatever is [`impossible`](Self::impossible) is odd.
    pub fn odd(self, now: u64) -> Option<String> {
        let several = self.only().is_none();
        self.alternatives().find_map(|alternative| {
            let text = || quoted(&alternative.to_string());
            match judge(alternative, now) {
                Verdict::Never(why) => Some(never(alternative, &why)),
                Verdict::Always(why) if several => {
                    Some(format!("{} always holds, so that the others limit nothing: {why}", text()))
                }
                Verdict::Always(why) if alternative.condition() != Condition::Comment => {
                    Some(format!("{} always holds: {why}", text()))
                }
                Verdict::Always(_) | Verdict::Sometimes(_) => None,
            }
        })
    }
}

fn never(alternative: Alternative<'_>, why: &str) -> String {
    format!("{} can never hold: {why}", quoted(&alternative.to_string()))
}

fn note(comment: Alternative<'_>) -> String {
    // A field's name can be any word: only what nobody reads is part of the note.
    match (comment.field(), comment.value()) {
        (field, value) if is_known(field) => {
            format!("A note on {field}, which limits nothing: {}", quoted(value))
        }
        (field, value) => format!("A note, which limits nothing: {}", quoted(&format!("{field} {value}"))),
    }
}

/// The command that a restriction excepts, where that is all it does: `method/stop`.
fn exception(restriction: RestrictionRef<'_>) -> Option<String> {
    let only = restriction.only()?;
    (only.field() == "method" && only.condition() == Condition::Differs).then(|| shown(only.value()))
}

/// A restriction that lists commands, without its period: `Only these commands: getinfo, pay`.
fn commands(restriction: RestrictionRef<'_>, now: u64) -> Option<String> {
    let (mut names, mut shapes) = (Vec::new(), Vec::new());
    for alternative in restriction.alternatives() {
        let can_hold = matches!(judge(alternative, now), Verdict::Sometimes(_));
        if alternative.field() != "method" || !can_hold {
            return None;
        }
        match alternative.condition() {
            Condition::Equal => names.push(shown(alternative.value())),
            Condition::StartsWith | Condition::EndsWith | Condition::Contains => {
                shapes.push(plural(alternative.condition(), alternative.value()));
            }
            _ => return None,
        }
    }
    let shapes = shapes.join(", or ");
    Some(match (&names[..], shapes.is_empty()) {
        ([], _) => format!("Only commands that {shapes}"),
        ([name], true) => format!("Only the command {name}"),
        (_, true) => format!("Only these commands: {}", names.join(", ")),
        (_, false) => format!("Only these commands: {}, and those that {shapes}", names.join(", ")),
    })
}

/// Restrictions on `field` that no value meets together, where one of them lists the values.
fn contradiction(rune: &Rune, field: &str) -> Option<String> {
    let pure = |restriction: &RestrictionRef<'_>| restriction.alternatives().all(|it| it.field() == field);
    let lists = |restriction: &RestrictionRef<'_>| {
        restriction.alternatives().all(|it| it.condition() == Condition::Equal)
    };
    let list = rune.restrictions().filter(pure).find(lists)?;
    let met = |value: &str, restriction: RestrictionRef<'_>| {
        restriction.alternatives().any(|it| meets(value, it.condition(), it.value()))
    };
    let possible = list
        .alternatives()
        .any(|candidate| rune.restrictions().filter(pure).all(|it| met(candidate.value(), it)));
    if possible {
        return None;
    }
    let texts: Vec<_> = rune.restrictions().filter(pure).map(|it| quoted(it.as_str())).collect();
    Some(format!("{} shut each other out", texts.join(" and ")))
}

/// A start that lies behind the end.
fn no_time_left(rune: &Rune) -> Option<String> {
    let after = rune.time_bounds(Condition::Greater).max()?;
    let before = rune.time_bounds(Condition::Less).min()?;
    (after.saturating_add(1) >= before).then(|| format!("no time is after {after} and before {before}"))
}
