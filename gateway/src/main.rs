//! The `runeward` command.

use clap::Parser;

fn main() -> std::process::ExitCode {
    runeward::Cli::parse().run()
}
