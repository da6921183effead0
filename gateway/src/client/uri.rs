//! The connection strings in use.

use std::borrow::Cow;
use std::str::FromStr;

use runeward_noise::NodeId;
use zeroize::Zeroizing;

use crate::address;

/// What a page does with the connection string in a link to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Connects with it.
    Connect,
    /// Claims what its rune offers.
    Pair,
}

/// The link that opens the dashboard of the gateway a connection string names, with it: a browser sends nobody what
/// stands behind the `#`. `None` where it names no WebSocket.
pub(crate) fn link(link: Link, uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = match scheme {
        "commando+ws" => "http",
        "commando+wss" => "https",
        _ => return None,
    };
    let place = rest.split(['/', '?']).next()?;
    Some(format!("{scheme}://{place}/#{}{uri}", link.mark()))
}

/// The connection string in a link to a dashboard; another text is one itself.
fn unlink(text: &str) -> Result<Cow<'_, str>, UriError> {
    let page = text.split_once("://").is_some_and(|(scheme, _)| matches!(scheme, "http" | "https"));
    let Some((_, fragment)) = text.split_once('#').filter(|_| page) else { return Ok(Cow::Borrowed(text)) };
    let marks = [Link::Connect.mark(), Link::Pair.mark()];
    let uri = marks.iter().find_map(|mark| fragment.strip_prefix(mark)).ok_or(UriError::UnknownForm)?;
    // What passes a link on may escape all of it.
    match uri.contains("://") {
        true => Ok(Cow::Borrowed(uri)),
        false => unescape(uri).map(Cow::Owned).ok_or(UriError::BadEscape("#")),
    }
}

impl Link {
    fn mark(self) -> &'static str {
        match self {
            Self::Connect => "connect=",
            Self::Pair => "pair=",
        }
    }
}

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
    #[error("the connection string has a bad %-escape behind {0}")]
    BadEscape(&'static str),
    #[error(
        "this form of connection string is not known; use commando+ws://host:port?pubkey=<node id>&rune=<rune>, lnlink:<node id>@host:port?token=<rune> or <node id>@host:port"
    )]
    UnknownForm,
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let text = unlink(text.trim())?;
        let (place, query) = text.split_once('?').unwrap_or((&text, ""));
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
                "pubkey" => query.node_id = Some(value("pubkey=")?),
                "rune" => query.rune = Some(value("rune=")?.into()),
                "token" => query.rune = Some(value("token=")?.into()),
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
    fn links_are_read_as_what_they_hold() {
        for (uri, page) in [
            (format!("commando+ws://1.2.3.4:9736?pubkey={ID}&rune=ab-_%3D"), "http://1.2.3.4:9736/"),
            (format!("commando+wss://[::1]:443/x?pubkey={ID}&rune=r"), "https://[::1]:443/"),
        ] {
            for kind in [Link::Connect, Link::Pair] {
                let made = link(kind, &uri).unwrap();
                assert_eq!(made, format!("{page}#{}{uri}", kind.mark()));
                let escaped: String = uri.bytes().map(|byte| format!("%{byte:02x}")).collect();
                for text in [made.as_str(), &format!(" {made}\n"), &made.replace(&uri, &escaped)] {
                    assert_eq!(text.parse::<Uri>(), uri.parse(), "{text}");
                }
            }
        }
        assert_eq!(link(Link::Pair, &format!("lnlink:{ID}@h?token=t")), None);
        let error = |text: &str| text.parse::<Uri>().unwrap_err();
        assert_eq!(error("http://h:1/#/access"), UriError::UnknownForm);
        assert_eq!(error("https://h/#pair="), UriError::NoNodeId);
        assert_eq!(error("https://h/#pair=%zz"), UriError::BadEscape("#"));
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
        assert_eq!(error(&format!("{ID}@h:1?rune=%zz")), UriError::BadEscape("rune="));
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
