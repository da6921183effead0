//! Secrets stay where they belong: in no log at any level, in no error, in no file that others can read, in no core dump.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use runeward_policy::{MasterSecret, Restriction};
use runeward_tests::client::request;
use runeward_tests::{Answer, CliOutput, Client, FakeNode, Gateway, Setup, eventually, http, runes};
use serde_json::{Value, json};
use tokio::process::Command;

/// Values that may be found nowhere.
#[derive(Default)]
struct Canaries(Vec<String>);

impl Canaries {
    /// One more, kept as it is and returned.
    fn add(&mut self, canary: impl Into<String>) -> String {
        let canary = canary.into();
        self.0.push(canary.clone());
        canary
    }

    /// 32 bytes in hex that nobody else uses.
    fn hex(&mut self) -> String {
        let number = self.0.len();
        self.add((0..32).map(|i| format!("{:02x}", (number * 37 + i * 11 + 0x5a) % 256)).collect::<String>())
    }

    /// Asserts that none is in `text`, neither as it is nor in hex, base64 or, for hex, as bytes in base64.
    fn absent_in(&self, what: &str, text: &str) {
        let lower = text.to_lowercase();
        for canary in &self.0 {
            assert!(!text.contains(canary.as_str()), "{what} has {canary}:\n{text}");
            let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!lower.contains(&hex), "{what} has {canary} in hex");
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(canary);
                assert!(!text.contains(&encoded), "{what} has {canary} in base64");
            }
            if let Some(bytes) = from_hex(canary) {
                assert!(!lower.contains(canary), "{what} has {canary}");
                assert!(
                    !text.contains(&STANDARD.encode(&bytes)),
                    "{what} has the bytes of {canary} in base64"
                );
                assert!(!text.contains(&format!("{bytes:?}")), "{what} has the bytes of {canary}");
            }
        }
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok());
    pairs.collect::<Option<Vec<_>>>().filter(|bytes| bytes.len() == 32)
}

/// What the node knows of secrets, in replies and in errors.
fn script(node: &FakeNode, canaries: &mut Canaries) {
    let secret = canaries.hex();
    node.on("makesecret", Answer::result(json!({ "secret": secret })));
    node.on("help", Answer::result(json!({"help": [{"command": "listinvoices [label] [invstring]"}]})));
    node.on("exposesecret", Answer::result(json!({"codexsecret": canaries.hex()})));
    let invoice = canaries.add(format!("lnbcrt1{}", "q7canary".repeat(20)));
    let paid = json!({"payment_preimage": canaries.hex(), "bolt11": invoice, "status": "complete"});
    node.on("pay", Answer::result(paid));
    node.on("fails", Answer::Error(205, format!("no route for {} \u{1b}[2J\n", canaries.hex())));
    node.on(
        "halves",
        Answer::Half(format!("{{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":\"{}", canaries.hex())),
    );
    node.on("babbles", Answer::Text(format!("[\"{}\"]\n\n", canaries.hex())));
    node.on("mistakes", Answer::Text(format!("{{\"id\":\"{}\",\"result\":{{}}}}\n\n", canaries.hex())));
    node.on("echo", Answer::Echo);
}

/// Runes that are good, forged, narrowed, expired, revoked, too long or none.
async fn all_runes(gateway: &Gateway, canaries: &mut Canaries) -> Vec<String> {
    let good = canaries.add(gateway.rune(&[]).await);
    let mut all = vec![good.clone()];
    for i in 0..20 {
        all.push(canaries.add(runes::foreign(i)));
        all.push(canaries.add(runes::narrow(&good, &format!("pnamelabel=l{i}"))));
        all.push(canaries.add(runes::narrow(&good, &format!("time<{}", 1_000_000 + i))));
    }
    let secret = MasterSecret::new(&[0x33; 32]).unwrap();
    let invoice = Restriction::parse(&format!("pnamebolt11=lnbc{}", "x".repeat(100))).unwrap();
    all.push(canaries.add(secret.issue(7, &[invoice]).unwrap().encode()));
    let revoked = canaries.add(gateway.rune(&["method^list"]).await);
    let id = runes::unique_id(&revoked).to_string();
    assert_eq!(gateway.setup().rune(&["revoke", &id]).await.code, 0);
    all.push(revoked);
    for i in 0..20 {
        all.push(canaries.add(format!("!{}{i}", "AbCd0123".repeat(30))));
        all.push(canaries.add("Zm9v".repeat(3_000 + i)));
    }
    all
}

/// Every call there is, with every rune, good requests and bad ones.
async fn call_all(gateway: &Gateway, runes: &[String], canaries: &mut Canaries) {
    for rune in runes {
        let mut client = Client::connect(gateway).await;
        let (preimage, label) = (canaries.hex(), canaries.add(format!("canary-label-{}", canaries.0.len())));
        let params = json!({"preimage": preimage, "label": label, "bolt11": label});
        for method in ["echo", "pay", "exposesecret", "fails", &label] {
            client.call(method, params.clone(), rune).await;
        }
        for malformed in [
            format!("{{\"method\":\"echo\",\"rune\":\"{rune}\",\"rune\":\"{rune}\",\"id\":1}}"),
            format!("\"{rune}\""),
            format!("{{\"method\":\"{rune}\",\"params\":\"{rune}\",\"id\":1,\"rune\":[\"{rune}\"]}}"),
            format!("{{\"method\":[\"{rune}\"],\"params\":[],\"id\":\"{rune}\",\"rune\":\"{rune}\"}}"),
        ] {
            client.ask(malformed).await;
        }
        let filter = format!("{{\"method\":\"echo\",\"id\":1,\"filter\":\"{label}\",\"rune\":\"{rune}\"}}");
        client.ask(filter).await;
    }
}

/// What a node that fails in the middle of a reply says is not told on.
async fn fail_all(gateway: &Gateway, rune: &str) {
    for method in ["halves", "babbles", "mistakes"] {
        let mut client = Client::connect(gateway).await;
        client.request(1, request(&json!(1), method, &json!({}), rune)).await;
        let _ = client.next_reply().await;
        eventually("the node is there again", async || {
            let mut client = Client::connect(gateway).await;
            client.call("echo", json!({}), rune).await.get("result").is_some()
        })
        .await;
    }
}

async fn pair(gateway: &Gateway, admin: &str, canaries: &mut Canaries) {
    let mut owner = Client::connect(gateway).await;
    let offer = owner.result("runeward-offer", json!({"restrictions": [["method=echo"]]}), admin).await;
    let rune = canaries.add(offer["uri"].as_str().unwrap().split_once("&rune=").unwrap().1);
    let (mut phone, mut other) = (Client::connect(gateway).await, Client::connect(gateway).await);
    let got = phone.result("runeward-pair", json!({}), &rune).await;
    canaries.add(got["rune"].as_str().unwrap());
    let late = other.call("runeward-pair", json!({}), &rune).await;
    canaries.absent_in("the answer to the device that came late", &late.to_string());
}

/// Bytes that are no Lightning handshake, each with a canary in it.
async fn knock(gateway: &Gateway, rune: &str) {
    for head in [
        format!("GET /{rune} HTTP/1.1\nHost: {rune}.example\nUser-Agent: {rune}\nOrigin: https://{rune}\n\n"),
        format!("POST /?rune={rune} HTTP/1.1\nHost: 127.0.0.1\nRune: {rune}\n\n"),
    ] {
        http::exchange(gateway.address(), &head).await;
    }
    let mut stream = runeward_tests::client::tcp(gateway.address()).await;
    let garbage = format!("GET {rune}\r\n{rune}\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, garbage.as_bytes()).await.unwrap();
}

/// What the daemon keeps in files is as secret as what goes through it.
fn add_files(state: &Path, canaries: &mut Canaries) {
    for name in ["identity", "rune-secret", "audit-key"] {
        canaries.add(fs::read_to_string(state.join(name)).unwrap().trim());
    }
    let pem = fs::read_to_string(state.join("tls-key")).unwrap();
    pem.lines().filter(|line| line.len() > 40).for_each(|line| drop(canaries.add(line)));
}

fn audit_log(state: &Path) -> String {
    let files = fs::read_dir(state.join("audit")).unwrap();
    files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

async fn no_log_has_a_secret(format: &str) {
    let node = FakeNode::start().await;
    let mut canaries = Canaries::default();
    script(&node, &mut canaries);
    let setup = Setup::fake(&node).crowd().env("RUST_LOG", "trace").arg("--log").arg(format);
    let mut gateway = Gateway::start(setup.arg("--tls").arg("self-signed")).await;
    add_files(gateway.setup().state(), &mut canaries);
    let runes = all_runes(&gateway, &mut canaries).await;
    call_all(&gateway, &runes, &mut canaries).await;
    fail_all(&gateway, &runes[0]).await;
    pair(&gateway, &runes[0], &mut canaries).await;
    knock(&gateway, &runes[0]).await;
    gateway.terminate().await;
    gateway.exited().await;
    assert!(canaries.0.len() >= 200, "{}", canaries.0.len());
    let log = gateway.log();
    assert!(log.contains("shutting down"), "{log}");
    canaries.absent_in("the log", &log);
    let audit = audit_log(gateway.setup().state());
    assert!(audit.lines().count() > 500, "{}", audit.lines().count());
    canaries.absent_in("the audit log", &audit);
    for line in log.lines() {
        assert!(!line.chars().any(char::is_control), "a control character in {line:?}");
        if format == "json" {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    }
}

#[tokio::test]
async fn no_log_for_people_has_a_secret() {
    no_log_has_a_secret("pretty").await;
}

#[tokio::test]
async fn no_log_for_programs_has_a_secret() {
    no_log_has_a_secret("json").await;
}

/// What the node tells of its rune secret stays in memory, where its runes are honoured.
#[tokio::test]
async fn the_nodes_rune_secret_is_in_no_log_and_no_file() {
    let node = FakeNode::start().await;
    let mut canaries = Canaries::default();
    script(&node, &mut canaries);
    node.on("blacklistrune", Answer::result(json!({"blacklist": []})));
    let secret = from_hex(&canaries.0[0]).unwrap();
    let rune = canaries.add(MasterSecret::new(&secret).unwrap().issue(7, &[]).unwrap().encode());
    let setup = Setup::fake(&node).env("RUST_LOG", "trace").arg("--authority").arg("node");
    let mut gateway = Gateway::start(setup).await;
    let mut client = Client::connect(&gateway).await;
    for (method, params) in
        [("echo", json!({})), ("makesecret", json!({"string": "commando"})), ("fails", json!({}))]
    {
        client.call(method, params, &rune).await;
    }
    client.call("echo", json!({}), &runes::narrow(&rune, "method=getinfo")).await;
    assert!(node.calls("makesecret") >= 2, "the gateway has asked, and so has the client");
    gateway.terminate().await;
    gateway.exited().await;
    canaries.absent_in("the log", &gateway.log());
    let mut directories = vec![gateway.setup().state().to_owned()];
    let mut read = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                canaries.absent_in(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
                assert!(!bytes.windows(32).any(|window| window == secret), "{}", path.display());
                read += 1;
            }
        }
    }
    assert!(read >= 3, "{read} files");
}

/// However a command line is wrong, its error does not repeat a rune.
#[tokio::test]
async fn no_error_of_the_command_line_has_a_rune() {
    let setup = Setup::bare().env("RUST_LOG", "trace");
    let mut canaries = Canaries::default();
    let rune = canaries.add(setup.rune(&["create"]).await.line());
    let id = runeward_tests::fake_node::NODE_ID;
    let uris = [
        format!("commando+ws://127.0.0.1:1?pubkey={id}&rune={rune}"),
        format!("commando+ws://127.0.0.1:1&pubkey={id}&rune={rune}"),
        format!("commando+ws://127.0.0.1:1?pubkey={rune}"),
        format!("commando+ws://127.0.0.1:1?pubkey={id}&rune={rune}%zz"),
        format!("lnlink:{rune}@127.0.0.1:1"),
        format!("lnlink:{id}@127.0.0.1:1/{rune}"),
        format!("https://127.0.0.1:1/?rune={rune}"),
        rune.clone(),
    ];
    let mut outputs: Vec<CliOutput> = Vec::new();
    for uri in &uris {
        outputs.push(setup.cli(&["call", uri, "getinfo"]).await);
    }
    for args in [
        vec![rune.as_str()],
        vec!["rune", &rune],
        vec!["serve", &rune],
        vec!["serve", "--node", &rune],
        vec!["serve", "--listen", &rune],
        vec!["rune", "show", &rune, &rune],
        vec!["rune", "check", &rune, "--method", "getinfo", "--peer", &rune],
        vec!["rotate-secret", &rune],
    ] {
        outputs.push(setup.cli(&args).await);
    }
    for args in
        [vec!["revoke", &rune], vec!["create", "--restrict", &rune], vec!["create", "--preset", &rune]]
    {
        outputs.push(setup.rune(&args).await);
    }
    outputs.push(setup.cli(&["rune", "show", &format!("{rune}!")]).await);
    for toml in [
        format!("node = \"{rune}\""),
        format!("rune = \"{rune}\""),
        format!("listen = [\"{rune}\"]"),
        format!("log = \"{rune}\""),
        format!("demo_channels = \"{rune}\""),
        format!("advertise = \"commando+ws://h:1?rune={rune}\""),
        rune.clone(),
        format!("[limits]\n{rune} = 1"),
    ] {
        outputs.push(setup.clone().config(&toml).refused().await);
    }
    for output in outputs {
        assert_ne!(output.code, 0, "{output:?}");
        assert!(output.stderr.len() > 20, "{output:?}");
        canaries.absent_in("an error", &output.stderr);
        canaries.absent_in("stdout", &output.stdout);
    }
}

/// Secrets' files are their owner's alone whatever the umask, and a daemon does without them where they are not.
#[tokio::test]
async fn files_are_private_under_any_umask() {
    let setup = Setup::demo().arg("--tls").arg("self-signed");
    let binary = runeward_tests::gateway::binary();
    let state = setup.state().to_owned();
    let line = format!(
        "umask 000; exec '{}' serve --node demo --tls self-signed --listen 127.0.0.1:0 --ready-json --state-dir '{}'",
        binary.display(),
        state.display()
    );
    let mut child = Command::new("sh").args(["-c", &line]).kill_on_drop(true).spawn().unwrap();
    eventually("the daemon's files are there", async || state.join("tls-cert.pem").exists()).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("audit"))), (0o700, 0o700));
    let files = [&state, &state.join("audit")].map(|dir| fs::read_dir(dir).unwrap()).into_iter().flatten();
    for path in files.map(|entry| entry.unwrap().path()) {
        if path.is_file() && !path.ends_with("tls-cert.pem") {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
    child.kill().await.unwrap();
    let key = setup.path("key");
    let line = format!(
        "umask 000; exec '{}' call {}@127.0.0.1:1 getinfo --rune x --key '{}'",
        binary.display(),
        runeward_tests::fake_node::NODE_ID,
        key.display()
    );
    Command::new("sh").args(["-c", &line]).status().await.unwrap();
    assert_eq!(mode(&key), 0o600);
    assert_eq!(
        setup.cli(&["rotate-secret", "--yes", "--state-dir", &state.display().to_string()]).await.code,
        0
    );

    let loosen = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let names: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    let secret = |path: &&std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        ["identity", "tls-key", "demo-node-key", "runeward.db"].contains(&name)
            || name.starts_with("rune-secret")
    };
    let secrets: Vec<_> = names.iter().filter(secret).collect();
    assert!(secrets.len() >= 5, "{names:?}");
    for path in secrets {
        for mode in [0o640, 0o604] {
            loosen(path, mode);
            setup.refused().await.assert_refused(1, &[path.to_str().unwrap(), "chmod 600"]);
        }
        loosen(path, 0o600);
    }
    loosen(&key, 0o644);
    let node = format!("{}@127.0.0.1:1", runeward_tests::fake_node::NODE_ID);
    let key = key.display().to_string();
    setup
        .cli(&["call", &node, "getinfo", "--rune", "x", "--key", &key])
        .await
        .assert_refused(1, &["chmod 600"]);
}

/// Memory is written to no core dump, and other processes of the same user cannot read it.
#[tokio::test]
async fn memory_is_private() {
    let gateway = Gateway::start(Setup::demo()).await;
    let file = |name: &str| format!("/proc/{}/{name}", gateway.pid());
    let limits = fs::read_to_string(file("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let values: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(values, ["0", "0"], "{core}");
    // The kernel hands the files of a process that cannot be dumped to root.
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(file("mem")).unwrap()), 0);
}
