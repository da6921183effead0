//! Strangers that misbehave: each attack does one thing wrong, at one layer, and knows what must come of it.
//!
//! # Layout
//! - here: who attacks, from where, and many at once.
//! - [`Tcp`], [`Http`], [`WebSocket`], [`Tls`]: before and around the transport.
//! - [`Acts`], [`Frames`], [`Messages`]: the transport of BOLT 8 and the messages inside.
//! - [`Parts`], [`Json`], [`Runes`]: requests.
//! - [`honest`]: the client that works beside them, and whose calls are counted.
//! - [`beside`]: both together, and a line of figures.
//! - [`aside`]: where strangers run whose harm is to be told from their own work.

mod acts;
mod aside;
mod beside;
mod frames;
pub mod honest;
mod http;
mod json;
mod messages;
mod parts;
mod runes;
mod tcp;
mod tls;
mod websocket;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use runeward_noise::NodeId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::client::{Client, EMPTY_INIT, INIT, identity, kind};
use crate::{Gateway, within};

pub use acts::Acts;
pub use aside::{aside, spin};
pub use beside::{Plan, Row, Stretch, beside};
pub use frames::Frames;
pub use http::Http;
pub use json::Json;
pub use messages::Messages;
pub use parts::Parts;
pub use runes::Runes;
pub use tcp::Tcp;
pub use tls::Tls;
pub use websocket::WebSocket;

/// Strangers come from this many addresses, none of them the honest clients'.
const ADDRESSES: usize = 16;

/// Between the bytes of what is dripped.
const DRIP: Duration = Duration::from_millis(150);

/// What a stranger does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// As a TCP peer.
    Tcp(Tcp),
    /// As an HTTP client.
    Http(Http),
    /// Inside a WebSocket.
    WebSocket(WebSocket),
    /// As a TLS client.
    Tls(Tls),
    /// In the handshake.
    Acts(Acts),
    /// In what follows the handshake, sealed.
    Frames(Frames),
    /// In messages.
    Messages(Messages),
    /// In how a request is parted.
    Parts(Parts),
    /// In a request's JSON.
    Json(Json),
    /// In a request's rune.
    Runes(Runes),
}

impl Attack {
    /// All there are.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        all.extend(Tcp::ALL.iter().copied().map(Self::Tcp));
        all.extend(Http::ALL.iter().copied().map(Self::Http));
        all.extend(WebSocket::ALL.iter().copied().map(Self::WebSocket));
        all.extend(Tls::ALL.iter().copied().map(Self::Tls));
        all.extend(Acts::ALL.iter().copied().map(Self::Acts));
        all.extend(Frames::ALL.iter().copied().map(Self::Frames));
        all.extend(Messages::ALL.iter().copied().map(Self::Messages));
        all.extend(Parts::ALL.iter().copied().map(Self::Parts));
        all.extend(Json::ALL.iter().copied().map(Self::Json));
        all.extend(Runes::ALL.iter().copied().map(Self::Runes));
        all
    }

    /// Attacks once, and asserts that it leads to nothing: no act two, no command, no result. Returns when the gateway
    /// has had enough, or the attack has.
    pub async fn mount(self, stranger: &Stranger) {
        match self {
            Self::Tcp(attack) => attack.mount(stranger).await,
            Self::Http(attack) => attack.mount(stranger).await,
            Self::WebSocket(attack) => attack.mount(stranger).await,
            Self::Tls(attack) => attack.mount(stranger).await,
            Self::Acts(attack) => attack.mount(stranger).await,
            Self::Frames(attack) => attack.mount(stranger).await,
            Self::Messages(attack) => attack.mount(stranger).await,
            Self::Parts(attack) => attack.mount(stranger).await,
            Self::Json(attack) => attack.mount(stranger).await,
            Self::Runes(attack) => attack.mount(stranger).await,
        }
    }
}

/// By layer and name: `Tcp::Silent`.
impl fmt::Debug for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (layer, name): (_, &dyn fmt::Debug) = match self {
            Self::Tcp(name) => ("Tcp", name),
            Self::Http(name) => ("Http", name),
            Self::WebSocket(name) => ("WebSocket", name),
            Self::Tls(name) => ("Tls", name),
            Self::Acts(name) => ("Acts", name),
            Self::Frames(name) => ("Frames", name),
            Self::Messages(name) => ("Messages", name),
            Self::Parts(name) => ("Parts", name),
            Self::Json(name) => ("Json", name),
            Self::Runes(name) => ("Runes", name),
        };
        write!(f, "{layer}::{name:?}")
    }
}

/// The gateway attacked.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    node_id: NodeId,
    /// A rune that allows nothing: its holder is known, and has no rights.
    rune: String,
}

impl Target {
    /// This gateway.
    pub async fn new(gateway: &Gateway) -> Self {
        Self {
            address: gateway.address(),
            node_id: gateway.node_id().parse().unwrap(),
            rune: gateway.rune(&["method=never-called"]).await,
        }
    }

    /// The stranger of this number.
    fn stranger(&self, number: usize) -> Stranger {
        let last = u8::try_from(2 + number % ADDRESSES).unwrap();
        Stranger { target: self.clone(), from: Ipv4Addr::new(127, 0, 1, last), number }
    }
}

/// Attacks `count` times, `at_once` side by side.
pub async fn flood(target: &Target, attack: Attack, count: usize, at_once: usize) {
    attack_while(target, attack, at_once, move |number| number < count).await;
}

/// Attacks for so long, `at_once` side by side; how often.
pub async fn flood_for(target: &Target, attack: Attack, time: Duration, at_once: usize) -> usize {
    let end = Instant::now() + time;
    attack_while(target, attack, at_once, move |_| Instant::now() < end).await
}

/// Attacks `at_once` side by side while `more` says so of the next one's number; how often in all.
async fn attack_while(
    target: &Target,
    attack: Attack,
    at_once: usize,
    more: impl Fn(usize) -> bool + Copy + Send + 'static,
) -> usize {
    let next = Arc::new(AtomicUsize::new(0));
    let mut strangers = JoinSet::new();
    for _ in 0..at_once {
        let (next, target) = (Arc::clone(&next), target.clone());
        strangers.spawn(async move {
            for mounted in 0.. {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if !more(number) {
                    return mounted;
                }
                attack.mount(&target.stranger(number)).await;
            }
            0
        });
    }
    strangers.join_all().await.into_iter().sum()
}

/// One who attacks.
pub struct Stranger {
    target: Target,
    from: Ipv4Addr,
    number: usize,
}

impl Stranger {
    /// A TCP connection; `None` where it is refused.
    async fn tcp(&self) -> Option<TcpStream> {
        self.connect(TcpSocket::new_v4().unwrap()).await
    }

    /// A TCP connection of which the system keeps little that is not read.
    async fn narrow_tcp(&self) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        self.connect(socket).await
    }

    async fn connect(&self, socket: TcpSocket) -> Option<TcpStream> {
        socket.bind((self.from, 0).into()).unwrap();
        // Gone without a trace, so that no port is kept from the next.
        socket.set_zero_linger().unwrap();
        let stream = within("a connection", socket.connect(self.target.address)).await.ok()?;
        stream.set_nodelay(true).unwrap();
        Some(stream)
    }

    /// A peer after handshake and init, which stops reading while `unread` messages wait; `None` where it is refused.
    async fn peer(&self, unread: usize) -> Option<Client> {
        let mut client = self.handshaken(unread).await?;
        client.try_send(&EMPTY_INIT).await.then_some(client)
    }

    /// A peer after the handshake, that has heard the gateway's init and sent none.
    async fn handshaken(&self, unread: usize) -> Option<Client> {
        let node_id = self.target.node_id.to_string();
        let stream = if unread == 1 { self.narrow_tcp().await? } else { self.tcp().await? };
        let mut client = Client::try_over(stream, &node_id, &identity(), unread).await.ok()?;
        let init = client.next_message().await.ok()?;
        assert_eq!(kind(&init), INIT);
        Some(client)
    }

    /// Sends bytes and returns all that comes back until the gateway closes.
    async fn says(&self, bytes: &[u8]) -> Vec<u8> {
        let Some(mut stream) = self.tcp().await else { return Vec::new() };
        let _ = stream.write_all(bytes).await;
        heard(&mut stream).await
    }

    /// Sends bytes one by one until the gateway closes, and returns what it said.
    async fn drips(&self, bytes: &[u8]) -> Vec<u8> {
        let Some(stream) = self.tcp().await else { return Vec::new() };
        let (mut from, mut to) = stream.into_split();
        let dripping = async {
            for byte in bytes {
                if to.write_u8(*byte).await.is_err() {
                    break;
                }
                tokio::time::sleep(DRIP).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            heard = heard(&mut from) => heard,
            () = dripping => Vec::new(),
        }
    }
}

/// Everything the gateway says until it closes.
async fn heard(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut heard = Vec::new();
    let _ = within("the gateway closes", stream.read_to_end(&mut heard)).await;
    heard
}

/// Writes the same bytes so many times, or until nobody takes them.
async fn repeat(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], times: usize) -> io::Result<()> {
    for _ in 0..times {
        stream.write_all(bytes).await?;
    }
    Ok(())
}

/// Sends one part of a request; whether the connection took it.
async fn commando(client: &mut Client, kind: u16, id: u64, bytes: &[u8]) -> bool {
    client.try_send(&[&kind.to_be_bytes()[..], &id.to_be_bytes(), bytes].concat()).await
}

/// Asserts that every reply until `count` or the end is an error; nothing but errors comes of an attack.
async fn refused(client: &mut Client, count: usize) {
    for _ in 0..count {
        match client.next_reply().await {
            Ok(reply) => assert!(reply.code().is_some(), "an attack got {}", reply.text()),
            Err(_) => return,
        }
    }
}

/// Sends for as long as a flood lasts here; whether all of it was sent. A gateway that reads strangers slowly lets the rest
/// wait at their end.
async fn for_a_while(sending: impl Future) -> bool {
    tokio::time::timeout(Duration::from_secs(2), sending).await.is_ok()
}

/// Stays, as one who means to come back to what was begun, or to read what is there.
async fn linger() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}
