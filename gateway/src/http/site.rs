//! The dashboard's files, which the build put into the binary, compressed and not.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};

use super::page;

/// The dashboard; empty where the gateway was built without.
pub(super) static SITE: Site = Site { files: include!(concat!(env!("OUT_DIR"), "/site.rs")) };

/// What the page says itself of what it may do, and that no other may frame it, which only a header can say.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; font-src 'self'; \
    img-src 'self' blob:; manifest-src 'self'; connect-src ws: wss:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const NO_DASHBOARD: &str = "This is a Runeward gateway, built without its dashboard.\n\
    To have it here: `make dashboard`, then build the gateway again, as `make run` and `make install` do by themselves.\n\
    Commando clients connect all the same: it speaks the Lightning transport (BOLT 8), over TCP or over WebSocket on \
    any path of this port.\n";

/// Static files.
pub(super) struct Site {
    files: &'static [File],
}

/// A file, made by the build.
struct File {
    path: &'static str,
    content_type: &'static str,
    /// In its quotes.
    etag: &'static str,
    /// Whether its name changes with what it holds.
    immutable: bool,
    identity: &'static [u8],
    gzip: Option<&'static [u8]>,
}

impl Site {
    /// Answers a request for what lies at `path`.
    pub(super) fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = page(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are answered here.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match self.files.iter().find(|file| file.path == path) {
            Some(file) => file.answer(headers),
            None if path == "/" => page(StatusCode::OK, NO_DASHBOARD),
            None => page(StatusCode::NOT_FOUND, "There is nothing here. The dashboard is at /.\n"),
        }
    }
}

impl File {
    fn answer(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let known = items(headers, &IF_NONE_MATCH)
            .any(|etag| etag == "*" || etag.strip_prefix("W/").unwrap_or(etag) == self.etag);
        let gzip = self.gzip.filter(|_| takes_gzip(headers));
        let mut response = Response::new(match known {
            true => Full::default(),
            false => Full::from(gzip.unwrap_or(self.identity)),
        });
        let caching = if self.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        let mut set = |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
        set(CONNECTION, "close");
        set(ETAG, self.etag);
        set(CACHE_CONTROL, caching);
        set(VARY, "accept-encoding");
        set(CONTENT_SECURITY_POLICY, POLICY);
        set(REFERRER_POLICY, "no-referrer");
        set(X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        set(CONTENT_TYPE, self.content_type);
        if gzip.is_some() {
            set(CONTENT_ENCODING, "gzip");
        }
        response
    }
}

/// Whether gzip is among the encodings asked for, and not by `q=0` (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    items(headers, &ACCEPT_ENCODING).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight != Some(0.0)
    })
}

/// What a comma-separated header lists.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http_body_util::BodyExt;

    use super::*;

    const SAMPLE: Site = Site {
        files: &[
            File {
                path: "/",
                content_type: "text/html; charset=utf-8",
                etag: "\"00\"",
                immutable: false,
                identity: b"<!doctype html>",
                gzip: Some(b"zipped"),
            },
            File {
                path: "/assets/a-1.js",
                content_type: "text/javascript; charset=utf-8",
                etag: "\"01\"",
                immutable: true,
                identity: b"export {}",
                gzip: None,
            },
        ],
    };

    /// Status, body, and the values of headers by name.
    async fn ask(path: &str, lines: &[(HeaderName, &str)]) -> (u16, String, impl Fn(&str) -> String + use<>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        let (head, body) = SAMPLE.answer(&Method::GET, path, &headers).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let header = move |name: &str| match head.headers.get(name) {
            Some(value) => value.to_str().unwrap().to_owned(),
            None => String::new(),
        };
        (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap(), header)
    }

    #[tokio::test]
    async fn files_come_as_they_are_taken() {
        let (status, body, header) = ask("/", &[]).await;
        assert_eq!((status, body.as_str()), (200, "<!doctype html>"));
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert_eq!(
            (header("content-encoding"), header("vary")),
            (String::new(), "accept-encoding".to_owned())
        );
        for (accepted, zipped) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.2", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, *", false),
            ("br", false),
            ("", false),
        ] {
            let (_, body, header) = ask("/", &[(ACCEPT_ENCODING, accepted)]).await;
            assert_eq!(
                (body == "zipped", header("content-encoding") == "gzip"),
                (zipped, zipped),
                "{accepted}"
            );
        }
        let (_, body, header) = ask("/assets/a-1.js", &[(ACCEPT_ENCODING, "gzip")]).await;
        assert_eq!((body.as_str(), header("content-encoding").as_str()), ("export {}", ""));
    }

    #[tokio::test]
    async fn what_has_not_changed_is_not_sent_again() {
        assert_eq!(ask("/", &[]).await.2("cache-control"), "no-cache");
        assert!(ask("/assets/a-1.js", &[]).await.2("cache-control").contains("immutable"));
        for (known, status) in [
            ("\"00\"", 304),
            ("W/\"00\"", 304),
            ("\"x\", \"00\"", 304),
            ("*", 304),
            ("\"01\"", 200),
            ("00", 200),
        ] {
            let (answered, body, header) = ask("/", &[(IF_NONE_MATCH, known)]).await;
            assert_eq!(
                (answered, body.is_empty(), header("etag").as_str()),
                (status, status == 304, "\"00\"")
            );
        }
    }

    #[tokio::test]
    async fn every_file_is_kept_to_itself() {
        for path in ["/", "/assets/a-1.js"] {
            let (_, _, header) = ask(path, &[]).await;
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"));
            assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
            assert_eq!(
                (header("x-content-type-options").as_str(), header("referrer-policy").as_str()),
                ("nosniff", "no-referrer")
            );
        }
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        for path in ["/index.html", "/assets/", "/assets/../", "//", "/assets/a-1.js/", "/etc/passwd"] {
            assert_eq!(ask(path, &[]).await.0, 404, "{path}");
        }
        for (method, status) in [(Method::HEAD, 200), (Method::POST, 405), (Method::OPTIONS, 405)] {
            assert_eq!(SAMPLE.answer(&method, "/", &HeaderMap::new()).status(), status);
        }
        let bare = Site { files: &[] }.answer(&Method::GET, "/", &HeaderMap::new());
        let body = bare.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8(body.to_vec()).unwrap().contains("make dashboard"));
    }
}
