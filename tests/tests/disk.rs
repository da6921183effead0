//! What is on disk: kept over death at any moment, refused where there is no room for it, and not needed for the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

use runeward_tests::client::{self, Client};
use runeward_tests::hostile::honest::{Honest, Ledger, Work};
use runeward_tests::{Answer, End, FakeNode, Gateway, Setup, eventually, runes};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use sqlx::{Connection, Row, SqliteConnection};

const TOO_SOON: &str = "Invalid rune: Not permitted: too soon";
const REVOKED: &str = "Invalid rune: Not authorized: Blacklisted rune";

fn message(reply: &Value) -> &str {
    reply["error"]["message"].as_str().unwrap_or("no error")
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
}

/// How many times the gateway is killed: `RUNEWARD_KILLS`, else as often as there is time for in every run of the tests.
fn kills() -> usize {
    std::env::var("RUNEWARD_KILLS").map_or(8, |count| count.parse().expect("RUNEWARD_KILLS is a number"))
}

/// What a rune's owner was told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    used: bool,
    revoked: bool,
}

/// Makes runes good for one use a day, uses them, revokes every other one, and keeps what was acknowledged, until the
/// gateway is gone.
async fn make_and_use(mut client: Client, admin: String) -> HashMap<String, Told> {
    let mut told = HashMap::new();
    let mut call = async |method: &str, params: Value, rune: &str| -> Result<Value, End> {
        let request = client::request(&json!(1), method, &params, rune);
        let message = [&[0x4c, 0x4f][..], &[0; 8], request.as_bytes()].concat();
        client.try_send(&message).await;
        Ok(client.next_reply().await?.json())
    };
    for number in 0.. {
        let made = call("createrune", json!({"restrictions": [["per=1day"]]}), &admin).await;
        let Ok(made) = made else { break };
        let rune = made["result"]["rune"].as_str().unwrap().to_owned();
        told.insert(rune.clone(), Told::default());
        let Ok(used) = call("getinfo", json!({}), &rune).await else { break };
        assert!(used.get("result").is_some(), "{used}");
        told.insert(rune.clone(), Told { used: true, revoked: false });
        if number % 2 == 0 {
            let start = runes::unique_id(&rune);
            let Ok(revoked) = call("blacklistrune", json!({ "start": start }), &admin).await else { break };
            assert!(revoked.get("result").is_some(), "{revoked}");
            told.insert(rune, Told { used: true, revoked: true });
        }
    }
    told
}

/// Takes from a bucket until the gateway is gone; how often that was allowed.
async fn take(mut client: Client, rune: String) -> usize {
    let mut taken = 0;
    loop {
        let request = client::request(&json!(1), "getinfo", &json!({}), &rune);
        client.try_send(&[&[0x4c, 0x4f][..], &[0; 8], request.as_bytes()].concat()).await;
        let Ok(reply) = client.next_reply().await else { return taken };
        taken += usize::from(reply.code().is_none());
    }
}

/// What the disk holds is a whole database.
async fn assert_intact(state: &Path) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["runeward.db", "runeward.db-wal"] {
        let _ = std::fs::copy(state.join(name), copy.path().join(name));
    }
    let url = format!("sqlite://{}", copy.path().join("runeward.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let verdict = sqlx::query("PRAGMA integrity_check").fetch_one(&mut database).await.unwrap();
    assert_eq!(verdict.get::<String, _>(0), "ok");
    database.close().await.unwrap();
}

/// Killed at any moment under load, it has kept all that it acknowledged: runes made, the one use of those that have one,
/// revocations, and what was taken from a bucket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_points() {
    const BUCKET: usize = 40;
    let node = FakeNode::start().await;
    let ledger = Ledger::of(&node);
    let (mut gateway, admin) = Gateway::with_rune(Setup::fake(&node).crowd()).await;
    let bucket = gateway.rune(&[&format!("quota={BUCKET}/day")]).await;
    let (mut taken, mut checked, mut revoked) = (0, 0, 0);
    for _ in 0..kills() {
        let honest = Honest::begin(&gateway, &admin, &ledger, &[Work::Short, Work::Woven]).await;
        let mut owners = Vec::new();
        for _ in 0..3 {
            owners.push(tokio::spawn(make_and_use(Client::connect(&gateway).await, admin.clone())));
        }
        let taking = tokio::spawn(take(Client::connect(&gateway).await, bucket.clone()));
        tokio::time::sleep(Duration::from_micros(random(400_000))).await;
        gateway.kill().await;
        assert_intact(gateway.setup().state()).await;
        gateway = gateway.restart().await;

        // What was acknowledged is on record, as only what is on record is done.
        let audit = gateway.setup().audit(&["verify"]).await;
        assert_eq!(audit.code, 0, "{audit:?}");
        // Calls that were under way are lost with the gateway, and none of them ran twice.
        let tally = honest.done().await;
        assert_eq!((tally.doubled, tally.swapped), (0, 0));
        taken += taking.await.unwrap();
        let mut client = Client::connect(&gateway).await;
        for owner in owners {
            for (rune, told) in owner.await.unwrap() {
                checked += 1;
                revoked += usize::from(told.revoked);
                // Asked without using it: narrowed to a command that it is not shown with.
                let probe = runes::narrow(&rune, "method=never-called");
                let known = client.call("getinfo", json!({}), &probe).await;
                match told {
                    Told { revoked: true, .. } => assert_eq!(message(&known), REVOKED),
                    // Its revocation may have been written, and not acknowledged.
                    _ if message(&known) == REVOKED => {}
                    Told { used: true, .. } => {
                        let again = client.call("getinfo", json!({}), &rune).await;
                        assert_eq!(message(&again), TOO_SOON);
                    }
                    Told { used: false, .. } => {
                        assert!(!message(&known).ends_with("Unknown rune"), "{known}");
                    }
                }
            }
        }
    }
    for (method, count) in [("createrune", checked), ("blacklistrune", revoked)] {
        let told = gateway.setup().audit(&["--json", "--limit", "1000000", "--method", method]).await;
        assert_eq!(told.code, 0, "{told:?}");
        let intents = told.stdout.matches(r#""kind":"intent""#).count();
        assert!(intents >= count, "{intents} lines of {count} times {method}");
    }
    assert!(taken <= BUCKET, "{taken} were taken from a bucket of {BUCKET}");
    println!("{} kills: {checked} runes were as acknowledged, {taken} of {BUCKET} taken", kills());
}

/// A disk that takes no byte more: what needs none goes on, what must be on disk first is refused, and all is well again
/// when there is room.
#[tokio::test]
async fn a_full_disk() {
    let node = FakeNode::start().await;
    node.on("listinvoices", Answer::Echo);
    // The signal would end the process; a full disk sends none.
    let (gateway, admin) = Gateway::with_rune(Setup::fake(&node).after("trap '' XFSZ")).await;
    let daily = gateway.rune(&["per=1day"]).await;
    let bucket = gateway.rune(&["quota=5/day"]).await;
    let mut client = Client::connect(&gateway).await;
    let pid = Pid::from_raw(gateway.pid().cast_signed()).unwrap();
    let room = |bytes| prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    room(Some(0));
    for _ in 0..3 {
        client.result("listinvoices", json!({}), &admin).await;
        for limited in [&daily, &bucket] {
            let reply = client.call("listinvoices", json!({}), limited).await;
            assert!(reply.get("error").is_some(), "a use that is not on disk: {reply}");
        }
        for (method, params) in
            [("createrune", json!({})), ("blacklistrune", json!({"start": runes::unique_id(&daily)}))]
        {
            let reply = client.call(method, params, &admin).await;
            assert!(reply.get("error").is_some(), "{method}: {reply}");
        }
    }
    assert_eq!(node.calls("listinvoices"), 3, "only those that no limit depends on");
    room(None);
    eventually("it writes again", async || {
        client.call("createrune", json!({}), &admin).await.get("result").is_some()
    })
    .await;
    client.result("listinvoices", json!({}), &bucket).await;
    client.result("blacklistrune", json!({"start": runes::unique_id(&daily)}), &admin).await;
    assert_eq!(message(&client.call("listinvoices", json!({}), &daily).await), REVOKED);
    assert_intact(gateway.setup().state()).await;
}

/// A state directory on a file system that is read-only: refused at the start, by name.
#[tokio::test]
async fn a_read_only_state_dir() {
    let unshare = if rustix::process::geteuid().is_root() { "unshare -m" } else { "unshare -rm" };
    let mut gateway = Gateway::start(Setup::demo()).await;
    gateway.terminate().await;
    gateway.exited().await;
    let state = gateway.setup().state().display().to_string();
    let read_only = format!(
        "exec {unshare} sh -c 'mount --bind {state} {state} && mount -o remount,bind,ro {state} && exec \"$0\" \"$@\"' \
         \"$0\" \"$@\""
    );
    let refused = gateway.setup().clone().after(&read_only).refused().await;
    refused.assert_refused(1, &[&state, "read-only"]);
}

/// Nobody reads the log: the pipe is closed, or its disk is full.
#[tokio::test]
async fn a_log_that_cannot_be_written() {
    for before in ["exec 2>/dev/full", "exec 2>&-"] {
        let setup = Setup::demo().env("RUST_LOG", "trace");
        let rune = setup.rune(&["create"]).await.line().to_owned();
        let mut gateway = Gateway::start(setup.after(before)).await;
        let mut client = Client::connect(&gateway).await;
        for _ in 0..10 {
            client.result("getinfo", json!({}), &rune).await;
        }
        gateway.terminate().await;
        // Where a panic could not be told of, it would be here.
        assert_eq!(gateway.exited().await, 0, "{before}");
    }
}
