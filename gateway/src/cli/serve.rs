//! `runeward serve` and `runeward demo`.

use clap::Args;

use super::{Failed, print};
use crate::config::Settings;
use crate::{daemon, log, panics};

/// The daemon's flags.
#[derive(Args, Clone, Default)]
#[command(after_help = "\
Each flag may stand in the file of --config, by its name with `_` for `-`, or in the environment, as RUNEWARD_NODE. \
SIGTERM ends it within two seconds: calls under way are answered first.

Examples:
  runeward serve --config /etc/runeward/runeward.toml
  runeward serve --node demo --listen 127.0.0.1:0 --ready-json
  RUST_LOG=debug runeward serve --log json")]
pub(super) struct Serve {
    #[command(flatten)]
    settings: Settings,

    /// Print one line of JSON on stdout once connections are accepted, instead of words on stderr.
    #[arg(long)]
    ready_json: bool,

    /// Print the limits on peers as they are set, and what happens when one is reached, instead of serving.
    #[arg(long)]
    print_limits: bool,
}

impl Serve {
    pub(super) async fn run(self, demo: bool) -> Result<(), Failed> {
        if self.print_limits {
            return print(&self.settings.limits()?.to_string());
        }
        let config = self.settings.complete(demo)?;
        log::start(config.log);
        panics::watch();
        Ok(daemon::run(config, self.ready_json).await?)
    }
}
