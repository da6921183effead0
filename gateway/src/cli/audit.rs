//! `runeward audit …`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Failed, print};
use crate::config::StateSettings;
use crate::date::{milliseconds_since_1970, rfc3339};
use crate::gate::audit::{self, AuditError, Entry, Query};
use crate::store::{StateDir, Store};

/// Most of what is wrong with a log that is told one by one.
const MOST_FAULTS: usize = 20;

/// Says who commanded what, and whether the log of that is what was written.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Option<AuditCommand>,

    #[command(flatten)]
    search: Search,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Say whether the log is what was written; exit status 1: a line was edited, removed, moved or cut
    /// off. Works beside a running daemon.
    Verify(Verify),
    /// Go on with a log that is not what was written, from a line on that says so.
    Accept(Accept),
}

#[derive(Args, Debug)]
#[command(
    after_help = "Params are not in the log: of each there is a keyed hash, by which --find looks for a value \
that is known, such as a label or an invoice."
)]
struct Search {
    #[command(flatten)]
    state: StateSettings,

    /// Only of this rune: its unique id, or the name it had.
    #[arg(long, value_name = "ID|NAME")]
    rune: Option<String>,

    /// Only of this peer: its node id, or the beginning of it.
    #[arg(long, value_name = "ID")]
    peer: Option<String>,

    /// Only this command.
    #[arg(long)]
    method: Option<String>,

    /// Only commands of this class: read, private, receive, erase, secret, spend or admin.
    #[arg(long)]
    class: Option<String>,

    /// Only commands with this value among their parameters.
    #[arg(long, value_name = "VALUE")]
    find: Option<String>,

    /// Only from then on: a time ago, such as 90s, 30m, 12h, 30d or 1w, or a date in UTC, such as
    /// 2026-11-20 or 2026-11-20T15:04.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<String>,

    /// Only before then, in the same form.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<String>,

    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,

    /// Print the lines as they stand in the log, JSON objects.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Verify {
    #[command(flatten)]
    state: StateSettings,

    /// Also look for the line that this receipt is of, which a client asked for by `"receipt":true`, and
    /// print it with the line that tells the outcome.
    #[arg(long, value_name = "HASH")]
    receipt: Option<String>,

    /// The params that the command of the receipt is said to have had, a JSON object or array.
    #[arg(long, value_name = "JSON", requires = "receipt")]
    params: Option<String>,
}

#[derive(Args, Debug)]
struct Accept {
    #[command(flatten)]
    state: StateSettings,
}

impl Audit {
    pub(super) async fn run(self) -> Result<(), Failed> {
        match self.command {
            None => self.search.run(),
            Some(AuditCommand::Verify(verify)) => verify.run().await,
            Some(AuditCommand::Accept(accept)) => accept.run().await,
        }
    }
}

impl Search {
    fn run(self) -> Result<(), Failed> {
        let dir = StateDir::open(&self.state.dir()?)?;
        let query = Query {
            since: self.since,
            until: self.until,
            rune: self.rune,
            peer: self.peer,
            method: self.method,
            class: self.class,
            find: self.find,
            merged: !self.json,
            limit: self.limit,
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let found = audit::search(&dir, &query, threads)?;
        if found.more {
            eprintln!(
                "runeward: these are the newest {}; there are more, see --limit and --since",
                self.limit
            );
        }
        match self.json {
            true => {
                let mut lines = found.lines.join(&b'\n');
                lines.extend(lines.last().is_some().then_some(b'\n'));
                print(&String::from_utf8_lossy(&lines))
            }
            false => print(&table(&found.lines)),
        }
    }
}

impl Verify {
    async fn run(self) -> Result<(), Failed> {
        let dir = StateDir::open(&self.state.dir()?)?;
        let store = Store::open(&dir).await?;
        let verified = audit::verify(&dir, &store).await;
        store.close().await;
        let verified = verified?;
        for fault in verified.faults.iter().take(MOST_FAULTS) {
            eprintln!("runeward: {fault}");
        }
        if verified.older_files > 0 {
            eprintln!(
                "runeward: {} older files, from before the log was begun anew, are not vouched for",
                verified.older_files
            );
        }
        if !verified.faults.is_empty() {
            let count = verified.faults.len();
            return Err(Failed::Refused(format!("the audit log is not what was written: {count} faults")));
        }
        let mut text = match verified.lines {
            0 => "The audit log is empty.\n".to_owned(),
            lines => format!(
                "The audit log is what was written: {lines} lines in {} files, numbers {} to {}.\n",
                verified.files, verified.first, verified.last
            ),
        };
        if let Some(receipt) = &self.receipt {
            text.push_str(&self.look_up(&dir, receipt)?);
        }
        print(&text)
    }

    fn look_up(&self, dir: &StateDir, receipt: &str) -> Result<String, Failed> {
        let receipted = audit::receipted(dir, receipt, self.params.as_deref())?;
        let receipted = receipted.ok_or_else(|| {
            Failed::Refused("no line of the audit log has this receipt; it has 64 hex digits".to_owned())
        })?;
        let mut text = String::new();
        for line in std::iter::once(&receipted.intent).chain(&receipted.outcome) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        match receipted.params_match {
            true => Ok(text),
            false => Err(Failed::Refused("the command of this receipt had other params".to_owned())),
        }
    }
}

impl Accept {
    async fn run(self) -> Result<(), Failed> {
        let dir = StateDir::open(&self.state.dir()?)?;
        let _lock = dir.lock()?;
        let store = Store::open(&dir).await?;
        let accepted = audit::accept(&dir, &store).await;
        store.close().await;
        match accepted? {
            true => eprintln!(
                "runeward: the audit log goes on from here; nothing vouches for what it held before"
            ),
            false => eprintln!("runeward: the audit log is what was written; there is nothing to accept"),
        }
        Ok(())
    }
}

impl From<AuditError> for Failed {
    fn from(error: AuditError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// A time as lines have it, or the beginning of one.
fn parse_time(text: &str) -> Result<String, String> {
    if let Ok(ago) = super::rune::parse_duration(text) {
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        let time = rfc3339(milliseconds_since_1970().saturating_sub(ago));
        return Ok(String::from_utf8_lossy(&time).into_owned());
    }
    let form = b"0000-00-00T00:00:00.000Z";
    let fits = text.len() >= 4
        && text.len() <= form.len()
        && text.bytes().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == *form,
        });
    match fits {
        true => Ok(text.to_owned()),
        false => Err("a time ago, such as 12h or 30d, or a date, such as 2026-11-20T15:04".to_owned()),
    }
}

fn table(lines: &[Vec<u8>]) -> String {
    let entries: Vec<Entry<'_>> = lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect();
    if entries.is_empty() {
        return "Nothing in the audit log.\n".to_owned();
    }
    let mut rows =
        vec![["TIME", "PEER", "RUNE", "METHOD", "CLASS", "MS", "BYTES", "OUTCOME"].map(str::to_owned)];
    rows.extend(entries.iter().map(row));
    let widths: Vec<usize> =
        (0..8).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn row(entry: &Entry<'_>) -> [String; 8] {
    let time = entry.time.trim_end_matches('Z').replace('T', " ");
    let peer = match (entry.peer, entry.address) {
        (Some(peer), Some(address)) => format!("{}…@{address}", peer.get(..10).unwrap_or(peer)),
        _ => String::new(),
    };
    let rune = match (&entry.name, entry.rune) {
        (Some(name), _) => super::rune::printable(name),
        (None, rune) => rune.map_or_else(String::new, |rune| rune.to_string()),
    };
    let outcome = match (entry.kind, entry.outcome) {
        ("gap", _) => format!("{} lines are missing: {}", entry.lines.unwrap_or(0), entry.why.unwrap_or("")),
        ("intent", _) => "unknown: no outcome was written yet".to_owned(),
        (_, None) => entry.why.unwrap_or("").to_owned(),
        (_, Some(outcome)) => match (entry.why, entry.code) {
            (Some(why), Some(code)) => format!("{outcome}: {why} ({code})"),
            (_, Some(code)) => format!("{outcome} ({code})"),
            _ => outcome.to_owned(),
        },
    };
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let duration = entry.duration_us.map(Duration::from_micros);
    [
        time,
        peer,
        rune,
        entry.method.unwrap_or("").to_owned(),
        entry.class.unwrap_or("").to_owned(),
        duration.map_or_else(String::new, |duration| format!("{:.1}", duration.as_secs_f64() * 1000.0)),
        number(entry.bytes),
        outcome,
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times() {
        for good in ["2026", "2026-11-20", "2026-11-20T15:04", "2026-11-20T15:04:05.678Z"] {
            assert_eq!(parse_time(good).unwrap(), good);
        }
        let (ago, now) = (parse_time("1h").unwrap(), parse_time("1s").unwrap());
        assert!(ago < now && ago.len() == 24 && ago.starts_with("20"));
        for bad in ["", "x", "11-20", "2026-11-20 15:04", "2026/11/20", "2026-11-20T15:04:05.678Z0", "1y"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
