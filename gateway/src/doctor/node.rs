//! The node: whether its socket is there, can be opened, and leads to the right one.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::Finding;
use crate::config::{Limits, NodeChoice};
use crate::node::{Node, NotReady};
use crate::store::Inspected;

pub(super) async fn examine(node: &NodeChoice, state: Option<&Inspected>) -> Option<Finding> {
    match node {
        NodeChoice::Demo => None,
        NodeChoice::Cln(socket) => Some(match closed(socket) {
            Some(fault) => fault,
            None => answers(socket, state.and_then(|state| state.node.clone())).await,
        }),
    }
}

/// Why the socket cannot be opened.
fn closed(socket: &Path) -> Option<Finding> {
    let shown = socket.display();
    let fault = |said: String, mend: String| Some(Finding::fault("node", said, mend));
    let is_socket = fs::metadata(socket).map(|found| found.file_type().is_socket());
    if matches!(is_socket, Ok(false)) {
        let mend = "name the file `lightning-rpc` in the network's directory, such as \
                    --node cln:$HOME/.lightning/bitcoin/lightning-rpc";
        return fault(format!("{shown} is no socket"), mend.to_owned());
    }
    match UnixStream::connect(socket).map_err(|error| error.kind()) {
        Ok(_) => None,
        Err(ErrorKind::NotFound) => fault(
            format!("there is no {shown}"),
            "start lightningd, or name its socket with --node cln:PATH; `lightning-cli listconfigs rpc-file` and \
             `lightning-dir` tell where it is"
                .to_owned(),
        ),
        Err(ErrorKind::ConnectionRefused) => fault(
            format!("nobody answers on {shown}: a lightningd that has ended left it behind"),
            "start lightningd".to_owned(),
        ),
        Err(ErrorKind::PermissionDenied) => {
            let user = rustix::process::geteuid().as_raw();
            let group = fs::metadata(socket).map_or(String::new(), |found| format!(", group {}", found.gid()));
            fault(
                format!("user {user} may not open {shown}"),
                format!(
                    "let lightningd make it for its group, by `rpc-file-mode=0660` in its config, and put user {user} \
                     into that group{group}; every directory above must let the group through (`chmod g+x`)"
                ),
            )
        }
        Err(kind) => fault(
            format!("{shown} cannot be opened: {kind}"),
            "name lightningd's RPC socket with --node cln:PATH".to_owned(),
        ),
    }
}

/// Who answers there.
async fn answers(socket: &Path, bound: Option<String>) -> Finding {
    let node = Node::new(socket.to_owned(), bound, false, &Limits::default(), |_| {});
    match node.ready().await {
        Ok(()) => Finding::good("node", format!("{} answers", node.node_id().unwrap_or_default())),
        Err(NotReady::Foreign { expected, found, .. }) => Finding::fault(
            "node",
            format!(
                "{} leads to node {}, and the state directory belongs to {expected}",
                socket.display(),
                found.escape_debug()
            ),
            "name the socket of that node with --node, or give another --state-dir for this one",
        ),
        Err(NotReady::Unreachable { why, .. }) => Finding::fault(
            "node",
            format!("{} takes connections but does not answer: {why}", socket.display()),
            "see what `lightning-cli getinfo` says; restart lightningd if it does not answer either",
        ),
    }
}
