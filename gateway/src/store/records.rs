//! Records of runes: what was issued, when it was used and what of its buckets, what is revoked.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};

use super::{Ranges, Store, StoreError};

/// The binding that says which secret the runes here are made from.
const RUNE_SECRET: &str = "rune_secret";

/// A rune's record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuneRecord {
    pub(crate) unique_id: u64,
    pub(crate) name: Option<String>,
    /// The preset it was made by.
    pub(crate) preset: Option<String>,
    /// Encoded restrictions, joined by `&`, without the unique id.
    pub(crate) restrictions: String,
    /// UNIX seconds.
    pub(crate) created_at: i64,
    /// The offer it was handed out through.
    pub(crate) offer: Option<u64>,
    /// Whether it is the rune of an offer, which allows nothing but the claim.
    pub(crate) is_offer: bool,
    /// Nanoseconds since 1970; `None` while never used.
    pub(crate) last_used: Option<i64>,
    /// How often it, or one derived from it, was allowed a command.
    pub(crate) uses: u64,
}

/// Uses of one unique id that are to be recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// The last of them, in nanoseconds since 1970.
    pub(crate) last: i64,
    pub(crate) count: u64,
    /// When the buckets they took from are full again, by name, in nanoseconds since 1970.
    pub(crate) buckets: HashMap<String, i64>,
}

/// What is known of a unique id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether a rune was issued under it, and by which name.
    pub(crate) issued: bool,
    pub(crate) name: Option<String>,
    /// Nanoseconds since 1970.
    pub(crate) last_used: Option<i64>,
}

const RECORD: &str = "SELECT unique_id, name, preset, restrictions, created_at, offer, last_used, uses,
            EXISTS (SELECT 1 FROM offers WHERE offer_id = runes.unique_id) AS is_offer
     FROM runes LEFT JOIN uses USING (unique_id)";

impl Store {
    /// Every rune issued, oldest first.
    pub(crate) async fn runes(&self) -> Result<Vec<RuneRecord>, StoreError> {
        let all = format!("{RECORD} ORDER BY created_at, unique_id");
        let rows = sqlx::query(&all).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(record).collect::<Result<_, _>>()?)
    }

    /// The rune issued under this unique id.
    pub(crate) async fn rune(&self, unique_id: u64) -> Result<Option<RuneRecord>, StoreError> {
        let one = format!("{RECORD} WHERE unique_id = ?");
        let row = sqlx::query(&one).bind(unique_id.cast_signed()).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(record).transpose()?)
    }

    /// The rune issued under this name.
    pub(crate) async fn rune_named(&self, name: &str) -> Result<Option<RuneRecord>, StoreError> {
        let one = format!("{RECORD} WHERE name = ?");
        let row = sqlx::query(&one).bind(name).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(record).transpose()?)
    }

    /// What a check has to know of a unique id.
    pub(crate) async fn known(&self, unique_id: u64) -> Result<Known, StoreError> {
        let row = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM runes WHERE unique_id = ?1),
                    (SELECT name FROM runes WHERE unique_id = ?1),
                    (SELECT last_used FROM uses WHERE unique_id = ?1)",
        );
        let row = row.bind(unique_id.cast_signed()).fetch_one(&self.pool).await?;
        Ok(Known { issued: row.try_get(0)?, name: row.try_get(1)?, last_used: row.try_get(2)? })
    }

    /// When the buckets of a unique id that are not full at `now` are full again, by name; times are
    /// nanoseconds since 1970.
    pub(crate) async fn buckets(&self, unique_id: u64, now: i64) -> Result<HashMap<String, i64>, StoreError> {
        let buckets =
            sqlx::query_as("SELECT bucket, full_at FROM buckets WHERE unique_id = ? AND full_at > ?");
        let buckets: Vec<(String, i64)> =
            buckets.bind(unique_id.cast_signed()).bind(now).fetch_all(&self.pool).await?;
        Ok(buckets.into_iter().collect())
    }

    /// Registers a rune made from the secret with this fingerprint; `false` where its unique id is
    /// taken.
    ///
    /// # Errors
    /// [`StoreError::SecretChanged`] where the runes here are made from another secret by now.
    pub(crate) async fn insert(&self, rune: &RuneRecord, secret: &str) -> Result<bool, StoreError> {
        insert(&mut *self.pool.acquire().await?, rune, secret).await
    }

    /// The fingerprint of the secret that the runes here are made from, and the revoked unique ids.
    pub(crate) async fn standing(&self) -> Result<(Option<String>, Ranges), StoreError> {
        let mut transaction = self.pool.begin().await?;
        let secret = sqlx::query_scalar("SELECT value FROM binding WHERE name = ?").bind(RUNE_SECRET);
        let secret = secret.fetch_optional(&mut *transaction).await?;
        Ok((secret, read_revoked(&mut transaction).await?))
    }

    /// Says from which secret the runes here are made, where nothing says so yet.
    pub(crate) async fn bind_secret(&self, secret: &str) -> Result<(), StoreError> {
        let bind = sqlx::query("INSERT OR IGNORE INTO binding (name, value) VALUES (?, ?)");
        bind.bind(RUNE_SECRET).bind(secret).execute(&self.pool).await?;
        Ok(())
    }

    /// From now on runes are made from the secret with this fingerprint. Forgets every record, so
    /// that none is ever taken for a rune of the new secret. How many there were, and the fingerprint
    /// of the last secret.
    pub(crate) async fn change_secret(&self, secret: &str) -> Result<(u64, Option<String>), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let last = sqlx::query_scalar("SELECT value FROM binding WHERE name = ?").bind(RUNE_SECRET);
        let last = last.fetch_optional(&mut *transaction).await?;
        let forgotten = sqlx::query("DELETE FROM runes").execute(&mut *transaction).await?;
        for table in ["uses", "buckets", "revoked", "offers"] {
            sqlx::query(&format!("DELETE FROM {table}")).execute(&mut *transaction).await?;
        }
        let bind = sqlx::query("INSERT OR REPLACE INTO binding (name, value) VALUES (?, ?)");
        bind.bind(RUNE_SECRET).bind(secret).execute(&mut *transaction).await?;
        // Whatever a backup brought back is gone with the rest.
        sqlx::query("DELETE FROM binding WHERE name = 'restored'").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok((forgotten.rows_affected(), last))
    }

    /// Changes the revoked unique ids and returns them as they are then.
    pub(crate) async fn change_revoked(
        &self,
        change: impl FnOnce(&mut Ranges),
    ) -> Result<Ranges, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let before = read_revoked(&mut transaction).await?;
        let mut after = before.clone();
        change(&mut after);
        for (first, _) in before.without(&after) {
            let gone = sqlx::query("DELETE FROM revoked WHERE first = ?").bind(first.cast_signed());
            gone.execute(&mut *transaction).await?;
        }
        for (first, last) in after.without(&before) {
            sqlx::query("INSERT INTO revoked (first, last) VALUES (?, ?)")
                .bind(first.cast_signed())
                .bind(last.cast_signed())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(after)
    }

    /// Records uses by unique id, all or none, and forgets buckets that are full by then. On disk on
    /// return.
    pub(crate) async fn stamp(&self, uses: &HashMap<u64, Used>) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (unique_id, used) in uses {
            sqlx::query(
                "INSERT INTO uses (unique_id, last_used, uses) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET
                     last_used = max(last_used, excluded.last_used), uses = uses + excluded.uses",
            )
            .bind(unique_id.cast_signed())
            .bind(used.last)
            .bind(used.count.cast_signed())
            .execute(&mut *transaction)
            .await?;
            for (bucket, full_at) in &used.buckets {
                sqlx::query(
                    "INSERT INTO buckets (unique_id, bucket, full_at) VALUES (?, ?, ?)
                     ON CONFLICT DO UPDATE SET full_at = max(full_at, excluded.full_at)",
                )
                .bind(unique_id.cast_signed())
                .bind(bucket)
                .bind(full_at)
                .execute(&mut *transaction)
                .await?;
            }
        }
        let latest = uses.values().map(|used| used.last).max().unwrap_or(0);
        let raise = sqlx::query("UPDATE clock SET mark = ?1 WHERE mark < ?1").bind(latest);
        raise.execute(&mut *transaction).await?;
        let full = sqlx::query("DELETE FROM buckets WHERE full_at <= ?").bind(latest);
        full.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}

/// See [`Store::insert`].
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    rune: &RuneRecord,
    secret: &str,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO runes (unique_id, name, preset, restrictions, created_at, offer)
         SELECT ?, ?, ?, ?, ?, ? WHERE (SELECT value FROM binding WHERE name = ?) = ?",
    )
    .bind(rune.unique_id.cast_signed())
    .bind(&rune.name)
    .bind(&rune.preset)
    .bind(&rune.restrictions)
    .bind(rune.created_at)
    .bind(rune.offer.map(u64::cast_signed))
    .bind(RUNE_SECRET)
    .bind(secret)
    .execute(connection)
    .await;
    match (inserted, &rune.name) {
        (Ok(inserted), _) if inserted.rows_affected() == 0 => Err(StoreError::SecretChanged),
        (Ok(_), _) => Ok(true),
        (Err(sqlx::Error::Database(error)), Some(name))
            if error.is_unique_violation() && error.message().contains("name") =>
        {
            Err(StoreError::NameTaken(name.clone()))
        }
        (Err(sqlx::Error::Database(error)), _) if error.is_unique_violation() => Ok(false),
        (Err(error), _) => Err(error.into()),
    }
}

fn record(row: &SqliteRow) -> Result<RuneRecord, sqlx::Error> {
    Ok(RuneRecord {
        unique_id: row.try_get::<i64, _>("unique_id")?.cast_unsigned(),
        name: row.try_get("name")?,
        preset: row.try_get("preset")?,
        restrictions: row.try_get("restrictions")?,
        created_at: row.try_get("created_at")?,
        offer: row.try_get::<Option<i64>, _>("offer")?.map(i64::cast_unsigned),
        is_offer: row.try_get("is_offer")?,
        last_used: row.try_get("last_used")?,
        uses: row.try_get::<Option<i64>, _>("uses")?.unwrap_or(0).cast_unsigned(),
    })
}

async fn read_revoked(transaction: &mut Transaction<'_, Sqlite>) -> Result<Ranges, StoreError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT first, last FROM revoked ORDER BY first")
        .fetch_all(&mut **transaction)
        .await?;
    let mut revoked = Ranges::default();
    for (first, last) in rows {
        revoked.insert(first.cast_unsigned(), last.cast_unsigned());
    }
    Ok(revoked)
}

/// Whether a unique id is revoked.
pub(super) async fn is_revoked(
    connection: &mut SqliteConnection,
    unique_id: u64,
) -> Result<bool, StoreError> {
    let revoked = sqlx::query("SELECT 1 FROM revoked WHERE ? BETWEEN first AND last");
    Ok(revoked.bind(unique_id.cast_signed()).fetch_optional(connection).await?.is_some())
}
