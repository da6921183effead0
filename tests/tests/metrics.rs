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
    // A reply is counted once it is written, which may be a moment after it is read.
    let mut after = String::new();
    eventually("the reply is counted", async || {
        after = get(&gateway, "/metrics").await.1;
        let sent = "runeward_bytes_total{direction=\"sent\"}";
        value(&after, sent) - value(&before, sent) > 300.0
    })
    .await;
    let more = |series: &str| value(&after, series) - value(&before, series);
    assert_eq!(more("runeward_handshakes_total{result=\"done\"}"), 1.0);
    assert!(value(&after, "runeward_connections") >= 1.0);
    // Request and reply, each with 34 bytes of transport and 10 of commando; the init before may count as well.
    let received = more("runeward_bytes_total{direction=\"received\"}");
    assert!(received > 44.0 + rune.len() as f64, "{received}");
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

#[tokio::test]
async fn calls_by_class_and_outcome_and_refusals_by_reason() {
    let (gateway, rune) = Gateway::with_rune(metered(Setup::demo())).await;
    let narrow = gateway.rune(&["method=listpeers"]).await;
    let once = gateway.rune(&["quota=1/hour"]).await;
    let (_, before) = get(&gateway, "/metrics").await;
    let mut client = Client::connect(&gateway).await;
    for (method, rune) in [
        ("getinfo", &rune),
        ("listpeers", &narrow),
        ("getinfo", &narrow),
        ("pay", &rune),
        ("getinfo", &once),
        ("getinfo", &once),
        // Somebody's name for a method is no label.
        ("a-method-of-mine", &rune),
    ] {
        client.call(method, json!({}), rune).await;
    }
    let (_, after) = get(&gateway, "/metrics").await;
    let more = |series: &str| value(&after, series) - value(&before, series);
    for (series, count) in [
        ("runeward_calls_total{class=\"read\",outcome=\"done\"}", 2.0),
        ("runeward_calls_total{class=\"private\",outcome=\"done\"}", 1.0),
        ("runeward_calls_total{class=\"read\",outcome=\"refused\"}", 2.0),
        ("runeward_calls_total{class=\"spend\",outcome=\"error\"}", 1.0),
        ("runeward_calls_total{class=\"unknown\",outcome=\"error\"}", 1.0),
        ("runeward_refusals_total{reason=\"not permitted\"}", 1.0),
        ("runeward_refusals_total{reason=\"used up\"}", 1.0),
        ("runeward_limits_hit_total{limit=\"quota\"}", 1.0),
        ("runeward_call_seconds_count{class=\"spend\"}", 1.0),
        ("runeward_call_seconds_bucket{le=\"+Inf\",class=\"spend\"}", 1.0),
    ] {
        assert_eq!(more(series), count, "{series} in:\n{after}");
    }
    assert_eq!(value(&after, "runeward_calls_under_way"), 0.0);
    assert!(!after.contains("of-mine"), "{after}");
}

/// The metrics, and the labels, that a query of the dashboard asks for.
fn asked_for(query: &str) -> Vec<(String, Vec<String>)> {
    let mut asked = Vec::new();
    for (at, _) in query.match_indices("runeward_") {
        let name: String =
            query[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let rest = &query[at + name.len()..];
        let selector =
            rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        let labels = selector.split(',').filter_map(|pair| pair.split_once('='));
        asked.push((name, labels.map(|(label, _)| label.trim_end_matches('~').to_owned()).collect()));
    }
    asked
}

#[tokio::test]
async fn the_dashboard_asks_for_what_is_told() {
    let gateway = Gateway::start(metered(Setup::demo())).await;
    let (_, text) = get(&gateway, "/metrics").await;
    assert!(text.ends_with("# EOF\n"), "{text}");
    let dashboard = include_str!("../../docker/grafana/runeward.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let asked = asked_for(query);
            assert!(!asked.is_empty(), "{query}");
            for (name, mut labels) in asked {
                queries += 1;
                let grouped = query.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
                labels.extend(grouped.flat_map(|list| list.split(", ")).map(str::to_owned));
                let series = text.lines().filter(|line| line.starts_with(&name));
                let series: Vec<_> =
                    series.filter(|line| line[name.len()..].starts_with(['{', ' '])).collect();
                assert!(!series.is_empty(), "nothing tells {name}, which the dashboard asks for: {query}");
                for label in labels.iter().filter(|label| *label != "instance") {
                    let told = format!("{label}=\"");
                    assert!(
                        series.iter().all(|line| line.contains(&told)),
                        "{name} has no label {label}: {query}"
                    );
                }
                let sets = query.match_indices("class=~\"").count();
                assert!(sets == 0 || series.iter().any(|line| line.contains("class=\"spend\"")), "{query}");
            }
        }
    }
    assert!(queries >= 20, "{queries}");
    // And nothing that is told is shown nowhere.
    let shown = dashboard["panels"].to_string();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(shown.contains(name), "{name} is told and shown nowhere");
    }
}
