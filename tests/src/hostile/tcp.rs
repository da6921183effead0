use tokio::io::AsyncWriteExt;

use super::{Stranger, heard};
use crate::client::{REQUEST_MORE, identity};

/// As a TCP peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {
    /// Connects and says nothing.
    Silent,
    /// Sends act one a byte at a time.
    Drip,
    /// Sends half of act one, then resets the connection.
    Reset,
    /// Sends act one and ends its side.
    HalfClose,
    /// Goes in the middle of a message, after a handshake like any other.
    Vanish,
    /// Sends what no protocol begins with.
    Garbage,
}

impl Tcp {
    pub(super) const ALL: &[Self] =
        &[Self::Silent, Self::Drip, Self::Reset, Self::HalfClose, Self::Vanish, Self::Garbage];

    pub(super) async fn mount(self, stranger: &Stranger) {
        let act_one = || runeward_noise::Initiator::new(&identity(), stranger.target.node_id).unwrap().1;
        match self {
            Self::Silent => assert_eq!(stranger.says(b"").await, b""),
            Self::Drip => assert_eq!(stranger.drips(&act_one()).await, b""),
            Self::Reset => {
                let Some(mut stream) = stranger.tcp().await else { return };
                let _ = stream.write_all(&act_one()[..25]).await;
            }
            Self::HalfClose => {
                let Some(mut stream) = stranger.tcp().await else { return };
                let _ = stream.write_all(&act_one()).await;
                let _ = stream.shutdown().await;
                let heard = heard(&mut stream).await;
                assert!(matches!(heard.len(), 0 | 50), "{} bytes", heard.len());
            }
            Self::Vanish => {
                let Some(mut client) = stranger.peer(1).await else { return };
                let half = [&REQUEST_MORE.to_be_bytes()[..], &[7; 8], &[b'x'; 60_000]].concat();
                client.try_send(&half).await;
            }
            Self::Garbage => assert_eq!(stranger.says(&[0xff; 4096]).await, b""),
        }
    }
}
