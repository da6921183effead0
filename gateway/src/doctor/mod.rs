//! What keeps a gateway from serving, found before its owner has to ask, and how each is mended. Changes nothing.
//!
//! # Layout
//! - here: the examination, finding by finding.
//! - `state`: the state directory, its secrets and its database, and the clock.
//! - `node`: the node's socket, and who answers there.
//! - `reach`: the addresses, the certificate, and the way from outside.

mod node;
mod reach;
mod state;

use crate::config::{Config, ConfigError};
use crate::store::StateDir;

/// One thing that was looked at.
#[derive(Debug)]
pub(crate) struct Finding {
    /// Where: a word.
    pub(crate) what: &'static str,
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) said: String,
}

/// What is to be thought of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// Good to know, and maybe meant so.
    Note,
    /// The gateway does not serve so, or not safely; with what to do.
    Fault(String),
}

/// Examines everything the gateway would serve with. `local`: the way from outside is not tried.
pub(crate) async fn examine(config: Result<Config, ConfigError>, local: bool) -> Vec<Finding> {
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            let mend = "see `runeward serve --help` for what can be set".to_owned();
            return vec![Finding::fault("settings", error.to_string(), mend)];
        }
    };
    let mut findings = vec![Finding::good("settings", format!("for {}", config.node))];
    let dir = StateDir::existing(&config.state_dir).ok();
    let (found, state) = state::examine(&config, dir.as_ref()).await;
    findings.extend(found);
    findings.extend(node::examine(&config.node, state.as_ref()).await);
    findings.push(reach::files(&config));
    let served = dir.as_ref().is_some_and(|dir| dir.is_served().unwrap_or(false));
    let own = dir.filter(|_| served).and_then(|dir| dir.identity().ok()).map(|identity| identity.node_id());
    findings.extend(reach::ports(&config, own).await);
    findings.extend(reach::certificate(&config));
    findings.extend(reach::outside(&config, own, local).await);
    findings
}

impl Finding {
    fn good(what: &'static str, said: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Good, said: said.into() }
    }

    fn note(what: &'static str, said: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Note, said: said.into() }
    }

    fn fault(what: &'static str, said: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Fault(mend.into()), said: said.into() }
    }

    /// A fault told by an error that says what to do behind its first semicolon, as ours do.
    fn told(what: &'static str, error: &impl ToString) -> Self {
        let error = error.to_string();
        match error.split_once("; ") {
            Some((said, mend)) => Self::fault(what, said, mend),
            None => Self::fault(what, error, "see what `runeward serve` says with RUST_LOG=debug"),
        }
    }
}
