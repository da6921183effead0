//! A raw peer: it says exactly what a test wants said, and keeps what it hears in order.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use runeward_noise::{Identity, NodeId, Reader, Writer};
use serde_json::Value;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::stream::{self, Stream};
use crate::{DEADLINE, Gateway, within};

/// Commando: a request, more to come.
pub const REQUEST_MORE: u16 = 0x4c4d;
/// Commando: a request, last part.
pub const REQUEST_LAST: u16 = 0x4c4f;
/// Commando: a reply, more to come.
pub const REPLY_MORE: u16 = 0x594b;
/// Commando: a reply, last part.
pub const REPLY_LAST: u16 = 0x594d;
/// BOLT 1 message types.
pub const WARNING: u16 = 1;
/// BOLT 1 message types.
pub const INIT: u16 = 16;
/// BOLT 1 message types.
pub const PING: u16 = 18;
/// BOLT 1 message types.
pub const PONG: u16 = 19;

/// An `init` with no features and no TLV.
pub const EMPTY_INIT: [u8; 6] = [0, 16, 0, 0, 0, 0];
/// Bytes of a request in one part, unless a test says otherwise.
pub const PART: usize = 65_000;
/// Messages kept unread before the client stops reading from the stream.
const INBOX: usize = 1 << 16;
/// Ids that [`Client::ask`] takes begin here, well above those that tests choose.
const FIRST_OWN_ID: u64 = 1 << 48;

type Io = Box<dyn Stream>;

/// How the gateway ended a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Between two whole messages.
    Clean,
    /// In the middle of one, or with bytes that do not open.
    Cut(String),
}

/// A whole reply to one request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The 8-byte id it came under.
    pub id: u64,
    /// The parts, joined.
    pub bytes: Vec<u8>,
    /// The size of each part.
    pub parts: Vec<usize>,
}

impl Reply {
    /// The reply as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("a reply in UTF-8")
    }

    /// The reply as JSON.
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.bytes) {
            Ok(value) => value,
            Err(error) => panic!("{error} in a reply: {}", self.text()),
        }
    }

    /// The error's code; `None` for a success.
    pub fn code(&self) -> Option<i64> {
        error_code(&self.json())
    }
}

/// The error's code in a reply; `None` for a success.
pub fn error_code(reply: &Value) -> Option<i64> {
    let error = reply.get("error")?;
    Some(error["code"].as_i64().expect("an error has a code"))
}

/// The type of a message.
pub fn kind(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[0], message[1]])
}

/// A connected peer.
pub struct Client {
    writer: Writer<WriteHalf<Io>>,
    inbox: mpsc::Receiver<Vec<u8>>,
    pump: Option<JoinHandle<End>>,
    partial: HashMap<u64, (Vec<u8>, Vec<usize>)>,
    finished: VecDeque<Reply>,
    others: VecDeque<Vec<u8>>,
    next_id: u64,
    /// How long the next message may take.
    pub patience: Duration,
}

impl Client {
    /// Over TCP with a fresh identity, ready for requests.
    pub async fn connect(gateway: &Gateway) -> Self {
        Self::connect_as(gateway, &identity()).await
    }

    /// Over TCP with this identity, ready for requests.
    pub async fn connect_as(gateway: &Gateway, identity: &Identity) -> Self {
        let mut client = Self::handshake(gateway, identity).await;
        client.init().await;
        client
    }

    /// Over a WebSocket, ready for requests.
    pub async fn websocket(gateway: &Gateway) -> Self {
        let (stream, _) = stream::websocket(gateway.address(), "/", PART).await;
        let mut client = Self::over(stream, gateway.node_id(), &identity()).await;
        client.init().await;
        client
    }

    /// Over TCP, only the handshake done.
    pub async fn handshake(gateway: &Gateway, identity: &Identity) -> Self {
        Self::over(tcp(gateway.address()).await, gateway.node_id(), identity).await
    }

    /// Over any stream, only the handshake done.
    pub async fn over(stream: impl Stream + 'static, node_id: &str, identity: &Identity) -> Self {
        Self::over_with(stream, node_id, identity, INBOX).await
    }

    /// Like [`Client::over`], but reads no further while `unread` messages wait to be received.
    pub async fn over_with(
        stream: impl Stream + 'static,
        node_id: &str,
        identity: &Identity,
        unread: usize,
    ) -> Self {
        Self::try_over(stream, node_id, identity, unread).await.expect("the handshake")
    }

    /// Like [`Client::over_with`], where the handshake may well fail.
    pub async fn try_over(
        stream: impl Stream + 'static,
        node_id: &str,
        identity: &Identity,
        unread: usize,
    ) -> Result<Self, runeward_noise::Error> {
        let node_id: NodeId = node_id.parse().expect("a node id");
        let mut stream: Io = Box::new(stream);
        let transport =
            within("the handshake", runeward_noise::connect(&mut stream, identity, node_id)).await?;
        let (from, to) = tokio::io::split(stream);
        let (sender, inbox) = mpsc::channel(unread);
        let reader = Reader::new(from, transport.opener);
        Ok(Self {
            writer: Writer::new(to, transport.sealer),
            inbox,
            pump: Some(tokio::spawn(pump(reader, sender))),
            partial: HashMap::new(),
            finished: VecDeque::new(),
            others: VecDeque::new(),
            next_id: FIRST_OWN_ID,
            patience: DEADLINE,
        })
    }

    /// Awaits the gateway's init, sends an empty one.
    pub async fn init(&mut self) {
        let init = self.message().await;
        assert_eq!(kind(&init), INIT, "the first message is init");
        self.send(&EMPTY_INIT).await;
    }

    /// Sends one message: type and body.
    pub async fn send(&mut self, message: &[u8]) {
        within("sending", self.writer.send(&[message])).await.expect("the gateway takes a message");
    }

    /// Like [`Client::send`], for a connection that may already be closed.
    pub async fn try_send(&mut self, message: &[u8]) -> bool {
        within("sending", self.writer.send(&[message])).await.is_ok()
    }

    /// The next message of any type.
    pub async fn message(&mut self) -> Vec<u8> {
        match self.next_message().await {
            Ok(message) => message,
            Err(end) => panic!("closed ({end:?}) where a message was expected"),
        }
    }

    /// The next message of any type, or how the connection ended.
    pub async fn next_message(&mut self) -> Result<Vec<u8>, End> {
        if let Some(message) = self.others.pop_front() {
            return Ok(message);
        }
        self.receive().await
    }

    /// Waits for the end of the connection, dropping what still comes.
    pub async fn end(&mut self) -> End {
        loop {
            if let Err(end) = self.receive().await {
                return end;
            }
        }
    }

    /// Asserts that the gateway sends a warning whose text has `phrase`, then closes.
    pub async fn warned_and_closed(&mut self, phrase: &str) {
        let warning = self.message().await;
        assert_eq!(kind(&warning), WARNING, "{warning:02x?}");
        assert_eq!(warning[2..34], [0; 32], "about every channel");
        let length = usize::from(u16::from_be_bytes([warning[34], warning[35]]));
        assert_eq!(warning.len(), 36 + length);
        let text = String::from_utf8_lossy(&warning[36..]);
        assert!(text.contains(phrase), "no `{phrase}` in {text}");
        assert_eq!(self.end().await, End::Clean);
    }

    /// Sends a ping that asks for `size` bytes.
    pub async fn ping(&mut self, size: u16) {
        let mut message = PING.to_be_bytes().to_vec();
        message.extend(size.to_be_bytes());
        message.extend([0, 0]);
        self.send(&message).await;
    }

    /// Awaits a pong before any other message that is not part of a reply; returns its zero bytes.
    pub async fn pong(&mut self) -> usize {
        loop {
            if let Some(message) = self.others.pop_front() {
                assert_eq!(kind(&message), PONG, "{message:02x?}");
                let size = usize::from(u16::from_be_bytes([message[2], message[3]]));
                assert_eq!(message.len(), 4 + size);
                assert!(message[4..].iter().all(|byte| *byte == 0));
                return size;
            }
            let message = self.receive().await.expect("a pong, not the end");
            self.sort(message);
        }
    }

    /// Sends one part of a request.
    pub async fn part(&mut self, id: u64, bytes: &[u8], last: bool) {
        let kind = if last { REQUEST_LAST } else { REQUEST_MORE };
        let mut message = kind.to_be_bytes().to_vec();
        message.extend(id.to_be_bytes());
        message.extend(bytes);
        self.send(&message).await;
    }

    /// Sends a request in parts of 65,000 bytes.
    pub async fn request(&mut self, id: u64, json: impl AsRef<[u8]>) {
        self.request_in_parts(id, json, PART).await;
    }

    /// Sends a request in parts of `size` bytes.
    pub async fn request_in_parts(&mut self, id: u64, json: impl AsRef<[u8]>, size: usize) {
        let mut rest = json.as_ref();
        while rest.len() > size {
            let (part, after) = rest.split_at(size);
            self.part(id, part, false).await;
            rest = after;
        }
        self.part(id, rest, true).await;
    }

    /// The next reply that is whole, under whatever id.
    pub async fn next_reply(&mut self) -> Result<Reply, End> {
        loop {
            if let Some(reply) = self.finished.pop_front() {
                return Ok(reply);
            }
            let message = self.receive().await?;
            self.sort(message);
        }
    }

    /// The next reply under this id; replies under other ids are kept for later.
    pub async fn reply(&mut self, id: u64) -> Reply {
        loop {
            if let Some(at) = self.finished.iter().position(|reply| reply.id == id) {
                return self.finished.remove(at).unwrap();
            }
            match self.receive().await {
                Ok(message) => self.sort(message),
                Err(end) => panic!("closed ({end:?}) before the reply to {id:#x}"),
            }
        }
    }

    /// Asks with these exact bytes under a fresh id.
    pub async fn ask(&mut self, json: impl AsRef<[u8]>) -> Reply {
        let id = self.next_id;
        self.next_id += 1;
        self.request(id, json).await;
        self.reply(id).await
    }

    /// Calls a method; the reply as JSON, success or error.
    pub async fn call(&mut self, method: &str, params: Value, rune: &str) -> Value {
        let request = request(&Value::from(self.next_id), method, &params, rune);
        self.ask(request).await.json()
    }

    /// Calls a method that must succeed; its result.
    pub async fn result(&mut self, method: &str, params: Value, rune: &str) -> Value {
        let mut reply = self.call(method, params, rune).await;
        match reply.get_mut("result") {
            Some(result) => result.take(),
            None => panic!("{method} failed: {reply}"),
        }
    }

    /// Parts of replies received so far whose last part is still to come.
    pub fn begun(&self, id: u64) -> usize {
        self.partial.get(&id).map_or(0, |(_, parts)| parts.len())
    }

    /// Whole replies received that no [`Client::reply`] has asked for.
    pub fn unclaimed(&self) -> usize {
        self.finished.len()
    }

    async fn receive(&mut self) -> Result<Vec<u8>, End> {
        let message = tokio::time::timeout(self.patience, self.inbox.recv()).await;
        match message.expect("a message or the end") {
            Some(message) => Ok(message),
            None => match self.pump.take() {
                Some(pump) => Err(pump.await.unwrap()),
                None => panic!("already closed"),
            },
        }
    }

    /// A part of a reply goes to its reply, anything else is kept in order.
    fn sort(&mut self, message: Vec<u8>) {
        let last = match kind(&message) {
            REPLY_MORE => false,
            REPLY_LAST => true,
            _ => return self.others.push_back(message),
        };
        let id = u64::from_be_bytes(message[2..10].try_into().unwrap());
        let (bytes, parts) = self.partial.entry(id).or_default();
        bytes.extend(&message[10..]);
        parts.push(message.len() - 10);
        if last {
            let (bytes, parts) = self.partial.remove(&id).unwrap();
            self.finished.push_back(Reply { id, bytes, parts });
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The pump holds the other half of the stream.
        if let Some(pump) = &self.pump {
            pump.abort();
        }
    }
}

/// A fresh identity.
pub fn identity() -> Identity {
    Identity::generate().unwrap()
}

/// A TCP connection to the gateway.
pub async fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The text with spaces behind it, `bytes` in all.
pub fn padded(text: &str, bytes: usize) -> String {
    text.to_owned() + &" ".repeat(bytes.saturating_sub(text.len()))
}

/// The text of a request. `id` is the JSON-RPC id.
pub fn request(id: &Value, method: &str, params: &Value, rune: &str) -> String {
    let method = Value::from(method);
    let rune = Value::from(rune);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params},"rune":{rune}}}"#)
}

async fn pump(mut reader: Reader<ReadHalf<Io>>, sender: mpsc::Sender<Vec<u8>>) -> End {
    loop {
        match reader.next().await {
            Ok(Some(message)) => {
                let message = message.to_vec();
                if sender.send(message).await.is_err() {
                    return End::Clean;
                }
            }
            Ok(None) => return End::Clean,
            Err(error) => return End::Cut(error.to_string()),
        }
    }
}
