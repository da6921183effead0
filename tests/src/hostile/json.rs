use super::{Stranger, commando, refused};
use crate::client::{PART, REQUEST_LAST, REQUEST_MORE};

/// In a request's JSON; its rune, where one can be found, is good and allows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Json {
    /// Nested 500,000 deep.
    Deep,
    /// A key twice, once as it is and once in escapes, for two readers that read two commands.
    RepeatedKeys,
    /// Bytes that are no UTF-8.
    NoUtf8,
    /// Numbers in every dialect.
    Numbers,
    /// A string of 1 MB.
    LongString,
    /// As many values as fit.
    Wide,
    /// As many keys as fit.
    ManyKeys,
    /// Behind the end, or short of it.
    Trailing,
    /// A filter of every shape.
    Filter,
    /// Methods that change a node's socket for others.
    MetaMethods,
    /// Commands as a script or a shell would like them.
    Injected,
    /// An id of 1 MB.
    LongId,
}

/// Most bytes of a request.
const LIMIT: usize = 1_048_576;

impl Json {
    pub(super) const ALL: &[Self] = &[
        Self::Deep,
        Self::RepeatedKeys,
        Self::NoUtf8,
        Self::Numbers,
        Self::LongString,
        Self::Wide,
        Self::ManyKeys,
        Self::Trailing,
        Self::Filter,
        Self::MetaMethods,
        Self::Injected,
        Self::LongId,
    ];

    pub(super) async fn mount(self, stranger: &Stranger) {
        let Some(mut client) = stranger.peer(4096).await else { return };
        let requests = self.requests(&stranger.target.rune);
        let mut sent = 0;
        for (id, request) in (0..).zip(&requests) {
            let mut rest = &request[..];
            while let Some((part, after)) = rest.split_at_checked(PART) {
                commando(&mut client, REQUEST_MORE, id, part).await;
                rest = after;
            }
            commando(&mut client, REQUEST_LAST, id, rest).await;
            sent += 1;
        }
        refused(&mut client, sent).await;
    }

    fn requests(self, rune: &str) -> Vec<Vec<u8>> {
        let with = |params: &str| {
            format!(r#"{{"method":"getinfo","id":1,"rune":"{rune}","params":{params}}}"#).into_bytes()
        };
        let each = |params: &[&str]| params.iter().map(|params| with(params)).collect();
        let filled = |open: &str, piece: &str, close: &str| {
            let room = LIMIT - with("").len() - open.len() - close.len();
            with(&format!("{open}{}{close}", piece.repeat(room / piece.len())))
        };
        match self {
            Self::Deep => vec![
                "[".repeat(500_000).into_bytes(),
                "{\"a\":".repeat(100_000).into_bytes(),
                with(&format!("{}{}", "[".repeat(500_000), "]".repeat(500_000))),
            ],
            Self::RepeatedKeys => vec![
                format!(r#"{{"method":"never-called","method":"getinfo","id":1,"rune":"{rune}"}}"#).into(),
                format!(r#"{{"method":"never-called","\u006dethod":"getinfo","id":1,"rune":"{rune}"}}"#)
                    .into(),
                with(r#"{"a":1,"a":2}"#),
                with(r#"[{"b":{"a":1,"\u0061":2}}]"#),
            ],
            Self::NoUtf8 => {
                [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x28\xa1"]
                    .iter()
                    .map(|bytes| [&with("")[..20], bytes, &with("")[20..]].concat())
                    .collect()
            }
            Self::Numbers => each(&[
                "[01]",
                "[+1]",
                "[0x1]",
                "[1.]",
                "[.1]",
                "[1e]",
                "[--1]",
                "[NaN]",
                "[Infinity]",
                "[1_0]",
                "[1e999999]",
                "[9007199254740993]",
                "[-0]",
                "[1E+2]",
            ]),
            Self::LongString => vec![filled("[\"", "a", "\"]"), filled("[\"", "\\u0061", "\"]")],
            Self::Wide => vec![filled("[", "[],", "[]]"), filled("[", "1,", "1]"), filled("[", "{},", "{}]")],
            Self::ManyKeys => {
                let keys: Vec<String> = (0..80_000).map(|key| format!("\"{key:05}\":1")).collect();
                vec![with(&format!("{{{}}}", keys.join(",")))]
            }
            Self::Trailing => vec![
                [&with("{}")[..], b"x"].concat(),
                [with("{}"), with("{}")].concat(),
                with("{},"),
                with("[1,]"),
                with("{}")[..30].to_vec(),
                Vec::new(),
            ],
            Self::Filter => ["5", "\"x\"", "{\"a\":5}", "[[[[]]]]", "{\"a\":{\"b\":false}}", "null"]
                .iter()
                .map(|filter| {
                    format!(r#"{{"method":"getinfo","id":1,"rune":"{rune}","filter":{filter}}}"#).into_bytes()
                })
                .collect(),
            Self::MetaMethods => {
                ["batching", "notifications", "deprecations", "check", "sql", "commando", "plugin"]
                    .iter()
                    .map(|method| {
                        format!(
                            r#"{{"method":"{method}","id":1,"rune":"{rune}","params":{{"enable":true}}}}"#
                        )
                        .into_bytes()
                    })
                    .collect()
            }
            Self::Injected => {
                ["getinfo\\n\\n{", "getinfo\\u0000", "../getinfo", "$(getinfo)", "{\\\"a\\\":1}", "GETINFO"]
                    .iter()
                    .map(|method| format!(r#"{{"method":"{method}","id":1,"rune":"{rune}"}}"#).into_bytes())
                    .collect()
            }
            Self::LongId => {
                vec![
                    format!(r#"{{"method":"getinfo","rune":"{rune}","id":"{}"}}"#, "i".repeat(1_000_000))
                        .into(),
                ]
            }
        }
    }
}
