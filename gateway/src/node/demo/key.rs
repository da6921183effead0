//! The node's secret key, and the file that keeps it.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use secp256k1::SecretKey;
use zeroize::Zeroizing;

/// The key in `path` (64 hex digits), or a new one, kept there for the owner's eyes alone.
pub(super) fn load_or_create(path: &Path) -> io::Result<SecretKey> {
    match fs::File::open(path) {
        Ok(file) => read(file, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(error),
    }
}

/// 32 bytes from the system's random source.
pub(super) fn random_bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system's random source failed"))?;
    Ok(bytes)
}

fn read(mut file: fs::File, path: &Path) -> io::Result<SecretKey> {
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.display();
        let message = format!("{path} can be read by others (mode {mode:03o}); run `chmod 600 {path}`");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text)?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> io::Result<SecretKey> {
    text.trim().parse().map_err(|_| {
        let message = format!("{} does not hold a node key", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

fn create(path: &Path) -> io::Result<SecretKey> {
    let key = loop {
        // Of 2^256 strings fewer than 2^129 are no key: this loop runs once.
        if let Ok(key) = SecretKey::from_slice(Zeroizing::new(random_bytes()?).as_slice()) {
            break key;
        }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let text = Zeroizing::new(format!("{}\n", key.display_secret()));
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(key)
}
