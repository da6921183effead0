//! Settings: flags, then `RUNEWARD_…` variables, then the configuration file, then defaults.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod limits;
mod web;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use serde::Deserialize;

use crate::address::{self, Origin};
use crate::shown::shown;
use limits::LimitSettings;
use web::{TlsMode, WebSettings};

pub(crate) use limits::{Limit, Limits};
pub(crate) use web::Certificate;

/// Where the gateway listens unless told otherwise.
const DEFAULT_LISTEN: &str = "127.0.0.1:9736";

/// Where a lightningd keeps its socket below its own directory, by network.
const NETWORKS: [&str; 5] = ["bitcoin", "signet", "testnet4", "testnet", "regtest"];

/// Channels the demo node's graph has unless told otherwise.
const DEMO_CHANNELS: usize = 8;

/// What can be set on the command line or in the environment.
#[derive(Args, Clone, Debug, Default)]
pub struct Settings {
    /// The node to serve: `cln:PATH` names lightningd's RPC socket, `demo` is a node to try things on.
    /// Without it the usual sockets below ~/.lightning are looked for.
    #[arg(long, value_name = "cln:PATH|demo", env = "RUNEWARD_NODE")]
    node: Option<NodeChoice>,

    /// Whose runes are honoured: `own` are those this gateway issues, `node` those the node issues.
    #[arg(long, value_enum, env = "RUNEWARD_AUTHORITY")]
    authority: Option<Authority>,

    /// Address to listen on, 127.0.0.1:9736 by default; may be given several times. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "RUNEWARD_LISTEN", value_delimiter = ',')]
    listen: Vec<SocketAddr>,

    /// Host and port that connection strings name, where clients reach the gateway by another address.
    #[arg(long, value_name = "HOST:PORT", env = "RUNEWARD_ADVERTISE", value_parser = parse_advertised)]
    advertise: Option<String>,

    /// Address to tell Prometheus how things go, at /metrics, beside /healthz and /readyz; for the operator alone.
    /// Off unless given.
    #[arg(long, value_name = "ADDR", env = "RUNEWARD_METRICS")]
    metrics: Option<SocketAddr>,

    #[command(flatten)]
    web: WebSettings,

    #[command(flatten)]
    limits: LimitSettings,

    #[command(flatten)]
    state: StateSettings,

    /// How to log, on stderr; RUST_LOG sets how much.
    #[arg(long, value_enum, env = "RUNEWARD_LOG")]
    log: Option<LogFormat>,

    /// Take the system's clock as it is now, where it had jumped ahead; else time never goes back, so
    /// that no expired rune revives.
    #[arg(long)]
    reset_clock: bool,

    /// Channels in the demo node's graph.
    #[arg(long, value_name = "N", env = "RUNEWARD_DEMO_CHANNELS")]
    demo_channels: Option<usize>,
}

/// Which state directory to use.
#[derive(Args, Clone, Debug, Default)]
pub struct StateSettings {
    /// Directory that keeps keys and runes [default: $XDG_STATE_HOME/runeward, for the demo …/runeward/demo].
    #[arg(long, value_name = "DIR", env = "RUNEWARD_STATE_DIR")]
    state_dir: Option<PathBuf>,

    /// Configuration file, in TOML; its keys are the long flags' names with `_` for `-`, and tables `[limits]`
    /// and `[audit]`.
    #[arg(long, value_name = "FILE", env = "RUNEWARD_CONFIG")]
    config: Option<PathBuf>,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    node: Option<String>,
    authority: Option<Authority>,
    #[serde(default)]
    listen: Vec<SocketAddr>,
    advertise: Option<String>,
    metrics: Option<SocketAddr>,
    tls: Option<TlsMode>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(default)]
    allow_host: Vec<String>,
    #[serde(default)]
    allow_origin: Vec<String>,
    state_dir: Option<PathBuf>,
    log: Option<LogFormat>,
    demo_channels: Option<usize>,
    #[serde(default)]
    exempt_loopback: bool,
    #[serde(default)]
    proxy_protocol_from: Vec<String>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    audit: AuditSettings,
}

/// How the audit log is kept.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AuditSettings {
    /// How many of its files, of 64 MiB each, are kept; all, unless told otherwise.
    keep_files: Option<NonZeroUsize>,
}

/// Settings, complete.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) node: NodeChoice,
    pub(crate) authority: Authority,
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) advertise: Option<String>,
    /// Where metrics are told; `None`: nowhere.
    pub(crate) metrics: Option<SocketAddr>,
    /// `None`: no TLS.
    pub(crate) certificate: Option<Certificate>,
    /// Further names by which browsers reach the gateway, in lower case.
    pub(crate) allow_host: Vec<String>,
    /// Origins whose pages may connect; empty: all.
    pub(crate) allow_origin: Vec<Origin>,
    pub(crate) state_dir: PathBuf,
    pub(crate) log: LogFormat,
    pub(crate) reset_clock: bool,
    pub(crate) demo_channels: usize,
    /// Whether simulated peers pay the demo node's invoices now and then.
    pub(crate) demo_payers: bool,
    pub(crate) limits: Limits,
    /// Proxies whose connections begin with a PROXY protocol header.
    pub(crate) proxies: Vec<IpNet>,
    /// How many files of the audit log are kept; `None` for all.
    pub(crate) audit_files: Option<usize>,
}

/// What stands behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeChoice {
    /// A lightningd's RPC socket.
    Cln(PathBuf),
    /// The node of our own.
    Demo,
}

/// Whose runes are honoured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Authority {
    /// Those the gateway issues, under a secret of its own.
    #[default]
    Own,
    /// Those the node issues, under its secret.
    Node,
}

impl Authority {
    /// The name it is set by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Node => "node",
        }
    }
}

/// The log's form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What is wrong with the settings, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration file says something it cannot.
    #[error("in the configuration file {}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which key, and why.
        message: String,
    },
    /// Flags that do not go together.
    #[error("{0}")]
    Flags(
        /// Which, and what to do.
        String,
    ),
    /// No node was named and none was found.
    #[error(
        "no node found: there is no lightningd socket below {}; name it with `--node cln:PATH`, or try `runeward demo`",
        looked_in.display()
    )]
    NoNode {
        /// Where sockets were looked for.
        looked_in: PathBuf,
    },
    /// There is no place for the state directory.
    #[error("no home directory is set; say where to keep keys and runes with --state-dir")]
    NoHome,
}

impl Settings {
    /// The limits these settings mean.
    pub(crate) fn limits(&self) -> Result<Limits, ConfigError> {
        self.limits.complete(&self.state.read_file()?)
    }

    /// Completes the settings. `demo`: the node is the demo node, whatever else is said.
    pub(crate) fn complete(self, demo: bool) -> Result<Config, ConfigError> {
        let file = self.state.read_file()?;
        self.complete_with(file, demo)
    }

    fn complete_with(self, file: File, demo: bool) -> Result<Config, ConfigError> {
        let limits = self.limits.complete(&file)?;
        let proxies_in_file = file.proxies().map_err(|message| self.state.invalid(message))?;
        let in_file = file.node.as_deref().map(NodeChoice::from_str).transpose();
        let in_file = in_file.map_err(|message| self.state.invalid(format!("node: {message}")))?;
        let node = match (demo, self.node.or(in_file)) {
            (true, _) => NodeChoice::Demo,
            (false, Some(node)) => node,
            (false, None) => NodeChoice::Cln(find_socket()?),
        };
        if let Some(Err(message)) = file.advertise.as_deref().map(parse_advertised) {
            return Err(self.state.invalid(format!("advertise: {message}")));
        }
        let web_in_file = file.web().map_err(|message| self.state.invalid(message))?;
        let in_file = web_in_file.certificate().map_err(|message| self.state.invalid(message))?;
        let certificate = self.web.certificate().map_err(ConfigError::Flags)?.or(in_file);
        let default = DEFAULT_LISTEN.parse().into_iter().collect();
        Ok(Config {
            listen: first_given([self.listen, file.listen, default]),
            authority: self.authority.or(file.authority).unwrap_or_default(),
            advertise: self.advertise.or(file.advertise),
            metrics: self.metrics.or(file.metrics),
            certificate,
            allow_host: first_given([self.web.allow_host, web_in_file.allow_host]),
            allow_origin: first_given([self.web.allow_origin, web_in_file.allow_origin]),
            state_dir: match self.state.state_dir.or(file.state_dir) {
                Some(dir) => dir,
                None => default_state_dir(node == NodeChoice::Demo)?,
            },
            log: self.log.or(file.log).unwrap_or_default(),
            reset_clock: self.reset_clock,
            demo_channels: self.demo_channels.or(file.demo_channels).unwrap_or(DEMO_CHANNELS),
            demo_payers: demo,
            limits,
            proxies: first_given([self.limits.proxy_protocol_from, proxies_in_file]),
            audit_files: file.audit.keep_files.map(NonZeroUsize::get),
            node,
        })
    }
}

impl File {
    fn proxies(&self) -> Result<Vec<IpNet>, String> {
        let proxies = self.proxy_protocol_from.iter().map(|text| limits::network(text));
        let proxies: Result<_, _> = proxies.collect();
        proxies.map_err(|message| format!("proxy_protocol_from: {message}"))
    }

    /// What it says for browsers, or which key says what it cannot.
    fn web(&self) -> Result<WebSettings, String> {
        let hosts = self.allow_host.iter().map(|text| web::host(text)).collect::<Result<_, _>>();
        let origins = self.allow_origin.iter().map(|text| text.parse()).collect::<Result<_, _>>();
        Ok(WebSettings {
            tls: self.tls,
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            allow_host: hosts.map_err(|message| format!("allow_host: {message}"))?,
            allow_origin: origins.map_err(|message| format!("allow_origin: {message}"))?,
        })
    }
}

impl StateSettings {
    /// The state directory these settings mean.
    pub(crate) fn dir(&self) -> Result<PathBuf, ConfigError> {
        match self.state_dir.clone().or(self.read_file()?.state_dir) {
            Some(dir) => Ok(dir),
            None => default_state_dir(false),
        }
    }

    fn read_file(&self) -> Result<File, ConfigError> {
        let Some(path) = &self.config else { return Ok(File::default()) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        self.parse(&text)
    }

    fn parse(&self, text: &str) -> Result<File, ConfigError> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            // Of the line its key alone: whoever mixed files up may have a rune in it.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count();
            let key = text.lines().nth(line).and_then(|line| line.split_once('='));
            let key = key.map_or(String::new(), |(key, _)| format!(", {}", shown(key.trim())));
            self.invalid(format!("line {}{key}: {}", line + 1, shown(error.message())))
        })
    }

    fn invalid(&self, message: String) -> ConfigError {
        ConfigError::Invalid { path: self.config.clone().unwrap_or_default(), message }
    }
}

impl std::fmt::Display for NodeChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cln(socket) => write!(f, "cln:{}", socket.display()),
            Self::Demo => f.write_str("demo"),
        }
    }
}

impl FromStr for NodeChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("cln:") {
            _ if text == "demo" => Ok(Self::Demo),
            Some(path) if !path.is_empty() => Ok(Self::Cln(PathBuf::from(path))),
            _ => Err("it is `demo`, or `cln:` and the path of lightningd's socket".to_owned()),
        }
    }
}

/// The first list that says anything.
fn first_given<T, const N: usize>(lists: [Vec<T>; N]) -> Vec<T> {
    lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
}

fn parse_advertised(text: &str) -> Result<String, String> {
    match address::split(text) {
        Some((_, Some(_))) => Ok(text.to_owned()),
        _ => Err("it is a host and a port, such as node.example:9736 or [2001:db8::1]:9736".to_owned()),
    }
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

fn find_socket() -> Result<PathBuf, ConfigError> {
    let looked_in = home().ok_or(ConfigError::NoHome)?.join(".lightning");
    let sockets = NETWORKS.map(|network| looked_in.join(network).join("lightning-rpc"));
    sockets.into_iter().find(|socket| socket.exists()).ok_or(ConfigError::NoNode { looked_in })
}

fn default_state_dir(demo: bool) -> Result<PathBuf, ConfigError> {
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|base| base.is_absolute());
    let base = base.or_else(|| home().map(|home| home.join(".local/state"))).ok_or(ConfigError::NoHome)?;
    Ok(base.join(if demo { Path::new("runeward/demo") } else { Path::new("runeward") }))
}
