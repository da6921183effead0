//! What a process uses, as Linux tells in `/proc`.

use std::fs;
use std::time::Duration;

use crate::failure::{Failure, Result};

/// The unit of processor time in `/proc/PID/stat`: 100 a second wherever Linux runs programs.
const TICK: Duration = Duration::from_millis(10);

/// A process under observation.
pub struct Meter {
    pid: String,
    rss_before_kb: u64,
    cpu_before: Duration,
}

/// What it used between start and stop.
#[derive(Debug)]
pub struct Usage {
    /// Processor time of all threads, user and system; exact to 10 ms.
    pub cpu: Duration,
    /// Resident memory at the start.
    pub rss_before_kb: u64,
    /// The most resident memory at any moment since.
    pub rss_peak_kb: u64,
}

impl Meter {
    /// Observes this process; its memory's peak is that of its whole life.
    pub fn of_client() -> Result<Self> {
        Self::start("self".to_owned())
    }

    /// Observes the process `pid`, setting back the peak of its memory.
    ///
    /// # Errors
    /// Where there is no such process, or it is another user's.
    pub fn of_server(pid: u32) -> Result<Self> {
        let pid = pid.to_string();
        fs::write(format!("/proc/{pid}/clear_refs"), "5").map_err(|why| {
            Failure::usage(format!(
                "cannot observe the process {pid} (--server-pid): {why}; it must run on this Linux \
                 machine as the same user"
            ))
        })?;
        Self::start(pid)
    }

    /// Ends the observation.
    pub fn stop(self) -> Result<Usage> {
        Ok(Usage {
            cpu: cpu(&self.pid)?.saturating_sub(self.cpu_before),
            rss_before_kb: self.rss_before_kb,
            rss_peak_kb: status_kb(&self.pid, "VmHWM:")?,
        })
    }

    fn start(pid: String) -> Result<Self> {
        Ok(Self { rss_before_kb: status_kb(&pid, "VmRSS:")?, cpu_before: cpu(&pid)?, pid })
    }
}

/// A line of `/proc/PID/status` that is in kB.
fn status_kb(pid: &str, name: &str) -> Result<u64> {
    read(pid, "status")?
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| Failure::refused(format!("the process {pid} ended during the run")))
}

/// Processor time so far: fields 14 and 15 of `/proc/PID/stat`, counted after the name, which may
/// hold anything up to the last parenthesis.
fn cpu(pid: &str) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    let ticks = stat.rsplit_once(')').and_then(|(_, fields)| {
        let mut fields = fields.split_ascii_whitespace().skip(11);
        let user: u32 = fields.next()?.parse().ok()?;
        let system: u32 = fields.next()?.parse().ok()?;
        Some(user + system)
    });
    ticks
        .map(|ticks| TICK * ticks)
        .ok_or_else(|| Failure::refused(format!("/proc/{pid}/stat is not as expected")))
}

fn read(pid: &str, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|why| Failure::refused(format!("cannot read {path}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_that_is_gone_again_is_seen() {
        let meter = Meter::of_server(std::process::id()).unwrap();
        drop(std::hint::black_box(vec![1u8; 64 << 20]));
        let usage = meter.stop().unwrap();
        assert!(usage.rss_peak_kb >= usage.rss_before_kb + 60_000, "{usage:?}");
    }

    #[test]
    fn a_process_that_is_not_there_is_said_so() {
        let why = Meter::of_server(u32::MAX).err().unwrap();
        assert!(why.to_string().contains("--server-pid"));
    }
}
