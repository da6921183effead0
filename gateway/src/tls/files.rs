//! A certificate and its key in PEM files that others keep.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use zeroize::Zeroizing;

use super::{TlsError, provider};

/// How a key that wants a passphrase begins.
const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Where they are.
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// How they were before they were first loaded.
    first: [Stamp; 2],
}

/// What shows that a file is another, or has changed: inode, bytes, and when it was written. `None`: it is gone.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Files {
    pub(super) fn new(certificate: PathBuf, key: PathBuf) -> Self {
        let first = [&certificate, &key].map(|path| stamp(path));
        Self { certificate, key, first }
    }

    pub(super) fn load(&self) -> Result<CertifiedKey, TlsError> {
        let chain = self.chain()?;
        let provider = provider();
        let key = provider.key_provider.load_private_key(self.private_key()?);
        let key = key.map_err(|why| TlsError::BadKey { path: self.key.clone(), why })?;
        let pair = CertifiedKey::new(chain, key);
        match pair.keys_match() {
            Ok(()) => Ok(pair),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(TlsError::NotAPair { certificate: self.certificate.clone(), key: self.key.clone() })
            }
            Err(why) => Err(TlsError::BadCertificate { path: self.certificate.clone(), why }),
        }
    }

    /// Of certificate and key, as they are now.
    pub(super) fn stamps(&self) -> [Stamp; 2] {
        [&self.certificate, &self.key].map(|path| stamp(path))
    }

    /// Of certificate and key, from before they were first loaded.
    pub(super) fn first(&self) -> [Stamp; 2] {
        self.first
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let text = fs::read(&self.certificate).map_err(|source| unreadable(&self.certificate, source))?;
        let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        chain.ok_or_else(|| TlsError::NoCertificate(self.certificate.clone()))
    }

    /// Its group may read it: that is how keys are shared with a daemon that does not run as root.
    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let path = &self.key;
        let mut file = fs::File::open(path).map_err(|source| unreadable(path, source))?;
        let mode = file.metadata().map_err(|source| unreadable(path, source))?.mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(TlsError::LooseMode { path: path.clone(), mode });
        }
        let mut text = Zeroizing::new(Vec::new());
        file.read_to_end(&mut text).map_err(|source| unreadable(path, source))?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
            let encrypted = text.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
            if encrypted {
                TlsError::EncryptedKey { path: path.clone() }
            } else {
                TlsError::NoKey(path.clone())
            }
        })
    }
}

/// Links are followed: certificate clients replace links.
fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

fn unreadable(path: &Path, source: std::io::Error) -> TlsError {
    TlsError::Unreadable { path: path.to_owned(), source }
}
