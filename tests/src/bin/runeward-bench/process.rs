//! What a process uses, as Linux tells in `/proc`, and what it may use.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::failure::{Failure, Result};

/// The unit of processor time in `/proc/PID/stat`: 100 a second wherever Linux runs programs.
const TICK: Duration = Duration::from_millis(10);

/// Open files beside the connections: this many leave room for all that a run needs.
const OTHER_FILES: u64 = 64;

/// Makes room for so many connections, each an open file.
///
/// # Errors
/// Where the system allows this process fewer.
pub fn allow_connections(connections: usize) -> Result<()> {
    let needed = connections as u64 + OTHER_FILES;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(most) = limit.maximum.filter(|most| *most < needed) {
        return Err(Failure::usage(format!(
            "{connections} connections need {needed} open files and the system allows {most}: raise that \
             with `ulimit -Hn {needed}` as root, or open fewer"
        )));
    }
    limit.current = Some(needed);
    setrlimit(Resource::Nofile, limit)
        .map_err(|why| Failure::refused(format!("cannot raise ulimit -n: {why}")))
}

/// Processor time of this thread so far.
pub fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A process under observation.
pub struct Meter {
    pid: String,
    rss_before_kb: u64,
    cpu_before: Duration,
}

/// What it used between start and stop.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time of all threads, user and system.
    pub cpu: Duration,
    /// Resident memory at the start.
    pub rss_before_kb: u64,
    /// Resident memory at the end.
    pub rss_after_kb: u64,
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
            rss_after_kb: status_kb(&self.pid, "VmRSS:")?,
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

/// Processor time so far. The scheduler counts it exactly but forgets threads that ended, `stat`
/// counts all in ticks: the larger is nearer.
fn cpu(pid: &str) -> Result<Duration> {
    Ok(cpu_of_threads(pid)?.max(cpu_in_ticks(pid)?))
}

/// The first field of each thread's `schedstat`, in nanoseconds; kernels without it have no such file.
fn cpu_of_threads(pid: &str) -> Result<Duration> {
    let path = format!("/proc/{pid}/task");
    let threads =
        fs::read_dir(&path).map_err(|why| Failure::refused(format!("cannot read {path}: {why}")))?;
    let of_thread = |thread: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse().ok()
    };
    Ok(Duration::from_nanos(threads.flatten().filter_map(of_thread).sum()))
}

/// Fields 14 and 15 of `/proc/PID/stat`, counted after the name, which may hold anything up to the
/// last parenthesis.
fn cpu_in_ticks(pid: &str) -> Result<Duration> {
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
    fn processor_time_is_counted() {
        let before = cpu("self").unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while cpu("self").unwrap() < before + 3 * TICK {
            assert!(std::time::Instant::now() < deadline);
        }
    }

    #[test]
    fn more_connections_than_the_system_allows_are_refused() {
        allow_connections(1).unwrap();
        if getrlimit(Resource::Nofile).maximum.is_some() {
            let why = allow_connections(usize::MAX / 2).unwrap_err().to_string();
            assert!(why.contains("ulimit -Hn"), "{why}");
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_said_so() {
        let why = Meter::of_server(u32::MAX).err().unwrap();
        assert!(why.to_string().contains("--server-pid"));
    }
}
