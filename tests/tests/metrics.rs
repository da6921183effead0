//! The operator's address: `/metrics`, `/healthz`, `/readyz`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use runeward_tests::http::exchange;
use runeward_tests::{Client, FakeNode, Gateway, Setup, eventually};
use serde_json::json;
use tokio::io::AsyncReadExt;

async fn get(gateway: &Gateway, path: &str) -> (u16, String) {
    let address = gateway.ready.metrics.unwrap();
    let (head, mut stream) =
        exchange(address, &format!("GET {path} HTTP/1.1\nHost: {address}\nConnection: close\n\n")).await;
    let mut body = String::new();
    stream.read_to_string(&mut body).await.unwrap();
    (head.status, body)
}

/// The value of one series.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in:\n{text}")).parse().unwrap()
}

fn metered(setup: Setup) -> Setup {
    setup.arg("--metrics").arg("127.0.0.1:0")
}

#[tokio::test]
async fn off_unless_asked_for() {
    let gateway = Gateway::start(Setup::demo()).await;
    assert_eq!(gateway.ready.metrics, None);
    // A stranger on the port learns nothing there.
    let (head, mut stream) =
        exchange(gateway.address(), "GET /metrics HTTP/1.1\nHost: localhost\nConnection: close\n\n").await;
    let mut body = String::new();
    stream.read_to_string(&mut body).await.unwrap();
    assert!(!body.contains("runeward_"), "{head:?} {body}");
}

#[tokio::test]
async fn ready_while_the_node_answers() {
    let mut node = FakeNode::start().await;
    let gateway = Gateway::start(metered(Setup::fake(&node))).await;
    assert_eq!(get(&gateway, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&gateway, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(&gateway, "/else").await.0, 404);
    node.stop().await;
    // Nobody calls: the gateway looks by itself.
    eventually("the node counts as down", async || get(&gateway, "/readyz").await.0 == 503).await;
    assert_eq!(get(&gateway, "/healthz").await.0, 200);
    let (_, text) = get(&gateway, "/metrics").await;
    assert_eq!(value(&text, "runeward_node_up"), 0.0);
    assert_eq!(value(&text, "runeward_node_lost_total"), 1.0);
}

#[tokio::test]
async fn connections_and_bytes() {
    let (gateway, rune) = Gateway::with_rune(metered(Setup::demo())).await;
    let (_, before) = get(&gateway, "/metrics").await;
    let mut client = Client::connect(&gateway).await;
    assert!(client.call("getinfo", json!({}), &rune).await["result"].is_object());
    let (_, after) = get(&gateway, "/metrics").await;
    let more = |series: &str| value(&after, series) - value(&before, series);
    assert_eq!(more("runeward_handshakes_total{result=\"done\"}"), 1.0);
    assert!(value(&after, "runeward_connections") >= 1.0);
    // Request and reply, each with 34 bytes of transport and 10 of commando; the init before may count as well.
    let received = more("runeward_bytes_total{direction=\"received\"}");
    assert!(received > 44.0 + rune.len() as f64, "{received}");
    assert!(more("runeward_bytes_total{direction=\"sent\"}") > 300.0, "{after}");
    assert!(more("runeward_node_call_seconds_count") >= 1.0);
    assert!(value(&after, "runeward_resident_memory_bytes") > 1e6);
    // Never who, and never by which rune.
    assert!(!after.contains(&rune) && !after.contains("127.0.0.1") && !after.contains("getinfo"), "{after}");
    drop(client);
    eventually("the connection is counted as closed", async || {
        value(&get(&gateway, "/metrics").await.1, "runeward_connections") == 0.0
    })
    .await;
}
