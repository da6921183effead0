//! Tells systemd how the service does (sd_notify(3)); where none started it, nobody.

use std::env;
use std::os::unix::net::UnixDatagram;

/// Connections are accepted.
pub(crate) const READY: &str = "READY=1";

/// The service ends.
pub(crate) const STOPPING: &str = "STOPPING=1";

pub(crate) fn notify(state: &str) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|from| from.send_to(state.as_bytes(), &socket));
    if let Err(error) = sent {
        tracing::warn!(%error, "systemd cannot be told: {state}");
    }
}
