//! A certificate of our own making, kept in the state directory: one key for good, a new certificate when needed.

use std::path::Path;
use std::time::Duration;
use std::{fs, process};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::{TlsError, provider};
use crate::store::StateDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a certificate holds; browsers take up to 397 days.
const VALIDITY: Duration = DAY.saturating_mul(365);

/// How long before its end a certificate is renewed.
const RENEW_BEFORE: Duration = DAY.saturating_mul(30);

/// The certificate kept in a state directory.
pub(super) struct SelfSigned {
    dir: StateDir,
    /// Every name and address it must cover.
    names: Vec<ServerName<'static>>,
}

impl SelfSigned {
    pub(super) fn new(dir: StateDir, names: Vec<ServerName<'static>>) -> Self {
        Self { dir, names }
    }

    /// The certificate that is kept, or a new one where it no longer does.
    pub(super) fn load(&self) -> Result<CertifiedKey, TlsError> {
        let key = self.dir.tls_key(|| Some(Zeroizing::new(KeyPair::generate().ok()?.serialize_pem())))?;
        let path = self.dir.tls_certificate();
        if let Ok(kept) = CertificateDer::from_pem_file(&path)
            && self.covers(&kept, UnixTime::now(), RENEW_BEFORE)
            && let Ok(pair) = self.pair(kept, &key)
        {
            return Ok(pair);
        }
        let pem = self.make(&key)?;
        replace(&path, &pem).map_err(|error| TlsError::Unmakeable(format!("{}: {error}", path.display())))?;
        tracing::info!(path = %path.display(), "made a self-signed certificate, which browsers must be told to trust");
        let made = CertificateDer::from_pem_slice(pem.as_bytes());
        self.pair(made.map_err(|error| TlsError::Unmakeable(error.to_string()))?, &key)
    }

    /// Whether a browser that trusts it will take it under each of the names, now and for a while.
    fn covers(&self, certificate: &CertificateDer<'_>, now: UnixTime, a_while: Duration) -> bool {
        let mut roots = RootCertStore::empty();
        if roots.add(certificate.clone().into_owned()).is_err() {
            return false;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build();
        let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + a_while);
        verifier.is_ok_and(|verifier| {
            let holds = |name, at| verifier.verify_server_cert(certificate, &[], name, &[], at).is_ok();
            self.names.iter().all(|name| holds(name, now) && holds(name, later))
        })
    }

    fn pair(&self, certificate: CertificateDer<'static>, key: &str) -> Result<CertifiedKey, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| self.damaged())?;
        Ok(CertifiedKey::from_der(vec![certificate], key, &provider())?)
    }

    /// A certificate in PEM.
    fn make(&self, key: &str) -> Result<String, TlsError> {
        let key = KeyPair::from_pem(key).map_err(|_| self.damaged())?;
        let unmakeable = |error: rcgen::Error| TlsError::Unmakeable(error.to_string());
        let names = self.names.iter().map(|name| match name {
            ServerName::IpAddress(ip) => Ok(SanType::IpAddress((*ip).into())),
            name => Ok(SanType::DnsName(name.to_str().into_owned().try_into()?)),
        });
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, "Runeward");
        let mut params = CertificateParams::default();
        params.distinguished_name = subject;
        params.subject_alt_names = names.collect::<Result<_, _>>().map_err(unmakeable)?;
        params.serial_number = Some(serial_number()?);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = std::time::SystemTime::now();
        // Clocks differ.
        params.not_before = (now - DAY).into();
        params.not_after = (now + VALIDITY).into();
        Ok(params.self_signed(&key).map_err(unmakeable)?.pem())
    }

    fn damaged(&self) -> TlsError {
        TlsError::DamagedKey(self.dir.path().join("tls-key"))
    }
}

/// Another for each certificate: browsers refuse two from one issuer under the same number.
fn serial_number() -> Result<SerialNumber, TlsError> {
    let mut number = [0; 16];
    SystemRandom::new()
        .fill(&mut number)
        .map_err(|_| TlsError::Unmakeable("the system has no randomness".to_owned()))?;
    Ok(SerialNumber::from_slice(&number))
}

/// Writes the file whole or not at all.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension(format!("new-{}", process::id()));
    let replaced = fs::write(&draft, text).and_then(|()| fs::rename(&draft, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&draft);
    }
    replaced
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn own(dir: &Path, names: &[&str]) -> SelfSigned {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        SelfSigned::new(StateDir::open(dir).unwrap(), super::super::names(&names).unwrap())
    }

    #[test]
    fn kept_while_it_covers_what_it_must() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["localhost", "127.0.0.1", "::1", "0.0.0.0", "node.example"];
        let first = own(dir.path(), &names).load().unwrap();
        assert_eq!(own(dir.path(), &names).load().unwrap().cert, first.cert);
        assert_eq!(own(dir.path(), &names[..2]).load().unwrap().cert, first.cert, "fewer names");

        let more = own(dir.path(), &["localhost", "other.example"]).load().unwrap();
        assert_ne!(more.cert, first.cert);
        assert_eq!(more.key.public_key(), first.key.public_key(), "the key stays");

        fs::write(dir.path().join("tls-cert.pem"), "-----BEGIN").unwrap();
        let third = own(dir.path(), &["localhost"]).load().unwrap();
        assert_ne!(third.cert, more.cert);

        fs::write(dir.path().join("tls-key"), "-----BEGIN").unwrap();
        let damaged = own(dir.path(), &["localhost"]).load().unwrap_err().to_string();
        assert!(damaged.contains("tls-key holds no usable key; remove it"), "{damaged}");
    }

    #[test]
    fn renewed_before_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let own = own(dir.path(), &["localhost"]);
        let made = own.load().unwrap();
        let in_days =
            |days| UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + DAY * days);
        let holds = |days| own.covers(made.cert.first().unwrap(), in_days(days), RENEW_BEFORE);
        assert!(holds(0) && holds(334));
        assert!(!holds(336));
        let own_end = |days| own.covers(made.cert.first().unwrap(), in_days(days), Duration::ZERO);
        assert!(own_end(364) && !own_end(366), "at most 397 days");
    }

    #[test]
    fn names_no_certificate_takes() {
        let refused = super::super::names(&["-.-".to_owned()]).unwrap_err().to_string();
        assert!(refused.starts_with("'-.-' cannot stand in a certificate"), "{refused}");
    }
}
