//! The audit log: who commanded what, on record before it happens, and not to be changed unnoticed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runeward_tests::client::{self, Client, error_code};
use runeward_tests::{Answer, FakeNode, Gateway, Setup, eventually, runes};
use serde_json::{Value, json};

const NOT_WRITTEN: i64 = 19545;

/// The log's files, oldest first.
fn files(setup: &Setup) -> Vec<PathBuf> {
    let dir = fs::read_dir(setup.state().join("audit")).unwrap();
    let mut files: Vec<PathBuf> = dir.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The log's bytes.
fn bytes(setup: &Setup) -> Vec<u8> {
    files(setup).iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Lines that `runeward audit --json` prints, oldest first.
async fn lines(setup: &Setup, args: &[&str]) -> Vec<Value> {
    let mut all = vec!["--json", "--limit", "1000000"];
    all.extend(args);
    let output = setup.audit(&all).await;
    assert_eq!(output.code, 0, "{output:?}");
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until so many lines fit.
async fn eventually_lines(setup: &Setup, args: &[&str], count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    eventually("the lines are written", async || {
        found = lines(setup, args).await;
        found.len() >= count
    })
    .await;
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

async fn verified(setup: &Setup) {
    let output = setup.audit(&["verify"]).await;
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("is what was written"), "{output:?}");
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_decision_is_a_line() {
    let node = FakeNode::start().await;
    node.on("pay", Answer::result(json!({"status": "complete"})));
    node.on("delinvoice", Answer::Error(905, "no such invoice".into()));
    let (gateway, admin) = Gateway::before(&node).await;
    let setup = gateway.setup();
    let named = setup.rune(&["create", "--name", "phone", "--restrict", "method=pay|method=getinfo"]).await;
    let phone = named.line();
    let mut client = Client::connect(&gateway).await;
    client.call("pay", json!({"bolt11": "lnbcrt1secretinvoice", "label": "rent"}), &admin).await;
    client.call("delinvoice", json!(["rent", "paid"]), &admin).await;
    client.call("getinfo", json!({}), phone).await;
    client.call("listpays", json!({}), phone).await;
    client.call("getinfo", json!({}), &runes::foreign(7)).await;
    client.call("no-such-thing", json!({}), &admin).await;
    client.ask("{").await;

    eventually("the last is written", async || {
        lines(setup, &[]).await.iter().any(|line| line["why"] == "malformed")
    })
    .await;
    let phones = lines(setup, &["--rune", "phone"]).await;
    assert_eq!(kinds(&phones), ["call", "refusal"]);
    let (call, refusal) = (&phones[0], &phones[1]);
    assert_eq!(call["rune"], runes::unique_id(phone));
    assert_eq!(
        (&call["method"], &call["class"], &call["outcome"]),
        (&json!("getinfo"), &json!("read"), &json!("done"))
    );
    assert_eq!(call["address"], "127.0.0.1");
    assert_eq!(call["peer"].as_str().unwrap().len(), 66);
    assert!(call["duration_us"].as_u64().unwrap() > 0 && call["bytes"].as_u64().unwrap() > 100);
    assert_eq!((&refusal["method"], &refusal["outcome"]), (&json!("listpays"), &json!("refused")));
    assert_eq!((&refusal["code"], &refusal["why"]), (&json!(19537), &json!("not permitted")));

    // Found by what was paid, under whatever name it was given, and only by who knows it.
    let paid = lines(setup, &["--find", "rent"]).await;
    assert_eq!(kinds(&paid), ["intent", "outcome", "intent", "outcome"]);
    assert_eq!((&paid[1]["intent"], &paid[1]["outcome"]), (&paid[0]["seq"], &json!("done")));
    assert_eq!((&paid[3]["method"], &paid[3]["outcome"]), (&json!("delinvoice"), &json!("error")));
    assert_eq!(paid[3]["code"], 905);
    assert_eq!(lines(setup, &["--find", "ren"]).await.len(), 0);
    assert_eq!(lines(setup, &["--class", "spend"]).await.len(), 2);
    assert_eq!(lines(setup, &["--find", "lnbcrt1secretinvoice", "--since", "1h"]).await.len(), 2);
    assert_eq!(lines(setup, &["--find", "lnbcrt1secretinvoice", "--until", "1h"]).await.len(), 0);

    // Of a rune that is not ours nothing it says of itself is taken over.
    let refusals = lines(setup, &["--since", "1h"]).await;
    let admins = json!(runes::unique_id(&admin));
    let refusals: Vec<&Value> =
        refusals.iter().filter(|line| line["kind"] == "refusal" && line["rune"] != admins).collect();
    assert_eq!(refusals.len(), 3);
    assert_eq!((&refusals[1]["why"], &refusals[1]["rune"]), (&json!("not derived"), &Value::Null));
    assert_eq!((&refusals[2]["why"], &refusals[2]["code"]), (&json!("malformed"), &json!(19536)));
    assert_eq!(lines(setup, &["--find", "no-such-thing"]).await.len(), 2);

    let table = setup.audit(&[]).await;
    assert_eq!(table.code, 0);
    assert!(
        table.stdout.contains("error (905)") && table.stdout.contains("refused: not permitted (19537)"),
        "{table:?}"
    );
    let bytes = bytes(setup);
    for secret in ["lnbcrt1secretinvoice", "rent", "no-such-thing", &admin, phone, &runes::foreign(7)] {
        assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{secret}");
    }
    verified(setup).await;
}

/// Whatever a stranger writes: one line, in printable ASCII.
#[tokio::test]
async fn nothing_a_peer_says_makes_a_line_of_its_own() {
    let (gateway, admin) = Gateway::demo().await;
    let setup = gateway.setup();
    let mut client = Client::connect(&gateway).await;
    let forged = "x\"}\n{\"time\":\"2026-11-20T15:04:05.678Z\",\"seq\":1,\"kind\":\"note\",\"why\":\"\u{1b}[2J\u{202e}\u{7f}";
    let mut sent = 0;
    for rune in [admin.as_str(), &runes::foreign(1), forged] {
        for request in [
            client::request(&json!(forged), "getinfo", &json!({}), rune),
            client::request(&json!(1), forged, &json!({}), rune),
            client::request(&json!(1), "getinfo", &json!({forged: forged}), rune),
            client::request(&json!(1), "getinfo", &json!([forged, [forged]]), rune),
        ] {
            client.ask(request).await;
            sent += 1;
        }
    }
    let all = eventually_lines(setup, &["--peer", "0"], sent + 1).await;
    assert_eq!(all.iter().filter(|line| line["kind"] == "intent").count(), 0, "{all:#?}");
    for line in bytes(setup).split(|byte| *byte == b'\n') {
        assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)));
    }
    let table = setup.audit(&[]).await.stdout;
    assert!(!table.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{table}");
    verified(setup).await;
}

#[tokio::test]
async fn an_intent_is_on_disk_before_the_node_gets_the_command() {
    let node = FakeNode::start().await;
    let dir = Arc::new(Mutex::new(None::<PathBuf>));
    let seen = Arc::clone(&dir);
    node.on(
        "pay",
        Answer::By(Arc::new(move |_| {
            let dir = seen.lock().unwrap().clone().unwrap();
            let text: String =
                fs::read_dir(dir).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
            Answer::result(json!({"announced": text.lines().filter(|line| line.contains("\"kind\":\"intent\"")).count()}))
        })),
    );
    let (gateway, rune) = Gateway::before(&node).await;
    *dir.lock().unwrap() = Some(gateway.setup().state().join("audit"));
    let mut client = Client::connect(&gateway).await;
    for n in 1..=3 {
        assert_eq!(client.result("pay", json!({"bolt11": n}), &rune).await, json!({"announced": n}));
    }
}

/// Killed amid payments: what the node was told to pay is on record, each of them, and the log is whole.
#[tokio::test]
async fn killed_amid_payments_none_is_without_its_intent() {
    let node = FakeNode::start().await;
    node.on("pay", Answer::Echo.after(Duration::from_millis(5)));
    let (mut gateway, rune) = Gateway::before(&node).await;
    for round in 0..3 {
        let before = node.calls("pay");
        let mut clients = Vec::new();
        for at in 0..4 {
            let mut client = Client::connect(&gateway).await;
            for n in 0..200u64 {
                let params = json!({"bolt11": format!("{round}-{at}-{n}")});
                client.request(n, client::request(&json!(n), "pay", &params, &rune)).await;
            }
            clients.push(client);
        }
        eventually("payments run", async || node.calls("pay") > before + 50).await;
        gateway.kill().await;
        gateway = gateway.restart().await;
        verified(gateway.setup()).await;
    }
    let paid = node.requests_for("pay");
    let announced: Vec<Value> = lines(gateway.setup(), &["--method", "pay"]).await;
    let announced: Vec<&Value> = announced.iter().filter(|line| line["kind"] == "intent").collect();
    assert!(announced.len() >= paid.len(), "{} announced, {} paid", announced.len(), paid.len());
    for text in paid.iter().step_by(paid.len() / 10) {
        let request: Value = serde_json::from_str(text).unwrap();
        let value = request["params"]["bolt11"].as_str().unwrap();
        let found = lines(gateway.setup(), &["--find", value]).await;
        assert_eq!(found[0]["kind"], "intent", "{value}");
    }
}

/// One harm after the other is done to the log of a stopped gateway: each is told, by `audit verify` and
/// where the end of the log shows it at the start, and each can be mended by putting the log back.
#[tokio::test]
async fn a_log_that_was_tampered_with_is_told() {
    let (gateway, rune) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    for n in 0..5 {
        client.call("getinfo", json!({}), &rune).await;
        client.call("delinvoice", json!({"label": n, "status": "paid"}), &rune).await;
    }
    verified(gateway.setup()).await;
    let gateway = stopped(gateway).await;
    let setup = gateway.setup();
    verified(setup).await;
    let file = files(setup).pop().unwrap();
    let whole = fs::read_to_string(&file).unwrap();
    let all: Vec<&str> = whole.split_inclusive('\n').collect();
    let without = |at: usize| [&all[..at], &all[at + 1..]].concat().concat();
    let mut swapped = all.clone();
    swapped.swap(3, 4);
    for (harm, text, told, refused) in [
        ("edited", whole.replacen("delinvoice", "listinvoic", 1), "was edited", false),
        ("removed", without(3), "was removed", false),
        ("reordered", swapped.concat(), "out of order", false),
        ("cut", without(all.len() - 1), "was cut", true),
        ("truncated", whole[..whole.len() - 9].to_owned(), "was cut", true),
        ("emptied", String::new(), "was cut", true),
    ] {
        fs::write(&file, &text).unwrap();
        let output = setup.audit(&["verify"]).await;
        output.assert_refused(1, &["not what was written", told]);
        if refused {
            setup.refused().await.assert_refused(1, &["audit log", told, "runeward audit accept"]);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "{harm}: left as it is");
    }
    // Where nothing can put it back, the owner may go on; what was before is not vouched for.
    let accepted = setup.audit(&["accept"]).await;
    assert_eq!(accepted.code, 0, "{accepted:?}");
    let gateway = gateway.restart().await;
    let verified = gateway.setup().audit(&["verify"]).await;
    assert_eq!(verified.code, 0);
    assert!(verified.stderr.contains("1 older files"), "{verified:?}");
}

/// Ends the daemon in good order.
async fn stopped(mut gateway: Gateway) -> Gateway {
    gateway.terminate().await;
    assert_eq!(gateway.exited().await, 0);
    gateway
}

/// A copy of the database from before a revocation brings nothing back to life.
#[tokio::test]
async fn a_database_older_than_its_log_is_refused_at_start() {
    let (gateway, admin) = Gateway::demo().await;
    let doomed = gateway.rune(&["method=getinfo"]).await;
    let gateway = stopped(gateway).await;
    let database = gateway.setup().state().join("runeward.db");
    let copy = fs::read(&database).unwrap();

    let gateway = gateway.restart().await;
    let mut client = Client::connect(&gateway).await;
    client.result("blacklistrune", json!({"start": runes::unique_id(&doomed)}), &admin).await;
    let gateway = stopped(gateway).await;
    fs::write(&database, copy).unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", database.display()));
    }
    let setup = gateway.setup();
    setup.refused().await.assert_refused(1, &["older than its audit log", "rotate-secret"]);
    setup.audit(&["accept"]).await.assert_refused(1, &["older than its audit log", "rotate-secret"]);
    setup.audit(&["verify"]).await.assert_refused(1, &["older than its audit log"]);

    // With every rune dead, what the database has forgotten does no harm.
    let state = setup.state().display().to_string();
    assert_eq!(setup.cli(&["rotate-secret", "--yes", "--state-dir", &state]).await.code, 0);
    let gateway = gateway.restart().await;
    let mut client = Client::connect(&gateway).await;
    for rune in [&doomed, &admin] {
        let reply = client.call("getinfo", json!({}), rune).await;
        assert_eq!(error_code(&reply), Some(19537), "{reply}");
    }
    verified(gateway.setup()).await;
}

#[tokio::test]
async fn the_log_over_the_wire() {
    let (gateway, admin) = Gateway::demo().await;
    let reader = gateway.rune(&["method^list|method=getinfo"]).await;
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        client.result("getinfo", json!({}), &reader).await;
    }
    let id = runes::unique_id(&reader);
    let mut found = Value::Null;
    eventually("the lines are written", async || {
        let params = json!({"rune": id, "since": 1});
        found = client.result("runeward-audit", params, &admin).await;
        found["lines"].as_array().unwrap().iter().filter(|line| line["kind"] == "call").count() == 3
    })
    .await;
    assert_eq!(found["more"], false);
    assert!(found["lines"].as_array().unwrap().iter().all(|line| line["rune"] == id));
    let newest = client.result("runeward-audit", json!({"limit": 2}), &admin).await;
    assert_eq!((newest["lines"].as_array().unwrap().len(), &newest["more"]), (2, &json!(true)));
    let later = client.result("runeward-audit", json!({"since": 4_000_000_000u64}), &admin).await;
    assert_eq!(later["lines"], json!([]));
    // Whoever reads it is on record as well.
    assert_eq!(newest["lines"][1]["method"], "runeward-audit");

    let refused = client.call("runeward-audit", json!({}), &reader).await;
    assert_eq!(error_code(&refused), Some(19537));
    for bad in [json!({"since": "then"}), json!({"limit": -1}), json!({"rune": {}}), json!({"until": 1})] {
        assert_eq!(error_code(&client.call("runeward-audit", bad, &admin).await), Some(-32602));
    }
}

#[tokio::test]
async fn a_receipt_proves_what_was_run() {
    let node = FakeNode::start().await;
    node.on("pay", Answer::result(json!({"status": "complete"})));
    node.on("listpays", Answer::Huge(200_000));
    node.on("delpay", Answer::Error(208, "never heard of it".into()));
    let (gateway, rune) = Gateway::before(&node).await;
    let setup = gateway.setup();
    let mut client = Client::connect(&gateway).await;
    let request = |method: &str, params: &str, receipt: &str| {
        format!(r#"{{"id":1.50,"method":"{method}","params":{params},"rune":"{rune}","receipt":{receipt}}}"#)
    };
    for (method, result) in [
        ("pay", r#""result":{"#),
        ("listpays", r#""result":""#),
        ("delpay", r#""error":{"#),
        ("showrunes", r#""result":{"#),
    ] {
        let params = r#"{"bolt11": "lnbc1", "label": "é"}"#;
        let params = if method == "showrunes" { "{}" } else { params };
        let reply = client.ask(request(method, params, "true")).await;
        let text = reply.text();
        let start = r#"{"jsonrpc":"2.0","id":1.50,"receipt":""#;
        let rest = text.strip_prefix(start).unwrap_or_else(|| panic!("{text:.200}"));
        let (receipt, rest) = rest.split_at(64);
        assert!(rest.strip_prefix("\",").unwrap().starts_with(result), "{rest:.100}");
        reply.json();

        let proof = setup.audit(&["verify", "--receipt", receipt, "--params", params]).await;
        assert_eq!(proof.code, 0, "{proof:?}");
        let intent: Value = serde_json::from_str(proof.stdout.lines().nth(1).unwrap()).unwrap();
        assert_eq!((&intent["kind"], &intent["method"]), (&json!("intent"), &json!(method)));
        assert_eq!((&intent["hash"], &intent["rune"]), (&json!(receipt), &json!(runes::unique_id(&rune))));
        let other =
            setup.audit(&["verify", "--receipt", receipt, "--params", r#"{"bolt11": "lnbc2"}"#]).await;
        other.assert_refused(1, &["other params"]);
    }
    let reply = client.ask(request("pay", "{}", "false")).await;
    assert!(reply.text().starts_with(r#"{"jsonrpc":"2.0","id":1.50,"result":"#));
    let reply = client.ask(request("pay", "{}", "1")).await;
    assert_eq!(reply.code(), Some(-32602));
    setup.audit(&["verify", "--receipt", &"0".repeat(64)]).await.assert_refused(1, &["no line"]);
    assert_eq!(node.calls("pay"), 2);
}

/// A disk that is full for a while: commands that must be on record are refused and not sent, reads go
/// on, no line is lost, and all is well again without a restart.
async fn while_nothing_can_be_written(setup: Setup, fill: impl Fn(&Gateway), clear: impl Fn(&Gateway)) {
    let node = FakeNode::start().await;
    node.on("pay", Answer::result(json!({"status": "complete"})));
    let (gateway, rune) =
        Gateway::with_rune(setup.arg("--node").arg(format!("cln:{}", node.socket().display()))).await;
    let mut client = Client::connect(&gateway).await;
    client.result("pay", json!({"bolt11": "before"}), &rune).await;
    let reads = node.calls("getinfo");
    let mut read = 0;
    for round in 0..2 {
        fill(&gateway);
        let paid_before = node.calls("pay");
        let mut refused = 0;
        // The last page of a file may have room for a few lines more.
        for n in 0..200 {
            let reply = client.call("pay", json!({"bolt11": n}), &rune).await;
            match error_code(&reply) {
                None => assert_eq!(refused, 0, "{reply}"),
                code => {
                    assert_eq!(code, Some(NOT_WRITTEN), "{reply}");
                    refused += 1;
                }
            }
            client.result("getinfo", json!({}), &rune).await;
            read += 1;
            if refused == 20 {
                break;
            }
        }
        assert_eq!(refused, 20, "round {round}");
        assert!(node.calls("pay") - paid_before < 180);
        let paid = node.calls("pay");
        let reply = client.call("createrune", json!({}), &rune).await;
        assert_eq!(error_code(&reply), Some(NOT_WRITTEN), "{reply}");
        assert_eq!(node.calls("pay"), paid);
        clear(&gateway);
        eventually("payments go on", async || {
            let reply = client.call("pay", json!({"bolt11": "after"}), &rune).await;
            reply.get("result").is_some()
        })
        .await;
    }
    assert_eq!(node.calls("getinfo"), reads + read);
    eventually("every read is told", async || {
        let told = lines(gateway.setup(), &["--method", "getinfo"]).await;
        told.iter().filter(|line| line["kind"] == "call").count() == read
    })
    .await;
    verified(gateway.setup()).await;
    let gateway = stopped(gateway).await;
    verified(gateway.setup()).await;
    let pays = lines(gateway.setup(), &["--method", "pay"]).await;
    let count = |fits: &dyn Fn(&Value) -> bool| pays.iter().filter(|line| fits(line)).count();
    assert!(count(&|line| line["kind"] == "intent") >= node.calls("pay"));
    assert_eq!(count(&|line| line["kind"] == "outcome" && line["outcome"] == "done"), node.calls("pay"));
    assert!(count(&|line| line["code"] == NOT_WRITTEN) >= 40);
}

#[tokio::test]
async fn a_full_disk_stops_what_must_be_on_record() {
    let setup = Setup::bare();
    let dir = setup.path("small");
    fs::create_dir(&dir).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m,mode=700", "none"]).arg(&dir).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("no small disk may be mounted here: tested with a limit on the size of files alone");
        return;
    }
    let _mounted = Mounted(dir.clone());
    let ballast = dir.join("ballast");
    let fill = |_: &Gateway| {
        let mut file = fs::File::create(&ballast).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            if std::io::Write::write_all(&mut file, &vec![1; size]).is_err() {
                size /= 2;
            }
        }
    };
    let clear = |_: &Gateway| fs::remove_file(&ballast).unwrap();
    while_nothing_can_be_written(setup.state_dir(dir.join("state")), fill, clear).await;
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn files_that_may_not_grow_stop_what_must_be_on_record() {
    // A write beyond the limit is then an error rather than the end.
    let setup = Setup::bare().after("trap '' XFSZ");
    let limit = |gateway: &Gateway, bytes: &str| {
        let (pid, limit) = (gateway.pid().to_string(), format!("--fsize={bytes}:"));
        let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
        assert!(set.unwrap().success());
    };
    let fill = |gateway: &Gateway| {
        let newest = files(gateway.setup()).pop().unwrap();
        limit(gateway, &fs::metadata(newest).unwrap().len().to_string());
    };
    while_nothing_can_be_written(setup, fill, |gateway| limit(gateway, "unlimited")).await;
}
