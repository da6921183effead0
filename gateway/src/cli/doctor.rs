//! `runeward doctor`.

use clap::Args;

use super::{Failed, print};
use crate::config::Settings;
use crate::doctor::{self, Finding, Verdict};

/// Looks for what keeps the gateway from serving.
#[derive(Args)]
#[command(after_help = "\
Give it the flags, the environment and the user that the gateway runs with, while it runs or before it does. Each \
fault comes with what mends it. Exit status 1: there is one.

Examples:
  runeward doctor --config /etc/runeward/runeward.toml
  sudo -u runeward runeward doctor --config /etc/runeward/runeward.toml
  runeward doctor --node cln:$HOME/.lightning/bitcoin/lightning-rpc --advertise node.example:9736")]
pub(super) struct Doctor {
    /// Do not try the advertised address: some routers let nobody reach it from inside.
    #[arg(long)]
    local: bool,

    #[command(flatten)]
    settings: Settings,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<(), Failed> {
        let findings = doctor::examine(self.settings.complete(false), self.local).await;
        print(&findings.iter().map(told).collect::<String>())?;
        match findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Fault(_))).count() {
            0 => Ok(()),
            1 => Err(Failed::Refused("1 fault".to_owned())),
            faults => Err(Failed::Refused(format!("{faults} faults"))),
        }
    }
}

fn told(finding: &Finding) -> String {
    let Finding { what, verdict, said } = finding;
    match verdict {
        Verdict::Good => format!("ok     {what:<12} {said}\n"),
        Verdict::Note => format!("note   {what:<12} {said}\n"),
        Verdict::Fault(mend) => format!("FAULT  {what:<12} {said}\n{:20}mend: {mend}\n", ""),
    }
}
