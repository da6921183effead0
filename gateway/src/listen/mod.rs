//! One port for everything: a connection's first byte tells what it speaks. Afterwards nobody knows.

mod limits;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use socket2::TcpKeepalive;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tracing::Instrument;

use crate::config::Limits;
use crate::http;
use crate::peer::{self, Shared};
use crate::shutdown::Shutdown;
use limits::Admissions;

/// How long a connection may take until its handshake is done, TLS and the HTTP upgrade included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The first byte of TLS: the content type of a handshake record (RFC 8446 §5.1).
const TLS: u8 = 0x16;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long accepting rests when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections may take to close on shutdown.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1500);

/// Silence after which the system asks whether the peer is still there, and how often it asks again.
const TCP_KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(20))
    .with_retries(3);

/// What a connection may become.
pub(crate) struct Port {
    /// `None`: no TLS.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) access: http::Access,
}

/// Opens a listening socket. Connections have its options from the start, at no cost to each.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    // A restart must not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TCP_KEEPALIVE)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves connections until the shutdown, then closes them.
pub(crate) async fn serve(
    listeners: Vec<TcpListener>,
    port: Port,
    limits: Limits,
    shared: Arc<Shared>,
    shutdown: Shutdown,
) {
    let (admissions, port) = (Admissions::new(limits), Arc::new(port));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let (port, admissions, shared) = (Arc::clone(&port), Arc::clone(&admissions), Arc::clone(&shared));
        accepting.spawn(accept(listener, port, admissions, shared, shutdown.clone()));
    }
    while accepting.join_next().await.is_some() {}
}

async fn accept(
    listener: TcpListener,
    port: Arc<Port>,
    admissions: Arc<Admissions>,
    shared: Arc<Shared>,
    mut shutdown: Shutdown,
) {
    let mut connections = JoinSet::new();
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
        let admission = match admissions.admit(address.ip()) {
            Ok(admission) => admission,
            Err(limit) => {
                tracing::debug!(%address, limit, "connection refused");
                continue;
            }
        };
        let (port, shared, shutdown) = (Arc::clone(&port), Arc::clone(&shared), shutdown.clone());
        let span = tracing::info_span!("connection", %address, peer = tracing::field::Empty);
        let connection = async move {
            connect(stream, address.ip(), &port, shared, shutdown).await;
            drop(admission);
        };
        connections.spawn(connection.instrument(span));
    }
    drop(listener);
    let _ = timeout(CLOSE_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await;
}

/// What is to be done to serve a connection, once it has been opened.
type Serving = BoxFuture<'static, ()>;

/// Opens the connection and serves it.
async fn connect(stream: TcpStream, address: IpAddr, port: &Port, shared: Arc<Shared>, shutdown: Shutdown) {
    let deadline = tokio::time::Instant::now() + HANDSHAKE_TIMEOUT;
    // In a box of its own, so that a connection that idles for days holds nothing of how it began.
    match Box::pin(timeout_at(deadline, open(stream, address, port, shared, shutdown))).await {
        Ok(Some(serving)) => serving.await,
        Ok(None) => {}
        Err(_) => tracing::debug!("handshake took too long"),
    }
}

/// Finds out what the connection speaks and does the handshake.
async fn open(
    stream: TcpStream,
    address: IpAddr,
    port: &Port,
    shared: Arc<Shared>,
    shutdown: Shutdown,
) -> Option<Serving> {
    let mut first = [0];
    match (stream.peek(&mut first).await, first, &port.tls) {
        (Ok(1), [TLS], Some(tls)) => secure(tls, stream, address, port, shared, shutdown).await,
        (Ok(1), [first], _) => speak(first, stream, address, port, shared, shutdown).await,
        _ => None,
    }
}

/// Does the TLS handshake, then what is inside: whatever could come without TLS.
async fn secure(
    tls: &TlsAcceptor,
    stream: TcpStream,
    address: IpAddr,
    port: &Port,
    shared: Arc<Shared>,
    shutdown: Shutdown,
) -> Option<Serving> {
    let secured = async {
        // A TLS stream is large, and moves through every future below.
        let mut stream = Box::new(tls.accept(stream).await?);
        let first = stream.fill_buf().await?.first().copied();
        Ok::<_, std::io::Error>((stream, first))
    };
    match secured.await {
        Ok((stream, first)) => speak(first?, stream, address, port, shared, shutdown).await,
        Err(error) => {
            tracing::debug!(%error, "bad TLS");
            None
        }
    }
}

/// Opens a stream whose first byte tells whether it is BOLT 8 or HTTP.
async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    first: u8,
    stream: S,
    address: IpAddr,
    port: &Port,
    shared: Arc<Shared>,
    shutdown: Shutdown,
) -> Option<Serving> {
    match first {
        0 => handshake(stream, address, shared, shutdown).await,
        letter if letter.is_ascii_alphabetic() => match http::upgrade(stream, &port.access).await {
            Ok(stream) => handshake(stream?, address, shared, shutdown).await,
            Err(error) => {
                tracing::debug!(%error, "bad HTTP");
                None
            }
        },
        _ => {
            tracing::debug!("neither BOLT 8 nor HTTP");
            None
        }
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    address: IpAddr,
    shared: Arc<Shared>,
    shutdown: Shutdown,
) -> Option<Serving> {
    match peer::accept(stream, address, shared).await {
        Ok(peer) => {
            tracing::Span::current().record("peer", tracing::field::display(peer.node_id()));
            Some(Box::pin(peer.serve(shutdown)))
        }
        Err(error) => {
            tracing::debug!(%error, "handshake failed");
            None
        }
    }
}
