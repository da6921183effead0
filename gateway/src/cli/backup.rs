//! `runeward backup` and `runeward restore`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{ArgGroup, Args};

use super::Failed;
use crate::config::StateSettings;
use crate::store::{StateDir, Store};

/// Writes the keys, the runes and what is revoked to one file.
#[derive(Args)]
#[command(after_help = "\
The file lets whoever has it make any rune: keep it as you keep the node's own keys. The audit log is not in it; its \
files in audit/ only ever grow, and can be copied as they are.

Example, once a day from cron:
  runeward backup /mnt/backup/runeward-$(date +%F)")]
pub(super) struct Backup {
    /// The file to write; it must not be there yet.
    file: PathBuf,

    #[command(flatten)]
    state: StateSettings,
}

/// Makes a new state directory from a backup.
#[derive(Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true)))]
#[command(after_help = "\
A backup does not know what was revoked after it was made. So the gateway does not serve from a restored state \
directory until every rune was made void, or you say that none was revoked since.

Example:
  runeward restore runeward-2026-11-20
  runeward rotate-secret                 # every rune dies; hand out new ones
or, where nothing was revoked since:
  runeward restore --accept")]
pub(super) struct Restore {
    /// The backup. The state directory must be empty, or not be there yet.
    #[arg(group = "what")]
    file: Option<PathBuf>,

    /// Let the runes of the backup be good again: none was revoked after it was made.
    #[arg(long, group = "what")]
    accept: bool,

    #[command(flatten)]
    state: StateSettings,
}

impl Backup {
    pub(super) async fn run(self) -> Result<(), Failed> {
        let path = self.state.dir()?;
        StateDir::existing(&path)?.back_up(&self.file).await?;
        eprintln!("runeward: {} holds what is in {}, its secrets too", self.file.display(), path.display());
        Ok(())
    }
}

impl Restore {
    pub(super) async fn run(self) -> Result<(), Failed> {
        let path = self.state.dir()?;
        let mut must_be_accepted = false;
        if let Some(file) = &self.file {
            let restored = StateDir::restore(&path, file).await?;
            must_be_accepted = restored.must_be_accepted;
            let made_at = UNIX_EPOCH + Duration::from_secs(restored.made_at);
            let hours = SystemTime::now().duration_since(made_at).unwrap_or_default().as_secs() / 3600;
            eprintln!("runeward: {} is as it was {hours} hours ago", path.display());
        }
        if self.accept {
            let store = Store::open(&StateDir::existing(&path)?).await?;
            let accepted = store.accept_restored().await?;
            store.close().await;
            eprintln!(
                "runeward: {}",
                if accepted { "its runes are good again" } else { "there was nothing to accept" }
            );
        } else if must_be_accepted {
            eprintln!(
                "runeward: runes revoked since would be good again: before it serves, run `runeward rotate-secret`, or, \
                 if none was, `runeward restore --accept`"
            );
        }
        Ok(())
    }
}
