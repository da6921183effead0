use super::{Stranger, heard};
use crate::http::SAMPLE_KEY;
use tokio::io::AsyncWriteExt;

/// As an HTTP client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// Sends a head a byte at a time.
    SlowHead,
    /// One header of 200 kB.
    GiantHeader,
    /// 5,000 headers.
    ManyHeaders,
    /// A path of 200 kB.
    GiantPath,
    /// A second request hidden in the body of the first, whose length is told in two ways.
    Smuggled,
    /// A thousand requests behind each other.
    Pipelined,
    /// A body of a terabyte, a byte at a time.
    EndlessBody,
    /// A page under another name than the gateway's, as after DNS rebinding.
    OtherHost,
    /// A page of another site.
    OtherOrigin,
    /// Verbs and versions that nobody serves here.
    Verbs,
    /// An upgrade to another protocol, and one to HTTP/2.
    OtherUpgrade,
    /// Two upgrades behind each other.
    TwoUpgrades,
}

impl Http {
    pub(super) const ALL: &[Self] = &[
        Self::SlowHead,
        Self::GiantHeader,
        Self::ManyHeaders,
        Self::GiantPath,
        Self::Smuggled,
        Self::Pipelined,
        Self::EndlessBody,
        Self::OtherHost,
        Self::OtherOrigin,
        Self::Verbs,
        Self::OtherUpgrade,
        Self::TwoUpgrades,
    ];

    pub(super) async fn mount(self, stranger: &Stranger) {
        const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n";
        let upgrade = format!(
            "{GET}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {SAMPLE_KEY}\r\n\r\n"
        );
        match self {
            Self::SlowHead => {
                let endless = format!("{GET}X: {}", "x".repeat(200));
                assert_eq!(stranger.drips(endless.as_bytes()).await, b"");
            }
            Self::GiantHeader => {
                refused(&stranger.says(format!("{GET}X: {}\r\n\r\n", "x".repeat(200_000)).as_bytes()).await)
            }
            Self::ManyHeaders => {
                let headers: String = (0..5000).map(|at| format!("X{at}: {at}\r\n")).collect();
                refused(&stranger.says(format!("{GET}{headers}\r\n").as_bytes()).await);
            }
            Self::GiantPath => {
                let path = "x".repeat(200_000);
                refused(&stranger.says(format!("GET /{path} HTTP/1.1\r\n\r\n").as_bytes()).await);
            }
            Self::Smuggled => {
                let hidden = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
                let request = format!(
                    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n\
                     0\r\n\r\n{hidden}",
                    hidden.len()
                );
                at_most_one(&stranger.says(request.as_bytes()).await);
            }
            Self::Pipelined => {
                at_most_one(&stranger.says(format!("{GET}\r\n").repeat(1000).as_bytes()).await)
            }
            Self::EndlessBody => {
                let Some(mut stream) = stranger.tcp().await else { return };
                let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = super::repeat(&mut stream, &[b'x'; 1000], 100).await;
                at_most_one(&heard(&mut stream).await);
            }
            Self::OtherHost => refused(&stranger.says(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").await),
            Self::OtherOrigin => {
                refused(&stranger.says(format!("{GET}Origin: https://evil.example\r\n\r\n").as_bytes()).await)
            }
            Self::Verbs => {
                const LINES: [&str; 6] = [
                    "DELETE / HTTP/1.1",
                    "CONNECT evil.example:443 HTTP/1.1",
                    "TRACE / HTTP/1.1",
                    "PRI * HTTP/2.0",
                    "GET / HTTP/9.9",
                    "GET http://evil.example/ HTTP/1.1",
                ];
                let line = LINES[stranger.number % LINES.len()];
                let request = format!("{line}\r\nHost: localhost\r\n\r\n");
                at_most_one(&stranger.says(request.as_bytes()).await);
            }
            Self::OtherUpgrade => {
                let request = format!(
                    "{GET}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
                );
                let answer = stranger.says(request.as_bytes()).await;
                assert!(!answer.starts_with(b"HTTP/1.1 101"));
                at_most_one(&answer);
            }
            Self::TwoUpgrades => at_most_one(&stranger.says(upgrade.repeat(2).as_bytes()).await),
        }
    }
}

/// Asserts that the answer, if there was time for one, is that of a fault.
fn refused(answer: &[u8]) {
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(answer));
}

/// Asserts that no more than the first request was heard.
fn at_most_one(answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    assert!(text.matches("HTTP/1.1 ").count() <= 1, "{text}");
}
