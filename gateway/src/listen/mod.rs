//! One port for everything: a connection's first byte tells what it speaks. Afterwards nobody knows.

mod limits;
mod paced;
mod proxy;

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use socket2::TcpKeepalive;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, Timeout, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument;
use tracing::field::{Empty, display};

use crate::config::Limits;
use crate::http;
use crate::metrics::{Held, METRICS};
use crate::peer::{self, Shared};
use crate::shutdown::Shutdown;
use limits::{Admission, Admissions};
use paced::Bandwidth;

/// How long pages may take to be asked for and sent: a slow phone's time for the whole dashboard.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// The first byte of TLS: the content type of a handshake record (RFC 8446 §5.1).
const TLS: u8 = 0x16;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long accepting rests when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Seconds that nobody waits out.
const NEVER: u64 = 1 << 32;

/// How long connections may take to close on shutdown.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1500);

/// The longest that the system waits before it asks whether a silent peer is still there.
const MAX_KEEPALIVE: Duration = Duration::from_secs(32_767);

/// The longest that it waits for what was sent to be acknowledged.
const MAX_UNACKNOWLEDGED: Duration = Duration::from_millis(i32::MAX as u64);

/// What a connection may become.
pub(crate) struct Port {
    /// `None`: no TLS.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) access: http::Access,
    /// Proxies that say where their connections come from.
    pub(crate) proxies: Vec<IpNet>,
}

/// What every connection is let in by.
struct Door {
    port: Port,
    admissions: Arc<Admissions>,
    bandwidth: Bandwidth,
    /// How long a connection may take until its handshake is done: a proxy's header, TLS and the HTTP upgrade
    /// included.
    handshake_timeout: Duration,
    shared: Arc<Shared>,
    shutdown: Shutdown,
}

/// Opens a listening socket. Connections have its options from the start, at no cost to each.
pub(crate) fn bind(address: SocketAddr, limits: &Limits) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    // A restart must not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(seconds) = limits.unacknowledged_seconds.get() {
        reap_the_dead(&socket, Duration::from_secs(seconds.get().into()))?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Has the system end a connection whose other end is gone without a word after about so long. Two ways, as each is blind
/// where the other sees: while nothing is on its way the system asks, first after half the time; what is on its way, such
/// as a ping of ours, has to be acknowledged.
fn reap_the_dead(socket: &socket2::Socket, after: Duration) -> std::io::Result<()> {
    let ask = |part: u32| (after / part).clamp(Duration::from_secs(1), MAX_KEEPALIVE);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(ask(2)).with_interval(ask(6)))?;
    socket.set_tcp_user_timeout(Some(after.min(MAX_UNACKNOWLEDGED)))
}

/// Serves connections until the shutdown, then closes them.
pub(crate) async fn serve(
    listeners: Vec<TcpListener>,
    port: Port,
    limits: Limits,
    shared: Arc<Shared>,
    shutdown: Shutdown,
) {
    let door = Arc::new(Door {
        port,
        admissions: Admissions::new(limits),
        bandwidth: Bandwidth::new(&limits),
        handshake_timeout: Duration::from_secs(
            limits.handshake_seconds.get().map_or(NEVER, |seconds| seconds.get().into()),
        ),
        shared,
        shutdown,
    });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&door)));
    }
    while accepting.join_next().await.is_some() {}
}

async fn accept(listener: TcpListener, door: Arc<Door>) {
    let mut connections = JoinSet::new();
    let mut shutdown = door.shutdown.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = shutdown.begun() => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let proxied = proxy::is_named(&door.port.proxies, address.ip());
        let admission = match door.admissions.admit((!proxied).then_some(address.ip())) {
            Ok(admission) => admission,
            Err(limit) => {
                METRICS.handshakes.count("over a limit");
                METRICS.limits.count(limit);
                tracing::debug!(%address, limit, "connection refused");
                continue;
            }
        };
        let span = tracing::debug_span!("connection", address = Empty, peer = Empty);
        if !proxied {
            span.record("address", display(address));
        }
        let caller = Caller { address, proxied, admission };
        connections.spawn(connect(stream, caller, Arc::clone(&door)).instrument(span));
    }
    drop(listener);
    let _ = timeout(CLOSE_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await;
}

/// Who has connected.
struct Caller {
    /// The other end of the connection.
    address: SocketAddr,
    /// Whether that is a proxy which says where the connection comes from.
    proxied: bool,
    admission: Admission,
}

/// What is to be done to serve a connection, once it has been opened.
type Serving = BoxFuture<'static, ()>;

/// Opens the connection and serves it.
async fn connect(stream: TcpStream, mut caller: Caller, door: Arc<Door>) {
    let deadline = Instant::now() + door.handshake_timeout;
    let opening = Box::pin(timeout_at(deadline, open(stream, &mut caller, &door, deadline)));
    run(opening).await;
}

/// Serves a connection once it has been opened. What opens it lies in a box of its own, so that a connection that
/// idles for days holds nothing of how it began.
async fn run(opening: Pin<Box<Timeout<impl Future<Output = Option<Serving>>>>>) {
    match opening.await {
        Ok(Some(serving)) => serving.await,
        Ok(None) => METRICS.handshakes.count("not done"),
        Err(_) => {
            METRICS.handshakes.count("timed out");
            tracing::debug!("handshake took too long");
        }
    }
}

/// Finds out where the connection comes from and what it speaks, and does the handshake.
async fn open(
    mut stream: TcpStream,
    caller: &mut Caller,
    door: &Arc<Door>,
    deadline: Instant,
) -> Option<Serving> {
    if caller.proxied {
        learn_address(&mut stream, caller).await?;
    }
    let newcomer = Newcomer { address: caller.address.ip(), door: Arc::clone(door), deadline };
    let mut first = [0];
    let peeked = stream.peek(&mut first).await;
    let stream = door.bandwidth.pace(stream);
    match (peeked, first, &door.port.tls) {
        (Ok(1), [TLS], Some(tls)) => newcomer.secure(tls, stream).await,
        (Ok(1), [first], _) => newcomer.speak(first, stream).await,
        _ => None,
    }
}

/// Lets the proxy say where the connection comes from.
async fn learn_address(stream: &mut TcpStream, caller: &mut Caller) -> Option<()> {
    match proxy::read_header(stream).await {
        Ok(client) => caller.address = client.unwrap_or(caller.address),
        Err(error) => {
            tracing::debug!(proxy = %caller.address, %error, "connection of a proxy refused");
            return None;
        }
    }
    tracing::Span::current().record("address", display(caller.address));
    let admitted = caller.admission.comes_from(caller.address.ip());
    admitted.map_err(|limit| tracing::debug!(limit, "connection refused")).ok()
}

/// A connection that has not been opened yet, but for its stream.
struct Newcomer {
    address: IpAddr,
    door: Arc<Door>,
    /// When its handshake must be done.
    deadline: Instant,
}

impl Newcomer {
    /// Does the TLS handshake, then what is inside: whatever could come without TLS.
    async fn secure<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        tls: &TlsAcceptor,
        stream: S,
    ) -> Option<Serving> {
        let secured = async {
            // A TLS stream is large, and moves through every future below.
            let mut stream = Box::new(tls.accept(stream).await?);
            let first = stream.fill_buf().await?.first().copied();
            Ok::<_, std::io::Error>((stream, first))
        };
        match secured.await {
            Ok((stream, first)) => self.speak(first?, stream).await,
            Err(error) => {
                tracing::debug!(%error, "bad TLS");
                None
            }
        }
    }

    /// Opens a stream whose first byte tells whether it is BOLT 8 or HTTP.
    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        first: u8,
        stream: S,
    ) -> Option<Serving> {
        match first {
            0 => self.handshake(stream).await,
            letter if letter.is_ascii_alphabetic() => {
                let browsing = Box::pin(timeout(PAGE_TIMEOUT, self.browse(stream)));
                Some(Box::pin(run(browsing)))
            }
            _ => {
                tracing::debug!("neither BOLT 8 nor HTTP");
                None
            }
        }
    }

    /// Answers HTTP, and opens the WebSocket it may become. The deadline is for all but the sending of pages.
    async fn browse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) -> Option<Serving> {
        let deadline = self.deadline;
        let patience = deadline.saturating_duration_since(Instant::now());
        match http::upgrade(stream, &self.door.port.access, patience).await {
            Ok(Some(stream)) => timeout_at(deadline, self.handshake(stream)).await.unwrap_or_default(),
            // Pages were all it wanted.
            Ok(None) => Some(Box::pin(std::future::ready(()))),
            Err(error) => {
                tracing::debug!(%error, "bad HTTP");
                None
            }
        }
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
    ) -> Option<Serving> {
        let Door { shared, shutdown, .. } = &*self.door;
        match peer::accept(stream, self.address, Arc::clone(shared)).await {
            Ok(peer) => {
                tracing::Span::current().record("peer", display(peer.node_id()));
                METRICS.handshakes.count("done");
                let (open, shutdown) = (Held::new(&METRICS.connections), shutdown.clone());
                Some(Box::pin(async move {
                    let _open = open;
                    peer.serve(shutdown).await;
                }))
            }
            Err(error) => {
                tracing::debug!(%error, "handshake failed");
                None
            }
        }
    }
}
