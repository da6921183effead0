//! What a real node was seen to answer, replayed: `conformance/observed.json`, group by group.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use runeward_noise::Identity;
use runeward_policy::Rune;
use runeward_tests::client::{identity, padded};
use runeward_tests::recorded::{self, Case, Observed};
use runeward_tests::{Answer, Client, FakeNode, Gateway, Setup, eventually};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

/// The recorded node behind a gateway that holds the recorded secret.
struct Replay {
    node: FakeNode,
    gateway: Gateway,
    identity: Identity,
    /// The recorded rune that allows everything.
    admin: String,
}

impl Replay {
    async fn start(observed: &Observed) -> Self {
        let node = FakeNode::start().await;
        let answers = answers(observed);
        node.on("getinfo", answer_of(answers.clone()));
        node.otherwise(answer_of(answers));
        let secret = format!("{}\n", observed.rune_master_secret);
        let setup = Setup::fake(&node).state_file("rune-secret", &secret, 0o600);
        let gateway = Gateway::start(setup).await;
        register(&gateway, observed).await;
        let raw = observed.cases[0].raw.as_ref().unwrap();
        let request: Value = serde_json::from_str(raw).unwrap();
        let admin = request["rune"].as_str().unwrap().to_owned();
        let replay = Self { node, gateway, identity: identity(), admin };
        let mut client = replay.client().await;
        eventually("the daemon knows the runes", async || {
            let reply = client.call("listinvoices", json!({}), &replay.admin).await;
            reply.get("result").is_some()
        })
        .await;
        replay
    }

    async fn client(&self) -> Client {
        Client::connect_as(&self.gateway, &self.identity).await
    }

    /// Replays one case that is a request with its reply.
    async fn ask(&self, client: &mut Client, observed: &Observed, case: &Case) {
        let mut raw = case.raw.clone().unwrap();
        if let Some(first) = &case.first {
            let (what, id) = first.split_once(' ').unwrap();
            let params = json!({"start": id, "relist": what == "relist"});
            client.result("blacklistrune", params, &self.admin).await;
        }
        if let Some(restrictions) = &case.mint {
            let me = self.identity.node_id().to_string();
            let restrictions: Value = serde_json::from_str(&restrictions.replace("CLIENT", &me)).unwrap();
            let params = json!({"restrictions": restrictions});
            let minted = client.result("createrune", params, &self.admin).await;
            let request: Value = serde_json::from_str(&raw).unwrap();
            let recorded = request["rune"].as_str().unwrap();
            assert!(Rune::decode(recorded).unwrap().encode().len() > 64);
            raw = raw.replace(recorded, minted["rune"].as_str().unwrap());
            assert!(!raw.contains(&observed.client_id));
        }
        if let Some(before) = &case.before {
            client.ask(before).await;
        }
        tokio::time::sleep(Duration::from_millis(case.wait_ms.unwrap_or(0))).await;
        let reply = client.ask(raw).await;
        let expected = case.expected().as_str().unwrap();
        assert_eq!(reply.text(), expected, "{} / {}", case.group, case.name);
    }
}

/// What the recorded node makes of (method, params, filter): the reply's text after the id.
type Answers = HashMap<(String, String, String), String>;

fn key(request: &Value) -> (String, String, String) {
    let params = match request.get("params") {
        Some(params) if *params != json!([]) => params.to_string(),
        _ => "{}".into(),
    };
    let filter = request.get("filter").map_or(String::new(), Value::to_string);
    let method = request["method"].as_str().unwrap_or_default();
    (method.to_owned(), params, filter)
}

fn answers(observed: &Observed) -> Arc<Answers> {
    let mut answers = Answers::new();
    for case in &observed.cases {
        let (Some(raw), Some(reply)) = (&case.raw, case.recorded().as_str()) else {
            continue;
        };
        let Ok(request) = serde_json::from_str::<Value>(raw) else {
            continue;
        };
        if reply.starts_with(r#"{"jsonrpc""#) {
            let at = reply.find(r#","result":"#).or(reply.find(r#","error":"#)).unwrap();
            answers.insert(key(&request), reply[at..].to_owned());
        }
    }
    let none = r#","result":{"invoices":[]}}"#;
    answers.insert(key(&json!({"method": "listinvoices"})), none.into());
    Arc::new(answers)
}

fn answer_of(answers: Arc<Answers>) -> Answer {
    Answer::By(Arc::new(move |request| {
        let rest = answers.get(&key(request));
        match rest {
            Some(rest) => Answer::Text(format!("{{\"jsonrpc\":\"2.0\",\"id\":$ID{rest}\n\n")),
            None => {
                let method = request["method"].as_str().unwrap_or_default();
                Answer::Error(-32601, format!("Unknown command '{method}'"))
            }
        }
    }))
}

/// Registers the ids of the recorded runes, but for those recorded as never issued. There is no other way to do that
/// than to write them where the daemon keeps them: it makes its own ids.
async fn register(gateway: &Gateway, observed: &Observed) {
    let options = SqliteConnectOptions::new()
        .filename(gateway.setup().state().join("runeward.db"))
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(10));
    let database = SqlitePool::connect_with(options).await.unwrap();
    for case in &observed.cases {
        let Some(raw) = &case.raw else { continue };
        let request: Value = serde_json::from_str(raw).unwrap_or_default();
        let rune = Rune::decode(request["rune"].as_str().unwrap_or_default());
        let Some(id) = rune.ok().and_then(|rune| rune.numeric_id()) else {
            continue;
        };
        if case.name.contains("never-issued") || case.name.contains("unknown unique id") {
            continue;
        }
        sqlx::query("INSERT OR IGNORE INTO runes (unique_id) VALUES (?)")
            .bind(i64::try_from(id).unwrap())
            .execute(&database)
            .await
            .unwrap();
    }
    database.close().await;
}

#[tokio::test]
async fn requests() {
    let observed: Observed = recorded::read("observed.json");
    let replay = Replay::start(&observed).await;
    let mut client = replay.client().await;
    let groups = ["basic", "id", "rune", "restrict", "pinv", "filter"];
    let mut replayed = 0;
    for case in &observed.cases {
        if groups.contains(&case.group.as_str()) {
            replay.ask(&mut client, &observed, case).await;
            replayed += 1;
        }
    }
    assert!(replayed > 100, "{replayed}");
}

#[tokio::test]
async fn rates() {
    let observed: Observed = recorded::read("observed.json");
    let replay = Replay::start(&observed).await;
    let mut client = replay.client().await;
    for case in observed.cases.iter().filter(|case| case.group == "rate") {
        replay.ask(&mut client, &observed, case).await;
    }
}

#[tokio::test]
async fn sizes() {
    let observed: Observed = recorded::read("observed.json");
    let replay = Replay::start(&observed).await;
    let frame = r#"{"jsonrpc":"2.0","id":"1","result":""}"#.len();
    let long = Value::from("a".repeat(300_000 - frame));
    replay.node.on("listdatastore", Answer::result(long));
    let mut client = replay.client().await;
    let request = format!(r#"{{"id":"1","method":"listinvoices","params":{{}},"rune":"{}"}}"#, replay.admin);
    for case in observed.cases.iter().filter(|case| case.group == "size") {
        let id = u64::from_str_radix(case.id.as_ref().unwrap(), 16).unwrap();
        let raw = case.raw.as_ref().unwrap_or(&request);
        match case.parts.as_deref() {
            Some("empty, body, empty") => {
                client.part(id, b"", false).await;
                client.part(id, raw.as_bytes(), false).await;
                client.part(id, b"", true).await;
            }
            Some("split inside é") => {
                let at = raw.find('é').unwrap() + 1;
                client.part(id, &raw.as_bytes()[..at], false).await;
                client.part(id, &raw.as_bytes()[at..], true).await;
            }
            Some(other) => panic!("unknown split {other}"),
            None => {
                let bytes = case.bytes.unwrap_or(0);
                let part = case.part.unwrap_or(65_000);
                client.request_in_parts(id, padded(raw, bytes), part).await;
            }
        }
        let reply = client.reply(id).await;
        match &case.frames {
            Some(frames) => assert_eq!(reply.parts, *frames, "{}", case.name),
            None => assert_eq!(reply.text(), case.expected().as_str().unwrap()),
        }
    }
}

#[tokio::test]
async fn interleaved() {
    let observed: Observed = recorded::read("observed.json");
    let replay = Replay::start(&observed).await;
    let slow = Answer::result(json!({})).after(Duration::from_secs(3));
    replay.node.on("waitanyinvoice", slow);
    for case in observed.cases.iter().filter(|case| case.group == "interleave") {
        interleave(&replay, case).await;
    }
}

/// Each case of this group is a dialogue of its own, told by its name.
async fn interleave(replay: &Replay, case: &Case) {
    let ask = |id: &str| {
        format!(r#"{{"id":"{id}","method":"listinvoices","params":{{}},"rune":"{}"}}"#, replay.admin)
    };
    let (a, b) = (ask("A"), ask("B"));
    let halves = |text: &str| (text.as_bytes()[..52].to_vec(), text.as_bytes()[52..].to_vec());
    let ((a1, a2), (b1, b2)) = (halves(&a), halves(&b));
    let expected = case.expected();
    let mut client = replay.client().await;
    match case.name.as_str() {
        "interleaved: A-cont B-cont A-term B-term" => {
            client.part(0xa1, &a1, false).await;
            client.part(0xb1, &b1, false).await;
            client.part(0xa1, &a2, true).await;
            client.part(0xb1, &b2, true).await;
            assert_eq!(expected["a1"], client.reply(0xa1).await.text());
            assert_eq!(expected["b1"], client.reply(0xb1).await.text());
        }
        "interleaved: A-cont B-whole A-term" => {
            client.part(0xa2, &a1, false).await;
            client.request(0xb2, &b).await;
            client.part(0xa2, &a2, true).await;
            assert_eq!(expected["a2"], client.reply(0xa2).await.text());
            assert_eq!(expected["b2"], client.reply(0xb2).await.text());
        }
        "pipelined: A-whole B-whole" => {
            client.request(0xa3, &a).await;
            client.request(0xb3, &b).await;
            assert_eq!(expected[0]["raw"], client.reply(0xa3).await.text());
            assert_eq!(expected[1]["raw"], client.reply(0xb3).await.text());
        }
        "pipelined: bad JSON then good, same msg id" => {
            client.request(0xd3, "{").await;
            client.request(0xd3, &a).await;
            for at in 0..2 {
                assert_eq!(expected[at]["raw"], client.reply(0xd3).await.text());
            }
        }
        "abandoned partial, same id restarted (concatenated)" => {
            client.part(0xe1, &a1, false).await;
            client.request(0xe1, &a).await;
            assert_eq!(expected[0]["raw"], client.reply(0xe1).await.text());
        }
        "ping while a 3s command is running" => {
            let wait = a.replace("listinvoices", "waitanyinvoice");
            client.request(1, wait).await;
            client.ping(1).await;
            assert_eq!(client.pong().await, 1);
            assert_eq!(*expected, json!(["pong", "reply"]));
            client.reply(1).await;
        }
        "other peer while a 3s command is running (same msg id)" => {
            client.request(1, a.replace("listinvoices", "waitanyinvoice")).await;
            let mut other = Client::connect(&replay.gateway).await;
            other.request(1, ask("other-peer")).await;
            assert_eq!(*expected, other.reply(1).await.text());
        }
        "17 peers with one partial each, finish last, first, second, third" => {
            let mut peers = Vec::new();
            for _ in 0..17 {
                let mut peer = Client::connect(&replay.gateway).await;
                peer.part(1, &a1, false).await;
                peers.push(peer);
            }
            for at in [16, 0, 1, 2] {
                peers[at].part(1, &a2, true).await;
                let reply = peers[at].reply(1).await;
                assert_eq!(expected[format!("peer{at}")], reply.text());
            }
        }
        "partial survives reconnect of same node id" => {
            client.part(1, &a1, false).await;
            drop(client);
            let mut client = replay.client().await;
            client.part(1, &a2, true).await;
            assert_eq!(*expected, client.reply(1).await.text());
        }
        "second connection with the same node id" => {
            let mut second = replay.client().await;
            second.request(1, &a).await;
            second.reply(1).await;
            assert_eq!(expected["old_connection"]["closed"], false);
            client.request(1, &a).await;
            client.reply(1).await;
        }
        "new connection of the same node id works" => {
            drop(client);
            let mut client = replay.client().await;
            client.request(1, &a).await;
            assert_eq!(*expected, client.reply(1).await.text());
        }
        other => panic!("a case nobody replays: {other}"),
    }
}

/// Every case is replayed somewhere, and says how we stand to it.
#[test]
fn every_case_has_its_place() {
    let observed: Observed = recorded::read("observed.json");
    let groups = [
        "basic",
        "id",
        "rune",
        "restrict",
        "rate",
        "pinv",
        "filter",
        "size",
        "interleave",
        // Replayed in `conformance_wire.rs`.
        "wire",
        "init",
        "ws",
        "idle",
    ];
    for case in &observed.cases {
        assert!(groups.contains(&case.group.as_str()), "{}", case.group);
        let differs = case.expected() != case.recorded();
        assert_eq!(differs, case.verdict != "same", "{}", case.name);
    }
    assert_eq!(observed.cases.len(), 237);
}
