use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Stranger, heard, repeat};
use crate::http::SAMPLE_KEY;
use crate::within;

/// Inside a WebSocket, right after the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocket {
    /// A frame that is not masked.
    Unmasked,
    /// A frame said to be 2⁶³ − 1 bytes long, and 100 kB of it.
    GiantLength,
    /// A frame of 1 MiB.
    GiantFrame,
    /// A message that never ends, in frames of 1,000 bytes.
    EndlessMessage,
    /// A message in 20,000 empty frames.
    EmptyFragments,
    /// Text in place of bytes, without end.
    Text,
    /// 20,000 pings, whose pongs are never read.
    Pings,
    /// 20,000 pongs that nobody asked for.
    Pongs,
    /// A ping longer than a ping may be.
    LongPing,
    /// A frame of a kind that there is none of.
    Reserved,
    /// A compressed frame.
    Compressed,
    /// A continuation of nothing.
    Continuation,
    /// A close frame, then more.
    AfterClose,
    /// Says nothing.
    Silent,
    /// Frames of one byte, slowly.
    Drip,
}

impl WebSocket {
    pub(super) const ALL: &[Self] = &[
        Self::Unmasked,
        Self::GiantLength,
        Self::GiantFrame,
        Self::EndlessMessage,
        Self::EmptyFragments,
        Self::Text,
        Self::Pings,
        Self::Pongs,
        Self::LongPing,
        Self::Reserved,
        Self::Compressed,
        Self::Continuation,
        Self::AfterClose,
        Self::Silent,
        Self::Drip,
    ];

    pub(super) async fn mount(self, stranger: &Stranger) {
        let Some(mut stream) = upgraded(stranger).await else { return };
        // A fault of theirs: the gateway says so and closes, whatever of it could be sent.
        let _ = within("an attack", self.send(&mut stream)).await;
        let answer = heard(&mut stream).await;
        // A close frame, and pongs before it: nothing of what is inside.
        assert!(answer.first().is_none_or(|first| matches!(first, 0x88 | 0x8a)), "{answer:02x?}");
    }

    async fn send(self, stream: &mut TcpStream) -> std::io::Result<()> {
        match self {
            Self::Unmasked => stream.write_all(&[&[0x82, 50][..], &[0; 50]].concat()).await,
            Self::GiantLength => {
                let length = i64::MAX.to_be_bytes();
                stream.write_all(&[&[0x82, 0xff][..], &length, &[0; 4]].concat()).await?;
                repeat(stream, &[0; 1000], 100).await
            }
            Self::GiantFrame => stream.write_all(&frame(0x82, &vec![1; 1 << 20])).await,
            Self::EndlessMessage => {
                stream.write_all(&frame(0x02, &[1; 1000])).await?;
                repeat(stream, &frame(0x00, &[1; 1000]), 2000).await
            }
            Self::EmptyFragments => {
                stream.write_all(&frame(0x02, b"")).await?;
                repeat(stream, &frame(0x00, b""), 20_000).await
            }
            Self::Text => repeat(stream, &frame(0x81, &[b'x'; 100]), 2000).await,
            Self::Pings => repeat(stream, &frame(0x89, &[b'x'; 125]), 20_000).await,
            Self::Pongs => repeat(stream, &frame(0x8a, &[b'x'; 125]), 20_000).await,
            Self::LongPing => stream.write_all(&frame(0x89, &[b'x'; 126])).await,
            Self::Reserved => stream.write_all(&frame(0x83, b"x")).await,
            Self::Compressed => stream.write_all(&frame(0xc2, &[0; 50])).await,
            Self::Continuation => stream.write_all(&frame(0x80, &[0; 50])).await,
            Self::AfterClose => {
                stream.write_all(&frame(0x88, &[3, 232])).await?;
                repeat(stream, &frame(0x82, &[0; 1000]), 100).await
            }
            Self::Silent => Ok(()),
            Self::Drip => {
                // Act one would take longer than a handshake may.
                for _ in 0..49 {
                    stream.write_all(&frame(0x82, &[0])).await?;
                    tokio::time::sleep(super::DRIP).await;
                }
                Ok(())
            }
        }
    }
}

/// A masked frame; the mask is all zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
        longer => {
            frame.push(0x80 | 127);
            frame.extend((longer as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A connection that has become a WebSocket.
async fn upgraded(stranger: &Stranger) -> Option<TcpStream> {
    let mut stream = stranger.tcp().await?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {SAMPLE_KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the upgrade", stream.read_u8()).await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    assert!(head.starts_with("http/1.1 101") && !head.contains("permessage-deflate"), "{head}");
    Some(stream)
}
