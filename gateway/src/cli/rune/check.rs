//! `runeward rune check`.

use std::borrow::Cow;

use clap::Args;
use runeward_policy::Rune;
use serde_json::value::RawValue;

use super::{now, open, printable};
use crate::cli::{Failed, RuneArgument, print};
use crate::config::StateSettings;
use crate::gate::{Denied, DryRunError, Gate};

#[derive(Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    state: StateSettings,

    #[command(flatten)]
    rune: RuneArgument,

    /// The command.
    #[arg(long, required_unless_present = "batch")]
    method: Option<String>,

    /// Its parameters, a JSON object or array.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    params: String,

    /// Node id of the peer that sends it, 66 hex digits.
    #[arg(long, value_name = "ID")]
    peer: Option<runeward_noise::NodeId>,

    /// Read checks from stdin instead, a JSON object a line with `rune`, `method`, and if wanted `params`
    /// and `peer`; a line of JSON answers each: `{"allowed":true}` or `{"allowed":false,"reason":…}`.
    #[arg(long, conflicts_with_all = ["rune", "method", "params", "peer"])]
    batch: bool,
}

impl Check {
    pub(super) async fn run(self) -> Result<(), Failed> {
        let gate = open(&self.state).await?;
        let checked = if self.batch { check_lines(&gate).await } else { self.check(&gate).await };
        gate.runes().close().await;
        checked
    }

    async fn check(&self, gate: &Gate) -> Result<(), Failed> {
        let rune = self.rune.read()?;
        let peer = self.peer.map(|peer| peer.to_string());
        let method = self.method.as_deref().unwrap_or_default();
        match gate.dry_run(&rune, peer.as_deref(), method, &self.params).await {
            Ok(()) => print("allowed\n"),
            Err(DryRunError::Params) => {
                Err(Failed::Usage("--params is no strict JSON object or array".to_owned()))
            }
            Err(DryRunError::Denied(denied)) => {
                let mut reason = printable(&denied.reason());
                if let Denied::NotPermitted(refusal) | Denied::UsedUp { refusal, .. } = &denied
                    && let Some(restriction) = rune.restrictions().nth(refusal.restriction())
                {
                    reason.push_str(&format!(
                        "\nrefused by the restriction {}: {}",
                        printable(restriction.as_str()),
                        printable(&restriction.explain(now()))
                    ));
                }
                Err(Failed::Refused(reason))
            }
        }
    }
}

/// A check to be made, as a line of stdin has it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckLine<'a> {
    rune: &'a str,
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    peer: Option<&'a str>,
}

async fn check_lines(gate: &Gate) -> Result<(), Failed> {
    for line in std::io::stdin().lines() {
        let line = line.map_err(|error| Failed::Usage(format!("cannot read stdin: {error}")))?;
        let check: CheckLine<'_> = serde_json::from_str(&line)
            .map_err(|error| Failed::Usage(format!("a line of stdin is no check: {error}")))?;
        let reason = match Rune::decode(check.rune) {
            Err(error) => Some(error.to_string()),
            Ok(rune) => {
                let params = check.params.map_or("{}", RawValue::get);
                match gate.dry_run(&rune, check.peer, &check.method, params).await {
                    Ok(()) => None,
                    Err(DryRunError::Params) => Some("params is no strict JSON object or array".to_owned()),
                    Err(DryRunError::Denied(denied)) => Some(denied.reason()),
                }
            }
        };
        print(&match reason {
            None => "{\"allowed\":true}\n".to_owned(),
            Some(reason) => format!("{{\"allowed\":false,\"reason\":{}}}\n", serde_json::Value::from(reason)),
        })?;
    }
    Ok(())
}
