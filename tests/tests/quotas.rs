//! `quota` and `rows`: never more than the bucket holds, whoever asks, however often, and over crashes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use runeward_tests::client::{self, Client};
use runeward_tests::{Answer, FakeNode, Gateway, Setup, eventually, runes};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use tokio::task::JoinSet;

/// The limit that a refusal names and when to come back, in milliseconds; panics where it is no such
/// refusal.
fn used_up(reply: &Value) -> (&str, u64) {
    assert_eq!(reply["error"]["code"], 19542, "{reply}");
    assert_eq!(reply["jsonrpc"], "2.0");
    let data = &reply["error"]["data"];
    (data["limit"].as_str().unwrap(), data["retry_after_ms"].as_u64().unwrap())
}

/// How many of `count` calls pass, one after the other; all others must be over `limit`.
async fn pass(client: &mut Client, rune: &str, count: u32, limit: &str) -> u32 {
    let mut passed = 0;
    for _ in 0..count {
        let reply = client.call("getinfo", json!({}), rune).await;
        match reply.get("result") {
            Some(_) => passed += 1,
            None => assert_eq!(used_up(&reply).0, limit),
        }
    }
    passed
}

/// Sends `count` calls of each client at once; how many pass.
async fn pass_at_once(clients: &mut [(Client, String)], count: u64, limit: &str) -> u64 {
    for (client, rune) in clients.iter_mut() {
        for id in 0..count {
            client.request(id, client::request(&json!(id), "echo", &json!({}), rune)).await;
        }
    }
    let mut passed = 0;
    for (client, _) in clients {
        for _ in 0..count {
            let reply = client.next_reply().await.unwrap();
            let json = reply.json();
            match json.get("result") {
                Some(_) => passed += 1,
                None => assert_eq!(used_up(&json).0, limit),
            }
            assert_eq!(json["id"], json!(reply.id));
        }
    }
    passed
}

/// 64 connections, every other one with a rune of its own that was derived from `rune`.
async fn crowd(gateway: &Gateway, rune: &str) -> Vec<(Client, String)> {
    let mut clients = Vec::new();
    for at in 0..64 {
        let rune = match at % 2 {
            0 => rune.to_owned(),
            _ => runes::narrow(rune, &format!("method#{at}")),
        };
        clients.push((Client::connect(gateway).await, rune));
    }
    clients
}

#[tokio::test]
async fn sixty_four_connections_on_a_bucket_of_a_hundred() {
    let node = FakeNode::start().await;
    node.on("echo", Answer::Echo);
    let (mut gateway, _) = Gateway::with_rune(Setup::fake(&node).crowd()).await;
    let rune = gateway.rune(&["quota=100/day"]).await;
    let mut clients = crowd(&gateway, &rune).await;
    assert_eq!(pass_at_once(&mut clients, 4, "quota=100/day").await, 100);
    assert_eq!(pass_at_once(&mut clients, 1, "quota=100/day").await, 0);

    // One more comes in every 864 s.
    let reply = clients[0].0.call("getinfo", json!({}), &rune).await;
    let (_, retry_after) = used_up(&reply);
    assert!((1..=864_000).contains(&retry_after), "{reply}");
    gateway.kill().await;
    let gateway = gateway.restart().await;
    let mut clients = vec![(Client::connect(&gateway).await, rune)];
    assert_eq!(pass_at_once(&mut clients, 5, "quota=100/day").await, 0);
    assert_eq!(node.calls("echo"), 100);
}

/// Killed in the midst, again and again: what had gone out was counted.
#[tokio::test]
async fn a_crash_fills_no_bucket() {
    let node = FakeNode::start().await;
    node.on("echo", Answer::Echo.after(Duration::from_millis(20)));
    let (mut gateway, _) = Gateway::with_rune(Setup::fake(&node).crowd()).await;
    let rune = gateway.rune(&["quota=100/day"]).await;
    for _ in 0..4 {
        let before = node.calls("echo");
        let mut clients = crowd(&gateway, &rune).await;
        for (client, rune) in &mut clients {
            client.request(1, client::request(&json!(1), "echo", &json!({}), rune)).await;
        }
        // Where fewer are left, all have been refused or gone out by the time.
        let enough = (before + 10).min(100);
        let left_over = Instant::now() + Duration::from_secs(2);
        eventually("calls run", async || node.calls("echo") >= enough || Instant::now() > left_over).await;
        gateway.kill().await;
        gateway = gateway.restart().await;
    }
    let after_crashes = node.calls("echo");
    assert!((10..=100).contains(&after_crashes), "{after_crashes}");
    let mut client = Client::connect(&gateway).await;
    let mut left = 0;
    while client.call("echo", json!({}), &rune).await.get("result").is_some() {
        left += 1;
    }
    assert_eq!(node.calls("echo"), after_crashes + left);
    assert!(after_crashes + left <= 100, "{after_crashes} + {left}");
}

#[tokio::test]
async fn a_bucket_fills_again_one_by_one() {
    let (gateway, _) = Gateway::demo().await;
    let rune = gateway.rune(&["quota=60/min"]).await;
    let mut client = Client::connect(&gateway).await;
    let start = Instant::now();
    let mut passed = 0;
    for _ in 0..4 {
        let reply = loop {
            let reply = client.call("getinfo", json!({}), &rune).await;
            if reply.get("result").is_none() {
                break reply;
            }
            passed += 1;
        };
        assert!((60..=60 + start.elapsed().as_secs()).contains(&passed), "{passed}");
        let (limit, retry_after) = used_up(&reply);
        assert_eq!(limit, "quota=60/min");
        assert!((1..=1_000).contains(&retry_after), "{reply}");
        tokio::time::sleep(Duration::from_millis(retry_after)).await;
        client.result("getinfo", json!({}), &rune).await;
        passed += 1;
    }
    assert!((64..=60 + start.elapsed().as_secs()).contains(&passed), "{passed}");
}

/// However many attempts: on the demo node are as many invoices as the rune allows, and what makes none
/// goes on.
#[tokio::test]
async fn rows_are_bounded_whatever_is_tried() {
    const ATTEMPTS: u64 = 2_000;
    let (gateway, admin) = Gateway::demo().await;
    let rune = gateway.rune(&["rows=100/day"]).await;
    let before = rows(&gateway, &admin).await;
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let (mut client, rune) = (Client::connect(&gateway).await, rune.clone());
        callers.spawn(async move {
            let mut made = 0;
            for at in 0..ATTEMPTS / 8 {
                let label = format!("{caller}-{at}");
                let params = json!({"amount_msat": 1, "label": label, "description": "x"});
                let reply = client.call("invoice", params, &rune).await;
                match reply.get("result") {
                    Some(_) => made += 1,
                    None => assert_eq!(used_up(&reply).0, "rows=100/day"),
                }
            }
            made
        });
    }
    assert_eq!(callers.join_all().await.iter().sum::<usize>(), 100);
    assert_eq!(rows(&gateway, &admin).await, before + 100);

    let mut client = Client::connect(&gateway).await;
    client.result("listinvoices", json!({}), &rune).await;
    client.result("getinfo", json!({}), &rune).await;
    for (method, params) in [("newaddr", json!({})), ("offer", json!(["any", "x"]))] {
        let reply = client.call(method, params, &rune).await;
        assert_eq!(used_up(&reply).0, "rows=100/day", "all that write share it");
    }
}

async fn rows(gateway: &Gateway, admin: &str) -> usize {
    let mut client = Client::connect(gateway).await;
    let listed = client.result("listinvoices", json!({}), admin).await;
    listed["invoices"].as_array().unwrap().len()
}

#[tokio::test]
async fn each_caller_has_a_bucket_of_its_own() {
    let (gateway, _) = Gateway::demo().await;
    let rune = gateway.rune(&["quota=2/hour/peer"]).await;
    let (one, other) = (client::identity(), client::identity());
    let mut client = Client::connect_as(&gateway, &one).await;
    assert_eq!(pass(&mut client, &rune, 4, "quota=2/hour/peer").await, 2);
    let mut again = Client::connect_as(&gateway, &one).await;
    let derived = runes::narrow(&rune, "method=getinfo");
    assert_eq!(pass(&mut again, &derived, 2, "quota=2/hour/peer").await, 0, "of the same key");
    let mut client = Client::connect_as(&gateway, &other).await;
    assert_eq!(pass(&mut client, &derived, 4, "quota=2/hour/peer").await, 2);
}

/// A holder can make less of a rune, and never more.
#[tokio::test]
async fn fields_that_are_appended_only_narrow() {
    let (mut gateway, _) = Gateway::demo().await;
    let rune = gateway.rune(&["quota=10/hour"]).await;
    let narrow = runes::narrow(&rune, "quota=3/hour");
    let mut client = Client::connect(&gateway).await;
    assert_eq!(pass(&mut client, &narrow, 5, "quota=3/hour").await, 3);
    // The same once more is one bucket, and is taken from once.
    assert_eq!(pass(&mut client, &runes::narrow(&rune, "quota=10/hour"), 2, "quota=10/hour").await, 2);
    for wider in
        ["quota=999/hour", "quota=600/min", "quota=10/hour/peer", "quota=10/hour|method^get", "rows=5/day"]
    {
        assert_eq!(pass(&mut client, &runes::narrow(&rune, wider), 1, "quota=10/hour").await, 1, "{wider}");
    }
    assert_eq!(pass(&mut client, &rune, 5, "quota=10/hour").await, 0, "all of them took from it");
    for spelt in ["quota=10/hour ", "quota=010/hour", "quota=10/HOUR", "quota<10", "quota!", "quota#"] {
        let reply = client.call("getinfo", json!({}), &runes::narrow(&rune, spelt)).await;
        assert!(reply.get("result").is_none(), "{spelt}: {reply}");
    }

    // Where another alternative holds first, nothing is taken.
    let free = gateway.rune(&["method=getinfo|quota=1/day"]).await;
    assert_eq!(pass(&mut client, &free, 3, "quota=1/day").await, 3);
    client.result("listinvoices", json!({}), &free).await;
    let reply = client.call("listinvoices", json!({}), &free).await;
    assert_eq!(used_up(&reply).0, "quota=1/day");
    // Of several that are used up, the one that is soonest to have another is named.
    let two = gateway.rune(&["quota=1/day|quota=2/hour"]).await;
    assert_eq!(pass(&mut client, &two, 5, "quota=2/hour").await, 3);
    gateway = gateway.restart().await;
    let mut client = Client::connect(&gateway).await;
    assert_eq!(pass(&mut client, &two, 2, "quota=2/hour").await, 0);
}

#[tokio::test]
async fn checking_takes_nothing() {
    let (gateway, admin) = Gateway::demo().await;
    let rune = gateway.rune(&["quota=2/day"]).await;
    let mut client = Client::connect(&gateway).await;
    let check = ["check", &rune, "--method", "getinfo"];
    let params = json!({"rune": rune, "method": "getinfo"});
    for _ in 0..4 {
        assert_eq!(gateway.setup().rune(&check).await.code, 0);
        client.result("checkrune", params.clone(), &admin).await;
    }
    assert_eq!(pass(&mut client, &rune, 3, "quota=2/day").await, 2);
    gateway
        .setup()
        .rune(&check)
        .await
        .assert_refused(1, &["quota of 2/day is used up", "At most 2 commands"]);
    let reply = client.call("checkrune", params, &admin).await;
    assert_eq!(reply["error"]["code"], 1502);
    assert_eq!(reply["error"]["message"], "Not permitted: quota of 2/day is used up");
}

/// A use is counted where all else passes, whatever comes of the command.
#[tokio::test]
async fn only_what_passes_is_counted() {
    let (gateway, _) = Gateway::demo().await;
    let rune = gateway.rune(&["quota=2/day", "method=getinfo|method=nosuchmethod"]).await;
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        let reply = client.call("listinvoices", json!({}), &rune).await;
        assert_eq!(reply["error"]["code"], 19537, "{reply}");
    }
    let reply = client.call("nosuchmethod", json!({}), &rune).await;
    assert_eq!(reply["error"]["code"], -32601);
    assert_eq!(pass(&mut client, &rune, 3, "quota=2/day").await, 1);
}

/// What nobody can count is refused; runes without such fields go on.
#[tokio::test]
async fn buckets_that_cannot_be_read_or_written_refuse() {
    let node = FakeNode::start().await;
    let (gateway, admin) = Gateway::before(&node).await;
    let known = gateway.rune(&["quota=9/day"]).await;
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &known).await;
    client.result("getinfo", json!({}), &admin).await;
    let unseen = gateway.setup().rune(&["create", "--restrict", "quota=9/day"]).await.line().to_owned();

    let path = gateway.setup().state().join("runeward.db");
    let mut database = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query("DROP TABLE buckets").execute(&mut database).await.unwrap();
    let before = node.calls("getinfo");
    for rune in [&known, &unseen] {
        let reply = client.call("getinfo", json!({}), rune).await;
        assert_eq!(reply["error"]["code"], 19545, "{reply}");
    }
    assert_eq!(node.calls("getinfo"), before);
    client.result("getinfo", json!({}), &admin).await;
}

/// What a rune may fill the disk with by the day is gone by the day: what is checked is what is run.
#[tokio::test]
async fn invoices_of_runes_that_limit_rows_expire_within_a_day() {
    let node = FakeNode::start().await;
    node.on("invoice", Answer::Echo);
    let gateway = Gateway::start(Setup::fake(&node)).await;
    let mut client = Client::connect(&gateway).await;
    let preset = gateway.setup().rune(&["create", "--preset", "receive"]).await.line().to_owned();
    let rune = gateway.rune(&["rows=100/day"]).await;
    let exact = runes::narrow(&rune, "pnameexpiry=86400|parr3=86400");
    for rune in [&preset, &rune, &exact] {
        let by_name = client.result("invoice", json!({"amount_msat": 1, "label": "a"}), rune).await;
        assert_eq!(by_name, json!({"amount_msat": 1, "label": "a", "expiry": 86_400}));
        let by_position = client.result("invoice", json!([1, "a", "b"]), rune).await;
        assert_eq!(by_position, json!([1, "a", "b", 86_400]));
    }
    let short = client.result("invoice", json!({"expiry": 60}), &rune).await;
    assert_eq!(short, json!({"expiry": 60}));
    let reply = client.call("invoice", json!({"expiry": 60}), &exact).await;
    assert_eq!(reply["error"]["code"], 19537, "{reply}");
    let before = node.calls("invoice");
    for params in [json!({"expiry": 86_401}), json!([1, "a", "b", 604_800]), json!({"expiry": "1w"})] {
        let reply = client.call("invoice", params, &rune).await;
        assert_eq!(reply["error"]["code"], -32602);
        assert!(reply["error"]["message"].as_str().unwrap().contains("86400 seconds"), "{reply}");
    }
    assert_eq!(node.calls("invoice"), before);

    // A rune that forbids an expiry allows no invoice, for one would be filled in; a dry run agrees.
    let none = runes::narrow(&rune, "pnameexpiry!");
    let reply = client.call("invoice", json!({"label": "a"}), &none).await;
    assert_eq!(reply["error"]["message"], "Invalid rune: Not permitted: parameter expiry is present");
    let check = ["check", &none, "--method", "invoice", "--params", r#"{"label":"a"}"#];
    gateway.setup().rune(&check).await.assert_refused(1, &["expiry is present"]);
    // Others may be as long as they like.
    let free = gateway.rune(&["quota=100/day"]).await;
    let long = client.result("invoice", json!({"expiry": 604_800}), &free).await;
    assert_eq!(long, json!({"expiry": 604_800}));
    assert_eq!(client.result("invoice", json!({}), &free).await, json!({}));
}
