//! Where to connect: the connection strings in use for commando.

use std::str::FromStr;

use runeward_noise::NodeId;

use crate::failure::{Failure, Result};

/// The port of a Lightning node where none is written.
const DEFAULT_PORT: u16 = 9735;

const FORMS: &str = "expected commando+ws://HOST:PORT?pubkey=NODEID[&rune=RUNE], \
                     commando+tcp://HOST:PORT?pubkey=NODEID[&rune=RUNE], NODEID@HOST[:PORT] or \
                     lnlink:NODEID@HOST[:PORT]?token=RUNE";

/// A commando server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host and port as they are resolved; an IPv6 address is in brackets.
    pub address: String,
    /// Whether BOLT 8 runs inside a WebSocket.
    pub websocket: bool,
    /// Who must answer.
    pub node_id: NodeId,
    /// The rune the URI carries.
    pub rune: Option<String>,
}

impl FromStr for Target {
    type Err = Failure;

    fn from_str(uri: &str) -> Result<Self> {
        if let Some(rest) = uri.strip_prefix("commando+ws://") {
            return Self::standard(rest, true);
        }
        if let Some(rest) = uri.strip_prefix("commando+tcp://") {
            return Self::standard(rest, false);
        }
        if uri.starts_with("commando+wss://") {
            return Err(Failure::usage("commando+wss:// is not supported: measure over commando+ws://"));
        }
        Self::link(uri.strip_prefix("lnlink:").unwrap_or(uri))
    }
}

impl Target {
    /// What BOLT 8 runs over, for people.
    pub fn over(&self) -> &'static str {
        if self.websocket { "over WebSocket" } else { "over TCP" }
    }

    /// `HOST:PORT[/…]?pubkey=NODEID[&rune=RUNE]`
    fn standard(rest: &str, websocket: bool) -> Result<Self> {
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = authority.split_once('/').map_or(authority, |(authority, _path)| authority);
        let node_id = value(query, "pubkey")?
            .ok_or_else(|| Failure::usage(format!("the URI has no pubkey=NODEID; {FORMS}")))?;
        Ok(Self {
            address: with_port(authority)?,
            websocket,
            node_id: parse_node_id(&node_id)?,
            rune: value(query, "rune")?,
        })
    }

    /// `NODEID@HOST[:PORT][?token=RUNE]`
    fn link(rest: &str) -> Result<Self> {
        let (node_id, rest) = rest
            .trim_start_matches("//")
            .split_once('@')
            .ok_or_else(|| Failure::usage(format!("not a commando URI; {FORMS}")))?;
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        Ok(Self {
            address: with_port(authority)?,
            websocket: false,
            node_id: parse_node_id(node_id)?,
            rune: value(query, "token")?,
        })
    }
}

fn parse_node_id(text: &str) -> Result<NodeId> {
    text.parse().map_err(|_| {
        Failure::usage(format!(
            "{text:?} is no node id: it has 66 hexadecimal digits, the first two 02 or 03"
        ))
    })
}

/// The authority with its port, which is the default one where none is written.
fn with_port(authority: &str) -> Result<String> {
    let bad = |what: &str| Err(Failure::usage(format!("the URI has {what}; {FORMS}")));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() || host.contains('@') {
        return bad("no host");
    }
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return bad("an IPv6 address without brackets");
    }
    match port.map_or(Ok(DEFAULT_PORT), str::parse) {
        Ok(0) | Err(_) => bad("a port that is no number from 1 to 65535"),
        Ok(port) => Ok(format!("{host}:{port}")),
    }
}

/// The first value of `name` in a query, its percent escapes undone.
fn value(query: &str, name: &str) -> Result<Option<String>> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| {
            unescape(value)
                .ok_or_else(|| Failure::usage(format!("the URI's {name} has a broken percent escape")))
        })
        .transpose()
}

fn unescape(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> String {
        runeward_noise::Identity::from_secret(&[7; 32]).unwrap().node_id().to_string()
    }

    fn target(address: &str, websocket: bool, rune: Option<&str>) -> Target {
        Target {
            address: address.to_owned(),
            websocket,
            node_id: id().parse().unwrap(),
            rune: rune.map(str::to_owned),
        }
    }

    #[test]
    fn every_form_is_understood() {
        let id = id();
        for (uri, expected) in [
            (format!("commando+ws://127.0.0.1:9736?pubkey={id}"), target("127.0.0.1:9736", true, None)),
            (
                format!("commando+ws://node.local:80/some/path?x=1&pubkey={id}&rune=a-_%3D%3d"),
                target("node.local:80", true, Some("a-_==")),
            ),
            (
                format!("commando+tcp://[::1]:9736?pubkey={id}&rune=ab==&invoiceRune=c"),
                target("[::1]:9736", false, Some("ab==")),
            ),
            (format!("{id}@node.local"), target("node.local:9735", false, None)),
            (format!("{id}@[::1]"), target("[::1]:9735", false, None)),
            (format!("lnlink:{id}@10.0.0.1:19735?token=abc="), target("10.0.0.1:19735", false, Some("abc="))),
            (format!("lnlink://{id}@10.0.0.1?token="), target("10.0.0.1:9735", false, None)),
        ] {
            assert_eq!(uri.parse::<Target>().unwrap(), expected, "{uri}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let id = id();
        for (uri, says) in [
            ("127.0.0.1:9736".to_owned(), "not a commando URI"),
            ("commando+ws://127.0.0.1:9736".to_owned(), "no pubkey"),
            (format!("commando+wss://127.0.0.1:9736?pubkey={id}"), "not supported"),
            (format!("commando+ws://:1?pubkey={id}"), "no host"),
            (format!("commando+ws://h:x?pubkey={id}"), "port"),
            (format!("commando+ws://h:0?pubkey={id}"), "port"),
            (format!("commando+ws://h:1?pubkey={id}&rune=%4"), "percent"),
            (format!("{id}@::1"), "brackets"),
            (format!("{}@h", &id[1..]), "is no node id"),
        ] {
            let why = uri.parse::<Target>().unwrap_err().to_string();
            assert!(why.contains(says), "{uri}: {why}");
        }
    }
}
