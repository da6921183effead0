//! A commando client, for `runeward call`.

mod tls;
mod uri;

use std::time::Duration;

use runeward_noise::{Identity, Reader, Writer};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WebSocketError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::websocket::{self, WebSocket};
pub(crate) use uri::{Link, Transport, Uri, link};

/// How long connecting may take, the handshake and `init` included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The id of the one request a client has under way.
const REQUEST_ID: [u8; 8] = *b"runeward";

/// Longest part of a request, in bytes.
const MAX_PART: usize = 65_000;

const INIT: [u8; 6] = [0, 16, 0, 0, 0, 0];
const REQUEST_MORE: [u8; 2] = [0x4c, 0x4d];
const REQUEST_LAST: [u8; 2] = [0x4c, 0x4f];
const REPLY_MORE: [u8; 2] = [0x59, 0x4b];
const REPLY_LAST: [u8; 2] = [0x59, 0x4d];

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection to a commando server.
pub(crate) struct Client {
    reader: Reader<ReadHalf<Box<dyn Stream>>>,
    writer: Writer<WriteHalf<Box<dyn Stream>>>,
}

/// Why there is no connection, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("cannot reach {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("{address} is not node {node_id}, or speaks something else: {error}")]
    Handshake { address: String, node_id: String, error: runeward_noise::Error },
    #[error("{0} does not answer")]
    TimedOut(String),
    #[error("cannot speak TLS with {address}: {error}; if it is a gateway without TLS, use commando+ws")]
    Tls { address: String, error: std::io::Error },
    #[error(
        "{0} closed the connection at once: either it is not node {1}, or it is over a limit on connections; then try again in a moment"
    )]
    Dropped(String, String),
    #[error("the connection was closed before the answer was whole")]
    Closed,
    #[error("the connection broke: {0}")]
    Transport(#[from] runeward_noise::Error),
}

impl Client {
    /// Connects to where `uri` points.
    pub(crate) async fn connect(uri: &Uri, identity: &Identity) -> Result<Self, ClientError> {
        let address = format!("{}:{}", uri.host, uri.port);
        timeout(CONNECT_TIMEOUT, Self::connect_at(uri, &address, identity))
            .await
            .unwrap_or(Err(ClientError::TimedOut(address)))
    }

    async fn connect_at(uri: &Uri, address: &str, identity: &Identity) -> Result<Self, ClientError> {
        let unreachable = |why: String| ClientError::Unreachable { address: address.to_owned(), why };
        let dropped = || ClientError::Dropped(address.to_owned(), uri.node_id.to_string());
        let tcp = TcpStream::connect(address).await.map_err(|error| unreachable(error.to_string()))?;
        let _ = tcp.set_nodelay(true);
        let mut stream: Box<dyn Stream> = match uri.transport {
            Transport::Tcp | Transport::Ws => Box::new(tcp),
            Transport::Wss => Box::new(
                tls::connect(&uri.host, tcp)
                    .await
                    .map_err(|error| ClientError::Tls { address: address.to_owned(), error })?,
            ),
        };
        if uri.transport != Transport::Tcp {
            let request = format!("ws://{address}/");
            let (frames, _) =
                tokio_tungstenite::client_async_with_config(request, stream, Some(websocket::config()))
                    .await
                    .map_err(|error| match error {
                        WebSocketError::Protocol(ProtocolError::HandshakeIncomplete) => dropped(),
                        error => unreachable(error.to_string()),
                    })?;
            stream = Box::new(WebSocket::client(frames));
        }
        let transport = runeward_noise::connect(&mut stream, identity, uri.node_id).await.map_err(
            |error| match error {
                runeward_noise::Error::Truncated => dropped(),
                error => ClientError::Handshake {
                    address: address.to_owned(),
                    node_id: uri.node_id.to_string(),
                    error,
                },
            },
        )?;
        let (reading, writing) = tokio::io::split(stream);
        let mut client = Self {
            reader: Reader::new(reading, transport.opener),
            writer: Writer::new(writing, transport.sealer),
        };
        client.writer.send(&[&INIT]).await?;
        Ok(client)
    }

    /// Sends a request, which is JSON, and returns the reply, which is JSON.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, ClientError> {
        let mut parts = request.chunks(MAX_PART).peekable();
        while let Some(part) = parts.next() {
            let kind = if parts.peek().is_some() { REQUEST_MORE } else { REQUEST_LAST };
            self.writer.send(&[&kind, &REQUEST_ID, part]).await?;
        }
        let mut reply = Vec::new();
        loop {
            let message = self.reader.next().await?.ok_or(ClientError::Closed)?;
            if let Some(zeros) = ping(message) {
                let mut pong = vec![0; 4 + usize::from(zeros)];
                pong[..4].copy_from_slice(&[0, 19, zeros.to_be_bytes()[0], zeros.to_be_bytes()[1]]);
                self.writer.send(&[&pong]).await?;
                continue;
            }
            let Some((kind, part)) = message.split_first_chunk::<2>() else { continue };
            let Some(part) = part.strip_prefix(&REQUEST_ID) else { continue };
            match *kind {
                REPLY_MORE => reply.extend_from_slice(part),
                REPLY_LAST => {
                    reply.extend_from_slice(part);
                    return Ok(reply);
                }
                _ => {}
            }
        }
    }
}

/// How many zero bytes a ping wants back.
fn ping(message: &[u8]) -> Option<u16> {
    match message {
        [0, 18, high, low, ..] => Some(u16::from_be_bytes([*high, *low])).filter(|zeros| *zeros < 65_532),
        _ => None,
    }
}
