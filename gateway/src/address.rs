//! `host:port` as people write it, and origins as browsers do.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host, an IPv6 address in brackets, and the port behind it, if any. `None` where the text is
/// neither a name nor an address, or the port is none.
pub(crate) fn split(address: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match address.rsplit_once(':') {
        // A colon inside brackets, or several without, belong to an IPv6 address.
        Some((host, port)) if !port.contains(']') && (host.starts_with('[') || !host.contains(':')) => {
            (host, Some(port.parse().ok().filter(|port| *port != 0)?))
        }
        _ => (address, None),
    };
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good = match inside {
        Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    good.then_some((host, port))
}

/// A host without the brackets around an IPv6 address.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The address that a host is, if it is no name.
pub(crate) fn ip(host: &str) -> Option<IpAddr> {
    bare(host).parse().ok()
}

/// A page's origin (RFC 6454): scheme, host and port, in lower case, a scheme's usual port left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    text: String,
    authority_at: usize,
}

impl Origin {
    /// Host and port, as a `Host` header has them.
    pub(crate) fn authority(&self) -> &str {
        &self.text[self.authority_at..]
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.to_ascii_lowercase();
        let parts = text.split_once("://").and_then(|(scheme, authority)| {
            let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
            is_scheme.then_some((scheme, split(authority)?))
        });
        let Some((scheme, (host, port))) = parts else {
            return Err("it is a scheme and a host, and nothing behind them, such as https://wallet.example");
        };
        let port = match (scheme, port) {
            ("http", Some(80)) | ("https", Some(443)) | (_, None) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        Ok(Self { text: format!("{scheme}://{host}{port}"), authority_at: scheme.len() + "://".len() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Origin, split};

    #[test]
    fn origins() {
        let same = |a: &str, b: &str| a.parse::<Origin>().unwrap() == b.parse::<Origin>().unwrap();
        assert!(same("https://Wallet.Example", "HTTPS://wallet.example:443"));
        assert!(same("http://h:80", "http://h"));
        assert!(same("http://[::1]:3000", "http://[::1]:3000"));
        assert!(!same("https://h", "http://h"));
        assert!(!same("https://h:80", "https://h"));
        assert!(!same("https://h", "https://h.evil"));
        assert_eq!("app+x://h:5".parse::<Origin>().unwrap().authority(), "h:5");
        for bad in [
            "",
            "null",
            "*",
            "h",
            "://h",
            "https://",
            "https://h/",
            "https://h/path",
            "https://u@h",
            "1a://h",
            "https://*.h",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(split("h"), Some(("h", None)));
        assert_eq!(split("h.onion:1"), Some(("h.onion", Some(1))));
        assert_eq!(split("[::1]"), Some(("[::1]", None)));
        assert_eq!(split("[2001:db8::1]:65535"), Some(("[2001:db8::1]", Some(65535))));
        for bad in
            ["", ":1", "h:", "h:0", "h:65536", "h:+1x", "a b", "ws://h:1", "::1", "[::1", "[x]:1", "[::1]x:1"]
        {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
