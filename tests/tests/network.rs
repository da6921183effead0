//! Networks that fail in silence: a cable that is cut while nobody is told, packets that are lost, a phone that is somewhere
//! else. Each test runs in network namespaces of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use runeward_tests::client::{self, Client, REQUEST_MORE};
use runeward_tests::network::{Cable, alone};
use runeward_tests::{Answer, FakeNode, Gateway, Setup, eventually};
use serde_json::{Value, json};

/// How often the node ran each command, by its mark.
#[derive(Clone, Default)]
struct Ran(Arc<Mutex<HashMap<String, usize>>>);

impl Ran {
    /// From now on `pay` echoes its params so much later, and is entered here.
    fn on(node: &FakeNode, takes: Duration) -> Self {
        let ran = Self::default();
        let entries = ran.clone();
        let answer = move |request: &Value| {
            let mark = request["params"]["mark"].as_str().unwrap().to_owned();
            *entries.0.lock().unwrap().entry(mark).or_default() += 1;
            Answer::Echo.after(takes)
        };
        node.on("pay", Answer::By(Arc::new(answer)));
        ran
    }

    fn has(&self, mark: &str) -> bool {
        self.0.lock().unwrap().contains_key(mark)
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn assert_each_once(&self) {
        let ran = self.0.lock().unwrap();
        assert!(ran.values().all(|times| *times == 1), "{ran:?}");
    }
}

fn pay(mark: &str, padding: usize, rune: &str) -> String {
    client::request(&json!(mark), "pay", &params(mark, padding), rune)
}

fn params(mark: &str, padding: usize) -> Value {
    json!({"mark": mark, "padding": "x".repeat(padding)})
}

/// How many connections the gateway has seen the end of, as its log tells.
fn ends(gateway: &Gateway) -> usize {
    gateway.log().matches("connection closes").count()
}

/// Five clients, all that are let in: one idle, one that waits for an event, one that is to be answered, one amid a long
/// request, one amid a long reply.
async fn five(cable: &Cable, gateway: &Gateway, node: &FakeNode, rune: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(place(cable, gateway).await);
    }
    assert!(cable.client(gateway).await.is_none(), "a sixth");
    let [_, waiting, answered, asking, reading] = &mut clients[..] else { unreachable!() };
    waiting.request(1, client::request(&json!(1), "waitanyinvoice", &json!({}), rune)).await;
    answered.request(1, pay("in flight", 10, rune)).await;
    for _ in 0..3 {
        asking.send(&[&REQUEST_MORE.to_be_bytes()[..], &[1; 8], &[b' '; 60_000]].concat()).await;
    }
    reading.request(1, client::request(&json!(1), "listchannels", &json!({}), rune)).await;
    reading.message().await;
    eventually("the calls run", async || {
        ["waitanyinvoice", "pay", "listchannels"].iter().all(|method| node.calls(method) == 1)
    })
    .await;
    clients
}

/// A gateway that lets five in, has memory for one long request of a stranger, and gives up on the silent after four seconds;
/// before a node of which each call takes its time.
async fn strict(cable: &Cable, node: &FakeNode) -> (Gateway, String) {
    node.on("waitanyinvoice", Answer::Never);
    node.on("listchannels", Answer::Huge(100 << 20));
    let limits = "[limits]\nconnections = 5\nunacknowledged_seconds = 4\nrequest_memory = 300000\n";
    quiet(cable, Setup::fake(node).config(limits)).await
}

/// A gateway at the far end, on which nobody is.
async fn quiet(cable: &Cable, setup: Setup) -> (Gateway, String) {
    let (gateway, rune) = cable.gateway(setup.env("RUST_LOG", "debug")).await;
    eventually("nobody is there", async || ends(&gateway) == 1).await;
    (gateway, rune)
}

/// A client, as soon as there is a place.
async fn place(cable: &Cable, gateway: &Gateway) -> Client {
    let mut client = None;
    eventually("there is a place", async || {
        client = cable.client(gateway).await;
        client.is_some()
    })
    .await;
    client.unwrap()
}

/// Where the cable is cut and neither end is told, the gateway finds out by itself, whatever the connection was at: places and
/// memory are free again, and what ran is not run again.
#[test]
fn a_cable_cut_in_silence() {
    alone("a_cable_cut_in_silence", async |cable| {
        let node = FakeNode::start().await;
        let ran = Ran::on(&node, Duration::from_millis(500));
        let (gateway, rune) = strict(&cable, &node).await;
        let before = ends(&gateway);
        let dead = five(&cable, &gateway, &node, &rune).await;
        let cut = Instant::now();
        cable.cut();
        eventually("all five are given up", async || ends(&gateway) == before + 5).await;
        println!("5 connections were given up {:?} after the cut, of 4 s allowed", cut.elapsed());
        cable.heal();

        // Five places again, and the memory that the long request held.
        let mut clients = Vec::new();
        for number in 0..5 {
            let mut client = place(&cable, &gateway).await;
            let mark = format!("afterwards {number}");
            assert_eq!(client.result("pay", params(&mark, 150_000), &rune).await, params(&mark, 150_000));
            clients.push(client);
        }
        assert_eq!(ran.count(), 6);
        ran.assert_each_once();
        drop(dead);
    });
}

/// A phone that is suddenly somewhere else connects again at once; what it left behind is given up as if the cable was cut.
#[test]
fn an_address_that_changes() {
    alone("an_address_that_changes", async |mut cable| {
        let node = FakeNode::start().await;
        let ran = Ran::on(&node, Duration::ZERO);
        let (gateway, rune) = strict(&cable, &node).await;
        let before = ends(&gateway);
        let mut left = Vec::new();
        for number in 0..4 {
            cable.move_to(&format!("10.73.0.{}", 10 + number));
            let mut client = cable.client(&gateway).await.expect("at once, wherever it is");
            let mark = format!("call {number}");
            assert_eq!(client.result("pay", params(&mark, 100), &rune).await, params(&mark, 100));
            left.push(client);
        }
        cable.move_to("10.73.0.99");
        eventually("the four are given up", async || ends(&gateway) == before + 4).await;
        ran.assert_each_once();
    });
}

/// A cut that is mended in time is only a wait: no connection ends, and every call is answered, once.
#[test]
fn a_cut_that_is_mended() {
    alone("a_cut_that_is_mended", async |cable| {
        let node = FakeNode::start().await;
        let ran = Ran::on(&node, Duration::from_millis(300));
        let (gateway, rune) = quiet(&cable, Setup::fake(&node)).await;
        let before = ends(&gateway);
        let mut idle = cable.client(&gateway).await.unwrap();
        let mut busy = cable.client(&gateway).await.unwrap();
        for id in 0..8 {
            busy.request(id, pay(&format!("before {id}"), 70_000, &rune)).await;
        }
        eventually("the calls run", async || ran.count() > 0).await;
        cable.cut();
        // What is asked meanwhile waits in the client's own system.
        busy.request(8, pay("meanwhile", 10, &rune)).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!ran.has("meanwhile"));
        cable.heal();
        for id in 0..9 {
            let reply = busy.reply(id).await;
            let (mark, padding) =
                if id < 8 { (format!("before {id}"), 70_000) } else { ("meanwhile".into(), 10) };
            assert_eq!(reply.json()["result"], params(&mark, padding));
        }
        assert_eq!(idle.result("pay", params("idle", 10), &rune).await, params("idle", 10));
        assert_eq!((ran.count(), busy.unclaimed(), ends(&gateway)), (10, 0, before));
        ran.assert_each_once();
    });
}

/// A line that is narrow, late and loses one packet in ten makes calls slow and nothing else.
#[test]
fn a_line_that_loses_packets() {
    const CALLS: usize = 9;
    alone("a_line_that_loses_packets", async |cable| {
        let node = FakeNode::start().await;
        let ran = Ran::on(&node, Duration::ZERO);
        let (gateway, rune) = cable.gateway(Setup::fake(&node)).await;
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(cable.client(&gateway).await.unwrap());
        }
        cable.narrow(8000);
        cable.lose(10);
        let mut work = tokio::task::JoinSet::new();
        for (name, mut client) in clients.into_iter().enumerate() {
            let rune = rune.clone();
            work.spawn(async move {
                for call in 0..CALLS {
                    let (mark, padding) = (format!("{name}: {call}"), [10, 3000, 70_000][call % 3]);
                    client.request(7, pay(&mark, padding, &rune)).await;
                    assert_eq!(client.reply(7).await.json()["result"], params(&mark, padding));
                    assert_eq!(client.unclaimed(), 0);
                }
            });
        }
        while let Some(done) = work.join_next().await {
            done.unwrap();
        }
        assert_eq!(ran.count(), 4 * CALLS);
        ran.assert_each_once();
    });
}
