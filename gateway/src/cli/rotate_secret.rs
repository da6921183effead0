//! `runeward rotate-secret`.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;

use super::Failed;
use crate::config::StateSettings;
use crate::gate::{Runes, audit};
use crate::store::{StateDir, Store};

/// Every rune made here dies.
#[derive(Args)]
pub(super) struct RotateSecret {
    #[command(flatten)]
    state: StateSettings,

    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl RotateSecret {
    pub(super) async fn run(self) -> Result<(), Failed> {
        let dir = StateDir::open(&self.state.dir()?)?;
        if !self.yes {
            confirm(&dir)?;
        }
        let forgotten = Runes::rotate_secret(&dir).await?;
        eprintln!("runeward: {forgotten} runes, and all that was derived from them, are dead for good");
        // A daemon would not have started with a database that is older than its audit log. What that
        // has forgotten does no harm any more.
        if let Ok(_lock) = dir.lock() {
            let store = Store::open(&dir).await?;
            let accepted = audit::accept_old_database(&dir, &store).await;
            store.close().await;
            if accepted? {
                eprintln!(
                    "runeward: the audit log goes on from here; nothing vouches for what it held before"
                );
            }
        }
        Ok(())
    }
}

fn confirm(dir: &StateDir) -> Result<(), Failed> {
    if !io::stdin().is_terminal() {
        return Err(Failed::Usage("every rune made here would die; if that is meant, add --yes".to_owned()));
    }
    eprint!(
        "Every rune made in {} dies at once, and nothing brings one back; `runeward rune list` shows them.\n\
         Type yes to go on: ",
        dir.path().display()
    );
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| Failed::Usage(error.to_string()))?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failed::Refused("nothing was changed".to_owned())),
    }
}
