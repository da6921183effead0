//! A WebSocket as a byte stream: what is written leaves in binary frames, and binary frames are
//! read as one stream, wherever they are cut.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// The most bytes put into one frame.
const FRAME: usize = 64 * 1_024;

/// How much is read at once. Each connection holds so much memory, and there may be 10,000.
const READ: usize = 16 * 1_024;

/// The client's end of a WebSocket.
pub struct WebSocket {
    inner: WebSocketStream<TcpStream>,
    /// What is left of the last frame.
    unread: Bytes,
}

impl WebSocket {
    /// Asks the server at the other end of `stream` to speak WebSocket.
    pub async fn upgrade(stream: TcpStream, address: &str) -> io::Result<Self> {
        let config = WebSocketConfig::default().read_buffer_size(READ);
        let upgraded = client_async_with_config(format!("ws://{address}/"), stream, Some(config)).await;
        let (inner, _response) = upgraded.map_err(to_io)?;
        Ok(Self { inner, unread: Bytes::new() })
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::other("the server sent a text frame")));
                }
                // Pings are answered below us.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(why)) => return Poll::Ready(Err(to_io(why))),
            }
        }
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(context)).map_err(to_io)?;
        let length = bytes.len().min(FRAME);
        let frame = Message::binary(bytes[..length].to_vec());
        Pin::new(&mut self.inner).start_send(frame).map_err(to_io)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context).map_err(to_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context).map_err(to_io)
    }
}

fn to_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}
