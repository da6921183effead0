//! What lines of the log say of where they come from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use runeward_tests::{Client, Gateway, Setup, eventually};
use serde_json::{Value, json};

/// The lines of a log that is JSON, whole ones.
fn lines(gateway: &Gateway) -> Vec<Value> {
    gateway.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A field of the span of this name that a line was written in.
fn field<'a>(line: &'a Value, span: &str, name: &str) -> &'a Value {
    let spans = line["spans"].as_array().unwrap();
    &spans.iter().find(|found| found["name"] == span).unwrap_or(&Value::Null)[name]
}

#[tokio::test]
async fn a_line_about_a_call_says_which_and_by_whom() {
    let setup = Setup::demo().arg("--log").arg("json").env("RUST_LOG", "debug");
    let (gateway, rune) = Gateway::with_rune(setup).await;
    let mut client = Client::connect(&gateway).await;
    client.call("listpeers", json!({}), &rune).await;
    client.call("nobody-knows-this", json!({}), &rune).await;
    let ended = || {
        let all = lines(&gateway).into_iter().filter(|line| line["fields"]["message"] == "call ended");
        all.filter(|line| {
            ["listpeers", "unknown"].contains(&field(line, "call", "method").as_str().unwrap_or(""))
        })
    };
    eventually("both calls are in the log", async || ended().count() >= 2).await;
    let mut ended = ended();
    let line = ended.next().unwrap();
    assert_eq!(
        (&line["fields"]["class"], &line["fields"]["outcome"]),
        (&json!("private"), &json!("done")),
        "{line}"
    );
    assert_eq!(field(&line, "call", "id").as_str().unwrap().len(), 16, "{line}");
    assert!(field(&line, "call", "rune").is_u64(), "{line}");
    assert!(field(&line, "connection", "address").as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    let peer = field(&line, "connection", "peer").as_str().unwrap();
    assert_eq!((peer.len(), &peer[..1]), (66, "0"), "{line}");
    // A name that somebody made up is not repeated.
    let line = ended.next().unwrap();
    assert_eq!(field(&line, "call", "method"), "unknown", "{line}");
    assert!(!gateway.log().contains("nobody-knows-this"));
}

#[tokio::test]
async fn and_at_the_usual_level_calls_are_not_in_it() {
    let (gateway, rune) = Gateway::with_rune(Setup::demo().arg("--log").arg("json")).await;
    let mut client = Client::connect(&gateway).await;
    client.call("listpeers", json!({}), &rune).await;
    let lines = lines(&gateway);
    assert!(!lines.is_empty());
    assert!(lines.iter().all(|line| line["fields"]["message"] != "call ended"), "{lines:?}");
}
