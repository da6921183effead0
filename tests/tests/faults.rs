//! Faults of everything around the gateway: its own death, its machine's limits, its disk, its network, its node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runeward_tests::client::{self, Client, identity, tcp};
use runeward_tests::hostile::honest::{Honest, Ledger, Work};
use runeward_tests::hostile::{Attack, Json, Messages, Parts, Target, Tcp, flood};
use runeward_tests::{Answer, End, FakeNode, Gateway, Setup, Weather, eventually, runes};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use sqlx::{Connection, Row, SqliteConnection};

const TOO_SOON: &str = "Invalid rune: Not permitted: too soon";
const REVOKED: &str = "Invalid rune: Not authorized: Blacklisted rune";
const UNREACHABLE: i64 = 19540;
const OUTCOME_UNKNOWN: i64 = 19541;

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

/// With few file descriptors, strangers cannot take those that honest calls need; who comes when all are taken is
/// turned away, and comes in when they are free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_file_descriptors() {
    let node = FakeNode::start().await;
    let ledger = Ledger::of(&node);
    let (gateway, rune) = Gateway::with_rune(Setup::fake(&node).after("ulimit -n 80")).await;
    assert!(gateway.log().contains("ulimit -n"), "{}", gateway.log());
    let target = Target::new(&gateway).await;
    let honest = Honest::begin(&gateway, &rune, &ledger, &[Work::Short, Work::Long]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    flood(&target, Attack::Tcp(Tcp::Silent), 300, 150).await;
    honest.done().await.assert_whole();
    eventually("a newcomer is served", async || {
        let stream = tcp(gateway.address()).await;
        Client::try_over(stream, gateway.node_id(), &identity(), 100).await.is_ok()
    })
    .await;
}

/// The usual limit on descriptors is too low for the connections allowed; where the system allows more, it is raised.
#[tokio::test]
async fn the_limit_on_descriptors_is_raised() {
    let gateway = Gateway::start(Setup::demo().after("ulimit -S -n 256")).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(soft > 4096, "{line}");
    assert!(!gateway.log().contains("ulimit -n"), "{}", gateway.log());
}

/// With little memory: everything that takes some at once, from strangers, is refused before it is too much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn little_memory() {
    let node = FakeNode::start().await;
    let ledger = Ledger::of(&node);
    // Half a MiB for each connection, the pool of 32, and what there is without any.
    let setup = Setup::fake(&node).after("ulimit -d 262144").config("[limits]\nconnections = 400\n");
    let (gateway, rune) = Gateway::with_rune(setup).await;
    let target = Target::new(&gateway).await;
    let honest = Honest::begin(&gateway, &rune, &ledger, &[Work::Short, Work::Long, Work::Woven]).await;
    tokio::join!(
        flood(&target, Attack::Parts(Parts::Hoard), 64, 64),
        flood(&target, Attack::Parts(Parts::NeverEnded), 300, 300),
        flood(&target, Attack::Parts(Parts::Unread), 40, 40),
        flood(&target, Attack::Messages(Messages::Pings), 100, 100),
        flood(&target, Attack::Json(Json::Wide), 12, 6),
    );
    let tally = honest.done().await;
    println!("{} MiB at the peak, {tally:?}", gateway.peak_memory() >> 20, tally = tally.calls);
    tally.assert_whole();
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    assert!(status.contains("VmRSS"), "the gateway is no more");
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
    let allowed = std::process::Command::new("unshare").args(["-rm", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        println!("skipped: this machine gives no mount namespaces");
        return;
    }
    let mut gateway = Gateway::start(Setup::demo()).await;
    gateway.terminate().await;
    gateway.exited().await;
    let state = gateway.setup().state().display().to_string();
    let read_only = format!(
        "exec unshare -rm sh -c 'mount --bind {state} {state} && mount -o remount,bind,ro {state} && exec \"$0\" \"$@\"' \
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

/// A client behind this network.
async fn behind(weather: &Weather, gateway: &Gateway) -> Client {
    let mut client = Client::over(tcp(weather.address()).await, gateway.node_id(), &identity()).await;
    client.init().await;
    client
}

fn padded(number: u64, length: usize) -> Value {
    json!({"mark": number.to_string(), "padding": format!("{number}.").repeat(length / 3)})
}

/// Slow and chopped, nothing is lost, and nobody else is held up by one whose packets do not come.
#[tokio::test]
async fn a_slow_network() {
    let node = FakeNode::start().await;
    node.on("echo", Answer::Echo);
    let (gateway, rune) = Gateway::before(&node).await;
    let weather = Weather::before(gateway.address()).await;
    weather.delay(Duration::from_millis(3));
    weather.chop(true);
    let mut slow = behind(&weather, &gateway).await;
    for number in 0..3 {
        let params = padded(number, 20_000);
        assert_eq!(slow.result("echo", params.clone(), &rune).await, params);
    }
    weather.chop(false);
    weather.stall(true);
    slow.request(1, client::request(&json!(1), "echo", &padded(1, 200_000), &rune)).await;
    let mut near = Client::connect(&gateway).await;
    for number in 0..50 {
        let params = padded(number, 1000);
        assert_eq!(near.result("echo", params.clone(), &rune).await, params);
    }
    weather.stall(false);
    assert_eq!(slow.reply(1).await.json()["result"], padded(1, 200_000));
}

/// Cut at any point: what was not sent whole never runs, what was runs once, and the next connection is as good as new.
#[tokio::test]
async fn a_network_that_is_cut() {
    let node = FakeNode::start().await;
    let marks: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&marks);
    node.on(
        "echo",
        Answer::By(Arc::new(move |request| {
            seen.lock().unwrap().push(request["params"]["mark"].as_str().unwrap().to_owned());
            Answer::Echo
        })),
    );
    let (gateway, rune) = Gateway::with_rune(Setup::fake(&node).crowd()).await;
    let weather = Weather::before(gateway.address()).await;
    let mut whole = 0;
    for number in 0..40 {
        let mut client = behind(&weather, &gateway).await;
        let request = client::request(&json!(1), "echo", &padded(number, 200_000), &rune);
        let (head, tail) = request.as_bytes().split_at(130_000);
        for part in head.chunks(65_000) {
            client.part(1, part, false).await;
        }
        if number % 2 == 0 {
            client.request_in_parts(1, tail, 65_000).await;
            tokio::time::sleep(Duration::from_micros(random(30_000))).await;
        }
        weather.cut();
        if let Ok(reply) = client.next_reply().await {
            assert_eq!(reply.json()["result"], padded(number, 200_000));
            whole += 1;
        }
    }
    let mut client = behind(&weather, &gateway).await;
    assert_eq!(client.result("echo", padded(99, 1000), &rune).await, padded(99, 1000));
    let mut marks = marks.lock().unwrap().clone();
    let ran = marks.len();
    marks.sort();
    marks.dedup();
    assert_eq!(marks.len(), ran, "a command ran twice");
    assert!(marks.iter().all(|mark| mark == "99" || mark.parse::<u64>().unwrap() % 2 == 0), "{marks:?}");
    println!("of 40 calls cut, 20 of them sent whole, {} ran and {whole} were answered", ran - 1);
}

/// A node that does everything wrong by turns: each call is answered with what is its own, or with an error that says
/// whether it may have run, or by the end of the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_all_faults() {
    let mut node = FakeNode::start().await;
    let faults = |request: &Value| {
        let (open, half) = (r#"{"jsonrpc":"2.0","id":$ID,"result":"#, r#"{"mark":"#);
        match random(12) {
            0 => Answer::Close,
            1 => Answer::Half(format!("{open}{half}")),
            2 => Answer::HalfHuge(150_000),
            3 => Answer::Text("garbage\n\n".into()),
            4 => Answer::Text(format!("{{\"id\":\"another\",\"result\":{}}}\n\n", request["params"])),
            5 => Answer::Text(format!("{open}{}}}{open}1}}\n\n", request["params"])),
            6 => Answer::Echo.after(Duration::from_millis(random(100))),
            7 => Answer::Text("\u{0}".repeat(1000)),
            _ => Answer::Echo,
        }
    };
    node.on("echo", Answer::By(Arc::new(faults)));
    let (gateway, rune) = Gateway::with_rune(Setup::fake(&node).crowd()).await;
    let gateway = Arc::new(gateway);
    let mut clients = tokio::task::JoinSet::new();
    for name in 0..4 {
        let (gateway, rune) = (Arc::clone(&gateway), rune.clone());
        clients.spawn(async move {
            let mut client = Client::connect(&gateway).await;
            let (mut right, mut errors, mut ends) = (0, 0, 0);
            for number in 0..100 {
                let params = padded(name * 1000 + number, 100);
                let request = client::request(&json!(number), "echo", &params, &rune);
                client
                    .try_send(&[&[0x4c, 0x4f][..], &number.to_be_bytes(), request.as_bytes()].concat())
                    .await;
                match client.next_reply().await {
                    Ok(reply) => {
                        let json = reply.json();
                        assert_eq!((reply.id, &json["id"]), (number, &json!(number)));
                        match reply.code() {
                            None => {
                                assert_eq!(json["result"], params);
                                right += 1;
                            }
                            Some(code) => {
                                assert!(matches!(code, UNREACHABLE | OUTCOME_UNKNOWN), "{json}");
                                errors += 1;
                            }
                        }
                    }
                    Err(end) => {
                        assert_eq!(end, End::Clean);
                        ends += 1;
                        client = Client::connect(&gateway).await;
                    }
                }
            }
            (right, errors, ends)
        });
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        node.restart().await;
    }
    let (mut right, mut errors, mut ends) = (0, 0, 0);
    while let Some(client) = clients.join_next().await {
        let counts = client.unwrap();
        (right, errors, ends) = (right + counts.0, errors + counts.1, ends + counts.2);
    }
    assert_eq!(right + errors + ends, 400);
    assert!(right > 0 && errors > 0, "{right} right, {errors} errors, {ends} ends");
}
