//! What must survive a restart: runes, their last uses, revocations, and what the state directory
//! belongs to. SQLite, written by the daemon and by the command line beside it.
//!
//! # Layout
//! - here: the database opened, what it is bound to, and what can be wrong with it.
//! - `records`: runes, their uses, revocations, and the secret they are made from.
//! - `offers`: what may be claimed once, and by whom it was.
//! - `inspect`: a database looked at, and nothing changed.
//! - `ranges`: sets of unique ids.
//! - `backup`: a state directory in one file, and back.
//! - `clock`: how far time has come.
//! - `audit`: how far the audit log has come.
//! - `state_dir`: the directory, and the secrets beside the database.

mod audit;
mod backup;
mod clock;
mod inspect;
mod offers;
mod ranges;
mod records;
mod state_dir;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

pub(crate) use audit::Anchor;
pub(crate) use inspect::Inspected;
pub(crate) use offers::{Claim, OfferRecord};
pub(crate) use ranges::Ranges;
pub(crate) use records::{Known, RuneRecord, Used};
pub(crate) use state_dir::{StateDir, load_identity};

/// How databases of earlier versions become those of this one.
static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// Longest name of a rune, in bytes.
pub(crate) const MAX_NAME: usize = 64;

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
    /// A database that others could read or write: it says what was handed out, and what is revoked.
    #[error("{0} is open to others (mode {mode:03o}); run `chmod 600 {0}*`", path.display())]
    LooseDatabase {
        /// The database's file.
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
    /// The rune secret is not the one that the runes recorded here were made from.
    #[error(
        "{} is missing or not the secret that the runes here were made from; restore it from your backup, or let them all go with `runeward rotate-secret`",
        .0.display()
    )]
    OtherSecret(
        /// The secret's file.
        PathBuf,
    ),
    /// The secret was changed while a rune was made.
    #[error("the rune secret was changed meanwhile; try again")]
    SecretChanged,
    /// Another daemon serves from this directory.
    #[error("another runeward is running on {}; stop it, or give another --state-dir", .0.display())]
    Locked(
        /// The state directory.
        PathBuf,
    ),
    /// The directory was made for another node or authority.
    #[error("this state directory belongs to {name} {bound}, not {}; give another with --state-dir", found.escape_debug())]
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
    /// Nothing to back up.
    #[error("there is no state directory {}: no gateway was ever started on it; name yours with --state-dir", .0.display())]
    NoState(
        /// The state directory.
        PathBuf,
    ),
    /// The backup cannot be written there.
    #[error("cannot make {}: {source}; a backup is written to a new file", path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is no backup; name a file that `runeward backup` made", .0.display())]
    NoBackup(
        /// The file.
        PathBuf,
    ),
    /// A backup would be mixed with what is there.
    #[error("{} is not empty; move it away, or restore to another --state-dir", .0.display())]
    NotEmpty(
        /// The state directory.
        PathBuf,
    ),
    /// Runes that were revoked may be good again.
    #[error(
        "{} was restored from a backup, and runes revoked after that was made would be good again; make all void with `runeward rotate-secret`, or, if none was revoked, run `runeward restore --accept`",
        .0.display()
    )]
    Restored(
        /// The state directory.
        PathBuf,
    ),
    /// The database is not what SQLite wrote.
    #[error("{} is damaged; restore it from your backup", .0.display())]
    Damaged(
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
    /// Somebody reads the database and does not end.
    #[error(
        "somebody else reads the database, so a part of it stays in runeward.db-wal: whoever copies it copies both"
    )]
    InUse,
    /// Any other fault of the database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
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
        // SQLite would make it, and the files beside it, by the umask.
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
            // Where a commit fails, on a full disk, SQLite ends the transaction by itself, the library goes on
            // counting it, and no other would ever begin: such a connection is replaced.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await?;
        let mut connection = pool.acquire().await?;
        // What is made here is made again if a power cut takes it, so it need not wait for the disk at each
        // step: the first write that follows brings all of it there.
        sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *connection).await?;
        MIGRATIONS.run(&mut *connection).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(_) => StoreError::Newer(path),
            other => StoreError::Database(other.into()),
        })?;
        sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await?;
        drop(connection);
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

    /// A number that changes when another process has changed the database.
    pub(crate) async fn version(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("PRAGMA data_version").fetch_one(&self.pool).await?)
    }

    /// Brings all that was written into the one file, where SQLite's own closing leaves it beside it: as long as
    /// anybody else, a backup or the doctor, has the database open. Waits for them, at most 10 s.
    pub(crate) async fn gather(&self) -> Result<(), StoreError> {
        let gather = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)");
        match gather.fetch_one(&self.pool).await? {
            0_i64 => Ok(()),
            _ => Err(StoreError::InUse),
        }
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

/// Makes the file, where it is not there, for its owner alone; where it is, makes sure that it is so.
fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let failed = |source| StoreError::file(path, source);
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    match file.metadata().map_err(failed)?.mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(StoreError::LooseDatabase { path: path.to_owned(), mode }),
        _ => Ok(()),
    }
}
