//! A database looked at, and nothing in it changed.

use sqlx::sqlite::SqliteConnection;

use super::audit::{Anchor, anchors};
use super::backup::read_only;
use super::{StateDir, StoreError};

/// What a database says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inspected {
    /// The node and the authority it belongs to.
    pub(crate) node: Option<String>,
    pub(crate) authority: Option<String>,
    /// The fingerprint of the secret that its runes are made from.
    pub(crate) rune_secret: Option<String>,
    /// Whether it was restored, and nobody has accepted that yet.
    pub(crate) restored: bool,
    /// The first and the last line of the audit log that it knows of.
    pub(crate) audit: Option<(Anchor, Anchor)>,
    /// The latest time that decisions were made by, in UNIX seconds.
    pub(crate) mark: u64,
}

impl StateDir {
    /// What the database says of itself; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::Newer`] where a later version wrote it, [`StoreError::Damaged`] where SQLite finds fault with it.
    pub(crate) async fn inspect(&self) -> Result<Option<Inspected>, StoreError> {
        let path = self.database();
        if !path.is_file() {
            return Ok(None);
        }
        let mut connection = read_only(&path).await?;
        let sound: Result<String, _> =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await;
        if sound.map_err(|_| StoreError::Damaged(path.clone()))? != "ok" {
            return Err(StoreError::Damaged(path));
        }
        let newest: i64 = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&mut connection)
            .await?;
        if super::MIGRATIONS.iter().all(|known| known.version != newest) {
            return Err(StoreError::Newer(path));
        }
        // Not in databases of the first version.
        let mark =
            sqlx::query_scalar("SELECT mark FROM clock").fetch_one(&mut connection).await.unwrap_or(0_i64);
        Ok(Some(Inspected {
            node: bound(&mut connection, "node").await?,
            authority: bound(&mut connection, "authority").await?,
            rune_secret: bound(&mut connection, "rune_secret").await?,
            restored: bound(&mut connection, "restored").await?.is_some(),
            audit: anchors(&mut connection).await.unwrap_or_default(),
            mark: u64::try_from(mark / 1_000_000_000).unwrap_or_default(),
        }))
    }
}

async fn bound(connection: &mut SqliteConnection, name: &str) -> Result<Option<String>, StoreError> {
    let value = sqlx::query_scalar("SELECT value FROM binding WHERE name = ?").bind(name);
    Ok(value.fetch_optional(connection).await?)
}
