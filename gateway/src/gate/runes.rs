//! The runes this gateway honours: its own, which it issues, or its node's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use runeward_policy::{LimitError, MasterSecret, Restriction, Rune, SinceLastUse};

use super::check::Check;
use super::uses::Uses;
use crate::config::Authority;
use crate::store::{Ranges, RuneRecord, StateDir, Store, StoreError};

/// Unique ids are random in this many bits, so that every JSON reader holds them exactly and a
/// restored database cannot give an old one out again.
const UNIQUE_ID_BITS: u32 = 52;

/// The largest unique id there can be.
pub(crate) const MAX_UNIQUE_ID: u64 = (1 << UNIQUE_ID_BITS) - 1;

/// How often another process's changes are looked for.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// The rune authority of one state directory.
#[derive(Debug)]
pub(crate) struct Runes {
    authority: Authority,
    /// What runes are derived from. The node's is known once the node has been met.
    master: RwLock<Option<MasterSecret>>,
    store: Store,
    uses: Uses,
    /// By unique id: of our own runes all that were issued, of the node's those that were used.
    issued: RwLock<HashMap<u64, Arc<Issued>>>,
    revoked: RwLock<Ranges>,
    /// Held while the runes in memory follow the store, so that none is set back by an older reading.
    following: tokio::sync::Mutex<()>,
}

/// A rune's record and the last use of its unique id, shared by all runes derived from it.
#[derive(Debug)]
struct Issued {
    record: RuneRecord,
    last_used: Mutex<Option<i64>>,
}

/// Why a rune does not allow a command.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The node has not been met yet, and the runes are its own.
    NoSecret,
    /// No unique id, or none that is a decimal number below 2^63.
    NoUniqueId,
    /// Revoked, or derived from one that is.
    Blacklisted,
    /// Of a version that is not issued.
    Version,
    /// Not derived from the master secret.
    NotDerived,
    /// Derived from the master secret, but never issued.
    Unknown,
    /// A restriction does not hold.
    NotPermitted(runeward_policy::Refusal),
    /// Allowed, but its use could not be recorded.
    NotRecorded,
}

/// Whether an allowed command counts as a use of its rune.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Use,
    DryRun,
}

/// A rune as it is listed.
pub(crate) struct Listed {
    pub(crate) rune: Rune,
    /// Its record, where one was issued.
    pub(crate) record: Option<RuneRecord>,
    pub(crate) revoked: bool,
}

impl Runes {
    /// Opens the runes of a state directory.
    pub(crate) async fn open(dir: &StateDir, authority: Authority) -> Result<Self, StoreError> {
        let store = Store::open(dir).await?;
        store.bind("authority", authority.name()).await?;
        let master = match authority {
            Authority::Own => Some(dir.rune_secret()?),
            Authority::Node => None,
        };
        let uses = Uses::start(store.clone());
        let (issued, revoked, following) = Default::default();
        let runes = Self { authority, master: RwLock::new(master), store, uses, issued, revoked, following };
        runes.reload().await?;
        Ok(runes)
    }

    /// Whose runes they are.
    pub(crate) fn authority(&self) -> Authority {
        self.authority
    }

    /// Takes over the node's rune secret.
    pub(crate) fn learn_secret(&self, secret: &[u8]) {
        match MasterSecret::new(secret) {
            Ok(master) => *self.master.write().unwrap_or_else(PoisonError::into_inner) = Some(master),
            Err(error) => tracing::error!(%error, "the node's rune secret cannot be used"),
        }
    }

    /// Takes over the unique ids that the node has revoked.
    pub(crate) fn learn_revoked(&self, revoked: Ranges) {
        *self.revoked.write().unwrap_or_else(PoisonError::into_inner) = revoked;
    }

    /// The store underneath.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Writes what is still to be written and closes the store.
    pub(crate) async fn close(&self) {
        self.uses.flush().await;
        self.store.close().await;
    }

    /// Takes over what other processes changed, for as long as it is awaited.
    pub(crate) async fn watch(&self) {
        let mut seen = None;
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
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
    pub(crate) async fn check(&self, rune: &Rune, mut check: Check<'_>, count: Count) -> Result<(), Denied> {
        let (issued, unique_id) = match self.authenticate(rune) {
            // Ours, but issued by another process since it was last looked for.
            Err(Denied::Unknown) if self.reload().await.is_ok() => self.authenticate(rune)?,
            authenticated => authenticated?,
        };
        let (paced, now) = {
            let mut last_used = issued.last_used.lock().unwrap_or_else(PoisonError::into_inner);
            let now = nanoseconds_since_1970();
            check.since_last_use = match *last_used {
                None => SinceLastUse::Never,
                Some(last) => {
                    SinceLastUse::Elapsed(Duration::from_nanos(u64::try_from(now - last).unwrap_or(0)))
                }
            };
            let pass = runeward_policy::evaluate(rune, &check).map_err(Denied::NotPermitted)?;
            if count == Count::DryRun {
                return Ok(());
            }
            *last_used = Some(now);
            (pass.paced, now)
        };
        if !paced {
            self.uses.note(unique_id, now);
        } else if !self.uses.commit(unique_id, now).await {
            return Err(Denied::NotRecorded);
        }
        Ok(())
    }

    /// Issues a rune with these restrictions.
    pub(crate) async fn create(
        &self,
        restrictions: &[Restriction],
        name: Option<&str>,
    ) -> Result<Listed, CreateError> {
        loop {
            let unique_id = random_unique_id()?;
            let rune = self.issue(unique_id, restrictions)?.ok_or(CreateError::NotOurs)?;
            let record = RuneRecord {
                unique_id,
                name: name.map(str::to_owned),
                restrictions: rune.restrictions_text().to_owned(),
                created_at: nanoseconds_since_1970() / 1_000_000_000,
                last_used: None,
            };
            if self.store.insert(&record).await? {
                self.remember(record.clone());
                return Ok(Listed { rune, record: Some(record), revoked: false });
            }
        }
    }

    /// Every rune issued, oldest first.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let mut issued: Vec<_> = self.read_issued().values().cloned().collect();
        issued.sort_by_key(|issued| (issued.record.created_at, issued.record.unique_id));
        issued.iter().filter_map(|issued| self.derive_again(issued)).collect()
    }

    /// One rune, whether issued here or not.
    pub(crate) fn describe(&self, rune: Rune) -> Listed {
        let unique_id = rune.numeric_id().filter(|_| self.is_ours(&rune));
        let record = unique_id.and_then(|id| self.read_issued().get(&id).map(|issued| issued.current()));
        let revoked = rune.numeric_id().is_some_and(|unique_id| self.is_revoked(unique_id));
        Listed { rune, record, revoked }
    }

    /// Whether the rune's authcode is ours.
    pub(crate) fn is_ours(&self, rune: &Rune) -> bool {
        let master = self.master.read().unwrap_or_else(PoisonError::into_inner);
        master.as_ref().is_some_and(|master| master.derived(rune))
    }

    /// The unique id of the rune issued under this name.
    pub(crate) fn id_of(&self, name: &str) -> Option<u64> {
        let issued = self.read_issued();
        issued.values().find(|issued| issued.record.name.as_deref() == Some(name)).map(|i| i.record.unique_id)
    }

    /// Whether a rune with this unique id was issued.
    pub(crate) fn is_issued(&self, unique_id: u64) -> bool {
        self.read_issued().contains_key(&unique_id)
    }

    /// The revoked unique ids.
    pub(crate) fn revoked(&self) -> Ranges {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the revoked unique ids and returns them as they are then. Holds from the next check on.
    pub(crate) async fn change_revoked(
        &self,
        change: impl FnOnce(&mut Ranges),
    ) -> Result<Ranges, StoreError> {
        let _following = self.following.lock().await;
        let revoked = self.store.change_revoked(change).await?;
        *self.revoked.write().unwrap_or_else(PoisonError::into_inner) = revoked.clone();
        Ok(revoked)
    }

    /// Everything about a rune but its restrictions, in the order a node finds faults.
    fn authenticate(&self, rune: &Rune) -> Result<(Arc<Issued>, u64), Denied> {
        let unique_id = rune.numeric_id().ok_or(Denied::NoUniqueId)?;
        if self.is_revoked(unique_id) {
            return Err(Denied::Blacklisted);
        }
        if rune.unique_id().is_some_and(|id| id.version.is_some()) {
            return Err(Denied::Version);
        }
        if self.master.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(Denied::NoSecret);
        }
        if !self.is_ours(rune) {
            return Err(Denied::NotDerived);
        }
        let issued = self.read_issued().get(&unique_id).cloned();
        match (issued, self.authority) {
            (Some(issued), _) => Ok((issued, unique_id)),
            (None, Authority::Own) => Err(Denied::Unknown),
            // Whatever the node's secret made, the node issued.
            (None, Authority::Node) => Ok((self.remember(RuneRecord::of(unique_id, None)), unique_id)),
        }
    }

    fn issue(&self, unique_id: u64, restrictions: &[Restriction]) -> Result<Option<Rune>, LimitError> {
        let master = self.master.read().unwrap_or_else(PoisonError::into_inner);
        master.as_ref().map(|master| master.issue(unique_id, restrictions)).transpose()
    }

    fn is_revoked(&self, unique_id: u64) -> bool {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains(unique_id)
    }

    fn derive_again(&self, issued: &Issued) -> Option<Listed> {
        let record = issued.current();
        let restrictions = runeward_policy::parse_restrictions(&record.restrictions).ok()?;
        let rune = self.issue(record.unique_id, &restrictions).ok()??;
        let revoked = self.is_revoked(record.unique_id);
        Some(Listed { rune, record: Some(record), revoked })
    }

    /// Takes over what the store holds. A last use known here stands: it is at least as new.
    async fn reload(&self) -> Result<(), StoreError> {
        let _following = self.following.lock().await;
        let records = match self.authority {
            Authority::Own => {
                let records = self.store.runes().await?;
                *self.revoked.write().unwrap_or_else(PoisonError::into_inner) = self.store.revoked().await?;
                records
            }
            Authority::Node => {
                let uses = self.store.uses().await?;
                uses.into_iter()
                    .map(|(unique_id, last_used)| RuneRecord::of(unique_id, Some(last_used)))
                    .collect()
            }
        };
        for record in records {
            if !self.is_issued(record.unique_id) {
                self.remember(record);
            }
        }
        Ok(())
    }

    /// Keeps the record, or the one that is there already.
    fn remember(&self, record: RuneRecord) -> Arc<Issued> {
        let mut all = self.issued.write().unwrap_or_else(PoisonError::into_inner);
        let issued = all.entry(record.unique_id).or_insert_with(|| {
            let last_used = Mutex::new(record.last_used);
            Arc::new(Issued { record, last_used })
        });
        Arc::clone(issued)
    }

    fn read_issued(&self) -> std::sync::RwLockReadGuard<'_, HashMap<u64, Arc<Issued>>> {
        self.issued.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Issued {
    /// The record with its last use as it is now.
    fn current(&self) -> RuneRecord {
        let last_used = *self.last_used.lock().unwrap_or_else(PoisonError::into_inner);
        RuneRecord { last_used, ..self.record.clone() }
    }
}

impl Denied {
    /// What is wrong, in the node's words.
    pub(crate) fn reason(&self) -> String {
        match self {
            Denied::NoSecret => "Not authorized: The node's rune secret is not known yet".to_owned(),
            Denied::NoUniqueId => {
                "rune: should have valid numeric unique_id: invalid token (see logs for details)".to_owned()
            }
            Denied::Blacklisted => "Not authorized: Blacklisted rune".to_owned(),
            Denied::Version => "Not authorized: Version mismatch".to_owned(),
            Denied::NotDerived => "Not authorized: Not derived from master".to_owned(),
            Denied::Unknown => "Not authorized: Unknown rune".to_owned(),
            Denied::NotPermitted(refusal) => format!("Not permitted: {refusal}"),
            Denied::NotRecorded => "Not permitted: its use cannot be recorded".to_owned(),
        }
    }
}

/// Why no rune was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("the runes here are the node's own: let the node make one, with its createrune")]
    NotOurs,
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn random_unique_id() -> Result<u64, StoreError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    Ok(u64::from_le_bytes(bytes) & MAX_UNIQUE_ID)
}

/// The clock, in nanoseconds; good until the year 2262.
fn nanoseconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
