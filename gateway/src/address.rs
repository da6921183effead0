//! `host:port` as people write it.

use std::net::Ipv6Addr;

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

#[cfg(test)]
mod tests {
    use super::split;

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
