//! `quota` and `rows`: the buckets of a unique id, and what is left in them.
//!
//! Of a bucket one instant is kept: when it is full again. A command moves that on by the time in
//! which one more comes in, and fits where it then lies no further ahead than an empty bucket takes
//! to fill. So a bucket that is full is as good as none and can be forgotten.

use std::collections::HashMap;

use runeward_policy::{Quota, Room};

/// Most buckets of one unique id that are not full. Every holder can append fields, and a `/peer` has
/// one for each key that anyone makes: with so many, whoever needs another waits until one is full.
/// What one rune takes at once may go over it, by its few hundred fields.
const MAX_BUCKETS: usize = 4_096;

/// The buckets of one unique id, each by its name: when it is full again, in nanoseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Buckets(HashMap<String, i64>);

impl Buckets {
    /// As the store has them.
    pub(super) fn new(full_at: HashMap<String, i64>) -> Self {
        Self(full_at)
    }

    /// Whether one more fits at `now`. `peer`: the caller's node id.
    pub(super) fn room(&self, quota: Quota, peer: Option<&str>, now: i64) -> Room {
        if self.wait(quota, peer, now) == 0 { Room::Left } else { Room::UsedUp }
    }

    /// How long until one more fits, in nanoseconds; 0 where it does.
    pub(super) fn wait(&self, quota: Quota, peer: Option<&str>, now: i64) -> i64 {
        let wait = match self.0.get(&name(quota, peer)) {
            Some(full_at) => full_at - now - (i64::from(quota.size()) - 1) * each(quota),
            None if self.0.len() < MAX_BUCKETS => 0,
            None => self.0.values().min().map_or(0, |full_at| full_at - now),
        };
        wait.max(0)
    }

    /// Takes one, for which there must be room. Returns what the store has to know: the bucket's name
    /// and when it is full again.
    pub(super) fn take(&mut self, quota: Quota, peer: Option<&str>, now: i64) -> (String, i64) {
        let name = name(quota, peer);
        let full_at = match self.0.get_mut(&name) {
            Some(full_at) => {
                *full_at = now.max(*full_at) + each(quota);
                *full_at
            }
            None => {
                // Those that are full go each time the number has doubled.
                if self.0.len().is_power_of_two() || self.0.len() >= MAX_BUCKETS {
                    self.0.retain(|_, full_at| *full_at > now);
                }
                *self.0.entry(name.clone()).insert_entry(now + each(quota)).get()
            }
        };
        (name, full_at)
    }
}

/// The field as it is written; where each caller has a bucket of its own, with the caller's node id.
fn name(quota: Quota, peer: Option<&str>) -> String {
    match peer.filter(|_| quota.per_peer()) {
        Some(peer) => format!("{quota}/{peer}"),
        None => quota.to_string(),
    }
}

/// The time in which one comes in, in nanoseconds. Rounded up, so that it is never one too many.
fn each(quota: Quota) -> i64 {
    let refill = i64::try_from(quota.refill().as_nanos()).unwrap_or(i64::MAX);
    let size = i64::from(quota.size());
    refill / size + i64::from(refill % size != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use runeward_policy::{MasterSecret, Parameter, Request, SinceLastUse, evaluate, parse_restrictions};
    use std::borrow::Cow;

    const SECOND: i64 = 1_000_000_000;

    /// A call that finds room everywhere.
    struct Call;

    impl Request for Call {
        fn time(&self) -> u64 {
            0
        }
        fn peer(&self) -> Option<Cow<'_, str>> {
            Some("02ab".into())
        }
        fn method(&self) -> Option<Cow<'_, str>> {
            None
        }
        fn parameter_count(&self) -> u64 {
            0
        }
        fn named(&self, _: &str) -> Parameter<'_> {
            Parameter::Absent
        }
        fn positional(&self, _: u64) -> Parameter<'_> {
            Parameter::Absent
        }
        fn since_last_use(&self) -> SinceLastUse {
            SinceLastUse::Never
        }
        fn room(&self, _: Quota) -> Room {
            Room::Left
        }
    }

    fn quota(field: &str) -> Quota {
        let restrictions = parse_restrictions(field).unwrap();
        let rune = MasterSecret::new(&[7; 32]).unwrap().issue(1, &restrictions).unwrap();
        evaluate(&rune, &Call).unwrap().charges[0]
    }

    /// Takes one if there is room.
    fn take(buckets: &mut Buckets, quota: Quota, peer: &str, now: i64) -> bool {
        let room = buckets.room(quota, Some(peer), now) == Room::Left;
        room.then(|| buckets.take(quota, Some(peer), now)).is_some()
    }

    #[test]
    fn as_many_as_it_holds_then_one_by_one() {
        let (mut buckets, a_minute, now) = (Buckets::default(), quota("quota=60/min"), 5 * SECOND);
        let mut taken = |now: i64| (0..100).filter(|_| take(&mut buckets, a_minute, "", now)).count();
        assert_eq!(taken(now), 60);
        assert_eq!(taken(now + SECOND - 1), 0);
        assert_eq!(taken(now + SECOND), 1);
        assert_eq!(taken(now + 4 * SECOND), 3);
        assert_eq!(taken(now + 64 * SECOND), 60, "never more than it holds");
        assert_eq!(buckets.wait(a_minute, None, now + 64 * SECOND), SECOND);
        assert_eq!(buckets.wait(a_minute, None, now + 65 * SECOND), 0);
    }

    proptest! {
        /// Whatever the times are and however often the store is all that is left.
        #[test]
        fn never_more_than_it_holds_and_what_came_in(
            size in prop_oneof![1u32..50, 999_999_990u32..=1_000_000_000],
            waits in proptest::collection::vec((0i64..3 * SECOND, any::<bool>()), 1..200),
        ) {
            let quota = quota(&format!("quota={size}/min"));
            let (mut buckets, mut stored) = (Buckets::default(), HashMap::new());
            let (mut now, mut taken) = (0, 0i128);
            for (wait, restart) in waits {
                now += wait;
                if restart {
                    stored.retain(|_, full_at| *full_at > now);
                    buckets = Buckets::new(stored.clone());
                }
                if buckets.room(quota, None, now) == Room::Left {
                    stored.extend([buckets.take(quota, None, now)]);
                    taken += 1;
                }
                let came_in = i128::from(size) * i128::from(now) / i128::from(60 * SECOND);
                prop_assert!(taken <= i128::from(size) + came_in);
            }
        }
    }

    #[test]
    fn each_caller_has_one_where_the_field_says_so() {
        let mut buckets = Buckets::default();
        let (each, all) = (quota("quota=1/hour/peer"), quota("quota=3/hour"));
        assert!(take(&mut buckets, each, "02aa", 0) && !take(&mut buckets, each, "02aa", 0));
        assert!(take(&mut buckets, each, "02bb", 0));
        let taken = (0..9).filter(|i| take(&mut buckets, all, ["02aa", "02bb"][i % 2], 0)).count();
        assert_eq!(taken, 3);
        let (name, full_at) = Buckets::default().take(each, Some("02aa"), 7);
        assert_eq!((&*name, full_at), ("quota=1/hour/peer/02aa", 7 + 3_600 * SECOND));
    }

    /// However many fields a holder appends: what is full is forgotten, and of what is not there is an
    /// end.
    #[test]
    fn what_is_kept_is_bounded() {
        let mut buckets = Buckets::default();
        let each = quota("quota=2/min/peer");
        let max = i64::try_from(MAX_BUCKETS).unwrap();
        for i in 0..max {
            assert!(take(&mut buckets, each, &i.to_string(), i));
        }
        let now = max;
        assert!(take(&mut buckets, each, "0", now), "whoever has one goes on");
        assert!(!take(&mut buckets, each, "new", now));
        let wait = buckets.wait(each, Some("new"), now);
        assert_eq!(wait, 30 * SECOND + 1 - now, "until the second is full, the first is not");
        assert!(take(&mut buckets, each, "new", now + wait));
        assert_eq!(buckets.0.len(), MAX_BUCKETS);
        // All but the first, which has two to fill, and the new one.
        assert!(take(&mut buckets, each, "another", now + 31 * SECOND));
        assert!((0..MAX_BUCKETS).all(|i| take(&mut buckets, each, &format!("x{i}"), now + 95 * SECOND)));
        assert!(buckets.0.len() <= MAX_BUCKETS);
    }
}
