//! `runeward rune list`.

use clap::Args;

use super::{open, printable};
use crate::cli::{Failed, print};
use crate::config::StateSettings;
use crate::date::rfc3339;
use crate::gate::{Grant, Status, grants_to_json, summary};

/// Width of the table, in columns.
const WIDTH: usize = 100;

/// Widest name that is not cut.
const WIDEST_NAME: usize = 16;

#[derive(Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    state: StateSettings,

    /// Print JSON, in the shape of `runeward-grants`. The runes themselves are not in it.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self) -> Result<(), Failed> {
        let gate = open(&self.state).await?;
        let grants = gate.runes().grants().await;
        let now = gate.runes().clock().seconds();
        gate.runes().close().await;
        let grants = grants?;
        print(&match self.json {
            true => format!("{}\n", grants_to_json(&grants, now)),
            false => table(&grants, now),
        })
    }
}

/// A row for each grant, and below it what it allows, cut to the table's width.
fn table(grants: &[Grant], now: u64) -> String {
    if grants.is_empty() {
        return "No runes yet: make one with `runeward rune create`.\n".to_owned();
    }
    let heads = ["UNIQUE ID", "NAME", "STATUS", "MADE", "EXPIRES", "LAST USED", "USES", "DEVICE"];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(grants.iter().map(|grant| row(grant, now)));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::new();
    let allowed = grants.iter().map(|grant| printable(&summary(&grant.rune, now)));
    for (row, allowed) in rows.iter().zip(std::iter::once(String::new()).chain(allowed)) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
        if !allowed.is_empty() {
            text.push_str(&format!("    {}\n", cut(&allowed, WIDTH - 4)));
        }
    }
    text
}

fn row(grant: &Grant, now: u64) -> [String; 8] {
    let record = &grant.record;
    let status = match (grant.status(now), record.offer) {
        (Status::Live, Some(_)) => "paired",
        (status, _) => status.name(),
    };
    let seconds = |nanoseconds: i64| u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0);
    [
        record.unique_id.to_string(),
        cut(&printable(record.name.as_deref().unwrap_or_default()), WIDEST_NAME),
        status.to_owned(),
        when(record.created_at.try_into().unwrap_or(0), now),
        grant.expires_at().map_or("never".to_owned(), |at| when(at, now)),
        record.last_used.map_or("never".to_owned(), |at| when(seconds(at), now)),
        record.uses.to_string(),
        grant.bound_peer().map_or("any".to_owned(), |peer| cut(&printable(peer), 9)),
    ]
}

/// The text, shortened to `width` characters.
fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width - 1).chain(['…']).collect(),
    }
}

/// A time, both in UNIX seconds, in ten characters at most: `5 min ago`, `in 12 h`, `2026-11-20`.
fn when(at: u64, now: u64) -> String {
    let (count, unit) = match at.abs_diff(now) {
        seconds @ ..60 => (seconds, "s"),
        seconds @ ..3_600 => (seconds / 60, "min"),
        seconds @ ..172_800 => (seconds / 3_600, "h"),
        _ => return date(at),
    };
    if at > now { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

/// `2026-11-20` in UTC, from UNIX seconds.
fn date(seconds: u64) -> String {
    String::from_utf8_lossy(&rfc3339(seconds.saturating_mul(1000))[..10]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (1_795_186_849, "2026-11-20"),
            (u64::MAX, "9999-12-31"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn times_are_short() {
        let now = 1_795_186_849;
        assert_eq!(when(now, now), "0 s ago");
        assert_eq!(when(now + 59, now), "in 59 s");
        assert_eq!(when(now - 3_599, now), "59 min ago");
        assert_eq!(when(now + 172_799, now), "in 47 h");
        assert_eq!(when(now - 172_800, now), "2026-11-18");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(cut("four", 4), "four");
        assert_eq!(cut("fünf!", 4), "fün…");
    }
}
