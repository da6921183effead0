//! The connection strings in use.

use std::str::FromStr;

use runeward_noise::NodeId;
use zeroize::Zeroizing;

use crate::address;

/// The port of forms that may leave it out.
const DEFAULT_PORT: u16 = 9735;

/// Where a commando server is, and who.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Uri {
    pub(crate) transport: Transport,
    /// A name or an address; IPv6 in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) node_id: NodeId,
    pub(crate) rune: Option<Zeroizing<String>>,
}

/// What carries the Lightning transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Ws,
    Wss,
}

/// What is wrong with a connection string. None quotes it: a rune may stand anywhere in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UriError {
    #[error(
        "the connection string names no node id, so nobody can tell whether the right node answers; add ?pubkey=<node id>, or use <node id>@host:port"
    )]
    NoNodeId,
    #[error("the node id in the connection string is not 66 hex digits")]
    BadNodeId,
    #[error("the connection string has no host:port where it belongs, such as node.example:9736")]
    BadAddress,
    #[error("the connection string has a bad %-escape behind {0}=")]
    BadEscape(&'static str),
    #[error(
        "this form of connection string is not known; use commando+ws://host:port?pubkey=<node id>&rune=<rune>, lnlink:<node id>@host:port?token=<rune> or <node id>@host:port"
    )]
    UnknownForm,
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (place, query) = text.trim().split_once('?').unwrap_or((text.trim(), ""));
        let query = Query::parse(query)?;
        let (transport, rest) = match place.split_once("://") {
            Some(("commando+ws", rest)) => (Transport::Ws, rest),
            Some(("commando+wss", rest)) => (Transport::Wss, rest),
            Some(("commando+tcp" | "lnlink", rest)) => (Transport::Tcp, rest),
            // These name no node id.
            Some(("clnrest" | "clnrest+http" | "clnrest+https" | "ln-message", _))
                if query.node_id.is_none() =>
            {
                return Err(UriError::NoNodeId);
            }
            Some(("ln-message", rest)) => (Transport::Ws, rest),
            Some(_) => return Err(UriError::UnknownForm),
            None => (Transport::Tcp, place.strip_prefix("lnlink:").unwrap_or(place)),
        };
        let (node_id, address) = match rest.split_once('@') {
            Some((node_id, address)) => (Some(node_id.to_owned()), address),
            None => (query.node_id, rest),
        };
        let node_id = node_id.ok_or(UriError::NoNodeId)?;
        let node_id = node_id.parse().map_err(|_| UriError::BadNodeId)?;
        let address = address.trim_end_matches('/');
        let (host, port) = address::split(address).ok_or(UriError::BadAddress)?;
        let (host, port) = (host.to_owned(), port.unwrap_or(DEFAULT_PORT));
        Ok(Self { transport, host, port, node_id, rune: query.rune })
    }
}

impl std::fmt::Debug for Uri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}:{} over {:?}", self.node_id, self.host, self.port, self.transport)
    }
}

#[derive(Default)]
struct Query {
    node_id: Option<String>,
    rune: Option<Zeroizing<String>>,
}

impl Query {
    fn parse(text: &str) -> Result<Self, UriError> {
        let mut query = Self::default();
        for part in text.split('&') {
            let Some((key, value)) = part.split_once('=') else { continue };
            let value = |key| unescape(value).ok_or(UriError::BadEscape(key));
            match key {
                "pubkey" => query.node_id = Some(value("pubkey")?),
                "rune" => query.rune = Some(value("rune")?.into()),
                "token" => query.rune = Some(value("token")?.into()),
                _ => {}
            }
        }
        Ok(query)
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let code = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(code).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc";

    #[test]
    fn forms_in_use() {
        for (text, transport, host, port, rune) in [
            (
                format!("commando+ws://1.2.3.4:9736?pubkey={ID}&rune=ab-_%3D%3d"),
                Transport::Ws,
                "1.2.3.4",
                9736,
                Some("ab-_=="),
            ),
            (
                format!("commando+ws://node.example:80/?rune=x&pubkey={ID}&invoiceRune=y"),
                Transport::Ws,
                "node.example",
                80,
                Some("x"),
            ),
            (format!("commando+wss://[::1]:443?pubkey={ID}&certs=AAAA"), Transport::Wss, "[::1]", 443, None),
            (format!("commando+tcp://h:1?pubkey={ID}"), Transport::Tcp, "h", 1, None),
            (format!("lnlink:{ID}@h.onion?token=t"), Transport::Tcp, "h.onion", 9735, Some("t")),
            (format!("lnlink:{ID}@[2001:db8::1]:9?token=t"), Transport::Tcp, "[2001:db8::1]", 9, Some("t")),
            (format!("{ID}@127.0.0.1:9736"), Transport::Tcp, "127.0.0.1", 9736, None),
            (format!(" {ID}@127.0.0.1\n"), Transport::Tcp, "127.0.0.1", 9735, None),
            (format!("ln-message://h:2?rune=r&pubkey={ID}"), Transport::Ws, "h", 2, Some("r")),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(uri.node_id.to_string(), ID);
            assert_eq!(
                (uri.transport, uri.host.as_str(), uri.port, uri.rune.as_ref().map(|rune| rune.as_str())),
                (transport, host, port, rune),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| text.parse::<Uri>().unwrap_err();
        assert_eq!(error("commando+ws://h:1?rune=x"), UriError::NoNodeId);
        assert_eq!(error("ln-message://h:1?rune=x"), UriError::NoNodeId);
        assert_eq!(error("clnrest://h:1?&rune=x"), UriError::NoNodeId);
        assert_eq!(error("commando+ws://h:1?pubkey=02"), UriError::BadNodeId);
        assert_eq!(error(&format!("https://h:1?pubkey={ID}")), UriError::UnknownForm);
        assert_eq!(error(&format!("{ID}@")), UriError::BadAddress);
        assert_eq!(error(&format!("{ID}@h:99999")), UriError::BadAddress);
        assert_eq!(error(&format!("{ID}@a b:1")), UriError::BadAddress);
        assert_eq!(error(&format!("{ID}@h:1?rune=%zz")), UriError::BadEscape("rune"));
        assert_eq!(error(""), UriError::NoNodeId);
    }

    #[test]
    fn the_rune_is_not_shown() {
        let uri: Uri = format!("lnlink:{ID}@h?token=secret").parse().unwrap();
        assert!(!format!("{uri:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>(), tail in "[@:/?&=%\\[\\]a-f0-9]{0,40}") {
            let _ = text.parse::<Uri>();
            let _ = format!("commando+ws://{tail}").parse::<Uri>();
            let _ = format!("{ID}@{tail}").parse::<Uri>();
        }
    }
}
