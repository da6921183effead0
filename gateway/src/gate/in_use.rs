//! The unique ids in use: what is kept of each in memory, and how its calls learn of its revocation.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use runeward_policy::{MasterSecret, Refusal, Rune, evaluate};

use super::check::Check;
use super::clock::Clock;
use super::limits::UnderWay;
use super::quotas::Buckets;
use super::runes::{Count, Denied};
use super::uses::Uses;
use crate::shutdown::Signal;
use crate::store::{Ranges, Used};
use crate::sync::Mutex;

/// With this many unique ids in memory, those that nothing uses are forgotten; the next use looks
/// them up again.
const MAX_KEPT: usize = 16_384;

/// Most runes of one connection that are remembered to have been accepted on it.
const MAX_ACCEPTED: usize = 64;

/// In nanoseconds.
const MILLISECOND: u64 = 1_000_000;

/// A unique id in use, with all runes derived from it. In memory once at most, so that every use
/// sees the last one.
#[derive(Debug)]
pub(crate) struct InUse {
    pub(super) unique_id: u64,
    pub(super) name: Option<String>,
    pub(super) under_way: UnderWay,
    spent: Mutex<Spent>,
    revoked: Signal,
}

/// What the calls under a unique id have used, as limits read it: the next one is judged by what the
/// last one left.
#[derive(Debug, Default)]
pub(super) struct Spent {
    /// Nanoseconds since 1970; `None` while never used.
    pub(super) last_used: Option<i64>,
    /// `None` where nobody keeps them.
    pub(super) buckets: Option<Buckets>,
}

/// What holds for all runes at one moment, changed as a whole.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// What runes are derived from. The node's is known once the node has been met.
    pub(super) master: Option<MasterSecret>,
    /// The fingerprint of our own.
    pub(super) fingerprint: String,
    pub(super) revoked: Ranges,
    in_use: HashMap<u64, Arc<InUse>>,
    /// How often some were forgotten.
    forgotten: u64,
}

/// The runes that were accepted on one connection.
#[derive(Debug, Default)]
pub(crate) struct Accepted(Mutex<Vec<Arc<InUse>>>);

impl InUse {
    /// Tests a call against the restrictions of a rune and takes what it uses, in one step for all
    /// connections: the use to be recorded, and whether a limit depends on that.
    pub(super) fn judge(
        &self,
        rune: &Rune,
        check: Check<'_, '_>,
        clock: &Clock,
        count: Count,
    ) -> Result<(Used, bool), Denied> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, peer) = (clock.now(), check.peer);
        let pass = evaluate(rune, &check.with_spent(&spent, now))
            .map_err(|refusal| spent.denied(refusal, peer, now))?;
        if count != Count::DryRun {
            spent.last_used = Some(now);
        }
        let buckets = match (&mut spent.buckets, count) {
            (Some(buckets), Count::Use) => {
                pass.charges.iter().map(|quota| buckets.take(*quota, peer, now)).collect()
            }
            _ => HashMap::new(),
        };
        let limited = pass.paced || !buckets.is_empty();
        Ok((Used { last: now, count: 1, buckets }, limited))
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.is_given()
    }

    /// Returns once the unique id is revoked.
    pub(crate) async fn revoked(&self) {
        self.revoked.given().await;
    }
}

impl Spent {
    /// A refusal, with the bucket into which one fits first where that is all it takes.
    fn denied(&self, refusal: Refusal, peer: Option<&str>, now: i64) -> Denied {
        let waits = self.buckets.iter().flat_map(|buckets| {
            refusal.used_up().iter().map(|quota| (buckets.wait(*quota, peer, now), *quota))
        });
        match waits.min_by_key(|(wait, _)| *wait) {
            None => Denied::NotPermitted(refusal),
            Some((wait, quota)) => {
                let retry_after = wait.cast_unsigned().div_ceil(MILLISECOND);
                Denied::UsedUp { refusal, quota, retry_after }
            }
        }
    }
}

impl Standing {
    /// The unique id of a rune of which all is right but its restrictions and, perhaps, that it was
    /// never issued; faults are found in the order a node finds them.
    pub(super) fn authenticate(&self, rune: &Rune) -> Result<u64, Denied> {
        let unique_id = rune.numeric_id().ok_or(Denied::NoUniqueId)?;
        if self.revoked.contains(unique_id) {
            return Err(Denied::Blacklisted);
        }
        if rune.unique_id().is_some_and(|id| id.version.is_some()) {
            return Err(Denied::Version);
        }
        match &self.master {
            None => Err(Denied::NoSecret),
            Some(master) if !master.derived(rune) => Err(Denied::NotDerived),
            Some(_) => Ok(unique_id),
        }
    }

    /// The unique id, if it is in memory.
    pub(super) fn in_use(&self, unique_id: u64) -> Option<Arc<InUse>> {
        self.in_use.get(&unique_id).cloned()
    }

    /// Stands for how often ids were forgotten: what was read of the store before may be older than
    /// the last use in memory.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Keeps a unique id in memory, or the one that is there already. Forgets, where they are many,
    /// those that nothing uses and of which all is on disk.
    pub(super) fn keep(
        &mut self,
        unique_id: u64,
        name: Option<String>,
        spent: Spent,
        uses: &Uses,
    ) -> Arc<InUse> {
        if self.in_use.len() >= MAX_KEPT && !self.in_use.contains_key(&unique_id) {
            self.in_use.retain(|id, in_use| Arc::strong_count(in_use) > 1 || uses.is_due(*id));
            self.forgotten += 1;
        }
        let new = || {
            let (under_way, revoked) = Default::default();
            Arc::new(InUse { unique_id, name, under_way, spent: Mutex::new(spent), revoked })
        };
        Arc::clone(self.in_use.entry(unique_id).or_insert_with(new))
    }

    /// Takes over what is revoked, and ends the calls under way of what now is.
    pub(super) fn revoke(&mut self, revoked: Ranges) {
        self.in_use.retain(|id, in_use| {
            let lives = !revoked.contains(*id);
            if !lives {
                in_use.revoked.give();
            }
            lives
        });
        self.revoked = revoked;
    }

    /// Takes over another secret, or none: every rune made from the last one is dead.
    pub(super) fn change_secret(&mut self, secret: Option<(MasterSecret, String)>, revoked: Ranges) {
        self.in_use.drain().for_each(|(_, in_use)| in_use.revoked.give());
        let (master, fingerprint) = secret.unzip();
        self.master = master;
        self.fingerprint = fingerprint.unwrap_or_default();
        self.revoked = revoked;
    }
}

impl Accepted {
    /// Whether there is any.
    pub(crate) fn any(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Whether any of them still stands.
    pub(crate) fn any_live(&self) -> bool {
        self.lock().iter().any(|in_use| !in_use.is_revoked())
    }

    pub(super) fn note(&self, in_use: &Arc<InUse>) {
        let mut accepted = self.lock();
        if accepted.iter().any(|known| Arc::ptr_eq(known, in_use)) {
            return;
        }
        accepted.retain(|known| !known.is_revoked());
        if accepted.len() == MAX_ACCEPTED {
            accepted.remove(0);
        }
        accepted.push(Arc::clone(in_use));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<InUse>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use runeward_policy::parse_restrictions;
    use shuttle::future::spawn;

    use super::super::json::Json;
    use super::*;
    use crate::store::{StateDir, Store};
    use crate::sync::in_many_orders;

    /// Of calls that race for what a bucket holds so many pass, and a revocation ends them, whatever they are at.
    #[test]
    fn no_order_passes_too_many_or_outlives_a_revocation() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let clock = runtime.block_on(async {
            Clock::open(Store::open(&StateDir::open(dir.path()).unwrap()).await.unwrap()).await.unwrap()
        });
        let clock = Arc::new(clock);
        in_many_orders(async move || {
            let master = MasterSecret::new(&[7; 32]).unwrap();
            let rune = master.issue(1, &parse_restrictions("quota=2/day").unwrap()).unwrap();
            let spent = Spent { last_used: None, buckets: Some(Buckets::default()) };
            let (under_way, revoked) = Default::default();
            let in_use = InUse { unique_id: 1, name: None, under_way, spent: Mutex::new(spent), revoked };
            let in_use = HashMap::from([(1, Arc::new(in_use))]);
            let standing = Standing { master: Some(master), in_use, ..Standing::default() };
            let standing = Arc::new(Mutex::new(standing));
            let accepted = Arc::new(Accepted::default());
            let call = |_| {
                let (clock, rune) = (Arc::clone(&clock), rune.clone());
                let (standing, accepted) = (Arc::clone(&standing), Arc::clone(&accepted));
                spawn(async move {
                    let in_use = {
                        let standing = standing.lock().unwrap();
                        let Ok(unique_id) = standing.authenticate(&rune) else { return false };
                        standing.in_use(unique_id).unwrap()
                    };
                    let params = Json::Array(Vec::new());
                    let check = Check::new(0, Some("02ab"), Some("getinfo"), &params);
                    if in_use.judge(&rune, check, &clock, Count::Use).is_err() {
                        return false;
                    }
                    accepted.note(&in_use);
                    in_use.revoked().await;
                    true
                })
            };
            let calls: Vec<_> = (0..3).map(call).collect();
            let revoking = spawn(async move {
                let mut revoked = Ranges::default();
                revoked.insert(1, 1);
                standing.lock().unwrap().revoke(revoked);
            });
            let mut passed = 0;
            for call in calls {
                passed += usize::from(call.await.unwrap());
            }
            revoking.await.unwrap();
            assert!(passed <= 2, "{passed} passed");
            assert!(!accepted.any_live());
        });
        drop(runtime);
    }

    /// Where they are many, those stay whose last use somebody counts on.
    #[tokio::test]
    async fn only_what_nothing_uses_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let uses = Uses::start(Store::open(&StateDir::open(dir.path()).unwrap()).await.unwrap());
        let mut standing = Standing::default();
        let many = u64::try_from(MAX_KEPT).unwrap();
        let called = standing.keep(0, None, Spent::default(), &uses);
        uses.note(1, Used { last: 7, count: 1, ..Used::default() });
        (1..many).for_each(|id| drop(standing.keep(id, None, Spent::default(), &uses)));
        assert_eq!((standing.in_use.len(), standing.forgotten()), (MAX_KEPT, 0));

        // One that is there costs no other its place.
        standing.keep(many - 1, None, Spent::default(), &uses);
        assert_eq!(standing.forgotten(), 0);
        standing.keep(many, None, Spent::default(), &uses);
        assert_eq!((standing.in_use.len(), standing.forgotten()), (3, 1));
        assert!(Arc::ptr_eq(&called, &standing.keep(0, None, Spent::default(), &uses)));
        assert!(standing.in_use(1).is_some() && standing.in_use(many).is_some());

        let mut revoked = Ranges::default();
        revoked.insert(0, 0);
        standing.revoke(revoked);
        called.revoked().await;
        assert!(standing.in_use(0).is_none());
    }
}
