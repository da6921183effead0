//! How far time has come: what is left of it when the clock steps back.

use super::{Store, StoreError};

impl Store {
    /// The latest time that decisions were made by, in nanoseconds since 1970.
    pub(crate) async fn mark(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT mark FROM clock").fetch_one(&self.pool).await?)
    }

    /// Moves the mark on to `now`. On disk on return.
    pub(crate) async fn raise_mark(&self, now: i64) -> Result<(), StoreError> {
        let raise = sqlx::query("UPDATE clock SET mark = ?1 WHERE mark < ?1").bind(now);
        raise.execute(&self.pool).await?;
        Ok(())
    }

    /// Sets the mark, and every last use that lies behind it, back to `now`. In buckets is then as much
    /// as before.
    pub(crate) async fn reset_clock(&self, now: i64) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for reset in [
            "UPDATE buckets SET full_at = full_at - max(0, (SELECT mark FROM clock) - ?1)",
            "UPDATE clock SET mark = ?1",
            "UPDATE uses SET last_used = ?1 WHERE last_used > ?1",
        ] {
            sqlx::query(reset).bind(now).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }
}
