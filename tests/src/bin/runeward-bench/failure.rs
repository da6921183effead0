//! Why a run could not be made, and the exit status that says so.

use std::fmt;
use std::process::ExitCode;

/// What every command of this program returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// A message for the user and an exit status for scripts.
#[derive(Debug)]
pub struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    /// Every call of a run failed.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { status: 1, message: message.into() }
    }

    /// An argument that cannot be used.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { status: 2, message: message.into() }
    }

    /// The server was not reached, or did not speak as expected when it was.
    pub fn connect(message: impl Into<String>) -> Self {
        Self { status: 3, message: message.into() }
    }

    /// The exit status: 1 every call failed, 2 a bad argument, 3 could not connect.
    pub fn status(&self) -> ExitCode {
        ExitCode::from(self.status)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl From<std::io::Error> for Failure {
    fn from(why: std::io::Error) -> Self {
        Self::refused(why.to_string())
    }
}
