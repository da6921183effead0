//! The log, on stderr: one line for each event, whatever a peer had in what it said.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use crate::shown::{printable, printable_json};

/// What the codes of colours begin with.
const ESCAPE: &str = "\x1b";

/// Logs from here on. RUST_LOG says how much.
pub(crate) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = format == LogFormat::Pretty && io::stderr().is_terminal();
    let lines = move || Lines { format, colour };
    // A line that cannot be written, on a full disk, is lost: to tell of it on stderr would panic.
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).log_internal_errors(false);
    match format {
        LogFormat::Pretty => subscriber.with_target(false).with_ansi(colour).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// Writes events, each with one call, to stderr.
struct Lines {
    format: LogFormat,
    /// Whether the subscriber colours them; it escapes what of that kind is not its own.
    colour: bool,
}

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        io::stderr().lock().write_all(format!("{}\n", self.one_line(line)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn one_line(&self, line: &str) -> String {
        match self.format {
            LogFormat::Json => printable_json(line),
            LogFormat::Pretty if self.colour => {
                line.split(ESCAPE).map(printable).collect::<Vec<_>>().join(ESCAPE)
            }
            LogFormat::Pretty => printable(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_one_line() {
        let line = |format, colour, line| Lines { format, colour }.one_line(line);
        let said = "a\nb\r\x1b[2J\0\u{2028}\u{202e}ä";
        assert_eq!(line(LogFormat::Pretty, false, said), r"a\nb\r\u{1b}[2J\u{0}\u{2028}\u{202e}ä");
        assert_eq!(line(LogFormat::Json, false, said), r"a\u000ab\u000d\u001b[2J\u0000\u2028\u202eä");
        assert_eq!(line(LogFormat::Pretty, true, "\x1b[2mx\x1b[0m\n"), "\x1b[2mx\x1b[0m\\n");
        assert_eq!(line(LogFormat::Pretty, false, "as it is"), "as it is");
    }
}
