//! Calls run side by side: a long poll delays nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use runeward_tests::client::{self, PONG, REPLY_LAST, identity, kind};
use runeward_tests::{Answer, Client, FakeNode, Gateway, eventually};
use serde_json::json;

const WAIT: u64 = 1 << 40;

/// Behind one 3 s `waitanyinvoice`, 100 `getinfo` and a ping are answered before it.
async fn behind_a_long_poll(mut client: Client, rune: &str) {
    let wait = client::request(&json!("w"), "waitanyinvoice", &json!({"timeout": 3}), rune);
    client.request(WAIT, wait).await;
    // All at once: more than run side by side, so that most wait their turn.
    for id in 0..100 {
        let request = client::request(&json!(id), "getinfo", &json!({}), rune);
        client.request(id, request).await;
    }
    client.ping(1).await;

    let (mut answered, mut pongs) = (Vec::new(), 0);
    loop {
        let message = client.message().await;
        match kind(&message) {
            PONG => pongs += 1,
            REPLY_LAST => {
                let id = u64::from_be_bytes(message[2..10].try_into().unwrap());
                let json: serde_json::Value = serde_json::from_slice(&message[10..]).unwrap();
                if id == WAIT {
                    assert_eq!(json["error"]["code"], 904);
                    break;
                }
                assert_eq!(json["id"], json!(id));
                assert!(json["result"]["id"].is_string());
                answered.push(id);
            }
            other => panic!("a message of type {other}"),
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..100).collect::<Vec<_>>());
    assert_eq!(pongs, 1);
}

#[tokio::test]
async fn behind_a_long_poll_over_tcp() {
    let (gateway, rune) = Gateway::demo().await;
    behind_a_long_poll(Client::connect(&gateway).await, &rune).await;
}

#[tokio::test]
async fn behind_a_long_poll_over_a_websocket() {
    let (gateway, rune) = Gateway::demo().await;
    behind_a_long_poll(Client::websocket(&gateway).await, &rune).await;
}

/// 16 a connection run at once, no more; those that wait are not failed.
#[tokio::test]
async fn sixteen_calls_run_at_once() {
    let node = FakeNode::start().await;
    let slow = Answer::Echo.after(Duration::from_millis(300));
    node.on("slow", slow);
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    for id in 0..50 {
        let request = client::request(&json!(id), "slow", &json!({"n": id}), &rune);
        client.request(id, request).await;
    }
    eventually("16 calls run", async || node.calls("slow") >= 16).await;
    assert!(node.calls("slow") <= 32, "all at once");
    for id in 0..50 {
        assert_eq!(client.reply(id).await.json()["result"], json!({"n": id}));
    }
    assert_eq!(node.calls("slow"), 50);
}

/// Another connection's long polls take nothing from this one.
#[tokio::test]
async fn long_polls_of_others_delay_nothing() {
    let node = FakeNode::start().await;
    node.on("waitanyinvoice", Answer::Never);
    let (gateway, rune) = Gateway::before(&node).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        let mut other = Client::connect(&gateway).await;
        for id in 0..16 {
            let request = client::request(&json!(id), "waitanyinvoice", &json!({}), &rune);
            other.request(id, request).await;
        }
        others.push(other);
    }
    eventually("64 calls run", async || node.calls("waitanyinvoice") == 64).await;
    let mut client = Client::connect(&gateway).await;
    for _ in 0..20 {
        client.result("getinfo", json!({}), &rune).await;
    }
}

/// The same static key may be connected several times, and each connection gets its own replies.
#[tokio::test]
async fn one_key_connected_several_times() {
    let node = FakeNode::start().await;
    node.on("echo", Answer::Echo.after(Duration::from_millis(100)));
    let (gateway, rune) = Gateway::before(&node).await;
    let me = identity();
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(Client::connect_as(&gateway, &me).await);
    }
    for (at, client) in clients.iter_mut().enumerate() {
        let request = client::request(&json!(at), "echo", &json!({"connection": at}), &rune);
        client.request(7, request).await;
    }
    for (at, client) in clients.iter_mut().enumerate() {
        let json = client.reply(7).await.json();
        assert_eq!(json["result"], json!({"connection": at}));
        assert_eq!(json["id"], json!(at));
    }
}

/// Whoever goes away takes his calls with him: they hold no place that others need.
#[tokio::test]
async fn calls_of_the_gone_hold_no_place() {
    let node = FakeNode::start().await;
    node.on("slow", Answer::Never);
    let (gateway, rune) = Gateway::before(&node).await;
    for round in 1..=8 {
        let mut client = Client::connect(&gateway).await;
        for id in 0..16 {
            client.request(id, client::request(&json!(id), "slow", &json!({}), &rune)).await;
        }
        eventually("16 calls run", async || node.calls("slow") == round * 16).await;
    }
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &rune).await;
}

/// Over several rotations of the keys, in both directions.
#[tokio::test]
async fn two_thousand_calls_on_one_connection() {
    let (gateway, rune) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    for batch in 0..40 {
        for id in batch * 50..(batch + 1) * 50 {
            client.request(id, client::request(&json!(id), "getinfo", &json!({}), &rune)).await;
        }
        for id in batch * 50..(batch + 1) * 50 {
            let json = client.reply(id).await.json();
            assert_eq!(json["id"], json!(id));
            assert!(json["result"]["id"].is_string());
        }
    }
}

/// More slow calls than the node is given at once: what cannot be sent is said to be busy, in bounded time.
#[tokio::test]
async fn a_busy_node_is_said_to_be() {
    let node = FakeNode::start().await;
    node.on("slow", Answer::Never);
    let (gateway, rune) = Gateway::before(&node).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Client::connect(&gateway).await;
        for id in 0..16 {
            client.request(id, client::request(&json!(id), "slow", &json!({}), &rune)).await;
        }
        clients.push(client);
    }
    let mut last = clients.pop().unwrap();
    let reply = last.next_reply().await.unwrap().json();
    assert_eq!(reply["error"]["code"], 19542, "{reply}");
    let data = &reply["error"]["data"];
    assert!(data["retry_after_ms"].is_u64() && data["limit"].is_string(), "{data}");
    drop(clients);
    eventually("there is room again", async || {
        let mut client = Client::connect(&gateway).await;
        client.call("getinfo", json!({}), &rune).await.get("result").is_some()
    })
    .await;
}
