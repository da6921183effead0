//! The runes this gateway honours: its own, which it issues, or its node's.

mod denied;
mod issuing;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use runeward_policy::{MasterSecret, Rune};
use tokio::sync::watch;

use super::check::Check;
use super::clock::Clock;
use super::in_use::{InUse, Spent, Standing};
use super::quotas::Buckets;
use super::uses::Uses;
use crate::config::Authority;
use crate::store::{Known, Ranges, StateDir, Store, StoreError};

pub(crate) use denied::Denied;
pub(super) use issuing::random_unique_id;
pub(crate) use issuing::{CreateError, MAX_UNIQUE_ID, ResolveError, Wanted};

/// How often another process's changes are looked for.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// How often it is kept how far time has come.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);

/// The rune authority of one state directory. What it issued stands in the store; in memory is only
/// what is in use.
#[derive(Debug)]
pub(crate) struct Runes {
    authority: Authority,
    dir: StateDir,
    store: Store,
    uses: Uses,
    clock: Clock,
    standing: RwLock<Standing>,
    /// Told whenever the store may hold something new.
    changed: watch::Sender<()>,
    /// Held while what is in memory follows the store, so that it is not set back by an older reading.
    following: tokio::sync::Mutex<()>,
}

/// What a command that is allowed uses of its rune.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// The time since the last use, and one of each bucket.
    Use,
    /// The time since the last use, as when a node is asked to check a rune.
    Time,
    /// Nothing.
    DryRun,
}

impl Runes {
    /// Opens the runes of a state directory.
    pub(crate) async fn open(dir: &StateDir, authority: Authority) -> Result<Self, StoreError> {
        let store = Store::open(dir).await?;
        store.bind("authority", authority.name()).await?;
        if authority == Authority::Own && store.standing().await?.0.is_none() {
            store.bind_secret(&dir.rune_secret(None)?.fingerprint).await?;
        }
        let uses = Uses::start(store.clone());
        let clock = Clock::open(store.clone()).await?;
        let (standing, changed, following) = Default::default();
        let runes = Self { authority, dir: dir.clone(), store, uses, clock, standing, changed, following };
        runes.reload().await?;
        Ok(runes)
    }

    /// Makes a new secret for the runes of a state directory and forgets all that were made from the
    /// last; how many there were. The database says from which secret runes are made, and forgets
    /// them in the same commit: whenever this is cut short, either all stand or none.
    pub(crate) async fn rotate_secret(dir: &StateDir) -> Result<u64, StoreError> {
        let store = Store::open(dir).await?;
        store.bind("authority", Authority::Own.name()).await?;
        let new = dir.new_rune_secret()?;
        let (forgotten, last) = store.change_secret(&new.fingerprint).await?;
        if let Ok(last) = dir.rune_secret(last.as_deref()) {
            last.remove();
        }
        store.close().await;
        Ok(forgotten)
    }

    /// Whose runes they are.
    pub(crate) fn authority(&self) -> Authority {
        self.authority
    }

    /// Takes over the node's rune secret.
    pub(crate) fn learn_secret(&self, secret: &[u8]) {
        match MasterSecret::new(secret) {
            Ok(master) => self.write().master = Some(master),
            Err(error) => tracing::error!(%error, "the node's rune secret cannot be used"),
        }
    }

    /// Takes over the unique ids that the node has revoked.
    pub(crate) fn learn_revoked(&self, revoked: Ranges) {
        self.write().revoke(revoked);
    }

    /// The store underneath.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Sees when the store may hold something new, written here or by another process.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Says that the store may hold something new.
    pub(super) fn tell_changed(&self) {
        self.changed.send_replace(());
    }

    /// The time decisions are made by.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Writes what is still to be written.
    pub(crate) async fn flush(&self) {
        self.uses.flush().await;
    }

    /// Writes what is still to be written and closes the store.
    pub(crate) async fn close(&self) {
        self.flush().await;
        self.store.close().await;
    }

    /// Takes over what other processes changed, and keeps how far time has come, for as long as it is
    /// awaited.
    pub(crate) async fn watch(&self) {
        let mut seen = None;
        let mut saved = Instant::now();
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            if saved.elapsed() >= CLOCK_INTERVAL {
                self.clock.save().await;
                saved = Instant::now();
            }
            let version = match self.store.version().await {
                Ok(version) if seen == Some(version) => continue,
                Ok(version) => version,
                Err(error) => {
                    tracing::error!(%error, "changes to the runes cannot be looked for");
                    continue;
                }
            };
            match self.reload().await {
                Ok(()) => seen = Some(version),
                Err(error) => tracing::error!(%error, "changes to the runes cannot be read"),
            }
        }
    }

    /// Checks that `rune` allows the command and, where it is to count, records its use; a use that
    /// a limit depends on is on disk before this returns.
    pub(crate) async fn check(&self, rune: &Rune, check: Check<'_, '_>, count: Count) -> Result<(), Denied> {
        let in_use = self.find(rune).await?;
        self.allow(&in_use, rune, check, count).await
    }

    /// The same of a rune that has been found.
    pub(super) async fn allow(
        &self,
        in_use: &InUse,
        rune: &Rune,
        check: Check<'_, '_>,
        count: Count,
    ) -> Result<(), Denied> {
        let (used, limited) = match in_use.judge(rune, check, &self.clock, count) {
            Ok(_) if count == Count::DryRun => return Ok(()),
            Ok(judged) => judged,
            Err(denied) => {
                if count != Count::DryRun && reads_time(rune, &denied) {
                    // What has expired stays expired.
                    self.clock.save().await;
                }
                return Err(denied);
            }
        };
        if !limited {
            self.uses.note(in_use.unique_id, used);
        } else if !self.uses.commit(in_use.unique_id, used).await {
            return Err(Denied::NotRecorded);
        }
        match in_use.is_revoked() {
            true => Err(Denied::Blacklisted),
            false => Ok(()),
        }
    }

    /// Checks that a rune that has been found is good at `time` (UNIX seconds) for a caller, whatever it
    /// asks. That is no use of it.
    pub(super) async fn recognise(&self, rune: &Rune, peer: &str, time: u64) -> Result<(), Denied> {
        if rune.could_allow(time, Some(peer), None) {
            return Ok(());
        }
        // What has expired stays expired.
        self.clock.save().await;
        Err(Denied::Idle)
    }

    /// Revokes these unique ids, all or none.
    pub(crate) async fn revoke(&self, unique_ids: &[u64]) -> Result<(), StoreError> {
        self.change_revoked(|revoked| unique_ids.iter().for_each(|id| revoked.insert(*id, *id))).await?;
        Ok(())
    }

    /// Whether the rune's authcode is ours.
    pub(crate) fn is_ours(&self, rune: &Rune) -> bool {
        self.read().master.as_ref().is_some_and(|master| master.derived(rune))
    }

    /// The unique id, if it is in use.
    pub(super) fn in_use(&self, unique_id: u64) -> Option<Arc<InUse>> {
        self.read().in_use(unique_id)
    }

    /// Whether this unique id is revoked.
    pub(crate) fn is_revoked(&self, unique_id: u64) -> bool {
        self.read().revoked.contains(unique_id)
    }

    /// The revoked unique ids.
    pub(crate) fn revoked(&self) -> Ranges {
        self.read().revoked.clone()
    }

    /// Changes the revoked unique ids and returns them as they are then. Holds from the next check on,
    /// and ends calls under way.
    pub(crate) async fn change_revoked(
        &self,
        change: impl FnOnce(&mut Ranges),
    ) -> Result<Ranges, StoreError> {
        let _following = self.following.lock().await;
        let revoked = self.store.change_revoked(change).await?;
        self.write().revoke(revoked.clone());
        self.tell_changed();
        Ok(revoked)
    }

    /// The unique id of a rune in memory: everything about the rune is right but its restrictions.
    pub(super) async fn find(&self, rune: &Rune) -> Result<Arc<InUse>, Denied> {
        loop {
            let (unique_id, forgotten) = {
                let standing = self.read();
                let unique_id = standing.authenticate(rune)?;
                if let Some(in_use) = standing.in_use(unique_id) {
                    return Ok(in_use);
                }
                (unique_id, standing.forgotten())
            };
            let (known, spent) = self.known(unique_id).await.map_err(|error| {
                tracing::error!(%error, "the record of a rune cannot be read");
                Denied::NotRecorded
            })?;
            // Whatever the node's secret made, the node issued.
            if !known.issued && self.authority == Authority::Own {
                return Err(Denied::Unknown);
            }
            let mut standing = self.write();
            // It may have been revoked meanwhile.
            standing.authenticate(rune)?;
            if standing.forgotten() == forgotten {
                return Ok(standing.keep(unique_id, known.name, spent, &self.uses));
            }
        }
    }

    /// What is known of a unique id, and what was used of it.
    async fn known(&self, unique_id: u64) -> Result<(Known, Spent), StoreError> {
        let known = self.store.known(unique_id).await?;
        let buckets = match self.authority {
            Authority::Own => Some(Buckets::new(self.store.buckets(unique_id, self.clock.now()).await?)),
            // The node refuses fields that it does not know, and so must we.
            Authority::Node => None,
        };
        let spent = Spent { last_used: known.last_used, buckets };
        Ok((known, spent))
    }

    /// Takes over what the store holds, where the runes are our own.
    pub(super) async fn reload(&self) -> Result<(), StoreError> {
        if self.authority == Authority::Node {
            return Ok(());
        }
        let _following = self.following.lock().await;
        let (fingerprint, revoked) = self.store.standing().await?;
        self.tell_changed();
        if fingerprint.as_deref() == Some(&*self.read().fingerprint) {
            self.write().revoke(revoked);
            return Ok(());
        }
        let secret = self.dir.rune_secret(fingerprint.as_deref());
        let (secret, loaded) = match secret {
            Ok(secret) => (Some((secret.master, secret.fingerprint)), Ok(())),
            // Runes made from the last one are dead all the same.
            Err(error) => (None, Err(error)),
        };
        self.write().change_secret(secret, revoked);
        loaded
    }

    fn read(&self) -> RwLockReadGuard<'_, Standing> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Standing> {
        self.standing.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the restriction that refuses has to do with the time.
fn reads_time(rune: &Rune, denied: &Denied) -> bool {
    let (Denied::NotPermitted(refusal) | Denied::UsedUp { refusal, .. }) = denied else { return false };
    let refusing = rune.restrictions().nth(refusal.restriction());
    refusing.is_some_and(|it| it.alternatives().any(|alternative| alternative.field() == "time"))
}
