//! The `runeward` command.

fn main() -> std::process::ExitCode {
    runeward::Cli::read().run()
}
