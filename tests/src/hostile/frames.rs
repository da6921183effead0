use runeward_noise::{MAX_MESSAGE, Sealer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Stranger, heard, repeat};
use crate::client::{EMPTY_INIT, PING, identity};
use crate::within;

/// In what follows the handshake, sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// A length that does not open.
    BadLength,
    /// A body that does not open.
    BadBody,
    /// 500 messages of no bytes.
    Empty,
    /// Messages of 65,535 bytes that mean nothing, without end.
    Longest,
    /// Half a length, then the end.
    CutLength,
    /// Half a body, then the end.
    CutBody,
    /// A message sent twice as it was sealed.
    Replayed,
    /// Two messages in the wrong order.
    Swapped,
    /// Bytes that were never sealed.
    Unsealed,
}

impl Frames {
    pub(super) const ALL: &[Self] = &[
        Self::BadLength,
        Self::BadBody,
        Self::Empty,
        Self::Longest,
        Self::CutLength,
        Self::CutBody,
        Self::Replayed,
        Self::Swapped,
        Self::Unsealed,
    ];

    pub(super) async fn mount(self, stranger: &Stranger) {
        let Some(mut stream) = stranger.tcp().await else { return };
        let (me, node_id) = (identity(), stranger.target.node_id);
        let connected = within("the handshake", runeward_noise::connect(&mut stream, &me, node_id)).await;
        let Ok(mut transport) = connected else { return };
        let _ = within("an attack", self.send(&mut stream, &mut transport.sealer)).await;
        let _ = stream.shutdown().await;
        // Its init is all the gateway has to say: 6 bytes, sealed.
        let answer = heard(&mut stream).await;
        assert!(answer.len() <= 18 + 6 + 16, "{} bytes", answer.len());
    }

    async fn send(self, stream: &mut TcpStream, sealer: &mut Sealer) -> std::io::Result<()> {
        let mut sealed = |message: &[u8]| {
            let mut sealed = Vec::new();
            sealer.seal(&[message], &mut sealed).unwrap();
            sealed
        };
        let init = sealed(&EMPTY_INIT);
        let mut ping = sealed(&[&PING.to_be_bytes()[..], &[0xff; 2], &[0; 2]].concat());
        match self {
            Self::BadLength => {
                ping[0] ^= 1;
                stream.write_all(&[init, ping].concat()).await
            }
            Self::BadBody => {
                ping[20] ^= 1;
                stream.write_all(&[init, ping].concat()).await
            }
            Self::Empty => {
                stream.write_all(&[init, ping].concat()).await?;
                let empty: Vec<u8> = (0..500).flat_map(|_| sealed(b"")).collect();
                stream.write_all(&empty).await
            }
            Self::Longest => {
                stream.write_all(&[init, ping].concat()).await?;
                for _ in 0..32 {
                    stream.write_all(&sealed(&[0xff; MAX_MESSAGE])).await?;
                }
                Ok(())
            }
            Self::CutLength => stream.write_all(&[&init[..], &ping[..9]].concat()).await,
            Self::CutBody => stream.write_all(&[&init[..], &ping[..25]].concat()).await,
            Self::Replayed => stream.write_all(&[&init[..], &init[..]].concat()).await,
            Self::Swapped => stream.write_all(&[ping, init].concat()).await,
            Self::Unsealed => {
                stream.write_all(&init).await?;
                repeat(stream, &[0; 1000], 200).await
            }
        }
    }
}
