//! File descriptors: each connection takes one, and what serves connections needs some too. Were strangers to take
//! the last of them, those who are connected could not be served.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::Limits;

/// What is open beside connections and the node's sockets: listeners, the database, certificates, the log.
const OTHERS: usize = 64;

/// How many descriptors it takes to have as many connections open as these limits allow.
pub(crate) fn wanted(limits: &Limits) -> u64 {
    limits.connections.most().saturating_add(kept(limits)) as u64
}

/// These limits, with no more connections than may be open at once. Where the system allows as many descriptors as
/// they take, the process' own limit, often 1024, is raised to it.
pub(crate) fn fit(limits: Limits) -> Limits {
    let mut allowed = getrlimit(Resource::Nofile);
    let wanted = wanted(&limits);
    if allowed.current.is_some_and(|current| current < wanted) {
        allowed.current = allowed.maximum.map_or(Some(wanted), |maximum| Some(maximum.min(wanted)));
        if let Err(error) = setrlimit(Resource::Nofile, allowed) {
            tracing::warn!(%error, "the limit on file descriptors cannot be raised");
            allowed = getrlimit(Resource::Nofile);
        }
    }
    let Some(open) = allowed.current.and_then(|current| usize::try_from(current).ok()) else {
        return limits;
    };
    let connections = limits.connections.at_most(open.saturating_sub(kept(&limits)).max(open / 2));
    if limits.connections.get().is_some() && connections != limits.connections {
        tracing::warn!(
            connections = connections.most(),
            descriptors = open,
            wanted,
            "fewer connections are taken in than allowed, as the system allows too few file descriptors; raise \
             `ulimit -n`, or LimitNOFILE= of the service"
        );
    }
    Limits { connections, ..limits }
}

/// What connections may not take: the node's sockets, twice, as with the demo node both ends are ours; and the others.
fn kept(limits: &Limits) -> usize {
    let sockets = limits.calls_at_the_node.most().saturating_add(limits.waits_at_the_node.most());
    sockets.saturating_mul(2).saturating_add(OTHERS)
}
