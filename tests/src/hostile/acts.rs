use runeward_noise::{ACT_TWO, Initiator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Stranger, heard};
use crate::client::identity;
use crate::within;

/// In the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// Act one of another version.
    WrongVersion,
    /// Act one with a key that is no point of the curve.
    NoPoint,
    /// Act one with a tag that does not fit.
    BadTag,
    /// Act one for another node.
    OtherNode,
    /// A good act one, and nothing behind it.
    OneOnly,
    /// Act three with a tag that does not fit.
    BadThree,
    /// Act three of another version.
    WrongVersionThree,
    /// Act three dripped.
    DripThree,
    /// Acts one and three of an earlier handshake, word for word.
    Replay,
}

impl Acts {
    pub(super) const ALL: &[Self] = &[
        Self::WrongVersion,
        Self::NoPoint,
        Self::BadTag,
        Self::OtherNode,
        Self::OneOnly,
        Self::BadThree,
        Self::WrongVersionThree,
        Self::DripThree,
        Self::Replay,
    ];

    pub(super) async fn mount(self, stranger: &Stranger) {
        let node_id = stranger.target.node_id;
        let (awaiting, mut act) = Initiator::new(&identity(), node_id).unwrap();
        match self {
            Self::WrongVersion => act[0] = 1,
            Self::NoPoint => act[1..34].fill(0xff),
            Self::BadTag => act[49] ^= 1,
            Self::OtherNode => act = Initiator::new(&identity(), identity().node_id()).unwrap().1,
            Self::OneOnly | Self::BadThree | Self::WrongVersionThree | Self::DripThree | Self::Replay => {}
        }
        if matches!(self, Self::WrongVersion | Self::NoPoint | Self::BadTag | Self::OtherNode) {
            // Its first byte is no longer BOLT 8's, or act one is bad: no act two for it.
            return assert_eq!(stranger.says(&act).await, b"");
        }
        let Some((mut stream, act_two)) = answered(stranger, &act).await else { return };
        let Ok((mut act_three, _)) = awaiting.read_act_two(&act_two) else { panic!("a bad act two") };
        match self {
            Self::OneOnly => {}
            Self::BadThree => act_three[65] ^= 1,
            Self::WrongVersionThree => act_three[0] = 1,
            _ => {}
        }
        match self {
            Self::OneOnly => {}
            Self::DripThree => {
                for byte in act_three {
                    if stream.write_u8(byte).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(super::DRIP).await;
                }
            }
            Self::Replay => {
                drop(stream);
                let Some((again, other_two)) = answered(stranger, &act).await else { return };
                assert_ne!(act_two, other_two, "an ephemeral key used twice");
                stream = again;
                let _ = stream.write_all(&act_three).await;
            }
            _ => {
                let _ = stream.write_all(&act_three).await;
            }
        }
        assert_eq!(heard(&mut stream).await, b"");
    }
}

/// What act one is answered with; `None` where the connection is refused.
async fn answered(stranger: &Stranger, act_one: &[u8]) -> Option<(tokio::net::TcpStream, [u8; ACT_TWO])> {
    let mut stream = stranger.tcp().await?;
    stream.write_all(act_one).await.ok()?;
    let mut act_two = [0; ACT_TWO];
    within("act two", stream.read_exact(&mut act_two)).await.ok()?;
    Some((stream, act_two))
}
