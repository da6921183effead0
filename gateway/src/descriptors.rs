//! File descriptors: each connection takes one, and what serves connections needs some too. Were strangers to take
//! the last of them, those who are connected could not be served.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::Limit;
use crate::node;

/// What is open beside connections: the node's sockets, twice, as with the demo node both ends are ours; listeners, the
/// database, certificates, the log.
const KEPT: usize = 2 * node::SOCKETS + 64;

/// How many descriptors it takes to have so many connections open.
pub(crate) fn wanted(connections: usize) -> u64 {
    connections.saturating_add(KEPT) as u64
}

/// How many of `connections` may be open at once. Where the system allows as many descriptors as that takes, the
/// process' own limit, often 1024, is raised to it.
pub(crate) fn fit(connections: Limit) -> Limit {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = wanted(connections.most());
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = limit.maximum.map_or(Some(wanted), |maximum| Some(maximum.min(wanted)));
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit on file descriptors cannot be raised");
            limit = getrlimit(Resource::Nofile);
        }
    }
    let Some(open) = limit.current.and_then(|current| usize::try_from(current).ok()) else {
        return connections;
    };
    let fitting = connections.at_most(open.saturating_sub(KEPT).max(open / 2));
    if connections.get().is_some() && fitting != connections {
        tracing::warn!(
            connections = fitting.most(),
            descriptors = open,
            wanted,
            "fewer connections are taken in than allowed, as the system allows too few file descriptors; raise \
             `ulimit -n`, or LimitNOFILE= of the service"
        );
    }
    fitting
}
