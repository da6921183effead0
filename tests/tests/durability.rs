//! What must stand after a crash: runes, revocations and last uses; and what a crash may look like from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

use runeward_tests::client::{self, Client};
use runeward_tests::{Answer, FakeNode, Gateway, Setup, eventually, runes};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

const TOO_SOON: &str = "Invalid rune: Not permitted: too soon";
const REVOKED: &str = "Invalid rune: Not authorized: Blacklisted rune";

fn message(reply: &Value) -> &str {
    reply["error"]["message"].as_str().unwrap_or("no error")
}

/// Sends `count` calls that each must be answered with their own number.
async fn ask_many(client: &mut Client, rune: &str, count: u64) {
    for id in 0..count {
        let request = client::request(&json!(id), "echo", &json!({"n": id}), rune);
        client.request(id, request).await;
    }
}

/// Takes every reply until all are in or the connection ends; each must be the right answer or an error.
async fn right_or_error(client: &mut Client, count: u64) -> (usize, usize) {
    let (mut right, mut errors) = (0, 0);
    for _ in 0..count {
        let Ok(reply) = client.next_reply().await else {
            break;
        };
        let json = reply.json();
        if json.get("error").is_some() {
            errors += 1;
            continue;
        }
        assert_eq!(json["id"], json!(reply.id));
        assert_eq!(json["result"], json!({"n": reply.id}));
        right += 1;
    }
    (right, errors)
}

#[tokio::test]
async fn kill_the_gateway_amid_calls() {
    let node = FakeNode::start().await;
    node.on("echo", Answer::Echo.after(Duration::from_millis(20)));
    let (mut gateway, rune) = Gateway::before(&node).await;
    let narrow = gateway.rune(&["method=echo"]).await;
    let revoked = gateway.rune(&["method=echo"]).await;
    let daily = gateway.rune(&["per=1day"]).await;

    for round in 0..3 {
        let before = node.calls("echo");
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = Client::connect(&gateway).await;
            ask_many(&mut client, &rune, 16).await;
            clients.push(client);
        }
        if round == 0 {
            let mut client = Client::connect(&gateway).await;
            let start = runes::unique_id(&revoked);
            let listed = client.result("blacklistrune", json!({"start": start}), &rune).await;
            assert_eq!(listed["blacklist"][0]["start"], json!(start));
            client.result("echo", json!({"n": 1}), &daily).await;
        }
        eventually("calls run", async || node.calls("echo") > before + 4).await;
        gateway.kill().await;
        for client in &mut clients {
            right_or_error(client, 16).await;
        }
        gateway = gateway.restart().await;

        let mut client = Client::connect(&gateway).await;
        let n = json!({"n": 1});
        assert_eq!(client.result("echo", n.clone(), &rune).await, n);
        assert_eq!(client.result("echo", n.clone(), &narrow).await, n);
        let reply = client.call("echo", n.clone(), &revoked).await;
        assert_eq!(message(&reply), REVOKED);
        let reply = client.call("echo", n, &daily).await;
        assert_eq!(message(&reply), TOO_SOON);
    }
}

#[tokio::test]
async fn kill_the_node_amid_calls() {
    let mut node = FakeNode::start().await;
    node.on("echo", Answer::Echo.after(Duration::from_millis(20)));
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        let before = node.calls("echo");
        ask_many(&mut client, &rune, 50).await;
        eventually("calls run", async || node.calls("echo") > before + 4).await;
        node.stop().await;
        let (right, errors) = right_or_error(&mut client, 50).await;
        assert_eq!(right + errors, 50);
        assert!(errors > 0);
        node.restart().await;
        eventually("the node is found again", async || {
            let reply = client.call("echo", json!({}), &rune).await;
            reply.get("result").is_some()
        })
        .await;
    }
}

/// Last uses survive both a plain stop and a kill.
#[tokio::test]
async fn last_uses_survive_restarts() {
    let (mut gateway, _) = Gateway::demo().await;
    let rate = gateway.rune(&["rate=1"]).await;
    let per = gateway.rune(&["per=1hour"]).await;
    for (round, kill) in [false, true, false].into_iter().enumerate() {
        let mut client = Client::connect(&gateway).await;
        for rune in [&rate, &per] {
            let reply = client.call("getinfo", json!({}), rune).await;
            match round {
                0 => assert!(reply.get("result").is_some(), "{reply}"),
                _ => assert_eq!(message(&reply), TOO_SOON),
            }
        }
        if kill {
            gateway.kill().await;
        }
        gateway = gateway.restart().await;
    }
}

/// After a clean stop the one file is the whole database, though somebody else still has it open.
#[tokio::test]
async fn a_clean_stop_leaves_one_whole_file() {
    let (mut gateway, _) = Gateway::demo().await;
    let state = gateway.setup().state().to_owned();
    let database = SqliteConnectOptions::new().filename(state.join("runeward.db")).read_only(true);
    let mut reader = database.connect().await.unwrap();
    sqlx::query("SELECT count(*) FROM binding").fetch_one(&mut reader).await.unwrap();

    let daily = gateway.rune(&["per=1day"]).await;
    let revoked = gateway.rune(&["method=getinfo"]).await;
    assert_eq!(gateway.setup().rune(&["revoke", &runes::unique_id(&revoked).to_string()]).await.code, 0);
    Client::connect(&gateway).await.result("getinfo", json!({}), &daily).await;
    gateway.terminate().await;
    assert_eq!(gateway.exited().await, 0);

    let copy = gateway.setup().path("copy");
    copy_dir(&state, &copy, &["runeward.db-wal", "runeward.db-shm"]);
    let gateway = Gateway::start(Setup::demo().state_dir(copy)).await;
    let mut client = Client::connect(&gateway).await;
    for (rune, refusal) in [(daily, TOO_SOON), (revoked, REVOKED)] {
        assert_eq!(message(&client.call("getinfo", json!({}), &rune).await), refusal);
    }
}

fn copy_dir(from: &Path, to: &Path, without: &[&str]) {
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (to.join(entry.file_name()), entry.file_type().unwrap());
        if kind.is_dir() {
            copy_dir(&entry.path(), &path, without);
        } else if kind.is_file() && without.iter().all(|name| entry.file_name() != *name) {
            fs::copy(entry.path(), path).unwrap();
        }
    }
}

/// A race for the one use that is left: exactly one wins, and one of those that race again after a kill wins nothing.
#[tokio::test]
async fn sixty_four_race_for_one_use() {
    let node = FakeNode::start().await;
    let (mut gateway, _) = Gateway::with_rune(Setup::fake(&node).crowd()).await;
    let before = node.calls("getinfo");
    let daily = gateway.rune(&["per=1day"]).await;
    let mut clients = Vec::new();
    for at in 0..64 {
        // Half of them with a rune of their own, narrowed from it: last use goes by unique id.
        let rune = match at % 2 {
            0 => daily.clone(),
            _ => runes::narrow(&daily, &format!("method#{at}")),
        };
        clients.push((Client::connect(&gateway).await, rune));
    }
    for (client, rune) in &mut clients {
        client.request(1, client::request(&json!(1), "getinfo", &json!({}), rune)).await;
    }
    let mut passed = 0;
    for (client, _) in &mut clients {
        let reply = client.reply(1).await.json();
        match reply.get("result") {
            Some(_) => passed += 1,
            None => assert_eq!(message(&reply), TOO_SOON),
        }
    }
    assert_eq!(passed, 1);
    assert_eq!(node.calls("getinfo"), before + 1);

    gateway.kill().await;
    let gateway = gateway.restart().await;
    let mut client = Client::connect(&gateway).await;
    let reply = client.call("getinfo", json!({}), &daily).await;
    assert_eq!(message(&reply), TOO_SOON);
}

/// A use is stamped only where all restrictions pass, though the command then fails.
#[tokio::test]
async fn only_what_passes_is_a_use() {
    let (gateway, _) = Gateway::demo().await;
    let rune = gateway.rune(&["per=1day", "method=getinfo|method=nosuchmethod"]).await;
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        let reply = client.call("listinvoices", json!({}), &rune).await;
        assert!(message(&reply).contains("method is not equal to"), "{reply}");
    }
    let reply = client.call("nosuchmethod", json!({}), &rune).await;
    assert_eq!(reply["error"]["code"], -32601);
    let reply = client.call("getinfo", json!({}), &rune).await;
    assert_eq!(message(&reply), TOO_SOON);
}

/// A dry run stamps nothing.
#[tokio::test]
async fn a_dry_run_is_no_use() {
    let (gateway, _) = Gateway::demo().await;
    let rune = gateway.rune(&["per=1day"]).await;
    for _ in 0..3 {
        let args = ["check", &rune, "--method", "getinfo"];
        assert_eq!(gateway.setup().rune(&args).await.code, 0);
    }
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &rune).await;
    let args = ["check", &rune, "--method", "getinfo"];
    let refused = gateway.setup().rune(&args).await;
    refused.assert_refused(1, &["too soon"]);
}

#[tokio::test]
async fn revocation_holds_at_the_next_call() {
    let (gateway, rune) = Gateway::demo().await;
    let doomed = gateway.rune(&["method=getinfo"]).await;
    let narrowed = runes::narrow(&doomed, "time>5");
    let mut user = Client::connect(&gateway).await;
    let mut admin = Client::connect(&gateway).await;
    let start = runes::unique_id(&doomed);
    for _ in 0..3 {
        user.result("getinfo", json!({}), &doomed).await;
        user.result("getinfo", json!({}), &narrowed).await;
        // Numbers may also come as strings.
        let params = json!({"start": start.to_string()});
        admin.result("blacklistrune", params, &rune).await;
        for dead in [&doomed, &narrowed] {
            let reply = user.call("getinfo", json!({}), dead).await;
            assert_eq!(message(&reply), REVOKED);
        }
        let params = json!({"start": start, "relist": true});
        admin.result("blacklistrune", params, &rune).await;
    }
}

/// The command line revokes beside a running daemon, which sees it within 100 ms: asserted here as one second.
#[tokio::test]
async fn revocation_by_the_command_line() {
    let (gateway, _) = Gateway::demo().await;
    let doomed = gateway.rune(&["method=getinfo"]).await;
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &doomed).await;
    let id = runes::unique_id(&doomed).to_string();
    assert_eq!(gateway.setup().rune(&["revoke", &id]).await.code, 0);
    let revoked = Instant::now();
    let mut late = 0;
    eventually("the daemon knows", async || {
        let reply = client.call("getinfo", json!({}), &doomed).await;
        if reply.get("result").is_some() {
            late += 1;
        }
        message(&reply) == REVOKED
    })
    .await;
    assert!(revoked.elapsed() < Duration::from_secs(1), "{late} passed late");

    let gateway = gateway.restart().await;
    let mut client = Client::connect(&gateway).await;
    let reply = client.call("getinfo", json!({}), &doomed).await;
    assert_eq!(message(&reply), REVOKED);
}

/// A database that is lost is not replaced by an empty one, nor does that make a rune good that is well signed
/// but was never registered.
#[tokio::test]
async fn a_lost_database_revives_nothing() {
    let (mut gateway, rune) = Gateway::demo().await;
    gateway.kill().await;
    let state = gateway.setup().state().to_owned();
    for name in ["runeward.db", "runeward.db-wal", "runeward.db-shm"] {
        let _ = std::fs::remove_file(state.join(name));
    }
    let refused = gateway.setup().refused().await;
    refused.assert_refused(1, &["database is older than its audit log", "rotate-secret"]);
    std::fs::remove_dir_all(state.join("audit")).unwrap();
    let gateway = gateway.restart().await;
    let mut client = Client::connect(&gateway).await;
    let reply = client.call("getinfo", json!({}), &rune).await;
    assert_eq!(message(&reply), "Invalid rune: Not authorized: Unknown rune");
}

/// What has been answered stands, though the daemon is killed the moment after.
#[tokio::test]
async fn what_was_answered_stands() {
    let (mut gateway, admin) = Gateway::demo().await;
    for _ in 0..3 {
        let mut client = Client::connect(&gateway).await;
        let params = json!({"restrictions": [["per=1day"]]});
        let made = client.result("createrune", params, &admin).await;
        gateway.kill().await;
        gateway = gateway.restart().await;

        let rune = made["rune"].as_str().unwrap();
        let mut client = Client::connect(&gateway).await;
        client.result("getinfo", json!({}), rune).await;
        gateway.kill().await;
        gateway = gateway.restart().await;

        let mut client = Client::connect(&gateway).await;
        let reply = client.call("getinfo", json!({}), rune).await;
        assert_eq!(message(&reply), TOO_SOON);
        let params = json!({"start": runes::unique_id(rune)});
        client.result("blacklistrune", params, &admin).await;
        gateway.kill().await;
        gateway = gateway.restart().await;

        let mut client = Client::connect(&gateway).await;
        let reply = client.call("getinfo", json!({}), rune).await;
        assert_eq!(message(&reply), REVOKED);
    }
}

/// Several processes write at once: none fails, nothing is lost.
#[tokio::test]
async fn many_writers_at_once() {
    let (gateway, admin) = Gateway::demo().await;
    let setup = gateway.setup();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let setup = setup.clone();
        writers.spawn(async move {
            let made = setup.rune(&["create", "--restrict", "method=getinfo"]).await;
            made.line().to_owned()
        });
    }
    let mut client = Client::connect(&gateway).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let made = client.result("createrune", json!({}), &admin).await;
        ids.push(runes::unique_id(made["rune"].as_str().unwrap()));
    }
    ids.extend(writers.join_all().await.iter().map(|rune| runes::unique_id(rune)));
    eventually("the daemon shows them all", async || {
        let shown = client.result("showrunes", json!({}), &admin).await.to_string();
        ids.iter().all(|id| shown.contains(&id.to_string()))
    })
    .await;
}
