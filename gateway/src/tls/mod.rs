//! TLS on the port, for pages on https: the certificate, and taking up a new one while serving.
//!
//! It authenticates nothing that counts: inside, the Lightning transport says who the node is. So browsers are
//! satisfied here, and no more.

mod files;
mod self_signed;
mod validity;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::address;
use crate::config::Certificate;
use crate::store::{StateDir, StoreError};
use files::Files;
use self_signed::SelfSigned;

/// How often certificate files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is asked whether the self-signed certificate nears its end.
const RENEWAL: Duration = Duration::from_secs(60 * 60);

/// TLS for every listener.
pub(crate) struct Tls {
    source: Source,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

enum Source {
    SelfSigned(SelfSigned),
    Files(Files),
}

/// The certificate that new connections get.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

/// Why there is no certificate to serve under; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// What is kept in the state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key kept in the state directory is damaged.
    #[error("{} holds no usable key; remove it, and a new one is made", .0.display())]
    DamagedKey(
        /// The key's file.
        PathBuf,
    ),
    /// A host that the certificate should name.
    #[error("'{0}' cannot stand in a certificate, which takes names such as node.example, and addresses")]
    Name(
        /// The host.
        String,
    ),
    /// The self-signed certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Unmakeable(String),
    /// A file cannot be read.
    #[error("cannot read {}: {source}; --tls-cert and --tls-key name files that this user may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Everybody on this machine may read or write the key.
    #[error("{0} is open to everybody (mode {mode:03o}); run `chmod o= {0}`", path.display())]
    LooseMode {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No certificate where one should be.
    #[error("{} holds no certificate; --tls-cert names a PEM file with `-----BEGIN CERTIFICATE-----`", .0.display())]
    NoCertificate(
        /// The file.
        PathBuf,
    ),
    /// No key where one should be.
    #[error("{} holds no private key; --tls-key names a PEM file with `-----BEGIN PRIVATE KEY-----`", .0.display())]
    NoKey(
        /// The file.
        PathBuf,
    ),
    /// The key wants a passphrase.
    #[error("the key in {0} is encrypted; decrypt it with `openssl pkey -in {0} -out <new file>`", path.display())]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// A certificate that is none.
    #[error("the certificate in {} cannot be used: {why}", path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: rustls::Error,
    },
    /// A key of an unknown kind.
    #[error("the key in {} cannot be used: {why}; it must be ECDSA (P-256 or P-384), Ed25519 or RSA (2048 bits or more)", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: rustls::Error,
    },
    /// Certificate and key are not a pair.
    #[error("{} is not the key of the certificate in {}, whose own must come before its chain", key.display(), certificate.display())]
    NotAPair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Browsers refuse it.
    #[error("the certificate in {} does not hold now, or not for another {days} days; renew it, and the running gateway takes it up by itself", path.display())]
    Expires {
        /// The certificate's file.
        path: PathBuf,
        /// How many days it should at least hold.
        days: u64,
    },
    /// Browsers refuse it under that name.
    #[error("the certificate in {} is not for {name}; get one that is, or advertise a name that it has", path.display())]
    OtherName {
        /// The certificate's file.
        path: PathBuf,
        /// The name advertised.
        name: String,
    },
    /// The library takes none of it.
    #[error("cannot set up TLS: {0}")]
    Library(#[from] rustls::Error),
}

/// Whether browsers will take the certificate, now and for a while, under the name that is advertised; with a
/// word on it. Makes none.
pub(crate) fn examine(choice: &Certificate, advertised: Option<&str>) -> Result<String, TlsError> {
    let Certificate::Files { certificate, key } = choice else {
        return Ok("made here, and renewed by itself; browsers must be told to trust it".to_owned());
    };
    let pair = Files::new(certificate.clone(), key.clone()).load()?;
    let names = names(&advertised.map(str::to_owned).into_iter().collect::<Vec<_>>())?;
    validity::check(certificate, &pair.cert, names.first())?;
    Ok(format!("{} holds for a while", certificate.display()))
}

impl Tls {
    /// Loads the certificate. `hosts`: the names and addresses that a self-signed one must cover.
    pub(crate) fn open(choice: Certificate, dir: &StateDir, hosts: &[String]) -> Result<Self, TlsError> {
        let source = match choice {
            Certificate::SelfSigned => Source::SelfSigned(SelfSigned::new(dir.clone(), names(hosts)?)),
            Certificate::Files { certificate, key } => Source::Files(Files::new(certificate, key)),
        };
        let current = Arc::new(Current(RwLock::new(Arc::new(source.load()?))));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Connections are few and last long: remembering sessions would cost memory and save next to nothing.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { source, current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// What makes a TCP stream a TLS stream.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// The certificate's SHA-256 fingerprint, written as browsers and openssl write it.
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.current.key())
    }

    /// Takes up new certificates as they come. Never returns.
    pub(crate) async fn watch(&self) {
        match &self.source {
            Source::SelfSigned(_) => loop {
                tokio::time::sleep(RENEWAL).await;
                self.reload();
            },
            Source::Files(files) => {
                let mut taken = files.first();
                let mut last = taken;
                loop {
                    tokio::time::sleep(LOOK).await;
                    let now = files.stamps();
                    // Only once they rest: certificate and key are not replaced in the same instant.
                    if now != taken && now == last {
                        self.reload();
                        taken = now;
                    }
                    last = now;
                }
            }
        }
    }

    /// Takes up the certificate there is now; where it cannot be used, the old one stays.
    fn reload(&self) {
        match self.source.load() {
            Ok(key) if key.cert == self.current.key().cert => {}
            Ok(key) => {
                tracing::info!(sha256 = fingerprint(&key), "new connections get a new certificate");
                self.current.set(key);
            }
            Err(error) => tracing::error!(%error, "the new certificate is not taken up; the old one stays"),
        }
    }
}

impl Source {
    fn load(&self) -> Result<CertifiedKey, TlsError> {
        match self {
            Self::SelfSigned(own) => own.load(),
            Self::Files(files) => files.load(),
        }
    }
}

impl Current {
    fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

/// The one cryptography under TLS.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn fingerprint(key: &CertifiedKey) -> String {
    let certificate = key.cert.first().map(AsRef::as_ref).unwrap_or_default();
    let digest = ::ring::digest::digest(&::ring::digest::SHA256, certificate);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// What a certificate names. An unspecified address is where we listen, never where anybody connects to.
fn names(hosts: &[String]) -> Result<Vec<ServerName<'static>>, TlsError> {
    let mut names = Vec::new();
    for host in hosts {
        let name = match address::ip(host) {
            Some(ip) if ip.is_unspecified() => continue,
            Some(ip) => ServerName::from(IpAddr::to_canonical(&ip)),
            None => ServerName::try_from(host.clone()).map_err(|_| TlsError::Name(host.clone()))?,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
