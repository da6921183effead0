//! The state directory: whose it is, who can read it, and whether what is in it fits together; and the clock.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Finding;
use crate::config::{Authority, Config};
use crate::gate::audit;
use crate::store::{Inspected, StateDir, StoreError};

/// Less room than this on the disk is a fault, in bytes: where nothing can be recorded commands are refused.
const LITTLE_ROOM: u64 = 100 * 1024 * 1024;

/// No clock is right that says less: when this was written, in UNIX seconds.
const NOT_BEFORE: u64 = 1_760_000_000;

/// A clock that lies this many seconds behind the latest time decisions were made by is a fault.
const CLOCK_BEHIND: u64 = 60;

/// What is wrong with the directory, and what its database says. Of a directory that is another user's nothing
/// is opened: that might leave files there that are not that user's.
pub(super) async fn examine(config: &Config, dir: Option<&StateDir>) -> (Vec<Finding>, Option<Inspected>) {
    let path = &config.state_dir;
    let Some(dir) = dir else {
        let said = format!("{} is not there yet; the first start makes it", path.display());
        return (vec![Finding::note("state", said), clock(None)], None);
    };
    if let Some(fault) = owner(path) {
        return (vec![fault, clock(None)], None);
    }
    let mut findings: Vec<_> =
        [open_to_others(path), not_writable(path), little_room(path)].into_iter().flatten().collect();
    findings.extend(loose_files(path));
    let inspected = match dir.inspect().await {
        Ok(inspected) => inspected,
        Err(error) => {
            findings.push(Finding::told("state", &error));
            None
        }
    };
    if let Some(inspected) = &inspected {
        findings.extend(contradictions(config, dir, inspected));
    }
    if findings.is_empty() {
        let size = fs::metadata(dir.database()).map_or(0, |database| database.len() / 1024);
        findings.push(Finding::good("state", format!("{}, a database of {size} KiB", path.display())));
    }
    findings.push(clock(inspected.as_ref()));
    (findings, inspected)
}

fn owner(path: &Path) -> Option<Finding> {
    let owner = fs::metadata(path).ok()?.uid();
    let user = rustix::process::geteuid().as_raw();
    (owner != user).then(|| {
        Finding::fault(
            "state",
            format!("{} belongs to user {owner}, and this is user {user}", path.display()),
            format!(
                "run it as that user, as in `sudo -u '#{owner}' runeward …`, or give it over: `chown -R {user} {}`",
                path.display()
            ),
        )
    })
}

fn open_to_others(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let said = format!("others can look into {} (mode {mode:03o})", path.display());
        Finding::fault("state", said, format!("run `chmod 700 {}`", path.display()))
    })
}

fn not_writable(path: &Path) -> Option<Finding> {
    let probe = path.join(format!(".doctor-{}", std::process::id()));
    let written = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&probe);
    let _ = fs::remove_file(&probe);
    written.err().map(|error| {
        let said = format!("nothing can be written to {}: {error}", path.display());
        Finding::fault(
            "state",
            said,
            "its owner must be able to write there; look at its mode and at `df -h`",
        )
    })
}

fn little_room(path: &Path) -> Option<Finding> {
    let disk = rustix::fs::statvfs(path).ok()?;
    let room = disk.f_bavail.saturating_mul(disk.f_frsize);
    (room < LITTLE_ROOM).then(|| {
        let said = format!("{} MiB are left on the disk of {}", room >> 20, path.display());
        Finding::fault(
            "state",
            said,
            "make room: once the disk is full, commands that must be recorded are refused",
        )
    })
}

/// Every secret, and the database, must be its owner's alone.
fn loose_files(path: &Path) -> Vec<Finding> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let loose = entries.filter_map(|entry| {
        let path = entry.path();
        let mode = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?.mode() & 0o777;
        // A certificate is meant for everybody.
        let is_public = entry.file_name() == "tls-cert.pem" || entry.file_name() == "lock";
        (mode & 0o077 != 0 && !is_public).then(|| {
            Finding::fault(
                "state",
                format!("others can read {} (mode {mode:03o})", path.display()),
                format!(
                    "if nobody has, run `chmod 600 {}`; else hand out anew what was made with it",
                    path.display()
                ),
            )
        })
    });
    loose.collect()
}

/// What does not fit together.
fn contradictions(config: &Config, dir: &StateDir, inspected: &Inspected) -> Vec<Finding> {
    let mut findings = Vec::new();
    let bound = inspected.authority.as_deref();
    if let Some(bound) = bound.filter(|bound| *bound != config.authority.name()) {
        findings.push(Finding::fault(
            "state",
            format!(
                "{} was made with --authority {bound}, not {}",
                dir.path().display(),
                config.authority.name()
            ),
            format!("serve with --authority {bound}, or give another --state-dir"),
        ));
    }
    if inspected.restored {
        findings.push(Finding::told("state", &StoreError::Restored(dir.path().to_owned())));
    }
    if !dir.path().join("identity").is_file() {
        findings.push(Finding::fault(
            "state",
            format!("{} is missing: clients know the gateway by it", dir.path().join("identity").display()),
            "restore it from your backup; else the next start makes another, and every client needs the new node id",
        ));
    } else if let Err(error) = dir.identity() {
        findings.push(Finding::told("state", &error));
    }
    if let Err(error) = audit::fits(dir, inspected.audit) {
        findings.push(Finding::told("audit", &error));
    }
    let secret = inspected.rune_secret.as_deref().filter(|_| config.authority == Authority::Own);
    if let Some(Err(error)) = secret.map(|fingerprint| dir.rune_secret(Some(fingerprint))) {
        findings.push(Finding::told("state", &error));
    }
    findings
}

fn clock(inspected: Option<&Inspected>) -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mark = inspected.map_or(0, |inspected| inspected.mark);
    if now < NOT_BEFORE {
        let said = format!("it says {now} seconds since 1970, which is long ago");
        return Finding::fault("clock", said, "set it, as with `timedatectl set-ntp true`");
    }
    match mark.saturating_sub(now) {
        behind if behind > CLOCK_BEHIND => Finding::fault(
            "clock",
            format!(
                "it lies {behind} seconds behind the latest time runes were checked at; time stands still till then"
            ),
            "set it, as with `timedatectl set-ntp true`; if it is right now and had jumped ahead, start once with \
             --reset-clock",
        ),
        _ => Finding::good("clock", "it has not gone back"),
    }
}
