//! What a rune comes to before there is a request: when it ends, whom it is for, what it could allow.

use std::borrow::Cow;

use crate::evaluate::{Subject, compare, integer, names_caller};
use crate::restriction::{Alternative, Condition, RestrictionRef};
use crate::rune::Rune;
use crate::{pace, quota};

impl Rune {
    /// The first UNIX second in which it allows nothing any more, for sure: the earliest that a
    /// restriction `time<T` without a way out names. Such a time may be over.
    pub fn expires_at(&self) -> Option<u64> {
        self.time_bounds(Condition::Less).min().map(|at| u64::try_from(at).unwrap_or(0))
    }

    /// The node id of the only caller it serves: what a restriction `id=` without a way out names.
    pub fn bound_peer(&self) -> Option<&str> {
        let mut only = self.restrictions().filter_map(RestrictionRef::only);
        let bound = only.find(|it| it.field() == "id" && it.condition() == Condition::Equal)?;
        Some(bound.value())
    }

    /// Whether it could allow a call at `now` (UNIX seconds), as far as that can be told without the
    /// call's parameters and the rune's uses: each restriction has an alternative that holds, or
    /// that depends on them or on a `peer` (a node id) or `method` that is not given.
    ///
    /// ```
    /// # use runeward_policy::{MasterSecret, parse_restrictions};
    /// let restrictions = parse_restrictions("method=pay&pnameamount_msat<5000&time<1795190400")?;
    /// let rune = MasterSecret::new(&[7; 32])?.issue(1, &restrictions)?;
    /// assert!(rune.could_allow(1_795_190_399, None, Some("pay")));
    /// assert!(!rune.could_allow(1_795_190_399, None, Some("getinfo")));
    /// assert!(!rune.could_allow(1_795_190_400, None, None));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn could_allow(&self, now: u64, peer: Option<&str>, method: Option<&str>) -> bool {
        self.restrictions()
            .all(|restriction| restriction.alternatives().any(|it| could_hold(it, now, peer, method)))
    }

    /// The times that restrictions `time<T` or `time>T` without a way out name, in UNIX seconds.
    pub(crate) fn time_bounds(&self, condition: Condition) -> impl Iterator<Item = i64> {
        let only = self.restrictions().filter_map(RestrictionRef::only);
        let bounds = only.filter(move |it| it.field() == "time" && it.condition() == condition);
        bounds.filter_map(|it| integer(it.value()).ok())
    }
}

fn could_hold(alternative: Alternative<'_>, now: u64, peer: Option<&str>, method: Option<&str>) -> bool {
    if let Some(interval) = pace::interval(alternative) {
        return interval.is_ok();
    }
    if let Some(quota) = quota::read(alternative) {
        return quota.is_ok();
    }
    if names_caller(alternative) {
        return alternative.condition() == Condition::Equal;
    }
    let subject = match (alternative.field(), peer, method) {
        ("time", ..) => Subject::Number(now),
        ("id", None, _) | ("method", _, None) => return true,
        ("id", known @ Some(_), _) | ("method", _, known @ Some(_)) => known.map(Cow::Borrowed).into(),
        (field, ..) if reads_parameters(field) => return true,
        _ => Subject::Absent,
    };
    compare(&subject, alternative.condition(), alternative.value()).is_ok()
}

/// Whether a field is read from the parameters of a call.
pub(crate) fn reads_parameters(field: &str) -> bool {
    field == "pnum" || ["pname", "parr", "pinv"].iter().any(|prefix| field.starts_with(prefix))
}
