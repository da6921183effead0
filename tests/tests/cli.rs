//! The command line: what it prints where, and how it ends. Scripts rely on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use runeward_policy::Rune;
use runeward_tests::{Answer, FakeNode, Gateway, Setup, eventually, runes};
use serde_json::{Value, json};

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn create_prints_the_rune_alone() {
    let setup = Setup::demo();
    let made =
        setup.rune(&["create", "--restrict", "method=getinfo|method^list", "--restrict", "time>5"]).await;
    let rune = made.line();
    assert!(runes::unique_id(rune) < 1 << 52);
    let shown = setup.cli(&["rune", "show", rune]).await;
    assert_eq!(shown.code, 0);
    for sentence in
        ["- Only these commands: getinfo, and those that start with list.", "- Only after 1 January 1970"]
    {
        assert!(shown.stdout.contains(sentence), "{shown:?}");
    }
    // The master secret has been made, for nobody else to read.
    use std::os::unix::fs::PermissionsExt;
    let secret = std::fs::metadata(setup.state().join("rune-secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    assert_eq!(secret.len(), 65);
}

#[tokio::test]
async fn names_and_expiry() {
    let (gateway, _) = Gateway::demo().await;
    let setup = gateway.setup();
    let args = ["create", "--restrict", "method=getinfo", "--name", "kitchen", "--expires", "30d"];
    let rune = setup.rune(&args).await.line().to_owned();
    let list = setup.rune(&["list"]).await;
    assert!(list.stdout.contains("kitchen"), "{list:?}");
    let shown = setup.cli(&["rune", "show", &rune]).await;
    assert!(shown.stdout.contains("- Until ") && shown.stdout.contains("(in 30 days)"), "{shown:?}");
    // A name is taken once.
    setup.rune(&args).await.assert_refused(1, &["kitchen", "--name"]);

    assert_eq!(setup.rune(&["revoke", "kitchen"]).await.code, 0);
    let check = setup.rune(&["check", &rune, "--method", "getinfo"]).await;
    check.assert_refused(1, &["Blacklisted"]);
}

/// It is made, and its holder's power is said.
#[tokio::test]
async fn a_rune_without_restrictions_is_warned_of() {
    let rune = Setup::demo().rune(&["create"]).await;
    assert_eq!(Rune::decode(rune.line()).unwrap().restrictions().count(), 0);
    assert!(rune.stderr.contains("no restrictions"), "{rune:?}");
}

#[tokio::test]
async fn restrict_needs_no_secret() {
    let setup = Setup::demo();
    let rune = setup.rune(&["create", "--restrict", "method^list"]).await;
    let rune = rune.line();
    let elsewhere = Setup::demo();
    let restrictions = ["rune", "restrict", rune, "--restrict", "pnum=0", "--restrict", "rate=5"];
    let narrowed = elsewhere.cli(&restrictions).await;
    let expected = runes::narrow(&runes::narrow(rune, "pnum=0"), "rate=5");
    assert_eq!(narrowed.line(), expected);
    assert!(!elsewhere.state().exists(), "offline, without a state dir");

    let check = setup.rune(&["check", narrowed.line(), "--method", "listpeers"]).await;
    assert_eq!(check.code, 0, "{check:?}");
    let params = ["check", narrowed.line(), "--method", "listpeers", "--params", r#"{"id":"x"}"#];
    let check = setup.rune(&params).await;
    check.assert_refused(1, &["number of parameters is not equal to 0"]);
}

#[tokio::test]
async fn check_is_a_dry_run() {
    let setup = Setup::demo();
    let peer = runeward_tests::client::identity().node_id().to_string();
    let by_peer = format!("id={peer}");
    let restrictions = ["create", "--restrict", "method=getinfo", "--restrict", &by_peer];
    let rune = setup.rune(&restrictions).await.line().to_owned();
    let check = |method: &'static str, peer: Option<String>| {
        let (setup, rune) = (setup.clone(), rune.clone());
        async move {
            let mut args = vec!["check", &rune, "--method", method];
            if let Some(peer) = &peer {
                args.extend(["--peer", peer]);
            }
            setup.rune(&args).await
        }
    };
    assert_eq!(check("getinfo", Some(peer.clone())).await.code, 0);
    let refused = check("listpeers", Some(peer)).await;
    refused.assert_refused(1, &["method is not equal to getinfo"]);
    let other = runeward_tests::client::identity().node_id().to_string();
    check("getinfo", Some(other)).await.assert_refused(1, &["id is not equal to"]);
    check("getinfo", None).await.assert_refused(1, &["id not present"]);
}

#[tokio::test]
async fn lists_are_tables_or_json() {
    let (gateway, admin) = Gateway::demo().await;
    let setup = gateway.setup();
    let rune = gateway.rune(&["method=getinfo"]).await;
    let table = setup.rune(&["list"]).await;
    assert_eq!(table.code, 0);
    let list = setup.rune(&["list", "--json"]).await;
    let list = json_of(&list.stdout);
    for rune in [&admin, &rune] {
        let id = runes::unique_id(rune).to_string();
        assert!(table.stdout.contains(&id), "{id} in {table:?}");
        assert!(list.to_string().contains(&id), "{id} in {list}");
    }
    let id = runes::unique_id(&rune).to_string();
    assert_eq!(setup.rune(&["revoke", &id]).await.code, 0);
    let after = setup.rune(&["list", "--json"]).await;
    assert_ne!(json_of(&after.stdout), list, "a revoked rune is shown as such");
}

/// A rune may come by stdin or by the environment, so that it stays out of the process list.
#[tokio::test]
async fn runes_by_stdin_and_environment() {
    let (gateway, _) = Gateway::demo().await;
    let setup = gateway.setup();
    let rune = gateway.rune(&["method=getinfo"]).await;
    let state = setup.state().display().to_string();
    let line = format!("{rune}\n");
    let plain = setup.cli(&["rune", "show", &rune]).await;

    let shown = setup.cli_with(&["rune", "show", "-"], Some(&line), &[]).await;
    assert_eq!(shown.stdout, plain.stdout, "{shown:?}");
    let env = [("RUNEWARD_RUNE", rune.as_str())];
    let shown = setup.cli_with(&["rune", "show"], None, &env).await;
    assert_eq!(shown.stdout, plain.stdout, "{shown:?}");

    let args = ["rune", "check", "-", "--method", "getinfo", "--state-dir", &state];
    assert_eq!(setup.cli_with(&args, Some(&line), &[]).await.code, 0);
    let args = ["rune", "check", "--method", "listpeers", "--state-dir", &state];
    assert_eq!(setup.cli_with(&args, None, &env).await.code, 1);
    let args = ["rune", "restrict", "-", "--restrict", "pnum=0"];
    let narrowed = setup.cli_with(&args, Some(&line), &[]).await;
    assert_eq!(narrowed.line(), runes::narrow(&rune, "pnum=0"));

    let call = setup.cli_with(&["call", &gateway.ready.uri, "getinfo"], None, &env).await;
    assert_eq!(call.code, 0, "{call:?}");
}

#[tokio::test]
async fn calls_by_every_uri() {
    let (gateway, rune) = Gateway::demo().await;
    let (address, node_id) = (gateway.address(), gateway.node_id());
    let unpadded = rune.trim_end_matches('=');
    let escaped = rune.replace('=', "%3D");
    let uris = [
        gateway.uri_with(&rune),
        format!("commando+ws://{address}?pubkey={node_id}&rune={escaped}"),
        format!("commando+ws://{address}/?rune={unpadded}&pubkey={node_id}&invoiceRune={rune}"),
        format!("lnlink:{node_id}@{address}?token={rune}"),
        format!("lnlink:{node_id}@{address}?token={unpadded}"),
    ];
    for uri in &uris {
        let call = gateway.cli(&["call", uri, "getinfo"]).await;
        assert_eq!(call.code, 0, "{uri}: {call:?}");
        let info = json_of(&call.stdout);
        assert!(info["version"].is_string(), "the bare result: {info}");
    }
    let env = [("RUNEWARD_RUNE", rune.as_str())];
    let bare = format!("{node_id}@{address}");
    let call = gateway.setup().cli_with(&["call", &bare, "getinfo"], None, &env).await;
    assert_eq!(call.code, 0, "{call:?}");
}

#[tokio::test]
async fn params_of_a_call() {
    let node = FakeNode::start().await;
    node.on("echo", Answer::Echo);
    let (gateway, rune) = Gateway::before(&node).await;
    let uri = gateway.uri_with(&rune);
    let cases: [(&[&str], Value); 6] = [
        (&[], json!({})),
        (
            &["a=1", "b=true", "c=text", "d=[1,2]", "e={\"x\":null}", "f=\"5\""],
            json!({"a": 1, "b": true, "c": "text", "d": [1, 2], "e": {"x": null}, "f": "5"}),
        ),
        (&["label=a=b"], json!({"label": "a=b"})),
        (&["empty="], json!({"empty": ""})),
        (&[r#"{"k":[1,{"a":2}]}"#], json!({"k": [1, {"a": 2}]})),
        (&[r#"["x",5]"#], json!(["x", 5])),
    ];
    for (args, expected) in cases {
        let all: Vec<&str> = ["call", &uri, "echo"].iter().chain(args).copied().collect();
        let call = gateway.cli(&all).await;
        assert_eq!(call.code, 0, "{call:?}");
        assert_eq!(json_of(&call.stdout), expected, "{args:?}");
    }
    // Numbers keep every digit on the way.
    gateway.cli(&["call", &uri, "echo", "n=123456789012345678901234567890"]).await;
    let sent = node.requests_for("echo");
    assert!(sent.last().unwrap().contains("123456789012345678901234567890"));
}

#[tokio::test]
async fn how_a_call_ends() {
    let (gateway, rune) = Gateway::demo().await;
    let uri = gateway.uri_with(&rune);
    // 1: the node refused, or the gateway did; its error is on stderr.
    let failed = gateway.cli(&["call", &uri, "nosuchmethod"]).await;
    failed.assert_refused(1, &["-32601", "Unknown command 'nosuchmethod'"]);
    let narrow = gateway.rune(&["method=getinfo"]).await;
    let refused = gateway.cli(&["call", &gateway.uri_with(&narrow), "listpeers"]).await;
    refused.assert_refused(1, &["19537", "method is not equal to getinfo"]);
    // 2: usage.
    for args in [
        &["call"][..],
        &["call", &uri],
        &["call", &uri, "getinfo", "--nosuch"],
        &["call", &uri, "getinfo", "a=1", "not-named"],
        &["call", &uri, "getinfo", "a=1", "a=2"],
        &["call", "http://example.com", "getinfo"],
        &["call", "commando+ws://127.0.0.1:1?rune=x", "getinfo"],
        &["call", "lnlink:02@127.0.0.1", "getinfo"],
        &["nosuchcommand"],
        &["rune", "show", "not a rune"],
    ] {
        let output = gateway.cli(args).await;
        output.assert_refused(2, &[]);
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    // 3: no connection: nothing listens, or another node does.
    let node_id = gateway.node_id();
    let closed = format!("commando+ws://127.0.0.1:1?pubkey={node_id}&rune={rune}");
    gateway.cli(&["call", &closed, "getinfo"]).await.assert_refused(3, &["127.0.0.1:1"]);
    let other = runeward_tests::client::identity().node_id();
    let address = gateway.address();
    let wrong = format!("commando+ws://{address}?pubkey={other}&rune={rune}");
    gateway.cli(&["call", &wrong, "getinfo"]).await.assert_refused(3, &[]);
}

/// `--key` keeps an identity: a rune may be bound to it.
#[tokio::test]
async fn a_call_may_keep_its_identity() {
    let (gateway, _) = Gateway::demo().await;
    let key = gateway.setup().path("client-key").display().to_string();
    let open = gateway.rune(&["method=getinfo"]).await;
    let first = gateway.cli(&["call", &gateway.uri_with(&open), "getinfo", "--key", &key]).await;
    assert_eq!(first.code, 0, "{first:?}");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let hex = std::fs::read_to_string(&key).unwrap();
    let mut secret = [0; 32];
    for (at, byte) in secret.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    }
    let me = runeward_noise::Identity::from_secret(&secret).unwrap();
    let bound = gateway.rune(&[&format!("id={}", me.node_id())]).await;
    let uri = gateway.uri_with(&bound);
    let mine = gateway.cli(&["call", &uri, "getinfo", "--key", &key]).await;
    assert_eq!(mine.code, 0, "{mine:?}");
    let other = gateway.cli(&["call", &uri, "getinfo"]).await;
    other.assert_refused(1, &["id is not equal to"]);
}

/// The command line works beside a running daemon and without one.
#[tokio::test]
async fn beside_a_daemon_and_without() {
    let setup = Setup::demo();
    let before = setup.rune(&["create", "--restrict", "method=getinfo"]).await;
    let gateway = Gateway::start(setup.clone()).await;
    let uri = gateway.uri_with(before.line());
    assert_eq!(gateway.cli(&["call", &uri, "getinfo"]).await.code, 0);
    let beside = setup.rune(&["create", "--restrict", "method=getinfo"]).await;
    let uri = gateway.uri_with(beside.line());
    eventually("the daemon knows it", async || gateway.cli(&["call", &uri, "getinfo"]).await.code == 0).await;
}

/// Two daemons on one state dir would both count uses.
#[tokio::test]
async fn one_daemon_a_state_dir() {
    let (gateway, _) = Gateway::demo().await;
    let second = gateway.setup().refused().await;
    second.assert_refused(1, &["state"]);
}

#[tokio::test]
async fn help_version_and_completions() {
    let setup = Setup::bare();
    for args in [&["--help"][..], &["help"], &["serve", "--help"], &["rune", "--help"], &["--version"]] {
        let output = setup.cli(args).await;
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{args:?}");
        assert!(output.stdout.contains("runeward"), "{output:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let output = setup.cli(&["completions", shell]).await;
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stdout.contains("restrict"), "{shell}");
    }
}

/// A log as JSON is one object a line, on stderr; stdout holds the ready line alone.
#[tokio::test]
async fn logs_go_to_stderr() {
    let mut gateway = Gateway::start(Setup::demo().arg("--log").arg("json")).await;
    gateway.terminate().await;
    assert_eq!(gateway.exited().await, 0);
    let log = gateway.log();
    assert!(!log.is_empty());
    for line in log.lines() {
        assert!(json_of(line).is_object());
    }
}

/// At the highest level a log still holds no secret.
#[tokio::test]
async fn logs_hold_no_runes() {
    let setup = Setup::demo().env("RUST_LOG", "trace");
    let (gateway, rune) = Gateway::with_rune(setup).await;
    let foreign = runes::foreign(1);
    let mut client = runeward_tests::Client::connect(&gateway).await;
    for rune in [&rune, &foreign] {
        client.call("getinfo", json!({"label": "canary-of-a-label"}), rune).await;
    }
    client.ask(format!("{{\"rune\":\"{rune}\",")).await;
    client.result("createrune", json!({"rune": rune, "restrictions": [["pnum=0"]]}), &rune).await;
    let log = gateway.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    let secret = |name| std::fs::read_to_string(gateway.setup().state().join(name)).unwrap();
    let (identity, master) = (secret("identity"), secret("rune-secret"));
    for canary in [&rune[..40], &foreign[..40], "canary-of-a-label", identity.trim(), master.trim()] {
        assert!(!log.contains(canary), "{canary} in the log");
    }
}

/// Without a state dir named, it is where the system keeps such things.
#[tokio::test]
async fn default_state_dirs() {
    let setup = Setup::bare();
    let base = setup.path("xdg").display().to_string();
    let env = [("XDG_STATE_HOME", base.as_str())];
    let made = setup.cli_with(&["rune", "create"], None, &env).await;
    assert!(setup.path("xdg/runeward/rune-secret").exists(), "{made:?}");
    assert_eq!(setup.cli(&["rune", "create"]).await.code, 0);
    assert!(setup.path("home/.local/state/runeward/rune-secret").exists());
}

/// What a newcomer runs first: the command that it says to paste answers.
#[tokio::test]
async fn the_demo_says_what_to_paste() {
    let setup = Setup::bare();
    let log = setup.path("demo.log");
    let mut demo = setup
        .command()
        .args(["demo", "--listen", "127.0.0.1:0", "--state-dir"])
        .arg(setup.state())
        .stderr(std::fs::File::create(&log).unwrap())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut paste = String::new();
    eventually("it says what to paste", async || {
        let said = std::fs::read_to_string(&log).unwrap();
        let line = said.lines().find(|line| line.contains(" call ") && line.ends_with(" getinfo"));
        paste = line.unwrap_or_default().to_owned();
        !paste.is_empty()
    })
    .await;
    let output = tokio::process::Command::new("sh").args(["-c", &paste]).output().await.unwrap();
    assert!(output.status.success(), "{paste}: {output:?}");
    assert!(json_of(std::str::from_utf8(&output.stdout).unwrap())["id"].is_string());
    demo.kill().await.unwrap();
}

#[tokio::test]
async fn what_can_never_hold_is_not_minted() {
    let setup = Setup::demo();
    for restriction in ["time<5", "nosuch=1", "pnum<x", "rate=0", "method=getinfo |id=5"] {
        let made = setup.rune(&["create", "--restrict", restriction, "--force"]).await;
        made.assert_refused(2, &["no command could ever be allowed"]);
    }
    let contradiction = ["create", "--restrict", "method=getinfo", "--restrict", "method=pay"];
    setup.rune(&contradiction).await.assert_refused(2, &["no command could ever be allowed"]);
    for restriction in ["nosuch!", "method=getinfo|nosuch#"] {
        setup.rune(&["create", "--restrict", restriction]).await.assert_refused(2, &["--force"]);
        setup.rune(&["create", "--restrict", restriction, "--force"]).await.line();
    }
}

#[tokio::test]
async fn a_check_names_the_restriction_that_refuses() {
    let setup = Setup::demo();
    let made = setup.rune(&["create", "--restrict", "method=invoice", "--restrict", "pnamelabel^shop"]).await;
    let rune = made.line();
    let check = ["check", rune, "--method", "invoice", "--params", r#"{"label":"home"}"#];
    setup.rune(&check).await.assert_refused(
        1,
        &[
            "parameter label does not start with shop",
            "refused by the restriction pnamelabel^shop: The parameter label",
        ],
    );
}

#[tokio::test]
async fn checks_by_the_thousand() {
    let setup = Setup::demo();
    let made = setup.rune(&["create", "--restrict", "method=getinfo", "--restrict", "pnum=0"]).await;
    let rune = made.line();
    let line = |method: &str, params: &str| {
        format!("{{\"rune\":\"{rune}\",\"method\":\"{method}\",\"params\":{params}}}\n")
    };
    let lines = line("getinfo", "{}") + &line("pay", "{}") + &line("getinfo", "[1]").repeat(1000);
    let state_dir = setup.state().display().to_string();
    let answered =
        setup.cli_with(&["rune", "check", "--batch", "--state-dir", &state_dir], Some(&lines), &[]).await;
    let answers: Vec<&str> = answered.stdout.lines().collect();
    assert_eq!(answers.len(), 1002, "{}", answered.stderr);
    assert_eq!(answers[0], r#"{"allowed":true}"#);
    assert_eq!(json_of(answers[1])["reason"], "Not permitted: method is not equal to getinfo");
    assert_eq!(json_of(answers[1001])["reason"], "Not permitted: number of parameters is not equal to 0");
}
