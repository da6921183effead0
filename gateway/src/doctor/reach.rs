//! The way in: files enough for every connection, addresses that can be listened on, the certificate, and whether
//! what is advertised leads here.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use runeward_noise::{Identity, NodeId};
use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::address;
use crate::client::{Client, Transport, Uri};
use crate::config::Config;
use crate::descriptors;
use crate::listen;
use crate::tls;

/// Whether as many files may be open as connections are allowed. The gateway raises the soft limit by itself.
pub(super) fn files(config: &Config) -> Finding {
    let Some(connections) = config.limits.connections.get() else {
        return Finding::good("files", "as many connections are taken in as there are files for".to_owned());
    };
    let needed = descriptors::wanted(&config.limits);
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < needed => Finding::fault(
            "files",
            format!("{most} may be open at once, and {connections} connections may take {needed}"),
            format!(
                "allow more (`LimitNOFILE={needed}` in the unit, `ulimit -Hn {needed}` in a shell), or set fewer connections in [limits]"
            ),
        ),
        _ => Finding::good("files", format!("enough may be open for {connections} connections")),
    }
}

/// Whether each address can be listened on. `own`: the node id of the gateway that runs on the state directory.
pub(super) async fn ports(config: &Config, own: Option<NodeId>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &address in &config.listen {
        findings.push(port(config, address, own, "--listen").await);
    }
    if let Some(address) = config.metrics.filter(|_| own.is_none()) {
        findings.push(port(config, address, None, "--metrics").await);
    }
    findings
}

async fn port(config: &Config, address: SocketAddr, own: Option<NodeId>, flag: &str) -> Finding {
    let fault = |said: String, mend: String| Finding::fault("port", said, mend);
    match listen::bind(address, &config.limits).map_err(|error| error.kind()) {
        Ok(_) if own.is_some() && address.port() != 0 => fault(
            format!("a gateway runs on this state directory, but not on {address}"),
            format!("give {flag} as it was started with, or restart it"),
        ),
        Ok(_) => Finding::good("port", format!("{address} is free")),
        Err(ErrorKind::AddrInUse) => match own {
            Some(node_id) if leads_here(&reached_at(address), address.port(), node_id).await.is_ok() => {
                Finding::good("port", format!("the gateway answers on {address}"))
            }
            _ => fault(
                format!("another program listens on {address}"),
                format!("end it (`ss -ltnp 'sport = :{}'` shows it), or give another {flag}", address.port()),
            ),
        },
        Err(ErrorKind::AddrNotAvailable) => fault(
            format!("{} is no address of this machine", address.ip()),
            format!(
                "`ip address` shows those it has; give one with {flag}, or 0.0.0.0:{} for all",
                address.port()
            ),
        ),
        Err(ErrorKind::PermissionDenied) => fault(
            format!("port {} is for privileged programs", address.port()),
            format!("give {flag} a port above 1023, or the unit `AmbientCapabilities=CAP_NET_BIND_SERVICE`"),
        ),
        Err(kind) => {
            fault(format!("{address} cannot be listened on: {kind}"), format!("give another {flag}"))
        }
    }
}

/// Whether browsers will take the certificate.
pub(super) fn certificate(config: &Config) -> Option<Finding> {
    let certificate = config.certificate.as_ref()?;
    let advertised =
        config.advertise.as_deref().and_then(address::split).map(|(host, _)| address::bare(host));
    Some(match tls::examine(certificate, advertised) {
        Ok(said) => Finding::good("certificate", said),
        Err(error) => Finding::told("certificate", &error),
    })
}

/// Whether what connection strings name leads to this gateway.
pub(super) async fn outside(config: &Config, own: Option<NodeId>, local: bool) -> Option<Finding> {
    let finding = |said: &str| Some(Finding::note("reach", said));
    let Some(advertised) = config.advertise.as_deref() else {
        let everywhere = config.listen.first().is_some_and(|address| address.ip().is_unspecified());
        return match everywhere {
            _ if config.listen.iter().all(|address| address.ip().is_loopback()) => {
                finding("only this machine can connect; see --listen and --advertise for others")
            }
            true => finding("connection strings name no address to connect to; give one with --advertise"),
            false => None,
        };
    };
    let (host, port) = address::split(advertised).and_then(|(host, port)| Some((host, port?)))?;
    let Some(node_id) = own.filter(|_| !local) else {
        return match local {
            true => None,
            false => finding(&format!("whether {advertised} leads here shows once the gateway runs")),
        };
    };
    Some(match leads_here(host, port, node_id).await {
        Ok(()) => Finding::good("reach", format!("{advertised} leads here")),
        Err(why) => Finding::fault(
            "reach",
            format!("{advertised} does not lead here: {why}"),
            "let the name point to your address, and your router and firewall pass the port on to this machine; if \
             just this machine is not let through, try from outside with `runeward call`, and here with --local",
        ),
    })
}

/// Shakes hands with whoever is there: only the gateway itself can.
async fn leads_here(host: &str, port: u16, node_id: NodeId) -> Result<(), String> {
    let identity = Identity::generate().map_err(|_| "the system has no randomness".to_owned())?;
    let uri = Uri { transport: Transport::Tcp, host: host.to_owned(), port, node_id, rune: None };
    Client::connect(&uri, &identity).await.map(drop).map_err(|error| error.to_string())
}

/// Where to connect to what listens there.
fn reached_at(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.to_string(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => format!("[{}]", Ipv6Addr::LOCALHOST),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
