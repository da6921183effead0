//! Whether a certificate that others made holds: now, for a while, and for a name.

use std::path::Path;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::{TlsError, provider};

/// How many days a certificate should hold: who renews by a timer has done so long before.
const DAYS: u64 = 7;

/// Checks the first certificate of a chain. Who issued it is not asked: it may be a private authority, known to
/// the browsers that come.
pub(super) fn check(
    path: &Path,
    chain: &[CertificateDer<'static>],
    name: Option<&ServerName<'_>>,
) -> Result<(), TlsError> {
    let Some(certificate) = chain.first() else { return Err(TlsError::NoCertificate(path.to_owned())) };
    let now = UnixTime::now();
    let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs() + DAYS * 24 * 60 * 60));
    if !holds(certificate, now)? || !holds(certificate, later)? {
        return Err(TlsError::Expires { path: path.to_owned(), days: DAYS });
    }
    let Some(name) = name else { return Ok(()) };
    match verify_server_name(&ParsedCertificate::try_from(certificate)?, name) {
        Ok(()) => Ok(()),
        Err(_) => Err(TlsError::OtherName { path: path.to_owned(), name: name.to_str().into_owned() }),
    }
}

/// Whether a certificate holds at an instant: what the verifier looks at before it asks who issued it.
fn holds(certificate: &CertificateDer<'static>, at: UnixTime) -> Result<bool, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build();
    let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
    // Any name: that of the certificate is looked at last.
    let name = ServerName::from(std::net::IpAddr::from([0, 0, 0, 0]));
    Ok(!matches!(
        verifier.verify_server_cert(certificate, &[], &name, &[], at),
        Err(Error::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        ))
    ))
}
