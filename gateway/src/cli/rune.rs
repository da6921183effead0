//! `runeward rune …`.
//!
//! # Layout
//! - here: runes narrowed and explained, and what several commands need.
//! - `create`, `check`, `list`, `revoke`: one command each.

mod check;
mod create;
mod list;
mod revoke;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use runeward_policy::Restriction;

use super::{Failed, RuneArgument, print};
use crate::config::{Authority, StateSettings};
use crate::gate::{Gate, explain};
use crate::shown::shown;
use crate::store::{StateDir, StoreError};

pub(super) use crate::shown::printable;

/// Make, narrow, read and revoke runes.
#[derive(Subcommand)]
pub(super) enum RuneCommand {
    /// Make a rune and print it.
    Create(create::Create),
    /// Narrow a rune, offline: whoever holds it can, and nobody can widen it again.
    Restrict(Restrict),
    /// List what was handed out: the runes made here, and what became of them.
    List(list::List),
    /// Say what a rune allows.
    Show(Show),
    /// Say whether a rune would allow a command now; counts as no use. Exit status 1: refused.
    Check(check::Check),
    /// Revoke runes, with all that were derived from them. A running daemon follows within 100 ms.
    Revoke(revoke::Revoke),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  runeward rune restrict \"$RUNE\" --restrict method=getinfo --restrict rate=10
  echo \"$RUNE\" | runeward rune restrict - --restrict \"time<$(date -d '+1 week' +%s)\"

See `runeward rune create --help` for what a restriction can say.")]
pub(super) struct Restrict {
    #[command(flatten)]
    rune: RuneArgument,

    #[command(flatten)]
    restrictions: Restrictions,
}

#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    rune: RuneArgument,
}

#[derive(Args)]
pub(super) struct Restrictions {
    /// A restriction, such as 'method=getinfo|method^list'; may be given several times.
    #[arg(long = "restrict", value_name = "RESTRICTION")]
    restrictions: Vec<String>,
}

impl RuneCommand {
    pub(super) async fn run(self) -> Result<(), Failed> {
        match self {
            Self::Create(create) => create.run().await,
            Self::Restrict(restrict) => restrict.run(),
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run(),
            Self::Check(check) => check.run().await,
            Self::Revoke(revoke) => revoke.run().await,
        }
    }
}

impl Restrict {
    fn run(self) -> Result<(), Failed> {
        let mut rune = self.rune.read()?;
        let restrictions = self.restrictions.parse()?;
        if restrictions.is_empty() {
            return Err(Failed::Usage("nothing to narrow it by: give --restrict".to_owned()));
        }
        for restriction in restrictions {
            if let Some(why) = restriction.odd(now()) {
                eprintln!("runeward: warning: {}", shown(&why));
            }
            rune = rune.narrow(restriction).map_err(|error| Failed::Usage(error.to_string()))?;
        }
        print(&format!("{}\n", rune.encode()))
    }
}

impl Show {
    fn run(self) -> Result<(), Failed> {
        let rune = self.rune.read()?;
        let mut text = match rune.unique_id() {
            Some(unique_id) => format!("Rune {}.\n", unique_id.id),
            None => "A rune without a unique id, which no gateway honours.\n".to_owned(),
        };
        for sentence in explain(&rune, now()) {
            text.push_str(&format!("- {}\n", printable(&sentence)));
        }
        print(&text)
    }
}

impl Restrictions {
    pub(super) fn parse(&self) -> Result<Vec<Restriction>, Failed> {
        self.restrictions
            .iter()
            .map(|text| {
                Restriction::parse(text)
                    .map_err(|error| Failed::Usage(format!("--restrict '{}': {error}", shown(text))))
            })
            .collect()
    }
}

pub(super) async fn open(state: &StateSettings) -> Result<Gate, Failed> {
    let dir = StateDir::open(&state.dir()?)?;
    Gate::open(&dir, Authority::Own).await.map_err(|error| match error {
        StoreError::Bound { name: "authority", .. } => Failed::Refused(
            "the runes of this state directory are the node's own: make, list and revoke them with the node's \
             createrune, showrunes and blacklistrune, on the node or by `runeward call`"
                .to_owned(),
        ),
        error => error.into(),
    })
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => 0,
    };
    let number: u64 = number.parse().unwrap_or(0);
    match number.checked_mul(seconds).filter(|seconds| (1..1 << 40).contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("a number and one of s, m, h, d or w, such as 30d".to_owned()),
    }
}

/// UNIX seconds.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "d", "30", "0d", "-1d", "1y", "é", "99999999999999999999d", "99999999999999w"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
