//! `runeward-whoami`: what a rune comes to for its caller, told to every valid one.

use super::methods::is_never_forwarded;
use super::object::{Object, quoted};
use super::own_methods::{Caller, OwnMethod};
use super::signatures::Signatures;
use crate::config::Authority;

/// What is not the caller's own to know.
pub(super) struct Here<'a> {
    pub(super) authority: Authority,
    /// The node's commands, once it has been met.
    pub(super) signatures: &'a Signatures,
    /// The node's network, such as `regtest`; empty until it has been met.
    pub(super) network: &'a str,
}

/// The result as JSON text. `name`: the rune's, where it has one.
pub(super) fn tell(caller: &Caller<'_>, name: Option<&str>, here: &Here<'_>) -> String {
    let Caller { peer, rune, time } = caller;
    let commands = here.signatures.commands().filter(|name| !is_never_forwarded(name));
    let mut methods: Vec<&str> = commands.collect();
    methods.extend(OwnMethod::names(here.authority).collect::<Vec<_>>());
    methods.retain(|method| rune.could_allow(*time, Some(peer), Some(method)));
    methods.sort_unstable();
    let mut out = Object::new();
    out.optional("unique_id", rune.numeric_id());
    out.optional_text("name", name);
    out.text("node_id", peer);
    out.array("methods", methods.into_iter().map(quoted));
    out.text("restrictions_as_english", &rune.english());
    out.optional("expires_at", rune.expires_at());
    out.text("version", env!("CARGO_PKG_VERSION"));
    out.text("network", here.network);
    out.end()
}
