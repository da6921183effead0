//! Byte streams for the client: a WebSocket as one, and a tap that notes how bytes arrive.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// What the client can speak over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The sizes of the pieces in which bytes arrived: reads of a TCP stream, frames of a WebSocket.
#[derive(Clone, Default)]
pub struct Pieces(Arc<Mutex<Vec<usize>>>);

impl Pieces {
    /// The sizes so far, in order.
    pub fn sizes(&self) -> Vec<usize> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, size: usize) {
        self.0.lock().unwrap().push(size);
    }
}

const BUFFER: usize = 128 * 1024;

/// TCP, noting the size of each read: whatever the peer wrote at once on loopback is read at once.
pub async fn tapped_tcp(address: SocketAddr) -> (DuplexStream, Pieces) {
    let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let (mut back, mut forth) = tokio::io::split(theirs);
    let pieces = Pieces::default();
    let noted = pieces.clone();
    tokio::spawn(async move {
        let mut buffer = vec![0; BUFFER];
        while let Ok(size @ 1..) = from.read(&mut buffer).await {
            noted.note(size);
            if forth.write_all(&buffer[..size]).await.is_err() {
                return;
            }
        }
        let _ = forth.shutdown().await;
    });
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut back, &mut to).await;
    });
    (ours, pieces)
}

/// How what is written leaves in frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Frames {
    /// Each write in frames of at most this many bytes.
    Of(usize),
    /// Each write as one message, fragmented into frames of 7 bytes.
    Fragmented,
    /// Whole, after a text frame.
    AfterText,
}

/// A WebSocket on `path`, as a byte stream. Each write leaves in frames of at most `frame` bytes.
pub async fn websocket(address: SocketAddr, path: &str, frame: usize) -> (DuplexStream, Pieces) {
    websocket_with(address, path, Frames::Of(frame)).await
}

/// A WebSocket on `path`, as a byte stream.
pub async fn websocket_with(address: SocketAddr, path: &str, frames: Frames) -> (DuplexStream, Pieces) {
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    websocket_over(tcp, &format!("ws://{address}{path}"), frames).await
}

/// A WebSocket inside a stream, such as TLS, as a byte stream.
pub async fn websocket_over(
    stream: impl Stream + 'static,
    url: &str,
    frames: Frames,
) -> (DuplexStream, Pieces) {
    try_websocket_over(stream, url, frames).await.expect("the WebSocket upgrade")
}

/// The same; `None` where the stream ends or is refused before it is one.
pub async fn try_websocket_over(
    stream: impl Stream + 'static,
    url: &str,
    frames: Frames,
) -> Option<(DuplexStream, Pieces)> {
    let request = url.into_client_request().unwrap();
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await.ok()?;
    let (mut sink, mut source) = socket.split();
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let (mut back, mut forth) = tokio::io::split(theirs);
    let pieces = Pieces::default();
    let noted = pieces.clone();
    tokio::spawn(async move {
        while let Some(Ok(message)) = source.next().await {
            let Message::Binary(bytes) = message else {
                continue;
            };
            noted.note(bytes.len());
            if forth.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = forth.shutdown().await;
    });
    tokio::spawn(async move {
        if frames == Frames::AfterText {
            let _ = sink.send(Message::text("junk")).await;
        }
        let mut buffer = vec![0; BUFFER];
        while let Ok(size @ 1..) = back.read(&mut buffer).await {
            for message in messages(frames, &buffer[..size]) {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        }
        let _ = sink.close().await;
    });
    Some((ours, pieces))
}

fn messages(frames: Frames, bytes: &[u8]) -> Vec<Message> {
    let (size, fragmented) = match frames {
        Frames::Of(size) => (size, false),
        Frames::Fragmented => (7, true),
        Frames::AfterText => (BUFFER, false),
    };
    let pieces = bytes.chunks(size);
    let last = pieces.len() - 1;
    let message = |(at, piece): (usize, &[u8])| {
        let piece = piece.to_vec();
        let kind = if at == 0 { Data::Binary } else { Data::Continue };
        match fragmented {
            false => Message::Binary(piece.into()),
            true => Message::Frame(Frame::message(piece, OpCode::Data(kind), at == last)),
        }
    };
    pieces.enumerate().map(message).collect()
}
