//! `runeward rune revoke`.

use clap::Args;

use super::open;
use crate::cli::Failed;
use crate::config::StateSettings;
use crate::gate::{Gate, ResolveError};

#[derive(Args)]
pub(in crate::cli) struct Revoke {
    #[command(flatten)]
    state: StateSettings,

    /// Unique ids or names.
    #[arg(required_unless_present = "all", value_name = "ID|NAME")]
    runes: Vec<String>,

    /// Revoke every rune but those that can make others.
    #[arg(long, conflicts_with = "runes")]
    all: bool,
}

impl Revoke {
    pub(super) async fn run(self) -> Result<(), Failed> {
        let gate = open(&self.state).await?;
        let revoked = if self.all { revoke_all(&gate).await } else { self.revoke(&gate).await };
        gate.runes().close().await;
        revoked
    }

    /// All or none: a name that is not known leaves everything as it was.
    async fn revoke(&self, gate: &Gate) -> Result<(), Failed> {
        let runes = gate.runes();
        let mut ids = Vec::with_capacity(self.runes.len());
        for given in &self.runes {
            ids.push(runes.resolve(given).await.map_err(|error| match error {
                ResolveError::Unknown(_) => Failed::Refused(error.to_string()),
                ResolveError::Store(error) => error.into(),
            })?);
        }
        runes.revoke(&ids).await?;
        for id in ids {
            eprintln!("runeward: revoked {id} and all that was derived from it");
        }
        Ok(())
    }
}

async fn revoke_all(gate: &Gate) -> Result<(), Failed> {
    let runes = gate.runes();
    let mut grants = runes.list().await?;
    grants.retain(|grant| !grant.revoked);
    let (spared, ids): (Vec<_>, Vec<_>) = grants.iter().partition(|grant| grant.is_admin());
    let ids: Vec<u64> = ids.iter().map(|grant| grant.record.unique_id).collect();
    runes.revoke(&ids).await?;
    eprintln!("runeward: revoked {} runes and all that was derived from them", ids.len());
    for grant in spared {
        let (id, name) = (grant.record.unique_id, grant.record.name.as_deref().unwrap_or("without a name"));
        eprintln!("runeward: {id} ({}) still stands: it can make runes", super::printable(name));
    }
    Ok(())
}
