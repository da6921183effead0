use super::{Stranger, for_a_while, linger};
use crate::client::{Client, EMPTY_INIT, PING, PONG, REPLY_LAST, WARNING, kind};

/// In messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messages {
    /// No init, ever.
    NoInit,
    /// A second init.
    SecondInit,
    /// An init with a field that must be known and is not.
    EvenField,
    /// An init cut short.
    CutInit,
    /// An init with 65,000 bytes of features.
    LongInit,
    /// A request in place of the init.
    RequestFirst,
    /// A message that must be known and is not.
    EvenMessage,
    /// 500 messages that need not be known.
    OddMessages,
    /// A ping shorter than it says.
    CutPing,
    /// Pings that ask for as much as a pong may hold, none of which is read.
    Pings,
    /// An error.
    Error,
    /// Replies, as if it were the gateway.
    Replies,
}

impl Messages {
    pub(super) const ALL: &[Self] = &[
        Self::NoInit,
        Self::SecondInit,
        Self::EvenField,
        Self::CutInit,
        Self::LongInit,
        Self::RequestFirst,
        Self::EvenMessage,
        Self::OddMessages,
        Self::CutPing,
        Self::Pings,
        Self::Error,
        Self::Replies,
    ];

    pub(super) async fn mount(self, stranger: &Stranger) {
        let unread = if self == Self::Pings { 1 } else { 64 };
        let Some(mut client) = stranger.handshaken(unread).await else { return };
        let ends = match self {
            Self::NoInit => true,
            Self::SecondInit => {
                client.try_send(&EMPTY_INIT).await;
                client.try_send(&EMPTY_INIT).await
            }
            Self::EvenField => client.try_send(&[&EMPTY_INIT[..], &[54, 0]].concat()).await,
            Self::CutInit => client.try_send(&[0, 16, 0, 9, 1]).await,
            Self::LongInit => {
                client
                    .try_send(&[&[0, 16, 0, 0][..], &65_000_u16.to_be_bytes(), &[0xff; 65_000]].concat())
                    .await;
                false
            }
            Self::RequestFirst => {
                client.try_send(&[&[0x4c, 0x4f][..], &[0; 8], b"{}"].concat()).await;
                client.try_send(&PING.to_be_bytes()).await
            }
            Self::EvenMessage => {
                client.try_send(&EMPTY_INIT).await;
                client.try_send(&[0, 100]).await
            }
            Self::OddMessages => {
                client.try_send(&EMPTY_INIT).await;
                for kind in 0..500_u16 {
                    let kind = 0x8001 | kind << 1;
                    client.try_send(&[&kind.to_be_bytes()[..], &[0; 100]].concat()).await;
                }
                false
            }
            Self::CutPing => {
                client.try_send(&EMPTY_INIT).await;
                client.try_send(&[0, 18, 0, 1, 0, 9]).await
            }
            Self::Pings => {
                client.try_send(&EMPTY_INIT).await;
                return unread_pings(&mut client).await;
            }
            Self::Error => {
                client.try_send(&EMPTY_INIT).await;
                client.try_send(&[&[0, 17][..], &[0; 34]].concat()).await
            }
            Self::Replies => {
                client.try_send(&EMPTY_INIT).await;
                for id in 0..100 {
                    let reply = [&REPLY_LAST.to_be_bytes()[..], &[id; 8], b"{\"result\":{}}"].concat();
                    client.try_send(&reply).await;
                }
                false
            }
        };
        if !ends {
            // Nothing came of it: the connection is as good as any other.
            client.try_send(&[&PING.to_be_bytes()[..], &[0, 1], &[0, 0]].concat()).await;
        }
        loop {
            match client.next_message().await {
                Ok(message) if kind(&message) == PONG && !ends => return,
                Ok(message) => assert!(matches!(kind(&message), WARNING | PING), "{message:02x?}"),
                Err(_) => return,
            }
        }
    }
}

/// 200 pings whose pongs are 13 MB together, and a while in which none is read.
async fn unread_pings(client: &mut Client) {
    let ping = [&PING.to_be_bytes()[..], &65_531_u16.to_be_bytes(), &[0, 0]].concat();
    let sending = async {
        for _ in 0..200 {
            if !client.try_send(&ping).await {
                return;
            }
        }
    };
    for_a_while(sending).await;
    linger().await;
}
