//! The daemon put together: state, node, gate, listening sockets, and an orderly end.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::address;
use crate::client::{Link, link};
use crate::config::{Authority, Certificate, Config, NodeChoice};
use crate::descriptors;
use crate::gate::audit::AuditError;
use crate::gate::{CreateError, Gate, OfferError, Preset, Template, Wanted};
use crate::http::Access;
use crate::listen::{self, Port};
use crate::metrics;
use crate::node::demo::{self, DemoNode};
use crate::node::{Node, NotReady};
use crate::panics;
use crate::peer::{Pool, Shared};
use crate::qr;
use crate::shutdown;
use crate::store::{StateDir, StoreError};
use crate::systemd;
use crate::tls::{Tls, TlsError};

/// How often a node that is down is looked for.
const RETRY: Duration = Duration::from_millis(500);

/// How often a node that is up is asked whether it still is and, where its runes are honoured, what it revoked.
const REFRESH: Duration = Duration::from_secs(10);

/// A clock that lies this many seconds behind the latest time decisions were made by is told of.
const CLOCK_BEHIND: u64 = 60;

/// The name under which the demo keeps the rune it shows.
const DEMO_RUNE: &str = "demo";

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log cannot be used.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; give another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The metrics' address cannot be listened on.
    #[error("cannot tell metrics on {address}: {source}; give another with --metrics")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There is no certificate to serve under.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The demo node cannot be started.
    #[error("cannot start the demo node: {0}")]
    Demo(io::Error),
    /// The demo's rune cannot be made.
    #[error("cannot make a rune to try: {0}")]
    DemoRune(String),
    /// It ran to its end, but parts of it did not.
    #[error("{0} panics while it ran; the log says where: please report them")]
    Panicked(
        /// How many.
        u64,
    ),
    /// The demo's pairing cannot be offered.
    #[error("cannot offer a pairing to try: {0}")]
    DemoOffer(String),
    /// The system does not let us wait for signals, or print.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Serves until SIGINT or SIGTERM. `ready_json`: one line of JSON on stdout once connections are
/// accepted, and no words.
pub(crate) async fn run(config: Config, ready_json: bool) -> Result<(), DaemonError> {
    let config = Config { limits: descriptors::fit(config.limits), ..config };
    let dir = StateDir::open(&config.state_dir)?;
    let _lock = dir.lock()?;
    let identity = dir.identity()?;
    let gate = Arc::new(Gate::serve(&dir, config.authority, config.limits, config.audit_files).await?);
    let clock = gate.runes().clock();
    if config.reset_clock {
        clock.reset().await?;
    } else if clock.behind() > CLOCK_BEHIND {
        tracing::warn!(
            seconds = clock.behind(),
            "the clock lies behind the latest time runes were checked at, and time stands still until it \
             is there again; if it had jumped ahead and is right now, restart with --reset-clock"
        );
    }
    gate.serve_at(None).await?;

    let (socket, demo) = match &config.node {
        NodeChoice::Cln(socket) => (socket.clone(), None),
        NodeChoice::Demo => {
            let options = demo::Options {
                dir: dir.path().to_owned(),
                channels: config.demo_channels,
                payers: config.demo_payers,
            };
            let demo = DemoNode::start(options).await.map_err(DaemonError::Demo)?;
            (demo.socket().to_owned(), Some(demo))
        }
    };
    let learning = Arc::clone(&gate);
    let tells_runes = config.authority == Authority::Node;
    let node =
        Node::new(socket, gate.node().await?, tells_runes, &config.limits, move |fact| learning.learn(fact));
    let node = Arc::new(node);
    let up = match node.ready().await {
        Ok(()) => true,
        Err(NotReady::Foreign { expected, found, .. }) => {
            return Err(StoreError::Bound { name: "node", bound: expected, found }.into());
        }
        Err(error @ NotReady::Unreachable { .. }) => {
            tracing::warn!(%error, "the node does not answer yet; trying on");
            false
        }
    };
    if let Some(node_id) = node.node_id() {
        gate.bind_node(node_id).await?;
    }

    let mut listeners = Vec::new();
    for &address in &config.listen {
        listeners.push(
            listen::bind(address, &config.limits)
                .map_err(|source| DaemonError::Listen { address, source })?,
        );
    }
    let operator = match config.metrics {
        Some(address) => {
            let bound = metrics::bind(address).await;
            Some(bound.map_err(|source| DaemonError::Metrics { address, source })?)
        }
        None => None,
    };
    let hosts = hosts(&config, &listeners)?;
    let tls = config.certificate.clone().map(|choice| Tls::open(choice, &dir, &hosts)).transpose()?;
    let told_at = operator.as_ref().map(TcpListener::local_addr).transpose()?;
    let ready = Ready {
        metrics: told_at,
        ..Ready::new(&config, identity.node_id().to_string(), &listeners, up, tls.as_ref())?
    };
    gate.serve_at(Some(ready.pairs_at(&config))).await?;
    let port = Port {
        tls: tls.as_ref().map(Tls::acceptor),
        access: Access::new(hosts, config.allow_origin.clone()),
        proxies: config.proxies.clone(),
    };
    let limits = config.limits;
    let shared = Arc::new(Shared { identity, gate, node, requests: Arc::new(Pool::new(limits)), limits });

    let (trigger, shutdown) = shutdown::pair();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let telling = operator.map(|listener| tokio::spawn(metrics::serve(listener)));
    let following = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move { tokio::join!(shared.gate.runes().watch(), watch_node(&shared), watch_tls(tls)) }
    });
    let serving = tokio::spawn(listen::serve(listeners, port, limits, Arc::clone(&shared), shutdown));
    systemd::notify(systemd::READY);
    match (ready_json, demo.is_some()) {
        (true, _) => ready.print_json()?,
        (false, true) if config.authority == Authority::Own => {
            ready.introduce_demo(&config, &demo_rune(&shared.gate).await?, &demo_offer(&shared.gate).await?);
        }
        (false, _) => ready.introduce(&config),
    }

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("shutting down");
    systemd::notify(systemd::STOPPING);
    trigger.pull();
    let _ = serving.await;
    following.abort();
    if let Some(telling) = telling {
        telling.abort();
    }
    shared.gate.runes().clock().save().await;
    shared.gate.close().await;
    drop(demo);
    match panics::count() {
        0 => Ok(()),
        count => Err(DaemonError::Panicked(count)),
    }
}

/// Looks for a node that is down, binds the state directory to the first one met, and follows what
/// the node revokes.
async fn watch_node(shared: &Shared) {
    let mut bound = shared.node.node_id().is_some();
    let mut refreshed = Instant::now();
    loop {
        let _ = shared.node.ready().await;
        if refreshed.elapsed() >= REFRESH {
            shared.node.refresh().await;
            refreshed = Instant::now();
        }
        if let (false, Some(node_id)) = (bound, shared.node.node_id()) {
            match shared.gate.bind_node(node_id).await {
                Ok(()) => bound = true,
                Err(error) => tracing::error!(%error, "the state directory cannot be bound to its node"),
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn watch_tls(tls: Option<Tls>) {
    if let Some(tls) = tls {
        tls.watch().await;
    }
}

/// The names and addresses, without brackets, by which this gateway is known to be reached.
fn hosts(config: &Config, listeners: &[TcpListener]) -> io::Result<Vec<String>> {
    let mut hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    for listener in listeners {
        hosts.push(listener.local_addr()?.ip().to_string());
    }
    let advertised = config.advertise.as_deref().and_then(address::split).map(|(host, _)| host);
    let named = advertised.into_iter().chain(config.allow_host.iter().map(String::as_str));
    hosts.extend(named.map(|host| address::bare(host).to_ascii_lowercase()));
    Ok(hosts)
}

/// The rune a newcomer is shown: the same on every start.
async fn demo_rune(gate: &Gate) -> Result<String, DaemonError> {
    let failed = |error: CreateError| DaemonError::DemoRune(error.to_string());
    let known = gate.runes().named(DEMO_RUNE).await?;
    // Revoked: then a new one has no name, and is another each time.
    let name = known.is_none().then_some(DEMO_RUNE);
    match known.filter(|grant| !grant.revoked) {
        Some(grant) => Ok(grant.rune.encode()),
        None => {
            let wanted = Wanted { name, ..Wanted::default() };
            Ok(gate.runes().create(wanted).await.map_err(failed)?.rune.encode())
        }
    }
}

/// What a newcomer's phone is offered: to look at everything.
async fn demo_offer(gate: &Gate) -> Result<String, DaemonError> {
    let template = Template { preset: Some(Preset::Watch), ..Template::default() };
    let failed = |error: OfferError| DaemonError::DemoOffer(error.to_string());
    Ok(gate.runes().offer(&template).await.map_err(failed)?.uri)
}

/// What there is to say once connections are accepted.
#[derive(serde::Serialize)]
struct Ready {
    node_id: String,
    listen: Vec<SocketAddr>,
    uri: String,
    /// With TLS: what a page on https connects to.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_wss: Option<String>,
    /// With TLS: the certificate's fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_sha256: Option<String>,
    node: &'static str,
    /// Where metrics are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<SocketAddr>,
}

impl Ready {
    fn new(
        config: &Config,
        node_id: String,
        listeners: &[TcpListener],
        up: bool,
        tls: Option<&Tls>,
    ) -> io::Result<Self> {
        let listen = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let reached_at = match (&config.advertise, listen.first()) {
            (Some(advertise), _) => advertise.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => String::new(),
        };
        Ok(Self {
            uri: format!("commando+ws://{reached_at}?pubkey={node_id}"),
            uri_wss: tls.map(|_| format!("commando+wss://{reached_at}?pubkey={node_id}")),
            tls_sha256: tls.map(Tls::fingerprint),
            node: if up { "up" } else { "down" },
            node_id,
            listen,
            metrics: None,
        })
    }

    /// The connection string that devices to be paired are given: with TLS where browsers know the certificate; one
    /// made here they would stop at.
    fn pairs_at(&self, config: &Config) -> &str {
        match (&self.uri_wss, &config.certificate) {
            (Some(uri), Some(Certificate::Files { .. })) => uri,
            _ => &self.uri,
        }
    }

    fn print_json(&self) -> io::Result<()> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(line.as_bytes())?;
        stdout.flush()
    }

    fn introduce(&self, config: &Config) {
        say(format_args!("{self}"));
        match config.authority {
            Authority::Own => {
                say(format_args!("Hand out a rune:"));
                say(format_args!(
                    "  {} rune create{} --restrict 'method=getinfo'",
                    command(),
                    state_dir_flag(config)
                ));
            }
            Authority::Node => say(format_args!("Every rune the node gives out is honoured here.")),
        }
    }

    /// `rune` allows everything; `offer` is the connection string of a pairing.
    fn introduce_demo(&self, config: &Config, rune: &str, offer: &str) {
        say(format_args!("{self}"));
        if let Some(drawn) = link(Link::Pair, offer).and_then(|link| qr::draw(&link).ok()) {
            say(format_args!("Pair a phone that reaches this machine, within a minute, or later by:"));
            say(format_args!("  {} pair{}", command(), state_dir_flag(config)));
            say(format_args!("{}", drawn.trim_end_matches('\n')));
        }
        if let Some(link) = link(Link::Connect, &format!("{}&rune={rune}", self.pairs_at(config))) {
            say(format_args!(
                "\nOpen the dashboard, connected to this demo node by a rune that allows everything:"
            ));
            say(format_args!("  {link}\n"));
        }
        say(format_args!("Or call it, in another terminal:"));
        say(format_args!("  {} call '{}&rune={rune}' getinfo\n", command(), self.uri));
        say(format_args!("Narrow it, then try again:"));
        say(format_args!("  {} rune restrict {rune} --restrict 'method=getinfo'", command()));
        say(format_args!("See and revoke what was handed out:"));
        say(format_args!("  {} rune list{}", command(), state_dir_flag(config)));
    }
}

impl std::fmt::Display for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listen: Vec<String> = self.listen.iter().map(SocketAddr::to_string).collect();
        writeln!(f, "Runeward {} is ready; its node is {}.\n", env!("CARGO_PKG_VERSION"), self.node)?;
        writeln!(f, "  node id   {}", self.node_id)?;
        writeln!(f, "  address   {} (Lightning transport over TCP and over WebSocket)", listen.join(", "))?;
        if let Some((page, _)) =
            link(Link::Connect, &self.uri).as_deref().and_then(|link| link.split_once('#'))
        {
            writeln!(f, "  dashboard {page}")?;
        }
        writeln!(f, "  connect   {}", self.uri)?;
        if let (Some(uri), Some(fingerprint)) = (&self.uri_wss, &self.tls_sha256) {
            writeln!(f, "            {uri} (with TLS, for pages on https)")?;
            writeln!(f, "  SHA-256   {fingerprint} (of the certificate)")?;
        }
        if let Some(metrics) = self.metrics {
            writeln!(f, "  metrics   http://{metrics}/metrics, /healthz, /readyz")?;
        }
        Ok(())
    }
}

/// A line for whoever started it, on stderr; lost where nobody reads that.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// How this program was called, to be pasted.
fn command() -> String {
    std::env::args().next().unwrap_or_else(|| "runeward".to_owned())
}

fn state_dir_flag(config: &Config) -> String {
    format!(" --state-dir '{}'", config.state_dir.display())
}
