//! Faults of everything around the gateway: few descriptors, little memory, bad networks, a bad node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use runeward_tests::client::{self, Client, identity, tcp};
use runeward_tests::hostile::honest::{Honest, Ledger, Work};
use runeward_tests::hostile::{Attack, Json, Messages, Parts, Target, Tcp, flood};
use runeward_tests::{Answer, End, FakeNode, Gateway, Setup, Weather, eventually};
use serde_json::{Value, json};

const UNREACHABLE: i64 = 19540;
const OUTCOME_UNKNOWN: i64 = 19541;

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
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
