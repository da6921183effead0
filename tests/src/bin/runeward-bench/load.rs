//! `runeward-bench load`: the load put on a commando server, over BOLT 8 on TCP or in a WebSocket.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use runeward_noise::{Identity, Reader, Sealer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;

use crate::calls::{Incoming, Outbox, Replies, Requests};
use crate::failure::{Failure, Result};
use crate::uri::Target;
use crate::websocket::WebSocket;

/// How long a server may take to accept a connection, shake hands and say its init.
const OPENING: Duration = Duration::from_secs(10);

/// The most bytes of a request in one part.
const PART: usize = 65_000;

/// Types of the messages we know (BOLT 1, and commando's).
const WARNING: u16 = 1;
const INIT: u16 = 16;
const ERROR: u16 = 17;
const PING: u16 = 18;
const PONG: u16 = 19;
const REQUEST_MORE: [u8; 2] = *b"LM";
const REQUEST_LAST: [u8; 2] = *b"LO";
const REPLY_MORE: u16 = 0x594b;
const REPLY_LAST: u16 = 0x594d;

/// An init without features: all that commando needs.
const OUR_INIT: &[u8] = &[0, 16, 0, 0, 0, 0];

/// Pings that ask for this many bytes or more are not answered (BOLT 1).
const NO_PONG: u16 = 65_532;

/// Connects, shakes hands as a new peer and exchanges inits.
pub async fn open(target: &Target, request: &Request) -> Result<(CommandoReplies, CommandoRequests)> {
    let failed = |what: &str| Failure::connect(format!("cannot connect to {}: {what}", target.address));
    match tokio::time::timeout(OPENING, greet(target, request)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(why)) => Err(failed(&why)),
        Err(_) => Err(failed(&format!("no answer within {} s", OPENING.as_secs()))),
    }
}

async fn greet(
    target: &Target,
    request: &Request,
) -> std::result::Result<(CommandoReplies, CommandoRequests), String> {
    let said = |why: io::Error| why.to_string();
    let tcp = TcpStream::connect(&target.address).await.map_err(said)?;
    tcp.set_nodelay(true).map_err(said)?;
    let mut stream = if target.websocket {
        let upgraded = WebSocket::upgrade(tcp, &target.address).await;
        Stream::WebSocket(Box::new(upgraded.map_err(|why| format!("no WebSocket: {why}"))?))
    } else {
        Stream::Tcp(tcp)
    };

    let identity = Identity::generate().map_err(|why| why.to_string())?;
    let transport = runeward_noise::connect(&mut stream, &identity, target.node_id)
        .await
        .map_err(|why| format!("the BOLT 8 handshake failed: {why}; is its node id {}?", target.node_id))?;

    let (reader, writer) = split(stream);
    let mut replies = CommandoReplies { reader: Reader::new(reader, transport.opener), warning: None };
    let mut requests = CommandoRequests {
        writer,
        sealer: transport.sealer,
        out: Outbox::default(),
        request: request.clone(),
        json: Vec::new(),
    };
    requests.queue(&[OUR_INIT]).map_err(said)?;
    requests.flush().await.map_err(said)?;
    replies.await_init().await.map_err(said)?;
    Ok((replies, requests))
}

/// A call, all but its id. The default is for connections that make none.
#[derive(Debug, Clone, Default)]
pub struct Request(String);

impl Request {
    /// `params` is JSON.
    pub fn new(method: &str, params: &str, rune: &str) -> Self {
        let (method, rune) = (serde_json::Value::from(method), serde_json::Value::from(rune));
        Self(format!(",\"method\":{method},\"params\":{params},\"rune\":{rune}}}"))
    }
}

/// What a peer sends: the parts of replies, and whatever else peers say.
pub struct CommandoReplies {
    reader: Reader<ReadHalf<Stream>>,
    /// The last warning: a peer may stay after one, or close.
    warning: Option<String>,
}

impl CommandoReplies {
    async fn await_init(&mut self) -> io::Result<()> {
        loop {
            let Some(message) = self.reader.next().await.map_err(to_io)? else {
                return Err(io::Error::other("the server closed the connection before its init"));
            };
            let Some((kind, body)) = message.split_first_chunk() else { continue };
            match u16::from_be_bytes(*kind) {
                INIT => return Ok(()),
                WARNING | ERROR => {
                    return Err(io::Error::other(format!("the server says: {}", complaint(body))));
                }
                _ => {}
            }
        }
    }
}

impl Replies for CommandoReplies {
    async fn next(&mut self) -> io::Result<Option<Incoming<'_>>> {
        let Some(message) = self.reader.next().await.map_err(to_io)? else {
            return match self.warning.take() {
                Some(text) => {
                    Err(io::Error::other(format!("the server closed the connection after a warning: {text}")))
                }
                None => Ok(None),
            };
        };
        let Some((kind, body)) = message.split_first_chunk() else {
            return Ok(Some(Incoming::Other));
        };
        let kind = u16::from_be_bytes(*kind);
        Ok(Some(match (kind, body.split_first_chunk()) {
            (REPLY_MORE | REPLY_LAST, Some((id, bytes))) => {
                Incoming::Reply { id: u64::from_be_bytes(*id), bytes, last: kind == REPLY_LAST }
            }
            (PING, _) => match body.first_chunk().map(|bytes| u16::from_be_bytes(*bytes)) {
                Some(bytes) if bytes < NO_PONG => Incoming::Ping(bytes),
                _ => Incoming::Other,
            },
            (WARNING, _) => {
                self.warning = Some(complaint(body));
                Incoming::Other
            }
            (ERROR, _) => {
                return Err(io::Error::other(format!("the server says: {}", complaint(body))));
            }
            _ => Incoming::Other,
        }))
    }
}

/// The text of a warning or an error: after a channel id of 32 bytes and a length of 2.
fn complaint(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(34..).unwrap_or_default()).into_owned()
}

/// What we send, sealed when it is queued.
pub struct CommandoRequests {
    writer: WriteHalf<Stream>,
    sealer: Sealer,
    out: Outbox,
    request: Request,
    json: Vec<u8>,
}

impl CommandoRequests {
    fn queue(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        self.sealer.seal(parts, &mut self.out.bytes).map_err(to_io)
    }
}

impl Requests for CommandoRequests {
    fn call(&mut self, id: u64) -> io::Result<()> {
        self.json.clear();
        write!(self.json, "{{\"id\":{id}{}", self.request.0)?;
        let mut parts = self.json.chunks(PART).peekable();
        while let Some(part) = parts.next() {
            let kind = if parts.peek().is_some() { REQUEST_MORE } else { REQUEST_LAST };
            let message: [&[u8]; 3] = [&kind, &id.to_be_bytes(), part];
            self.sealer.seal(&message, &mut self.out.bytes).map_err(to_io)?;
        }
        Ok(())
    }

    fn pong(&mut self, bytes: u16) -> io::Result<()> {
        self.queue(&[&PONG.to_be_bytes(), &bytes.to_be_bytes(), &vec![0; usize::from(bytes)]])
    }

    fn pending(&self) -> bool {
        self.out.pending()
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.out.flush(&mut self.writer).await
    }
}

fn to_io(error: runeward_noise::Error) -> io::Error {
    match error {
        runeward_noise::Error::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}

/// What BOLT 8 runs over.
enum Stream {
    Tcp(TcpStream),
    WebSocket(Box<WebSocket>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::WebSocket(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::WebSocket(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::WebSocket(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::WebSocket(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
