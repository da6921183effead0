//! What the store knows of the audit log.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::{Store, StoreError};

/// A line of the audit log: its number and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) seq: u64,
    pub(crate) hash: [u8; 32],
}

impl Store {
    /// The line before the first one kept, and the last one vouched for; `None` while there is no log.
    pub(crate) async fn audit(&self) -> Result<Option<(Anchor, Anchor)>, StoreError> {
        anchors(&mut *self.pool.acquire().await?).await
    }

    /// Sets both. On disk on return.
    pub(crate) async fn set_audit(&self, start: Anchor, head: Anchor) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (name, anchor) in [("start", start), ("head", head)] {
            sqlx::query("INSERT OR REPLACE INTO audit (name, seq, hash) VALUES (?, ?, ?)")
                .bind(name)
                .bind(anchor.seq.cast_signed())
                .bind(anchor.hash.as_slice())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Vouches for all lines up to this one. On disk on return.
    pub(crate) async fn set_audit_head(&self, head: Anchor) -> Result<(), StoreError> {
        self.move_anchor("head", head).await
    }

    /// Knows that the lines up to this one are kept no longer. On disk on return.
    pub(crate) async fn set_audit_start(&self, start: Anchor) -> Result<(), StoreError> {
        self.move_anchor("start", start).await
    }

    async fn move_anchor(&self, name: &str, anchor: Anchor) -> Result<(), StoreError> {
        sqlx::query("UPDATE audit SET seq = ?, hash = ? WHERE name = ?")
            .bind(anchor.seq.cast_signed())
            .bind(anchor.hash.as_slice())
            .bind(name)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

pub(super) async fn anchors(
    connection: &mut SqliteConnection,
) -> Result<Option<(Anchor, Anchor)>, StoreError> {
    let rows = sqlx::query("SELECT seq, hash FROM audit ORDER BY name DESC").fetch_all(connection).await?;
    match rows.as_slice() {
        [start, head] => Ok(Some((anchor(start)?, anchor(head)?))),
        _ => Ok(None),
    }
}

fn anchor(row: &SqliteRow) -> Result<Anchor, sqlx::Error> {
    let hash: Vec<u8> = row.try_get("hash")?;
    let hash = hash.try_into().map_err(|_| sqlx::Error::Decode("a hash has 32 bytes".into()))?;
    Ok(Anchor { seq: row.try_get::<i64, _>("seq")?.cast_unsigned(), hash })
}
