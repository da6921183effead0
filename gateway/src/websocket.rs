//! A WebSocket as a byte stream: binary frames carry it, cut anywhere.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

/// Longest frame and longest fragmented message that is taken, in bytes: two transport messages.
const MAX_MESSAGE: usize = 128 * 1024;

/// What each connection reads ahead, in bytes; the library's own default would cost an idle one 128 KiB.
const READ_BUFFER: usize = 2 * 1024;

/// Longest frame sent, in bytes.
const MAX_SENT: usize = 64 * 1024;

/// The byte stream inside a WebSocket.
pub(crate) struct WebSocket<S> {
    frames: WebSocketStream<S>,
    /// What is left of the last frame.
    unread: Bytes,
}

/// The limits of every WebSocket here.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// The server's side after the upgrade; `read` came in behind the request.
    pub(crate) async fn server(stream: S, read: Vec<u8>) -> Self {
        let frames = WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config())).await;
        Self { frames, unread: Bytes::new() }
    }

    /// The client's side.
    pub(crate) fn client(frames: WebSocketStream<S>) -> Self {
        Self { frames, unread: Bytes::new() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.frames).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                None => return Poll::Ready(Ok(())),
                // Pings and close frames have been answered by the library; after a close frame nothing comes.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(ended(error)),
            }
        }
        let length = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(length));
        if self.unread.is_empty() {
            self.unread = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    /// Each write becomes a frame.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.frames).poll_ready(cx)).map_err(into_io)?;
        let length = buf.len().min(MAX_SENT);
        let frame = Message::Binary(Bytes::copy_from_slice(&buf[..length]));
        Pin::new(&mut self.frames).start_send(frame).map_err(into_io)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.frames).poll_flush(cx).map_err(into_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.frames).poll_close(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(ended(error)),
        }
    }
}

/// A peer that goes without a close frame has only ended the stream.
fn ended(error: Error) -> io::Result<()> {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing) => {
            Ok(())
        }
        error => Err(into_io(error)),
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}
