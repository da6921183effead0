//! A state directory in one file, and back. The file is a copy of the database, with a table more that holds the
//! files beside it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};
use zeroize::Zeroizing;

use super::state_dir::{check_mode, sync};
use super::{StateDir, Store, StoreError};

/// The binding that says that a directory was restored, and may have forgotten what was revoked: when the backup
/// was made, in UNIX seconds.
const RESTORED: &str = "restored";

/// What a restored directory holds.
#[derive(Debug)]
pub(crate) struct Restored {
    /// When the backup was made, in UNIX seconds.
    pub(crate) made_at: u64,
    /// Whether it serves only once that is accepted, as runes revoked since would be good again.
    pub(crate) must_be_accepted: bool,
}

impl StateDir {
    /// Writes all but the audit log to a new file, for its owner alone. A daemon may go on serving meanwhile: the
    /// database is copied as it is at one moment.
    ///
    /// # Errors
    /// [`StoreError::SecretChanged`] where the rune secret was changed at that moment.
    pub(crate) async fn back_up(&self, to: &Path) -> Result<(), StoreError> {
        let database = self.database();
        if !database.is_file() {
            return Err(StoreError::NoState(self.path().to_owned()));
        }
        // SQLite would make it by the umask. A file that is there is never written over.
        let new = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to);
        let new = new.map_err(|source| StoreError::Backup { path: to.to_owned(), source })?;
        let written = self.write_backup(&database, to).await;
        let written = written.and_then(|()| new.sync_all().map_err(|source| StoreError::file(to, source)));
        if written.is_err() {
            let _ = fs::remove_file(to);
        }
        written
    }

    async fn write_backup(&self, database: &Path, to: &Path) -> Result<(), StoreError> {
        copy(database, to).await?;
        let mut backup = writable(to).await?;
        sqlx::raw_sql(
            "CREATE TABLE backup (made_at INTEGER NOT NULL) STRICT;
             CREATE TABLE backup_files (name TEXT PRIMARY KEY, contents BLOB NOT NULL) STRICT;",
        )
        .execute(&mut backup)
        .await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let made_at = sqlx::query("INSERT INTO backup VALUES (?)").bind(now.cast_signed());
        made_at.execute(&mut backup).await?;
        for (name, path) in self.files()? {
            let file = sqlx::query("INSERT INTO backup_files VALUES (?, ?)").bind(name);
            file.bind(read(&path)?.as_slice()).execute(&mut backup).await?;
        }
        let secret = sqlx::query_scalar("SELECT value FROM binding WHERE name = 'rune_secret'");
        let secret: Option<String> = secret.fetch_optional(&mut backup).await?;
        if let Some(fingerprint) = secret {
            let there = self.rune_secret(Some(&fingerprint));
            there.map_err(|error| match error {
                StoreError::OtherSecret(_) => StoreError::SecretChanged,
                error => error,
            })?;
        }
        Ok(backup.close().await?)
    }

    /// The files that a backup holds beside the database, by name.
    fn files(&self) -> Result<Vec<(String, PathBuf)>, StoreError> {
        let failed = |source| StoreError::dir(self.path(), source);
        let mut files = Vec::new();
        for entry in fs::read_dir(self.path()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_kept(&name) && fs::metadata(entry.path()).map_err(failed)?.is_file() {
                files.push((name, entry.path()));
            }
        }
        Ok(files)
    }

    /// Makes the state directory `path` what it was when the backup was made. It must not be there yet, or be
    /// empty; it appears whole or not at all. A new audit log begins in it.
    pub(crate) async fn restore(path: &Path, from: &Path) -> Result<Restored, StoreError> {
        if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(StoreError::NotEmpty(path.to_owned()));
        }
        check_mode(&File::open(from).map_err(|source| StoreError::file(from, source))?, from)?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".new-{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let failed = |source| StoreError::dir(&draft, source);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&draft).map_err(failed);
        let restored = match made {
            Ok(()) => read_backup(&draft, from).await,
            Err(error) => Err(error),
        };
        let restored = restored.and_then(|restored| {
            fs::rename(&draft, path).map_err(|source| StoreError::dir(path, source))?;
            sync(path)?;
            Ok(restored)
        });
        if restored.is_err() {
            let _ = fs::remove_dir_all(&draft);
        }
        restored
    }
}

impl Store {
    /// When the backup was made that the directory was restored from, in UNIX seconds, where nobody has accepted
    /// that yet.
    pub(crate) async fn restored(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.bound(RESTORED).await?.map(|made_at| made_at.parse().unwrap_or_default()))
    }

    /// Takes what was restored for what is so; `false` where nothing was to be accepted.
    pub(crate) async fn accept_restored(&self) -> Result<bool, StoreError> {
        let accept = sqlx::query("DELETE FROM binding WHERE name = ?").bind(RESTORED);
        Ok(accept.execute(&self.pool).await?.rows_affected() > 0)
    }
}

/// Fills `draft` from the backup.
async fn read_backup(draft: &Path, from: &Path) -> Result<Restored, StoreError> {
    let no_backup = |_| StoreError::NoBackup(from.to_owned());
    let mut backup = read_only(from).await.map_err(no_backup)?;
    let made_at: i64 =
        sqlx::query_scalar("SELECT made_at FROM backup").fetch_one(&mut backup).await.map_err(no_backup)?;
    let files: Vec<(String, Vec<u8>)> = sqlx::query_as("SELECT name, contents FROM backup_files")
        .fetch_all(&mut backup)
        .await
        .map_err(no_backup)?;
    backup.close().await?;
    for (name, contents) in files {
        let contents = Zeroizing::new(contents);
        if !is_kept(&name) || name.contains('/') {
            return Err(StoreError::NoBackup(from.to_owned()));
        }
        let path = draft.join(name);
        let mut file = new_file(&path)?;
        let written = file.write_all(&contents).and_then(|()| file.sync_all());
        written.map_err(|source| StoreError::file(&path, source))?;
    }

    let dir = StateDir::open(draft)?;
    let database = dir.database();
    new_file(&database)?;
    copy(from, &database).await?;
    let mut connection = writable(&database).await?;
    sqlx::raw_sql("DROP TABLE backup; DROP TABLE backup_files").execute(&mut connection).await?;
    // What was dropped holds secrets, and is there until its pages are written anew.
    sqlx::query("VACUUM").execute(&mut connection).await?;
    connection.close().await?;

    let store = Store::open(&dir).await?;
    // The log that it vouches for is elsewhere.
    sqlx::query("DELETE FROM audit").execute(&store.pool).await?;
    let must_be_accepted = store.bound("authority").await?.as_deref() == Some("own");
    if must_be_accepted {
        let note = sqlx::query("INSERT OR REPLACE INTO binding (name, value) VALUES (?, ?)");
        note.bind(RESTORED).bind(made_at.to_string()).execute(&store.pool).await?;
    }
    store.close().await;
    Ok(Restored { made_at: made_at.try_into().unwrap_or_default(), must_be_accepted })
}

/// Whether a file of this name is of a state directory, and not the database, a lock or a draft.
fn is_kept(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && !name.starts_with("runeward.db")
        && name != "lock"
        && !name.contains(".new-")
}

/// Copies a database to an empty file, as it is at one moment, whoever writes to it meanwhile.
async fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let mut connection = read_only(from).await?;
    let to = to.to_str().ok_or_else(|| StoreError::file(to, io::ErrorKind::InvalidFilename.into()))?;
    sqlx::query("VACUUM INTO ?").bind(to).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

pub(super) async fn read_only(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options =
        SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(super::BUSY_TIMEOUT);
    options.disable_statement_logging().connect().await
}

/// Without a journal on disk, which would hold secrets.
async fn writable(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Memory);
    options.disable_statement_logging().connect().await
}

fn new_file(path: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    opened.map_err(|source| StoreError::file(path, source))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut contents = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|mut file| file.read_to_end(&mut contents));
    read.map_err(|source| StoreError::file(path, source))?;
    Ok(contents)
}
