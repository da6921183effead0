//! The command line: one file per subcommand.

mod audit;
mod backup;
mod call;
mod doctor;
mod pair;
mod rotate_secret;
mod rune;
mod serve;

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};
use runeward_policy::{MAX_RUNE_BYTES, Rune};
use rustix::process::{Resource, Rlimit, setrlimit};
use zeroize::Zeroizing;

use crate::config::ConfigError;
use crate::daemon::DaemonError;
use crate::shown::shown;
use crate::store::StoreError;

/// A gateway that lets a Lightning node be commanded from anywhere by whoever holds the right rune,
/// and by nobody else.
#[derive(Parser)]
#[command(
    name = "runeward",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    after_help = "\
Begin with no node at all:
  runeward demo

Before your own node, and beside it:
  runeward serve --node cln:$HOME/.lightning/bitcoin/lightning-rpc --listen 0.0.0.0:9736 --advertise node.example:9736
  runeward pair --preset watch --name phone     a QR code: the first device that scans it may look
  runeward rune create --preset receive         a rune, for what takes no QR code
  runeward rune list                            who has what; `rune revoke NAME` ends it
  runeward audit --since 1h                     who did what
  runeward doctor                               what is wrong, and what mends it

Exit status: 0 done, 1 the node or the gateway refused, 2 usage, 3 no connection."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a node to whoever holds a rune; the same as no command at all.
    Serve(serve::Serve),
    /// Serve a demo node, which needs nothing else: what to run first.
    Demo(serve::Serve),
    /// Make, narrow, read and revoke runes.
    #[command(subcommand)]
    Rune(rune::RuneCommand),
    /// Hand out a rune by a QR code, to the first device that scans it.
    Pair(pair::Pair),
    /// Let every rune made here die, where the secret they are made from may be in other hands.
    RotateSecret(rotate_secret::RotateSecret),
    /// Say who commanded what, and whether the log of that is what was written.
    Audit(audit::Audit),
    /// Look for what keeps the gateway from serving, and say how to mend it.
    Doctor(doctor::Doctor),
    /// Write the keys, the runes and what is revoked to one file, beside a running daemon.
    Backup(backup::Backup),
    /// Make a new state directory from a backup.
    Restore(backup::Restore),
    /// Run one of a node's commands, through this gateway or any commando server.
    Call(call::Call),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages, one for each command.
    Manual {
        /// Directory to write them to, such as /usr/local/share/man/man1.
        dir: PathBuf,
    },
}

/// A command that failed, by exit status.
#[derive(Debug)]
pub(crate) enum Failed {
    /// 1: the node or the gateway refused, or the daemon cannot run.
    Refused(String),
    /// 2: the command makes no sense.
    Usage(String),
    /// 3: no connection.
    NoConnection(String),
}

impl Cli {
    /// Reads the command line; what is wrong with it, or asked of it, is printed and the process ends.
    pub fn read() -> Self {
        // One rune in 64 starts with `-`. Behind a space, which is trimmed later, it is no flag.
        let arguments = std::env::args_os().map(|argument| match argument.to_str() {
            Some(text) if text.starts_with('-') && resembles_rune(text) => format!(" {text}").into(),
            _ => argument,
        });
        Self::try_parse_from(arguments).unwrap_or_else(|error| without_secrets(error).exit())
    }

    /// Runs the command; errors go to stderr.
    pub fn run(self) -> ExitCode {
        if let Err(error) = keep_memory_private() {
            return Failed::Refused(format!("cannot turn core dumps off: {error}")).report();
        }
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Failed::Refused(format!("cannot start: {error}")).report(),
        };
        match runtime.block_on(self.dispatch()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failed) => failed.report(),
        }
    }

    async fn dispatch(self) -> Result<(), Failed> {
        match self.command {
            None => self.serve.run(false).await,
            Some(Command::Serve(serve)) => serve.run(false).await,
            Some(Command::Demo(serve)) => serve.run(true).await,
            Some(Command::Rune(rune)) => rune.run().await,
            Some(Command::Pair(pair)) => pair.run().await,
            Some(Command::RotateSecret(rotate)) => rotate.run().await,
            Some(Command::Audit(audit)) => audit.run().await,
            Some(Command::Doctor(doctor)) => doctor.run().await,
            Some(Command::Backup(backup)) => backup.run().await,
            Some(Command::Restore(restore)) => restore.run().await,
            Some(Command::Call(call)) => call.run().await,
            Some(Command::Completions { shell }) => {
                clap_complete::generate(shell, &mut Self::command(), "runeward", &mut io::stdout());
                Ok(())
            }
            Some(Command::Manual { dir }) => clap_mangen::generate_to(Self::command(), &dir)
                .map_err(|error| Failed::Refused(format!("cannot write to {}: {error}", dir.display()))),
        }
    }
}

/// Whether a text begins as runes do: with the base64 of 32 bytes at least. No flag is that long.
fn resembles_rune(text: &str) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.as_bytes().first_chunk::<43>().is_some_and(|start| start.iter().all(digit))
}

impl Failed {
    fn report(self) -> ExitCode {
        let (status, message) = match self {
            Self::Refused(message) => (1, message),
            Self::Usage(message) => (2, message),
            Self::NoConnection(message) => (3, message),
        };
        eprintln!("runeward: {message}");
        ExitCode::from(status)
    }
}

impl From<ConfigError> for Failed {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<DaemonError> for Failed {
    fn from(error: DaemonError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// The error without the arguments it quotes where they are long enough to be a rune or a key.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(given)) = error.get(kind) {
            let shown = shown(given);
            if shown != *given {
                error.insert(kind, ContextValue::String(shown));
                // It says how to quote it.
                error.remove(ContextKind::Suggested);
            }
        }
    }
    error
}

/// Keeps the secrets in memory out of core dumps, and from other processes of the same user.
fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // The limit does not hold where the system hands dumps to a program.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// A rune given as an argument, as `-` on stdin, or in RUNEWARD_RUNE, which keep it out of the
/// process list.
#[derive(Clone, clap::Args)]
struct RuneArgument {
    /// The rune; `-` reads it from stdin. RUNEWARD_RUNE is used where none is given.
    rune: Option<String>,
}

impl RuneArgument {
    fn read(&self) -> Result<Rune, Failed> {
        let rune = read_rune(self.rune.as_deref())?.ok_or_else(|| {
            Failed::Usage("no rune given: give one, `-` for stdin, or set RUNEWARD_RUNE".to_owned())
        })?;
        Rune::decode(&rune).map_err(|error| Failed::Usage(format!("this is no rune: {error}")))
    }
}

/// The text of a rune from where it was given, if anywhere.
fn read_rune(given: Option<&str>) -> Result<Option<Zeroizing<String>>, Failed> {
    let text = match given {
        Some("-") => {
            let mut text = Zeroizing::new(String::with_capacity(2 * MAX_RUNE_BYTES));
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failed::Usage(format!("cannot read the rune from stdin: {error}")))?;
            Some(text)
        }
        Some(rune) => Some(rune.to_owned().into()),
        None => std::env::var("RUNEWARD_RUNE").ok().filter(|rune| !rune.is_empty()).map(Zeroizing::new),
    };
    Ok(text.map(|text| text.trim().to_owned().into()))
}

/// Prints to stdout; a reader that has gone is no fault.
fn print(text: &str) -> Result<(), Failed> {
    use std::io::Write;
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failed::Refused(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        super::Cli::command().debug_assert();
    }

    #[test]
    fn what_was_meant_as_a_rune_is_no_flag() {
        let rune = "-JzZ".repeat(11);
        // Even where it is none.
        for meant in [&rune, &rune[..43], &format!("{rune}="), &format!("-{rune}")] {
            assert!(super::resembles_rune(meant), "{meant}");
        }
        for flag in ["-", "-h", "--restrict", &rune[..42], &format!("--restrict=method={rune}")] {
            assert!(!super::resembles_rune(flag), "{flag}");
        }
    }
}
