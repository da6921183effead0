use super::{Stranger, commando, for_a_while, linger, refused};
use crate::client::{Client, PART, REQUEST_LAST, REQUEST_MORE, request};
use serde_json::json;

/// In how a request is parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Begins a request of 64 kB and never ends it.
    NeverEnded,
    /// Begins a request and drips it.
    Drip,
    /// Begins requests until the pool for all is used up, as far as one address may.
    Hoard,
    /// Begins 10,000 requests.
    Thousands,
    /// 16 requests whose parts lie between each other, none with a good rune.
    Interleaved,
    /// Many requests under one id, all in flight.
    SameId,
    /// Last parts without first, then more of what has ended.
    WrongOrder,
    /// 20,000 parts without a byte.
    Empty,
    /// A request of 4 MiB.
    TooLarge,
    /// 2,000 requests whose answers are never read.
    Unread,
    /// Messages too short to be parts.
    Short,
}

impl Parts {
    pub(super) const ALL: &[Self] = &[
        Self::NeverEnded,
        Self::Drip,
        Self::Hoard,
        Self::Thousands,
        Self::Interleaved,
        Self::SameId,
        Self::WrongOrder,
        Self::Empty,
        Self::TooLarge,
        Self::Unread,
        Self::Short,
    ];

    pub(super) async fn mount(self, stranger: &Stranger) {
        let unread = if self == Self::Unread { 1 } else { 4096 };
        let Some(mut client) = stranger.peer(unread).await else { return };
        let request = request(&json!(1), "getinfo", &json!({}), &stranger.target.rune);
        let request = request.as_bytes();
        match self {
            Self::NeverEnded => {
                part(&mut client, 1, &[b' '; 64_000], false).await;
                linger().await;
            }
            Self::Drip => {
                for byte in &request[..20] {
                    part(&mut client, 1, &[*byte], false).await;
                    tokio::time::sleep(super::DRIP).await;
                }
            }
            Self::Hoard => {
                for id in 0..80 {
                    part(&mut client, id, &[b' '; PART], false).await;
                }
                linger().await;
            }
            Self::Thousands => {
                for_a_while(async {
                    for id in 0..10_000 {
                        if !part(&mut client, id, b"{", false).await {
                            break;
                        }
                    }
                })
                .await;
            }
            Self::Interleaved => {
                for piece in request.chunks(7) {
                    for id in 0..16 {
                        part(&mut client, id, piece, false).await;
                    }
                }
                for id in 0..16 {
                    part(&mut client, id, b" ", true).await;
                }
                refused(&mut client, 16).await;
            }
            Self::SameId => {
                for _ in 0..100 {
                    part(&mut client, 7, request, true).await;
                }
                refused(&mut client, 100).await;
            }
            Self::WrongOrder => {
                for id in 0..50 {
                    part(&mut client, id, &request[20..], true).await;
                    part(&mut client, id, &request[..20], false).await;
                    part(&mut client, id, b"}", true).await;
                }
                refused(&mut client, 100).await;
            }
            Self::Empty => {
                for_a_while(async {
                    for _ in 0..20_000 {
                        if !part(&mut client, 1, b"", false).await {
                            break;
                        }
                    }
                })
                .await;
            }
            Self::TooLarge => {
                for _ in 0..64 {
                    part(&mut client, 1, &[b' '; PART], false).await;
                }
                part(&mut client, 1, b"", true).await;
                refused(&mut client, 1).await;
            }
            Self::Unread => {
                let sending = async {
                    for id in 0..2000 {
                        if !part(&mut client, id, request, true).await {
                            return;
                        }
                    }
                };
                for_a_while(sending).await;
                linger().await;
            }
            Self::Short => {
                for length in 0..10 {
                    let message = [&REQUEST_LAST.to_be_bytes()[..], &[0; 8], b"{}"].concat();
                    client.try_send(&message[..length]).await;
                }
                part(&mut client, 1, request, true).await;
                refused(&mut client, 1).await;
            }
        }
    }
}

/// Whether the connection took a part.
async fn part(client: &mut Client, id: u64, bytes: &[u8], last: bool) -> bool {
    let kind = if last { REQUEST_LAST } else { REQUEST_MORE };
    commando(client, kind, id, bytes).await
}
