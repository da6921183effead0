//! The state directory: secrets in files of their own, readable by their owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use runeward_noise::Identity;
use runeward_policy::MasterSecret;
use zeroize::Zeroizing;

use super::StoreError;

/// Length of every secret kept here, in bytes; its file holds twice as many hex digits.
const SECRET_LENGTH: usize = 32;

/// The file of the secret that runes are derived from.
const RUNE_SECRET: &str = "rune-secret";

/// An existing state directory.
#[derive(Clone, Debug)]
pub(crate) struct StateDir(PathBuf);

/// Held by the one daemon that serves from a state directory; released when dropped.
#[derive(Debug)]
pub(crate) struct DaemonLock {
    _file: File,
}

/// The secret that runes are derived from, and how it is told from others without giving it away.
pub(crate) struct RuneSecret {
    pub(crate) master: MasterSecret,
    /// 32 hex digits.
    pub(crate) fingerprint: String,
    path: PathBuf,
}

impl StateDir {
    /// Opens the directory, making it, for its owner alone, where it does not exist yet.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| StoreError::dir(path, source))?;
        Ok(Self(path.to_owned()))
    }

    /// Opens the directory where it is there; makes nothing.
    pub(crate) fn existing(path: &Path) -> Result<Self, StoreError> {
        match path.is_dir() {
            true => Ok(Self(path.to_owned())),
            false => Err(StoreError::NoState(path.to_owned())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("runeward.db")
    }

    /// The gateway's static key, made on first use.
    pub(crate) fn identity(&self) -> Result<Identity, StoreError> {
        let path = self.0.join("identity");
        load_identity(&path)
    }

    /// The secret that runes are derived from: the one with this fingerprint, or, where none is told,
    /// the one that is there or is made on this first use.
    pub(crate) fn rune_secret(&self, fingerprint: Option<&str>) -> Result<RuneSecret, StoreError> {
        let Some(fingerprint) = fingerprint else {
            let path = self.0.join(RUNE_SECRET);
            let secret = load_or_make_secret(&path, || random_secret(&path))?;
            return RuneSecret::new(&secret, path);
        };
        for path in self.rune_secrets(fingerprint) {
            match load_secret(&path) {
                Err(StoreError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                loaded => {
                    let secret = RuneSecret::new(&*loaded?, path)?;
                    if secret.fingerprint == fingerprint {
                        return Ok(secret);
                    }
                }
            }
        }
        Err(StoreError::OtherSecret(self.0.join(RUNE_SECRET)))
    }

    /// Makes a secret to change to. No file is ever written anew: two that change the secret at once
    /// leave each other's alone, and the database says which one is meant.
    pub(crate) fn new_rune_secret(&self) -> Result<RuneSecret, StoreError> {
        let draft = self.0.join(RUNE_SECRET);
        let random = random_secret(&draft)?;
        let mut secret = RuneSecret::new(&random, draft)?;
        let [_, path] = self.rune_secrets(&secret.fingerprint);
        save_new(&path, &encode_hex(&random))?;
        secret.path = path;
        Ok(secret)
    }

    /// Where the secret with this fingerprint may be: the first one made here has the plain name.
    fn rune_secrets(&self, fingerprint: &str) -> [PathBuf; 2] {
        [self.0.join(RUNE_SECRET), self.0.join(format!("{RUNE_SECRET}.{fingerprint}"))]
    }

    /// The private key of the self-signed certificate: PEM, as `make` makes it on first use.
    pub(crate) fn tls_key(
        &self,
        make: impl FnOnce() -> Option<Zeroizing<String>>,
    ) -> Result<Zeroizing<String>, StoreError> {
        load_or_make(&self.0.join("tls-key"), || make().ok_or(StoreError::NoRandomness))
    }

    /// Where the self-signed certificate is kept, which is no secret.
    pub(crate) fn tls_certificate(&self) -> PathBuf {
        self.0.join("tls-cert.pem")
    }

    /// Whether a daemon serves from the directory.
    pub(crate) fn is_served(&self) -> Result<bool, StoreError> {
        let path = self.0.join("lock");
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(|source| StoreError::file(&path, source))?,
        };
        // Shared, so that two who ask at once do not take each other for a daemon.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => Err(StoreError::file(&path, source)),
        }
    }

    /// What the audit log's parameters are hashed under, made on first use.
    pub(crate) fn audit_key(&self) -> Result<Secret, StoreError> {
        let path = self.0.join("audit-key");
        load_or_make_secret(&path, || random_secret(&path))
    }

    /// Where the audit log is.
    pub(crate) fn audit(&self) -> PathBuf {
        self.0.join("audit")
    }

    /// Claims the directory for this daemon.
    pub(crate) fn lock(&self) -> Result<DaemonLock, StoreError> {
        let path = self.0.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| StoreError::file(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(DaemonLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(self.0.clone())),
            Err(TryLockError::Error(source)) => Err(StoreError::file(&path, source)),
        }
    }
}

impl RuneSecret {
    fn new(secret: &[u8; SECRET_LENGTH], path: PathBuf) -> Result<Self, StoreError> {
        let Ok(master) = MasterSecret::new(secret) else { return Err(StoreError::Corrupt(path)) };
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        hash.update(b"fingerprint of a rune secret");
        hash.update(secret);
        let fingerprint = hash.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { master, fingerprint, path })
    }

    /// Removes its file: no rune is made from it any more.
    pub(crate) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a secret out of use cannot be removed");
        }
    }
}

/// The identity in the file at `path`, made there on first use.
pub(crate) fn load_identity(path: &Path) -> Result<Identity, StoreError> {
    let secret = load_or_make_secret(path, || {
        let identity = Identity::generate().map_err(|_| StoreError::NoRandomness)?;
        Ok(identity.secret_bytes())
    })?;
    Identity::from_secret(&secret).map_err(|_| StoreError::Corrupt(path.to_owned()))
}

type Secret = Zeroizing<[u8; SECRET_LENGTH]>;

fn random_secret(path: &Path) -> Result<Secret, StoreError> {
    let mut secret = Secret::default();
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), secret.as_mut_slice())
        .map_err(|_| StoreError::file(path, io::Error::other("the system has no randomness")))?;
    Ok(secret)
}

fn load_or_make_secret(
    path: &Path,
    make: impl FnOnce() -> Result<Secret, StoreError>,
) -> Result<Secret, StoreError> {
    let text = load_or_make(path, || Ok(encode_hex(&*make()?)))?;
    parse_secret(path, &text)
}

fn load_secret(path: &Path) -> Result<Secret, StoreError> {
    parse_secret(path, &load(path)?)
}

fn parse_secret(path: &Path, text: &str) -> Result<Secret, StoreError> {
    decode_hex(text.trim_end()).ok_or_else(|| StoreError::Corrupt(path.to_owned()))
}

/// The text of a secret's file, made on first use.
fn load_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<Zeroizing<String>, StoreError>,
) -> Result<Zeroizing<String>, StoreError> {
    match load(path) {
        Err(StoreError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            save_new(path, &make()?)?;
            load(path)
        }
        loaded => loaded,
    }
}

fn load(path: &Path) -> Result<Zeroizing<String>, StoreError> {
    let mut file = File::open(path).map_err(|source| StoreError::file(path, source))?;
    check_mode(&file, path)?;
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(|_| StoreError::Corrupt(path.to_owned()))?;
    Ok(text)
}

/// Makes sure that nobody but its owner can read a file with secrets.
pub(super) fn check_mode(file: &File, path: &Path) -> Result<(), StoreError> {
    match file.metadata().map_err(|source| StoreError::file(path, source))?.mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(StoreError::LooseMode { path: path.to_owned(), mode }),
        _ => Ok(()),
    }
}

/// Writes the secret to a file that was not there; where another process was quicker, leaves that
/// one's. The file appears whole or not at all.
fn save_new(path: &Path, text: &str) -> Result<(), StoreError> {
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let failed = |source| StoreError::file(path, source);
    let written = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    sync(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.exists() => Ok(()),
        written => written.map_err(failed),
    }
}

/// Makes sure that the files of a directory are in it after a crash.
pub(super) fn sync(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| StoreError::file(dir, source))
}

fn encode_hex(secret: &[u8; SECRET_LENGTH]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * SECRET_LENGTH + 1));
    for byte in secret {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text.push('\n');
    text
}

fn decode_hex(text: &str) -> Option<Secret> {
    let digits = text.as_bytes();
    if digits.len() != 2 * SECRET_LENGTH {
        return None;
    }
    let mut secret = Secret::default();
    for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(secret)
}
