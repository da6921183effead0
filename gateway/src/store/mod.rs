//! What must survive a restart: runes, their last uses, revocations, and what the state directory
//! belongs to. SQLite, written by the daemon and by the command line beside it.

mod ranges;
mod state_dir;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite, Transaction};

pub(crate) use ranges::Ranges;
pub(crate) use state_dir::{StateDir, load_identity};

/// How long a write waits for another process to finish its own.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the state directory cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or read.
    #[error("cannot use the state directory {}: {source}; give another with --state-dir", path.display())]
    Dir {
        /// The state directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file in it cannot be read or written.
    #[error("cannot use {}: {source}; its owner must be able to read and write it", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A secret that others could read.
    #[error(
        "{0} can be read by others (mode {mode:03o}); if nobody has, run `chmod 600 {0}`, else remove it and hand out anew what was made with it",
        path.display()
    )]
    LooseMode {
        /// The secret's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A secret's file with other contents than we wrote.
    #[error("{} does not hold a key of 64 hex digits; restore it from your backup", .0.display())]
    Corrupt(
        /// The secret's file.
        PathBuf,
    ),
    /// Another daemon serves from this directory.
    #[error("another runeward is running on {}; stop it, or give another --state-dir", .0.display())]
    Locked(
        /// The state directory.
        PathBuf,
    ),
    /// The directory was made for another node or authority.
    #[error("this state directory belongs to {name} {bound}, not {found}; give another with --state-dir")]
    Bound {
        /// What is bound: `node` or `authority`.
        name: &'static str,
        /// What it is bound to.
        bound: String,
        /// What it was handed now.
        found: String,
    },
    /// The database was written by a later version.
    #[error("{} was written by a newer runeward; install that version again", .0.display())]
    Newer(
        /// The database's file.
        PathBuf,
    ),
    /// The system has no randomness to make a key from.
    #[error("the system gives no randomness to make a key from")]
    NoRandomness,
    /// A rune of this name exists.
    #[error("a rune named '{0}' exists; choose another --name, or revoke it and choose another still")]
    NameTaken(
        /// The name.
        String,
    ),
    /// Any other fault of the database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// A rune's record.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct RuneRecord {
    #[sqlx(try_from = "i64")]
    pub(crate) unique_id: u64,
    pub(crate) name: Option<String>,
    /// Encoded restrictions, joined by `&`, without the unique id.
    pub(crate) restrictions: String,
    /// UNIX seconds.
    pub(crate) created_at: i64,
    /// Nanoseconds since 1970; `None` while never used.
    pub(crate) last_used: Option<i64>,
}

impl RuneRecord {
    /// The record of a rune of which nothing else is known.
    pub(crate) fn of(unique_id: u64, last_used: Option<i64>) -> Self {
        Self { unique_id, name: None, restrictions: String::new(), created_at: 0, last_used }
    }
}

/// The database of one state directory.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// One connection: our own commits then leave its `data_version` as it was, and only those of
    /// other processes change it.
    pool: SqlitePool,
}

impl Store {
    /// Opens the database, making or migrating it as needed.
    pub(crate) async fn open(dir: &StateDir) -> Result<Self, StoreError> {
        let path = dir.database();
        // Made by us for its owner alone: SQLite would make it, and the files beside it, by the umask.
        make_private(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        sqlx::migrate!("src/store/migrations").run(&pool).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(_) => StoreError::Newer(path),
            other => StoreError::Database(other.into()),
        })?;
        Ok(Self { pool })
    }

    /// Binds the directory to `value` on first use and refuses another one later. `name` is `node`
    /// or `authority`.
    pub(crate) async fn bind(&self, name: &'static str, value: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT OR IGNORE INTO binding (name, value) VALUES (?, ?)")
            .bind(name)
            .bind(value)
            .execute(&self.pool)
            .await?;
        match self.bound(name).await? {
            Some(bound) if bound != value => Err(StoreError::Bound { name, bound, found: value.to_owned() }),
            _ => Ok(()),
        }
    }

    /// What the directory is bound to.
    pub(crate) async fn bound(&self, name: &'static str) -> Result<Option<String>, StoreError> {
        let value = sqlx::query_scalar("SELECT value FROM binding WHERE name = ?").bind(name);
        Ok(value.fetch_optional(&self.pool).await?)
    }

    /// Every rune issued, oldest first.
    pub(crate) async fn runes(&self) -> Result<Vec<RuneRecord>, StoreError> {
        let runes = sqlx::query_as(
            "SELECT unique_id, name, restrictions, created_at, last_used
             FROM runes LEFT JOIN uses USING (unique_id) ORDER BY created_at, unique_id",
        );
        Ok(runes.fetch_all(&self.pool).await?)
    }

    /// Every last use, nanoseconds since 1970 by unique id.
    pub(crate) async fn uses(&self) -> Result<HashMap<u64, i64>, StoreError> {
        let uses: Vec<(i64, i64)> =
            sqlx::query_as("SELECT unique_id, last_used FROM uses").fetch_all(&self.pool).await?;
        Ok(uses.into_iter().map(|(unique_id, last_used)| (unique_id.cast_unsigned(), last_used)).collect())
    }

    /// Registers a rune; `false` where its unique id is taken.
    pub(crate) async fn insert(&self, rune: &RuneRecord) -> Result<bool, StoreError> {
        let inserted =
            sqlx::query("INSERT INTO runes (unique_id, name, restrictions, created_at) VALUES (?, ?, ?, ?)")
                .bind(rune.unique_id.cast_signed())
                .bind(&rune.name)
                .bind(&rune.restrictions)
                .bind(rune.created_at)
                .execute(&self.pool)
                .await;
        match (inserted, &rune.name) {
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

    /// The revoked unique ids.
    pub(crate) async fn revoked(&self) -> Result<Ranges, StoreError> {
        let mut transaction = self.pool.begin().await?;
        read_revoked(&mut transaction).await
    }

    /// Changes the revoked unique ids and returns them as they are then.
    pub(crate) async fn change_revoked(
        &self,
        change: impl FnOnce(&mut Ranges),
    ) -> Result<Ranges, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut revoked = read_revoked(&mut transaction).await?;
        change(&mut revoked);
        sqlx::query("DELETE FROM revoked").execute(&mut *transaction).await?;
        for (first, last) in revoked.iter() {
            sqlx::query("INSERT INTO revoked (first, last) VALUES (?, ?)")
                .bind(first.cast_signed())
                .bind(last.cast_signed())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(revoked)
    }

    /// Records last uses, unique ids to nanoseconds since 1970, all or none. On disk on return.
    pub(crate) async fn stamp(&self, uses: &HashMap<u64, i64>) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (unique_id, at) in uses {
            sqlx::query(
                "INSERT INTO uses (unique_id, last_used) VALUES (?, ?)
                 ON CONFLICT DO UPDATE SET last_used = max(last_used, excluded.last_used)",
            )
            .bind(unique_id.cast_signed())
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// A number that changes when another process has changed the database.
    pub(crate) async fn version(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("PRAGMA data_version").fetch_one(&self.pool).await?)
    }

    /// Waits for writes under way and closes the database.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

impl StoreError {
    fn dir(path: &Path, source: io::Error) -> Self {
        Self::Dir { path: path.to_owned(), source }
    }

    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| StoreError::file(path, source))
}

async fn read_revoked(transaction: &mut Transaction<'_, Sqlite>) -> Result<Ranges, StoreError> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT first, last FROM revoked").fetch_all(&mut **transaction).await?;
    let mut revoked = Ranges::default();
    for (first, last) in rows {
        revoked.insert(first.cast_unsigned(), last.cast_unsigned());
    }
    Ok(revoked)
}
