//! Settings for browsers: TLS on the port, and which pages may come.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::address::{self, Origin};

/// What can be set on the command line, in the environment or, under the same names, in the file.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct WebSettings {
    /// Speak TLS too, on the same port, under a certificate made here and kept in the state directory.
    #[arg(long, value_enum, value_name = "self-signed", env = "RUNEWARD_TLS")]
    pub(super) tls: Option<TlsMode>,

    /// Speak TLS too, on the same port, under the certificate in this PEM file, its chain behind it. Read again
    /// when it changes.
    #[arg(long, value_name = "FILE", env = "RUNEWARD_TLS_CERT")]
    pub(super) tls_cert: Option<PathBuf>,

    /// PEM file with the private key of --tls-cert.
    #[arg(long, value_name = "FILE", env = "RUNEWARD_TLS_KEY")]
    pub(super) tls_key: Option<PathBuf>,

    /// Another name by which browsers reach this gateway; may be given several times. `localhost`, addresses and
    /// the host of --advertise need not be named.
    #[arg(long, value_name = "NAME", env = "RUNEWARD_ALLOW_HOST", value_delimiter = ',', value_parser = host)]
    pub(super) allow_host: Vec<String>,

    /// Origin whose pages may connect, such as https://wallet.example; may be given several times. Without it
    /// pages of every origin may, and a rune decides what they may do.
    #[arg(long, value_name = "ORIGIN", env = "RUNEWARD_ALLOW_ORIGIN", value_delimiter = ',')]
    pub(super) allow_origin: Vec<Origin>,
}

/// A certificate that need not be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TlsMode {
    /// One made here.
    SelfSigned,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// Made here, kept in the state directory.
    SelfSigned,
    /// PEM files.
    Files {
        /// The certificate, its chain behind it.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

impl WebSettings {
    /// Where the certificate comes from; `None`: no TLS.
    pub(super) fn certificate(&self) -> Result<Option<Certificate>, String> {
        match (self.tls, &self.tls_cert, &self.tls_key) {
            (None, None, None) => Ok(None),
            (Some(TlsMode::SelfSigned), None, None) => Ok(Some(Certificate::SelfSigned)),
            (None, Some(certificate), Some(key)) => {
                Ok(Some(Certificate::Files { certificate: certificate.clone(), key: key.clone() }))
            }
            (None, ..) => Err("--tls-cert and --tls-key go together; give both".to_owned()),
            (Some(_), ..) => {
                Err("--tls self-signed takes no --tls-cert or --tls-key; give one or the other".to_owned())
            }
        }
    }
}

/// A name or an address without a port, in lower case.
pub(super) fn host(text: &str) -> Result<String, String> {
    match address::split(text) {
        Some((host, None)) => Ok(host.to_ascii_lowercase()),
        _ => Err("it is a name without a port, such as node.example".to_owned()),
    }
}
