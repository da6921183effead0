//! Runes made, and found again.

use ring::rand::{SecureRandom, SystemRandom};
use runeward_policy::{LimitError, Restriction, Rune};

use super::Runes;
use crate::gate::grants::Grant;
use crate::gate::presets::Preset;
use crate::shown::shown;
use crate::store::{RuneRecord, StoreError};

/// Unique ids are random in this many bits, so that every JSON reader holds them exactly and a
/// restored database cannot give an old one out again.
const UNIQUE_ID_BITS: u32 = 52;

/// The largest unique id there can be.
pub(crate) const MAX_UNIQUE_ID: u64 = (1 << UNIQUE_ID_BITS) - 1;

/// What a rune is to be issued as.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// All its restrictions, those of the preset among them.
    pub(crate) restrictions: &'a [Restriction],
    pub(crate) name: Option<&'a str>,
    pub(crate) preset: Option<Preset>,
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

/// Why it is not known which rune is meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("no rune '{}' was made here; see `runeward rune list`", shown(.0))]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Runes {
    /// Issues a rune.
    pub(crate) async fn create(&self, wanted: Wanted<'_>) -> Result<Grant, CreateError> {
        loop {
            let unique_id = random_unique_id()?;
            let (rune, secret) = self.issue(unique_id, wanted.restrictions)?.ok_or(CreateError::NotOurs)?;
            let record = RuneRecord {
                unique_id,
                name: wanted.name.map(str::to_owned),
                preset: wanted.preset.map(|preset| preset.name().to_owned()),
                restrictions: rune.restrictions_text().to_owned(),
                created_at: self.clock.seconds().cast_signed(),
                ..RuneRecord::default()
            };
            match self.store.insert(&record, &secret).await {
                Ok(true) => return Ok(Grant { rune, record, revoked: false }),
                Ok(false) => {}
                Err(StoreError::SecretChanged) => self.reload().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Every rune issued, oldest first.
    pub(crate) async fn list(&self) -> Result<Vec<Grant>, StoreError> {
        self.uses.flush().await;
        let records = self.store.runes().await?;
        Ok(records.into_iter().filter_map(|record| self.derive_again(record)).collect())
    }

    /// Every rune handed out, oldest first: all but those of offers.
    pub(crate) async fn grants(&self) -> Result<Vec<Grant>, StoreError> {
        let mut grants = self.list().await?;
        grants.retain(|grant| !grant.record.is_offer);
        Ok(grants)
    }

    /// The rune issued under this name.
    pub(crate) async fn named(&self, name: &str) -> Result<Option<Grant>, StoreError> {
        self.uses.flush().await;
        Ok(self.store.rune_named(name).await?.and_then(|record| self.derive_again(record)))
    }

    /// The rune issued under this unique id.
    pub(crate) async fn issued(&self, unique_id: u64) -> Result<Option<Grant>, StoreError> {
        self.uses.flush().await;
        Ok(self.store.rune(unique_id).await?.and_then(|record| self.derive_again(record)))
    }

    /// The unique id that is meant: the one of this name, or the one this number is.
    pub(crate) async fn resolve(&self, given: &str) -> Result<u64, ResolveError> {
        if let Ok(unique_id) = given.parse()
            && self.store.known(unique_id).await?.issued
        {
            return Ok(unique_id);
        }
        let named = self.store.rune_named(given).await?;
        named.map(|record| record.unique_id).ok_or_else(|| ResolveError::Unknown(given.to_owned()))
    }

    /// A rune and the fingerprint of the secret it is made from.
    pub(in crate::gate) fn issue(
        &self,
        unique_id: u64,
        restrictions: &[Restriction],
    ) -> Result<Option<(Rune, String)>, LimitError> {
        let standing = self.read();
        let rune =
            standing.master.as_ref().map(|master| master.issue(unique_id, restrictions)).transpose()?;
        Ok(rune.map(|rune| (rune, standing.fingerprint.clone())))
    }

    fn derive_again(&self, record: RuneRecord) -> Option<Grant> {
        let restrictions = runeward_policy::parse_restrictions(&record.restrictions).ok()?;
        let (rune, _) = self.issue(record.unique_id, &restrictions).ok()??;
        let revoked = self.is_revoked(record.unique_id);
        Some(Grant { rune, record, revoked })
    }
}

pub(in crate::gate) fn random_unique_id() -> Result<u64, StoreError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    Ok(u64::from_le_bytes(bytes) & MAX_UNIQUE_ID)
}
