//! Leave to run one command.

use std::sync::Arc;

use super::limits::Leave;

/// One command the gate has allowed. A node call takes a permit, and only the gate can make one.
pub(crate) struct Permit {
    id: String,
    command: Vec<u8>,
    waits: bool,
    changes_runes: bool,
    leave: Arc<Leave>,
}

impl Permit {
    /// `id`: the client's id token. `command`: JSON members `"method":…,"params":…[,"filter":…]`,
    /// serialised from what was checked. `waits`: whether the command is answered only when
    /// something happens. `changes_runes`: whether it may change which of the node's runes are good.
    /// `leave`: what allows it.
    pub(super) fn new(
        id: &str,
        command: Vec<u8>,
        waits: bool,
        changes_runes: bool,
        leave: Arc<Leave>,
    ) -> Self {
        Self { id: id.to_owned(), command, waits, changes_runes, leave }
    }

    /// The client's id token, to be put back verbatim.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What to run, as members of a JSON object.
    pub(crate) fn command(&self) -> &[u8] {
        &self.command
    }

    /// Whether the node's revocations must be read again once the command is done.
    pub(crate) fn changes_runes(&self) -> bool {
        self.changes_runes
    }

    /// Whether the node may take as long as it likes to answer.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// Returns once the rune that allows the command is revoked. Cancel-safe.
    pub(crate) async fn revoked(&self) {
        self.leave.revoked().await;
    }
}
