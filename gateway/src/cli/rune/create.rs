//! `runeward rune create`.

use std::time::Duration;

use clap::Args;
use runeward_policy::{MasterSecret, Restriction, Rune};

use super::{Restrictions, open, parse_duration};
use crate::cli::{Failed, print};
use crate::config::StateSettings;
use crate::gate::{CreateError, Gate, Preset, Wanted, check_name, risks};
use crate::shown::shown;

#[derive(Args)]
#[command(
    after_help = "A restriction is one or more conditions joined by `|`, of which one must hold; every restriction \
must hold.
  method=getinfo|method^list     these commands (^ starts with, $ ends with, ~ contains, / differs)
  time<1800000000                until then, in UNIX seconds (or --expires 30d)
  id=02…                         only from this peer
  pnameamount_msat<100001        the parameter amount_msat
  rate=10                        ten times a minute, evenly spaced; per=1hour: once an hour
  quota=600/hour                 600 commands an hour, however spaced; quota=60/hour/peer: for each device
  rows=1000/day                  a thousand invoices, offers and addresses a day, invoices good for a day"
)]
pub(in crate::cli) struct Create {
    #[command(flatten)]
    state: StateSettings,

    /// What is usually handed out, by name; --restrict narrows it further.
    #[arg(long, value_enum)]
    preset: Option<Preset>,

    #[command(flatten)]
    restrictions: Restrictions,

    /// Name to list and revoke it by.
    #[arg(long)]
    name: Option<String>,

    /// Make it although a restriction of it is odd: names a field that nobody knows, or limits nothing.
    #[arg(long)]
    force: bool,

    /// How long it is good for, such as 90s, 30m, 12h, 30d or 1w.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires: Option<Duration>,
}

impl Create {
    pub(super) async fn run(self) -> Result<(), Failed> {
        let gate = open(&self.state).await?;
        let created = self.create(&gate).await;
        gate.runes().close().await;
        print(&format!("{}\n", created?.encode()))
    }

    async fn create(&self, gate: &Gate) -> Result<Rune, Failed> {
        let now = gate.runes().clock().seconds();
        let mut restrictions = match self.preset {
            Some(preset) => preset.restrictions().map_err(|error| Failed::Usage(error.to_string()))?,
            None => Vec::new(),
        };
        restrictions.extend(self.restrictions.parse()?);
        if let Some(expires) = self.expires {
            restrictions.extend(Restriction::parse(&format!("time<{}", now + expires.as_secs())));
        }
        self.look_at(&together(&restrictions)?, &restrictions, now)?;
        let wanted = Wanted { restrictions: &restrictions, name: self.name.as_deref(), preset: self.preset };
        let created = gate.runes().create(wanted).await.map_err(|error| match error {
            CreateError::Limit(error) => Failed::Usage(error.to_string()),
            CreateError::Store(error) => error.into(),
            CreateError::NotOurs => Failed::Refused(error.to_string()),
        })?;
        for risk in risks(&created.rune, now) {
            eprintln!("runeward: warning: this rune {risk}");
        }
        Ok(created.rune)
    }

    /// Refuses what its author cannot have meant.
    fn look_at(&self, rune: &Rune, restrictions: &[Restriction], now: u64) -> Result<(), Failed> {
        if let Some(why) = rune.impossible(now) {
            return Err(Failed::Usage(format!("no command could ever be allowed: {}", shown(&why))));
        }
        if let Some(why) =
            restrictions.iter().find_map(|restriction| restriction.odd(now)).filter(|_| !self.force)
        {
            return Err(Failed::Usage(format!("{}; if that is meant, add --force", shown(&why))));
        }
        if self.preset.is_some_and(Preset::needs_expiry) && rune.expires_at().is_none() {
            return Err(Failed::Usage(
                "what can pay must end: add --expires, such as --expires 30d".to_owned(),
            ));
        }
        if let Some(Err(why)) = self.name.as_deref().map(check_name) {
            return Err(Failed::Usage(format!("--name: {why}")));
        }
        Ok(())
    }
}

/// A rune with these restrictions that no gateway honours, to be looked at.
fn together(restrictions: &[Restriction]) -> Result<Rune, Failed> {
    let nobody = MasterSecret::new(&[0]).map_err(|error| Failed::Refused(error.to_string()))?;
    nobody.issue(0, restrictions).map_err(|error| Failed::Usage(error.to_string()))
}
