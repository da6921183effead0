//! `runeward rune …`.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use runeward_policy::{MasterSecret, Restriction, Rune};
use serde_json::value::RawValue;

use super::{Failed, RuneArgument, print};
use crate::config::{Authority, StateSettings};
use crate::gate::{
    CreateError, Denied, DryRunError, Gate, Grant, Preset, ResolveError, Wanted, grants_to_json,
};
use crate::store::{StateDir, StoreError};

/// Make, narrow, read and revoke runes.
#[derive(Debug, Subcommand)]
pub(super) enum RuneCommand {
    /// Make a rune and print it.
    Create(Create),
    /// Narrow a rune, offline: whoever holds it can, and nobody can widen it again.
    Restrict(Restrict),
    /// List the runes made here.
    List(List),
    /// Say what a rune allows.
    Show(Show),
    /// Say whether a rune would allow a command now; counts as no use. Exit status 1: refused.
    Check(Check),
    /// Revoke runes, with all that were derived from them. A running daemon follows within 100 ms.
    Revoke(Revoke),
}

#[derive(Args, Debug)]
#[command(
    after_help = "A restriction is one or more conditions joined by `|`, of which one must hold; every restriction \
must hold.
  method=getinfo|method^list     these commands (^ starts with, $ ends with, ~ contains, / differs)
  time<1800000000                until then, in UNIX seconds (or --expires 30d)
  id=02…                         only from this peer
  pnameamount_msat<100001        the parameter amount_msat
  rate=10                        ten times a minute; per=1hour: once an hour"
)]
pub(super) struct Create {
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

#[derive(Args, Debug)]
pub(super) struct Restrict {
    #[command(flatten)]
    rune: RuneArgument,

    #[command(flatten)]
    restrictions: Restrictions,
}

#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    state: StateSettings,

    /// Print JSON, in the shape of `runeward-grants`. The runes themselves are not in it.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Show {
    #[command(flatten)]
    rune: RuneArgument,
}

#[derive(Args, Debug)]
pub(super) struct Check {
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

#[derive(Args, Debug)]
pub(super) struct Revoke {
    #[command(flatten)]
    state: StateSettings,

    /// Unique ids or names.
    #[arg(required = true, value_name = "ID|NAME")]
    runes: Vec<String>,
}

#[derive(Args, Debug)]
struct Restrictions {
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

impl Create {
    async fn run(self) -> Result<(), Failed> {
        let mut restrictions = match self.preset {
            Some(preset) => preset.restrictions().map_err(|error| Failed::Usage(error.to_string()))?,
            None => Vec::new(),
        };
        restrictions.extend(self.restrictions.parse()?);
        let now = now();
        if let Some(expires) = self.expires {
            restrictions.extend(Restriction::parse(&format!("time<{}", now + expires.as_secs())));
        }
        if let Some(why) = together(&restrictions)?.impossible(now) {
            return Err(Failed::Usage(format!("no command could ever be allowed: {}", printable(&why))));
        }
        if let Some(why) =
            restrictions.iter().find_map(|restriction| restriction.odd(now)).filter(|_| !self.force)
        {
            return Err(Failed::Usage(format!("{}; if that is meant, add --force", printable(&why))));
        }
        if let Some(name) = &self.name
            && (name.is_empty()
                || name.len() > 64
                || name.chars().any(char::is_control)
                || name.parse::<u64>().is_ok())
        {
            let why = "a name has 1 to 64 bytes, no control characters, and is no number";
            return Err(Failed::Usage(format!("--name: {why}")));
        }
        let gate = open(&self.state).await?;
        let wanted = Wanted {
            restrictions: &restrictions,
            name: self.name.as_deref(),
            preset: self.preset,
            offer: None,
        };
        let created = gate.runes().create(wanted).await;
        gate.runes().close().await;
        let created = created.map_err(|error| match error {
            CreateError::Limit(error) => Failed::Usage(error.to_string()),
            CreateError::Store(error) => error.into(),
            CreateError::NotOurs => Failed::Refused(error.to_string()),
        })?;
        if restrictions.is_empty() {
            eprintln!(
                "runeward: this rune has no restrictions: whoever holds it can spend everything the node has"
            );
        }
        print(&format!("{}\n", created.rune.encode()))
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
                eprintln!("runeward: warning: {}", printable(&why));
            }
            rune = rune.narrow(restriction).map_err(|error| Failed::Usage(error.to_string()))?;
        }
        print(&format!("{}\n", rune.encode()))
    }
}

impl List {
    async fn run(self) -> Result<(), Failed> {
        let gate = open(&self.state).await?;
        let grants = gate.runes().list().await;
        let now = gate.runes().clock().seconds();
        gate.runes().close().await;
        let grants = grants?;
        print(&if self.json { format!("{}\n", grants_to_json(&grants, now)) } else { table(&grants) })
    }
}

impl Show {
    fn run(self) -> Result<(), Failed> {
        let rune = self.rune.read()?;
        let mut text = match rune.unique_id() {
            Some(unique_id) => format!("Rune {}.\n", unique_id.id),
            None => "A rune without a unique id, which no gateway honours.\n".to_owned(),
        };
        for sentence in rune.explain(now()) {
            text.push_str(&format!("- {}\n", printable(&sentence)));
        }
        print(&text)
    }
}

impl Check {
    async fn run(self) -> Result<(), Failed> {
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
                if let Denied::NotPermitted(refusal) = &denied
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

impl Revoke {
    async fn run(self) -> Result<(), Failed> {
        let gate = open(&self.state).await?;
        let revoked = self.revoke(&gate).await;
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

impl Restrictions {
    fn parse(&self) -> Result<Vec<Restriction>, Failed> {
        self.restrictions
            .iter()
            .map(|text| {
                Restriction::parse(text)
                    .map_err(|error| Failed::Usage(format!("--restrict '{text}': {error}")))
            })
            .collect()
    }
}

/// A rune with these restrictions that no gateway honours, to be looked at.
fn together(restrictions: &[Restriction]) -> Result<Rune, Failed> {
    let nobody = MasterSecret::new(&[0]).map_err(|error| Failed::Refused(error.to_string()))?;
    nobody.issue(0, restrictions).map_err(|error| Failed::Usage(error.to_string()))
}

async fn open(state: &StateSettings) -> Result<Gate, Failed> {
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

fn parse_duration(text: &str) -> Result<Duration, String> {
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

fn table(grants: &[Grant]) -> String {
    if grants.is_empty() {
        return "No runes yet: make one with `runeward rune create`.\n".to_owned();
    }
    let mut rows = vec![["UNIQUE ID", "NAME", "MADE", "LAST USED", "STATUS", "ALLOWS"].map(str::to_owned)];
    for Grant { rune, record, revoked } in grants {
        rows.push([
            record.unique_id.to_string(),
            record.name.clone().unwrap_or_default(),
            date(record.created_at),
            record.last_used.map_or("never".to_owned(), |at| date(at / 1_000_000_000)),
            if *revoked { "revoked" } else { "live" }.to_owned(),
            printable(&rune.explain(now()).join(" ")),
        ]);
    }
    let widths: Vec<usize> =
        (0..6).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// UNIX seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// `2026-11-20 15:04` in UTC, from UNIX seconds.
fn date(seconds: i64) -> String {
    // Days to a date in the proleptic Gregorian calendar, counting from 0000-03-01 so that the leap
    // day ends a year.
    let (days, second) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", second / 3600, second / 60 % 60)
}

/// Text that may come from strangers, safe on a terminal.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00");
        assert_eq!(date(951_782_399), "2000-02-28 23:59");
        assert_eq!(date(951_782_400), "2000-02-29 00:00");
        assert_eq!(date(1_795_186_849), "2026-11-20 15:00");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "d", "30", "0d", "-1d", "1y", "é", "99999999999999999999d", "99999999999999w"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
