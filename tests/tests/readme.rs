//! Every command in the README, run as it stands there: before a demo node, with its placeholders filled in and its ports
//! and paths replaced by free ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use rcgen::generate_simple_self_signed;
use runeward_tests::{Gateway, Setup, gateway, within};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// What a command begins with; all other indented lines are pictures and files.
const PROGRAMS: [&str; 12] = [
    "runeward ",
    "RUNEWARD_RUNE=",
    "target/release/runeward ",
    "make ",
    "docker ",
    "systemctl ",
    "systemd-sysusers",
    "usermod ",
    "export ",
    "runuser ",
    "editor ",
    "curl ",
];

/// Commands that are not run here, by how they begin, and why.
const NOT_RUN: [(&str, &str); 9] = [
    ("make run", "`cargo` builds while it runs these tests; `runeward demo` is what it starts"),
    ("make test", "it is what runs these tests"),
    ("make install", "run in tests/service.rs, into an empty directory"),
    ("docker ", "there may be no engine"),
    ("systemctl ", "there may be no systemd, and it is not ours to change"),
    ("systemd-sysusers", "the same"),
    ("usermod ", "the same"),
    ("export ", "each command here has a state directory"),
    ("editor ", "nobody is there to edit"),
];

/// The commands of a text, in order: indented by four, joined where they go on, without their remarks.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.strip_prefix("    "));
    let lines = lines.filter(|line| PROGRAMS.iter().any(|program| line.starts_with(program)));
    lines.map(|line| line.split("  #").next().unwrap().trim().to_owned()).collect()
}

struct Run {
    gateway: Gateway,
    /// A state directory that nothing else needs.
    scratch: String,
}

impl Run {
    /// The command with everything in it that is particular to a machine replaced.
    async fn fill_in(&self, command: &str, paired: &str) -> String {
        let setup = self.gateway.setup();
        let path = |name: &str| setup.path(name).display().to_string();
        let mut command = command.replace("target/release/runeward", "runeward");
        // Who runs these tests may be no other user.
        command = command.replace("runuser -u runeward -- ", "");
        if command.contains("<rune>") {
            let rune = match command.contains("--key") {
                true => paired.to_owned(),
                false => self.gateway.rune(&[]).await,
            };
            command = command.replace("<rune>", &rune);
        }
        if command.contains("<text of the QR code>") {
            command = command.replace("<text of the QR code>", &self.offer().await);
        }
        let served = command.contains("runeward serve");
        let address = if served { "127.0.0.1:0".to_owned() } else { self.gateway.address().to_string() };
        for (placeholder, value) in [
            ("<node id of the device>", format!("02{}", "ab".repeat(32))),
            ("<node id>", self.gateway.node_id().to_owned()),
            ("<label or invoice>", "label".to_owned()),
            ("<name>.onion", format!("{}.onion", "a".repeat(56))),
            ("/etc/letsencrypt/live/node.example/fullchain.pem", path("cert.pem")),
            ("/etc/letsencrypt/live/node.example/privkey.pem", path("key.pem")),
            ("/etc/runeward/runeward.toml", path("runeward.toml")),
            ("127.0.0.1:9736", address),
            ("0.0.0.0:9736", "127.0.0.1:0".to_owned()),
            ("127.0.0.1:9737", "127.0.0.1:0".to_owned()),
        ] {
            command = command.replace(placeholder, &value);
        }
        let unfilled = command.find('<').filter(|at| command[*at..].contains('>'));
        assert!(unfilled.is_none(), "a placeholder that this test does not know: {command}");
        command
    }

    /// The text of a QR code that somebody may scan now.
    async fn offer(&self) -> String {
        let mut pair =
            self.command("runeward pair --json --name script").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(pair.stdout.take().unwrap());
        within("an offer", stdout.read_line(&mut line)).await.unwrap();
        tokio::spawn(async move { pair.wait().await });
        let offer: serde_json::Value = serde_json::from_str(&line).unwrap();
        offer["uri"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    /// A shell with this line, in an empty directory of its own, to which the gateway is the one that runs.
    fn command(&self, line: &str) -> Command {
        let setup = self.gateway.setup();
        let mut shell = Command::new("sh");
        let programs = gateway::binary().parent().unwrap().display().to_string();
        let everybody = ["rotate-secret", "revoke --all"].iter().any(|all| line.contains(all));
        let state = if everybody { self.scratch.clone() } else { setup.state().display().to_string() };
        shell
            .args(["-c", line])
            .current_dir(setup.path("home"))
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
            .env("HOME", setup.path("home"))
            .env_remove("XDG_STATE_HOME")
            .env_remove("RUNEWARD_RUNE")
            .env_remove("RUST_LOG")
            .env("RUNEWARD_STATE_DIR", state)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        shell
    }

    /// Starts what serves and waits until it does.
    async fn serve(&self, command: &str, state: &Path) {
        let node = if command.contains("--node") { "" } else { "--node demo" };
        let listen = if command.contains("--listen") { "" } else { "--listen 127.0.0.1:0" };
        let line = format!("exec {command} --state-dir {} {node} {listen} --ready-json", state.display());
        let mut child = self.command(&line).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        within(command, stdout.read_line(&mut ready)).await.unwrap();
        assert!(ready.starts_with("{\"node_id\""), "`{command}` did not serve: {ready:?}");
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn every_command_does_what_it_says() {
    let readme = include_str!("../../README.md");
    let (text, _) = readme.split_once("## Performance").unwrap();
    let commands = commands(text);
    assert!(commands.len() >= 30, "{commands:#?}");

    let gateway = Gateway::start(Setup::demo()).await;
    let setup = gateway.setup();
    let home = setup.path("home");
    let socket = home.join(".lightning/bitcoin/lightning-rpc");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(setup.state().join("lightning-rpc"), socket).unwrap();
    let config = format!("node = \"demo\"\nlisten = [\"{}\"]\n", gateway.address());
    fs::write(setup.path("runeward.toml"), config).unwrap();
    let made = generate_simple_self_signed(["node.example".to_owned()]).unwrap();
    fs::write(setup.path("cert.pem"), made.cert.pem()).unwrap();
    fs::write(setup.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(setup.path("key.pem"), Permissions::from_mode(0o600)).unwrap();
    let scratch = setup.path("scratch").display().to_string();
    let run = Run { gateway, scratch };

    let (mut not_run, mut paired) = (BTreeSet::new(), String::new());
    for (at, written) in commands.iter().enumerate() {
        if let Some((prefix, _)) = NOT_RUN.iter().find(|(prefix, _)| written.starts_with(prefix)) {
            not_run.insert(*prefix);
            continue;
        }
        if written.starts_with("curl ") {
            // What it asks is asked in tests/metrics.rs; that this is where it listens is what counts here.
            assert!(
                commands[..at].iter().any(|before| before.contains("--metrics 127.0.0.1:9737")),
                "{written}"
            );
            continue;
        }
        let mut command = run.fill_in(written, &paired).await;
        if command.starts_with("runeward serve") {
            run.serve(&command, &run.gateway.setup().path(&format!("state-{at}"))).await;
            continue;
        }
        if command.starts_with("runeward pair") {
            // Nobody comes.
            command.push_str(" --for 1s");
        }
        if command.contains("rotate-secret") {
            command.push_str(" --yes");
        }
        let output = within(written, run.command(&command).output()).await.unwrap();
        let (out, error) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let expected = if command.starts_with("runeward pair") { 1 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "`{written}` as `{command}`: {out}{error}");
        if written.contains("call --pair") {
            paired = out.trim().to_owned();
        }
    }
    for (prefix, why) in NOT_RUN {
        assert!(not_run.contains(prefix), "`{prefix}` is no longer in the README ({why})");
    }
}
