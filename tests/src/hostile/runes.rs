use serde_json::json;

use super::{Stranger, commando, refused};
use crate::client::{REQUEST_LAST, request};
use crate::runes::{foreign, narrow};

/// In a request's rune.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runes {
    /// Texts that are no runes.
    Garbage,
    /// Longer than a rune may be.
    Giant,
    /// As many alternatives as fit, each of which is read.
    Alternatives,
    /// As many restrictions as fit.
    Restrictions,
    /// The rune in every other spelling of base64.
    Spellings,
    /// Made under another secret.
    Foreign,
    /// A good one, a bit of it changed.
    Tampered,
    /// A good one whose restriction was taken away.
    Widened,
}

impl Runes {
    pub(super) const ALL: &[Self] = &[
        Self::Garbage,
        Self::Giant,
        Self::Alternatives,
        Self::Restrictions,
        Self::Spellings,
        Self::Foreign,
        Self::Tampered,
        Self::Widened,
    ];

    pub(super) async fn mount(self, stranger: &Stranger) {
        let Some(mut client) = stranger.peer(4096).await else { return };
        let runes = self.runes(&stranger.target.rune, stranger.number);
        for (id, rune) in (0_u64..).zip(&runes) {
            // Allowed as far as the restrictions that were added, so that these are read.
            let method = match self {
                Self::Alternatives | Self::Restrictions => "never-called",
                _ => "getinfo",
            };
            let request = request(&json!(id), method, &json!({}), rune);
            commando(&mut client, REQUEST_LAST, id, request.as_bytes()).await;
        }
        refused(&mut client, runes.len()).await;
    }

    fn runes(self, good: &str, number: usize) -> Vec<String> {
        let bare = good.trim_end_matches('=');
        match self {
            Self::Garbage => {
                let texts = ["", "A", "AAAA", "not a rune", "====", "\u{0}", "é", "../../etc/passwd", "null"];
                texts.map(str::to_owned).into()
            }
            Self::Giant => [8_193, 60_000].map(|length| format!("{bare}{}", "A".repeat(length))).into(),
            Self::Alternatives => {
                let alternatives: Vec<String> =
                    (0..256).map(|at| format!("pnameparameter{at}~x{at}")).collect();
                vec![narrow(good, &alternatives.join("|")); 20]
            }
            Self::Restrictions => {
                let narrowed =
                    (0..250).fold(good.to_owned(), |rune, at| narrow(&rune, &format!("method#{at}")));
                vec![narrowed; 20]
            }
            Self::Spellings => [
                bare.replace('-', "+").replace('_', "/") + "+/",
                format!("{bare}==="),
                format!(" {good}"),
                format!("{good}\n"),
                good.to_lowercase(),
                format!("{good}{good}"),
            ]
            .into(),
            Self::Foreign => vec![foreign(1), foreign(number as u64)],
            Self::Tampered => (0..bare.len().min(60))
                .map(|at| {
                    let mut rune = bare.as_bytes().to_vec();
                    rune[at] = if rune[at] == b'A' { b'B' } else { b'A' };
                    String::from_utf8(rune).unwrap()
                })
                .collect(),
            Self::Widened => {
                use base64::Engine;
                use base64::engine::general_purpose::URL_SAFE;
                let bytes = URL_SAFE.decode(good).unwrap();
                let text = String::from_utf8(bytes[32..].to_vec()).unwrap();
                let id_alone = text.split('&').next().unwrap();
                vec![
                    URL_SAFE.encode([&bytes[..32], id_alone.as_bytes()].concat()),
                    URL_SAFE.encode(&bytes[..32]),
                    URL_SAFE
                        .encode([&bytes[..32], text.replace("never-called", "getinfo").as_bytes()].concat()),
                ]
            }
        }
    }
}
