//! Who may ask: pages that the gateway answers with, and pages that open a WebSocket to it.
//!
//! A browser sends a stranger's page to any address it likes, and tells us two things the page cannot forge: `Host`,
//! the name it believes to be talking to, and `Origin`, where the page came from. A name of somebody else that was
//! made to point here (DNS rebinding) shows in `Host`; another site's script shows in `Origin`.

use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use crate::address::{self, Origin};

/// What browsers may do here.
#[derive(Debug)]
pub(crate) struct Access {
    /// Names of this gateway, in lower case. Addresses are always its own: no name server can rebind them.
    names: Vec<String>,
    /// Origins besides its own whose pages may open a WebSocket; empty: all may.
    origins: Vec<Origin>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was meant for another host.
    Host,
    /// It comes from a page that may not ask.
    Origin,
}

impl Access {
    /// `names`: by which the gateway is reached, in lower case. `origins`: whose pages may connect; empty: all.
    pub(crate) fn new(names: Vec<String>, origins: Vec<Origin>) -> Self {
        Self { names, origins }
    }

    /// Whether a request that is no upgrade is answered: its host is ours, and no other origin's page sent it.
    pub(super) fn page(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if !self.is_ours(headers) {
            return Err(Refused::Host);
        }
        self.origin(headers)
    }

    /// Whether a request may become a WebSocket. The transport inside authenticates, and the rune authorises: so
    /// every page may, unless told otherwise. What sends no origin is no browser.
    pub(super) fn upgrade(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if self.origins.is_empty() { Ok(()) } else { self.origin(headers) }
    }

    /// Whether all origins named are ours or allowed.
    fn origin(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let host = texts(headers, &HOST).next().flatten().filter(|_| self.is_ours(headers));
        let allowed = |origin: Option<&str>| {
            origin.and_then(|origin| origin.parse().ok()).is_some_and(|origin: Origin| {
                let is_own = host.is_some_and(|host| host.eq_ignore_ascii_case(origin.authority()));
                is_own || self.origins.contains(&origin)
            })
        };
        if texts(headers, &ORIGIN).all(allowed) { Ok(()) } else { Err(Refused::Origin) }
    }

    /// Whether every `Host` is a name or an address of ours. Without any it is no browser.
    fn is_ours(&self, headers: &HeaderMap) -> bool {
        texts(headers, &HOST).all(|host| {
            host.and_then(address::split).is_some_and(|(host, _)| {
                address::ip(host).is_some() || self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
            })
        })
    }
}

/// Every value of a header; `None` where it is no text.
fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Option<&'a str>> {
    headers.get_all(name).into_iter().map(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn access(origins: &[&str]) -> Access {
        let origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
        Access::new(vec!["localhost".to_owned(), "node.example".to_owned()], origins)
    }

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn pages_are_for_our_own_names() {
        let access = access(&[]);
        for host in
            ["localhost", "LocalHost:9736", "node.example", "Node.Example:443", "10.0.0.1:9736", "[::1]:9736"]
        {
            assert_eq!(access.page(&headers(&[(HOST, host)])), Ok(()), "{host}");
        }
        assert_eq!(access.page(&headers(&[])), Ok(()));
        for host in [
            "evil.example",
            "evil.example:9736",
            "localhost.evil.example",
            "xlocalhost",
            "node.example.",
            "",
            "::1",
            "localhost:x",
        ] {
            assert_eq!(access.page(&headers(&[(HOST, host)])), Err(Refused::Host), "{host}");
        }
        let both = headers(&[(HOST, "localhost"), (HOST, "evil.example")]);
        assert_eq!(access.page(&both), Err(Refused::Host));
    }

    #[test]
    fn pages_are_not_for_other_sites() {
        let access = access(&["https://wallet.example"]);
        let page = |host, origin| access.page(&headers(&[(HOST, host), (ORIGIN, origin)]));
        for origin in [
            "http://localhost:9736",
            "https://localhost:9736",
            "https://wallet.example",
            "https://wallet.example:443",
        ] {
            assert_eq!(page("localhost:9736", origin), Ok(()), "{origin}");
        }
        for origin in [
            "http://localhost",
            "http://localhost:9737",
            "https://evil.example",
            "null",
            "",
            "https://wallet.example.evil",
        ] {
            assert_eq!(page("localhost:9736", origin), Err(Refused::Origin), "{origin}");
        }
        assert_eq!(page("evil.example:9736", "http://evil.example:9736"), Err(Refused::Host));
    }

    #[test]
    fn every_page_may_connect_unless_some_are_named() {
        let upgrade = |access: &Access, lines: &[(HeaderName, &str)]| access.upgrade(&headers(lines));
        let open = access(&[]);
        for origin in ["https://any.example", "null", "chrome-extension://abc"] {
            assert_eq!(upgrade(&open, &[(HOST, "evil.example"), (ORIGIN, origin)]), Ok(()));
        }
        let closed = access(&["https://wallet.example"]);
        assert_eq!(upgrade(&closed, &[(HOST, "any.example")]), Ok(()), "no browser");
        for (host, origin, allowed) in [
            ("node.example", "https://wallet.example", true),
            ("node.example", "https://WALLET.example:443", true),
            ("node.example:9736", "https://node.example:9736", true),
            ("node.example", "http://wallet.example", false),
            ("node.example", "https://other.example", false),
            ("node.example", "null", false),
            // A page of a name made to point here has that name in both.
            ("evil.example:9736", "http://evil.example:9736", false),
        ] {
            let answer = upgrade(&closed, &[(HOST, host), (ORIGIN, origin)]);
            assert_eq!(answer.is_ok(), allowed, "{host} {origin}");
        }
        let two = [(ORIGIN, "https://wallet.example"), (ORIGIN, "https://evil.example")];
        assert_eq!(upgrade(&closed, &two), Err(Refused::Origin));
    }
}
