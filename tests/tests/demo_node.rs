//! The demo node on its own RPC socket: `conformance/node.json`, replayed with no gateway in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;

use runeward_tests::recorded::{self, NodeCall, NodeCalls};
use runeward_tests::{Gateway, Rpc, Setup};
use serde_json::{Map, Value, json};

/// How many calls were recorded, but for those in `conformance/rune-methods.json`.
const CASES: usize = 78;

/// What was recorded, and what stands for it here.
#[derive(Default)]
struct Ours(HashMap<String, Value>);

impl Ours {
    fn learn(&mut self, case: &NodeCall, reply: &Map<String, Value>) {
        for member in &case.own {
            if let Some(recorded) = case.recorded()["result"][member].as_str() {
                self.0.insert(recorded.to_owned(), reply["result"][member].clone());
            }
        }
    }

    /// Puts ours in place of what was recorded: whole strings, at least one.
    fn translate(&self, params: &Value) -> Value {
        let ours = |value: &Value| match value.as_str().and_then(|text| self.0.get(text)) {
            Some(ours) => ours.clone(),
            None => value.clone(),
        };
        let translated = match params {
            Value::Array(items) => items.iter().map(ours).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), ours(value))).collect()
            }
            _ => panic!("{params}"),
        };
        assert_ne!(translated, *params, "nothing in it is known");
        translated
    }
}

/// What is left of a value that is a node's own.
fn form(value: &Value) -> String {
    match value {
        Value::String(text) if text.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            format!("{} hex digits", text.len())
        }
        Value::String(_) => "a string".into(),
        Value::Number(number) if number.is_u64() => "a whole number".into(),
        _ => panic!("nothing that would be a node's own: {value}"),
    }
}

/// Puts the form in place of each member that is a node's own.
fn hide(value: &mut Value, own: &[String]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, own)),
        Value::Object(members) => {
            for (name, value) in members {
                match own.contains(name) {
                    true => *value = form(value).into(),
                    false => hide(value, own),
                }
            }
        }
        _ => {}
    }
}

/// The text of a reply, its members in order, without what is a node's own.
fn comparable(reply: &Map<String, Value>, own: &[String]) -> String {
    let mut reply = reply.clone();
    if let Some(result) = reply.get_mut("result") {
        hide(result, own);
    }
    Value::Object(reply).to_string()
}

async fn replay(rpc: &mut Rpc, ours: &mut Ours, case: &NodeCall) {
    let mut params = if case.ours { ours.translate(&case.params) } else { case.params.clone() };
    let name = format!("{} {}", case.method, case.params);
    if let Some(restrictions) = &case.restrictions {
        assert!(params["rune"].is_string(), "{name}");
        let made = rpc.result("createrune", &json!({"restrictions": restrictions})).await;
        params["rune"] = made["rune"].clone();
    }
    if let Some(before) = &case.before {
        rpc.result(&before.method, &before.params).await;
    }
    let reply = rpc.call(&case.method, &params).await;
    let expected = case.expected();
    for member in &case.own {
        let result = expected["result"].to_string();
        assert!(result.contains(&format!("\"{member}\":")), "{name}: no {member} in {result}");
    }
    assert_eq!(comparable(&reply, &case.own), comparable(expected, &case.own), "{name}");
    ours.learn(case, &reply);
}

/// A demo node with this many channels, and its socket.
async fn node(channels: usize) -> (Gateway, Rpc) {
    let setup = Setup::demo().arg("--demo-channels").arg(channels.to_string());
    let gateway = Gateway::start(setup).await;
    let rpc = Rpc::connect(&gateway.setup().state().join("lightning-rpc")).await;
    (gateway, rpc)
}

#[tokio::test]
async fn as_recorded() {
    let table: NodeCalls = recorded::read("node.json");
    let (_bare, mut bare) = node(0).await;
    let (_connected, mut connected) = node(1).await;
    let mut ours = Ours::default();
    for case in &table.cases {
        let rpc = match case.channels {
            0 => &mut bare,
            1 => &mut connected,
            other => panic!("no node with {other} channels"),
        };
        replay(rpc, &mut ours, case).await;
    }
    assert_eq!(table.cases.len(), CASES);
}

/// The commands it shares with the recorded node take the same parameters, and are told in the same order.
#[tokio::test]
async fn its_commands_are_those_of_a_node() {
    let table: NodeCalls = recorded::read("node.json");
    let help = table.cases.iter().find(|case| case.method == "help" && case.params == json!({})).unwrap();
    let lines = |reply: &Map<String, Value>| reply["result"]["help"].as_array().unwrap().clone();
    let recorded = lines(help.recorded());
    let mut demo = lines(help.expected());
    demo.retain(|line| !line["command"].as_str().unwrap().starts_with("dev-peer"));
    let common: Vec<Value> = recorded.into_iter().filter(|line| demo.contains(line)).collect();
    assert_eq!(common, demo);
}
