//! The daemon under test: a child process with a state dir of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::{Client, DEADLINE, FakeNode, eventually, runes, within};

/// The binary under test: `RUNEWARD_BIN`, else the one built beside the tests.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("RUNEWARD_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().skip(1).map(|dir| dir.join("runeward")).find(|path| path.is_file());
    path.unwrap_or_else(|| {
        panic!("no runeward binary above {}: run `cargo build` first, or set RUNEWARD_BIN", test.display())
    })
}

/// How a gateway is to be started. Cheap to clone: clones share one temporary directory.
#[derive(Clone)]
pub struct Setup {
    dir: Arc<TempDir>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
    listen: String,
    state_dir: PathBuf,
}

impl Setup {
    /// `runeward serve` with nothing but a listen address and a state dir.
    pub fn bare() -> Self {
        let dir = tempfile::Builder::new().prefix("runeward-").tempdir().unwrap();
        let state_dir = dir.path().join("state");
        Self {
            dir: Arc::new(dir),
            args: Vec::new(),
            env: Vec::new(),
            wrapper: Vec::new(),
            listen: "127.0.0.1:0".into(),
            state_dir,
        }
    }

    /// In front of the demo node.
    pub fn demo() -> Self {
        Self::bare().arg("--node").arg("demo")
    }

    /// In front of the node whose RPC socket is `socket`.
    pub fn cln(socket: &Path) -> Self {
        Self::bare().arg("--node").arg(format!("cln:{}", socket.display()))
    }

    /// In front of a scripted node.
    pub fn fake(node: &FakeNode) -> Self {
        Self::cln(node.socket())
    }

    /// One more argument of `serve`.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// One more variable in the environment of `serve` and of every other command.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs every command through this one, which is given the binary and its arguments behind its own.
    pub fn through(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.into()).collect();
        self
    }

    /// Every command starts from a shell that has run this first, such as `ulimit -n 64`.
    pub fn after(self, shell: &str) -> Self {
        self.through(&["sh", "-c", &format!("{shell}\nexec \"$0\" \"$@\"")])
    }

    /// A configuration file with this text.
    pub fn config(self, toml: &str) -> Self {
        let path = self.dir.path().join("runeward.toml");
        fs::write(&path, toml).unwrap();
        self.arg("--config").arg(path.display().to_string())
    }

    /// Limits no test client meets: for tests that open many connections at once from one address.
    pub fn crowd(self) -> Self {
        self.config(
            "[limits]\nconnections = 1000\nconnections_per_address = 1000\n\
             handshakes_per_second = 1000\nhandshakes_per_second_per_address = 1000\n",
        )
    }

    /// Listens here rather than on a free port of loopback.
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = address.into();
        self
    }

    /// Uses another state dir.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = dir.into();
        self
    }

    /// Puts a file into the state dir before the start, as the daemon itself would have.
    pub fn state_file(self, name: &str, text: &str, mode: u32) -> Self {
        if !self.state_dir.exists() {
            fs::DirBuilder::new().mode(0o700).create(&self.state_dir).unwrap();
        }
        let path = self.state_dir.join(name);
        let mut file = File::options().write(true).create(true).truncate(true).mode(mode).open(path).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        self
    }

    /// A path in this setup's temporary directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The state dir.
    pub fn state(&self) -> &Path {
        &self.state_dir
    }

    fn serve_args(&self) -> Vec<String> {
        let mut args: Vec<String> = vec!["serve".into()];
        args.extend(self.args.iter().cloned());
        args.extend(["--state-dir".into(), self.state_dir.display().to_string()]);
        args.extend(["--listen".into(), self.listen.clone(), "--ready-json".into()]);
        args
    }

    /// The binary with an environment that holds nothing of the machine's own node or runes.
    pub fn command(&self) -> Command {
        let words = self.wrapper.iter().map(PathBuf::from).chain([binary()]).collect::<Vec<_>>();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let home = self.path("home");
        fs::create_dir_all(&home).unwrap();
        command
            .env("HOME", &home)
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("RUNEWARD_RUNE")
            .env_remove("RUST_LOG")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts `serve` where it must refuse to: returns once it has exited.
    pub async fn refused(&self) -> CliOutput {
        let args = self.serve_args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = self.cli(&args).await;
        assert_ne!(output.code, 0, "the daemon ended well: {output:?}");
        output
    }

    /// Runs the command line with these arguments.
    pub async fn cli(&self, args: &[&str]) -> CliOutput {
        self.cli_with(args, None, &[]).await
    }

    /// Runs the command line with something on its stdin and in its environment.
    pub async fn cli_with(&self, args: &[&str], stdin: Option<&str>, env: &[(&str, &str)]) -> CliOutput {
        let mut child = self
            .command()
            .args(args)
            .envs(env.iter().copied())
            .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let (Some(text), Some(mut pipe)) = (stdin.map(str::to_owned), child.stdin.take()) {
            // Beside the reading: neither pipe holds much.
            tokio::spawn(async move { pipe.write_all(text.as_bytes()).await });
        }
        let output =
            within(&format!("`runeward {}` ends", args.join(" ")), child.wait_with_output()).await.unwrap();
        let output = CliOutput {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!output.stderr.contains(PANICKED), "{output:?}");
        output
    }

    /// Runs `runeward rune …` on this setup's state dir.
    pub async fn rune(&self, args: &[&str]) -> CliOutput {
        self.on_state("rune", args).await
    }

    /// Runs `runeward audit …` on this setup's state dir.
    pub async fn audit(&self, args: &[&str]) -> CliOutput {
        self.on_state("audit", args).await
    }

    async fn on_state(&self, command: &str, args: &[&str]) -> CliOutput {
        let state_dir = self.state_dir.display().to_string();
        let mut all = vec![command];
        all.extend(args);
        all.extend(["--state-dir", &state_dir]);
        self.cli(&all).await
    }
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct CliOutput {
    /// Exit status; -1 where a signal ended it.
    pub code: i32,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl CliOutput {
    /// The one line on stdout of a command that must have succeeded.
    pub fn line(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        let line = self.stdout.strip_suffix('\n').unwrap_or(&self.stdout);
        assert!(!line.contains('\n'), "more than one line: {self:?}");
        line
    }

    /// Asserts a failure with this exit status whose stderr has each of `phrases` (any case),
    /// and nothing on stdout.
    pub fn assert_refused(&self, code: i32, phrases: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.stdout, "", "results only on stdout: {self:?}");
        let text = self.stderr.to_lowercase();
        for phrase in phrases {
            assert!(text.contains(&phrase.to_lowercase()), "no `{phrase}` in: {self:?}");
        }
    }
}

/// The line `--ready-json` prints.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// 66 hex digits.
    pub node_id: String,
    /// One address per listener.
    pub listen: Vec<SocketAddr>,
    /// `commando+ws://…?pubkey=…`
    pub uri: String,
    /// `commando+wss://…?pubkey=…`, with TLS.
    pub uri_wss: Option<String>,
    /// The certificate's fingerprint, with TLS.
    pub tls_sha256: Option<String>,
    /// `up` or `down`.
    pub node: String,
    /// Where metrics are told, with `--metrics`.
    pub metrics: Option<SocketAddr>,
}

/// Where a gateway is.
#[derive(Clone, Debug)]
pub struct At {
    /// The first address listened on.
    pub address: SocketAddr,
    /// 66 hex digits.
    pub node_id: String,
}

/// In the log of a daemon, or on the stderr of a command, that panicked.
const PANICKED: &str = "panicked";

/// A running daemon. Killed when dropped; its log is printed when the test fails, which it does where
/// the daemon panicked.
pub struct Gateway {
    setup: Setup,
    child: Child,
    /// What it said when it was ready.
    pub ready: Ready,
}

impl Gateway {
    /// Starts the daemon and waits until it accepts connections.
    pub async fn start(setup: Setup) -> Self {
        let log_path = setup.path("stderr.log");
        let log = File::options().create(true).append(true).open(&log_path).unwrap();
        let mut child =
            setup.command().args(setup.serve_args()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = tokio::time::timeout(DEADLINE, stdout.read_line(&mut line)).await;
        let ready = match read {
            Ok(Ok(_)) if line.ends_with('\n') => serde_json::from_str(&line).ok(),
            _ => None,
        };
        let Some(ready) = ready else {
            panic!(
                "no ready line but {line:?}; its log:\n{}",
                fs::read_to_string(&log_path).unwrap_or_default()
            );
        };
        // Whatever follows on stdout must not fill the pipe.
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
        });
        Self { setup, child, ready }
    }

    /// In front of a scripted node, with a rune that allows everything.
    pub async fn before(node: &FakeNode) -> (Self, String) {
        Self::with_rune(Setup::fake(node)).await
    }

    /// In front of the demo node, with a rune that allows everything.
    pub async fn demo() -> (Self, String) {
        Self::with_rune(Setup::demo()).await
    }

    /// Started so, with a rune that allows everything.
    pub async fn with_rune(setup: Setup) -> (Self, String) {
        let gateway = Self::start(setup).await;
        let rune = gateway.rune(&[]).await;
        (gateway, rune)
    }

    /// The first address listened on.
    pub fn address(&self) -> SocketAddr {
        self.ready.listen[0]
    }

    /// Where it is, for tasks that outlive a borrow of it.
    pub fn at(&self) -> At {
        At { address: self.address(), node_id: self.ready.node_id.clone() }
    }

    /// The gateway's node id.
    pub fn node_id(&self) -> &str {
        &self.ready.node_id
    }

    /// The URI it announced, with a rune.
    pub fn uri_with(&self, rune: &str) -> String {
        format!("{}&rune={rune}", self.ready.uri)
    }

    /// How it was started.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Everything on its stderr so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.setup.path("stderr.log")).unwrap_or_default()
    }

    /// The process id of the running daemon.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most resident memory there was, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The processor time it has taken.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // Behind the name, which may hold anything: the 12th and 13th, in hundredths of a second.
        let fields = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().skip(11).take(2);
        fields.map(|ticks| Duration::from_millis(10) * ticks.parse::<u32>().unwrap()).sum()
    }

    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGTERM without waiting.
    pub async fn terminate(&self) {
        let Some(pid) = self.child.id() else { return };
        // The shell's own `kill`: a small machine may lack the program.
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await.unwrap();
        assert!(status.success());
    }

    /// Waits for the exit and returns its status; -1 where a signal ended it.
    pub async fn exited(&mut self) -> i32 {
        within("the daemon ends", self.child.wait()).await.unwrap().code().unwrap_or(-1)
    }

    /// Starts it again, on the same state dir and the same port.
    pub async fn restart(mut self) -> Self {
        if self.child.id().is_some() {
            self.terminate().await;
            self.exited().await;
        }
        let setup = self.setup.clone().listen(&self.address().to_string());
        Self::start(setup).await
    }

    /// Makes a rune with these restrictions beside the running daemon, and waits until it knows it.
    pub async fn rune(&self, restrictions: &[&str]) -> String {
        let mut args = vec!["create"];
        for restriction in restrictions {
            args.extend(["--restrict", restriction]);
        }
        let rune = self.setup.rune(&args).await.line().to_owned();
        // Narrowed to a method nobody calls, it can be shown to the daemon without being used.
        let probe = runes::narrow(&rune, "method=never-called");
        let mut client = Client::connect(self).await;
        eventually("the daemon knows the rune", async || {
            let reply = client.call("getinfo", json!({}), &probe).await;
            let message = reply["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.starts_with("Invalid rune: Not "), "{message}");
            !message.ends_with("Unknown rune")
        })
        .await;
        rune
    }

    /// Runs the command line.
    pub async fn cli(&self, args: &[&str]) -> CliOutput {
        self.setup.cli(args).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A moment for the last lines to reach the file.
            std::thread::sleep(Duration::from_millis(100));
            eprintln!("--- the gateway's log ---\n{}---", self.log());
        } else {
            assert!(!self.log().contains(PANICKED), "the gateway's log:\n{}", self.log());
        }
    }
}
