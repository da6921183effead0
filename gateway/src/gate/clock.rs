//! The time decisions are made by: it never goes back, over restarts either, so that no expired rune
//! revives when the clock does.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::store::{Store, StoreError};

const SECOND: i64 = 1_000_000_000;

/// The system's clock, held at the latest time that it ever told.
#[derive(Debug)]
pub(crate) struct Clock {
    store: Store,
    /// The latest time told, in nanoseconds since 1970.
    mark: AtomicI64,
    /// Up to where the store knows it.
    saved: AtomicI64,
}

impl Clock {
    /// Goes on from where the store knows time to have come.
    pub(crate) async fn open(store: Store) -> Result<Self, StoreError> {
        let mark = store.mark().await?;
        Ok(Self { store, mark: mark.into(), saved: mark.into() })
    }

    /// Nanoseconds since 1970; good until the year 2262.
    pub(crate) fn now(&self) -> i64 {
        let now = system_time();
        self.mark.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// UNIX seconds.
    pub(crate) fn seconds(&self) -> u64 {
        u64::try_from(self.now() / SECOND).unwrap_or(0)
    }

    /// How many seconds the system's clock lies behind the latest time told.
    pub(crate) fn behind(&self) -> u64 {
        u64::try_from((self.now() - system_time()) / SECOND).unwrap_or(0)
    }

    /// Keeps how far time has come, to the second. On disk on return, unless the log says why not.
    pub(crate) async fn save(&self) {
        let now = self.now();
        if now / SECOND <= self.saved.load(Ordering::Relaxed) / SECOND {
            return;
        }
        match self.store.raise_mark(now).await {
            Ok(()) => drop(self.saved.fetch_max(now, Ordering::Relaxed)),
            Err(error) => tracing::error!(%error, "how far time has come cannot be kept"),
        }
    }

    /// Lets time start again at what the system's clock says.
    pub(crate) async fn reset(&self) -> Result<(), StoreError> {
        let now = system_time();
        self.store.reset_clock(now).await?;
        self.saved.store(now, Ordering::Relaxed);
        self.mark.store(now, Ordering::Relaxed);
        Ok(())
    }
}

fn system_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
