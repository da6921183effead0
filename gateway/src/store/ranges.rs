//! Sets of unique ids as inclusive ranges.

/// Disjoint, ascending, never adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    pub(crate) fn contains(&self, id: u64) -> bool {
        let after = self.0.partition_point(|&(first, _)| first <= id);
        after > 0 && self.0[after - 1].1 >= id
    }

    /// Adds `first..=last`, joining what it touches. An empty range adds nothing.
    pub(crate) fn insert(&mut self, mut first: u64, mut last: u64) {
        if first > last {
            return;
        }
        let start = self.0.partition_point(|&(_, l)| l.saturating_add(1) < first);
        let end = self.0.partition_point(|&(f, _)| f <= last.saturating_add(1));
        if let Some(touched) = self.0.get(start..end).filter(|touched| !touched.is_empty()) {
            first = first.min(touched[0].0);
            last = last.max(touched[touched.len() - 1].1);
        }
        self.0.splice(start..end, [(first, last)]);
    }

    /// Takes `first..=last` out, splitting what it cuts.
    pub(crate) fn remove(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let before = std::mem::take(&mut self.0);
        for (f, l) in before {
            if l < first || last < f {
                self.0.push((f, l));
                continue;
            }
            if f < first {
                self.0.push((f, first - 1));
            }
            if last < l {
                self.0.push((last + 1, l));
            }
        }
    }

    /// The ranges that are not, as they are, among those of `other`.
    pub(crate) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (u64, u64)> + 'a {
        self.iter().filter(|range| other.0.binary_search(range).is_err())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_as_a_set_and_stays_minimal(
            steps in proptest::collection::vec((any::<bool>(), 0u64..40, 0u64..40), 0..30)
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (insert, first, last) in steps {
                if insert {
                    ranges.insert(first, last);
                    set.extend(first..=last);
                } else {
                    ranges.remove(first, last);
                    set.retain(|id| !(first..=last).contains(id) || first > last);
                }
                for id in 0..45 {
                    prop_assert_eq!(ranges.contains(id), set.contains(&id));
                }
                let listed: Vec<_> = ranges.iter().collect();
                prop_assert_eq!(ranges.without(&Ranges::default()).collect::<Vec<_>>(), listed.clone());
                prop_assert_eq!(ranges.without(&ranges).count(), 0);
                prop_assert!(listed.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }
    }
}
