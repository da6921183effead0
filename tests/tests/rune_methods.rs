//! `createrune` and its kin under authority `own`: `conformance/rune-methods.json`, replayed over commando.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use runeward_tests::recorded::{self, RuneMethod, RuneMethods};
use runeward_tests::{Answer, Client, FakeNode, Gateway, runes};
use serde_json::{Value, json};

/// What was recorded, and what stands for it here: runes, and unique ids.
#[derive(Default)]
struct Ours(Vec<(String, String)>);

impl Ours {
    fn learn(&mut self, recorded: &Value, ours: &Value) {
        for member in ["rune", "unique_id"] {
            let text = |value: &Value| value["result"][member].as_str().map(str::to_owned);
            if let (Some(recorded), Some(ours)) = (text(recorded), text(ours)) {
                self.0.push((recorded, ours));
            }
        }
    }

    /// Puts ours in place of what was recorded: whole strings and whole numbers.
    fn translate(&self, value: &Value) -> Value {
        let known = |text: &str| self.0.iter().find(|(recorded, _)| recorded == text);
        match value {
            Value::String(text) => match known(text) {
                Some((_, ours)) => json!(ours),
                None => value.clone(),
            },
            Value::Number(number) => match known(&number.to_string()) {
                Some((_, ours)) => json!(ours.parse::<u64>().unwrap()),
                None => value.clone(),
            },
            Value::Array(items) => items.iter().map(|item| self.translate(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.translate(value))).collect()
            }
            _ => value.clone(),
        }
    }
}

/// What may differ between two right replies: the order of a blacklist, and times.
fn comparable(reply: &Value) -> Value {
    let mut reply = json!({"result": reply.get("result"), "error": reply.get("error")});
    if let Some(list) = reply["result"]["blacklist"].as_array_mut() {
        list.sort_by_key(|range| range["start"].as_u64());
    }
    if let Some(list) = reply["result"]["runes"].as_array_mut() {
        for rune in list.iter_mut().filter(|rune| rune.get("last_used").is_some()) {
            assert!(rune["last_used"].as_f64().unwrap() > 1.6e9, "{rune}");
            rune["last_used"] = json!("a time");
        }
    }
    reply
}

async fn replay(client: &mut Client, admin: &str, ours: &mut Ours, case: &RuneMethod) {
    let mut params = case.params.clone();
    if let Some(restrictions) = &case.restrictions {
        let minted = json!({"restrictions": restrictions});
        let minted = client.result("createrune", minted, admin).await;
        params["rune"] = minted["rune"].clone();
    }
    let reply = client.call(&case.method, ours.translate(&params), admin).await;
    ours.learn(&case.reply, &reply);
    let expected = match &case.expect {
        Some(expect) => expect,
        None => &case.reply,
    };
    let differs = case.verdict.starts_with("differs: ");
    assert!(differs || case.verdict == "same" && case.expect.is_none(), "{params}");
    assert_eq!(comparable(&reply), comparable(&ours.translate(expected)), "{} {params}", case.method);
}

#[tokio::test]
async fn as_recorded() {
    let (gateway, admin) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let table: RuneMethods = recorded::read("rune-methods.json");
    let mut ours = Ours::default();
    for case in &table.cases {
        replay(&mut client, &admin, &mut ours, case).await;
    }
}

/// What was created works at once, for what it says and nothing else.
#[tokio::test]
async fn created_runes_work() {
    let (gateway, admin) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let params = json!({"restrictions": [["method=getinfo", "method^listinv"], ["time>5"]]});
    let made = client.result("createrune", params, &admin).await;
    let rune = made["rune"].as_str().unwrap();
    assert_eq!(made["unique_id"], runes::unique_id(rune).to_string());
    for (method, allowed) in [("getinfo", true), ("listinvoices", true), ("listpeers", false)] {
        let reply = client.call(method, json!({}), rune).await;
        assert_eq!(reply.get("result").is_some(), allowed, "{method}: {reply}");
    }
    let params = json!({"rune": rune, "restrictions": [["method/getinfo"]]});
    let narrower = client.result("createrune", params, &admin).await;
    assert_eq!(narrower["rune"], runes::narrow(rune, "method/getinfo"));
    let reply = client.call("getinfo", json!({}), narrower["rune"].as_str().unwrap()).await;
    assert_eq!(reply["error"]["code"], 19537);
    // They are checked like any other method.
    let reply = client.call("createrune", json!({}), rune).await;
    assert_eq!(reply["error"]["code"], 19537);
}

/// The preset's name stands for methods named one by one: nothing that tells secrets.
#[tokio::test]
async fn readonly_lets_no_secret_out() {
    let (gateway, admin) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let made = client.result("createrune", json!({"restrictions": "readonly"}), &admin).await;
    let rune = made["rune"].as_str().unwrap();
    client.result("getinfo", json!({}), rune).await;
    for method in ["getsharedsecret", "listdatastore", "getlog", "listconfigs", "invoice", "showrunes"] {
        let reply = client.call(method, json!({}), rune).await;
        assert_eq!(reply["error"]["code"], 19537, "{method}: {reply}");
    }
}

/// Ids are random, of 52 bits, and never given twice.
#[tokio::test]
async fn ids_are_random() {
    let (gateway, admin) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        let made = client.result("createrune", json!({}), &admin).await;
        let id: u64 = made["unique_id"].as_str().unwrap().parse().unwrap();
        assert!(id < 1 << 52);
        ids.push(id);
    }
    // 40 numbers of 52 bits all below 2^48 would be one chance in 2^160.
    assert!(ids.iter().any(|id| *id > 1 << 48));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    let shown = client.result("showrunes", json!({}), &admin).await;
    assert_eq!(shown["runes"].as_array().unwrap().len(), 41);
    let limit = client.call("blacklistrune", json!({"start": 1u64 << 52}), &admin).await;
    assert_eq!(limit["error"]["code"], -32602);
}

/// A rune of another gateway, and one of ours with its authcode spoilt.
#[tokio::test]
async fn what_is_not_ours() {
    let (gateway, admin) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let foreign = runes::foreign(runes::unique_id(&admin));
    let mut spoilt = admin.clone().into_bytes();
    spoilt[3] = if spoilt[3] == b'A' { b'B' } else { b'A' };
    for rune in [foreign, String::from_utf8(spoilt).unwrap()] {
        let reply = client.call("getinfo", json!({}), &rune).await;
        assert_eq!(reply["error"]["message"], "Invalid rune: Not authorized: Not derived from master");
    }
}

/// A reply of our own may need several parts too.
#[tokio::test]
async fn many_runes_are_shown() {
    let (gateway, admin) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let long = format!("pnamelabel={}", "x".repeat(2000));
    for _ in 0..30 {
        let params = json!({"restrictions": [["method=invoice"], [long]]});
        client.result("createrune", params, &admin).await;
    }
    let request = runeward_tests::client::request(&json!(1), "showrunes", &json!({}), &admin);
    let reply = client.ask(request).await;
    assert!(reply.parts.len() > 1, "{:?}", reply.parts);
    assert!(reply.parts[..reply.parts.len() - 1].iter().all(|part| *part == 65_000));
    assert_eq!(reply.json()["result"]["runes"].as_array().unwrap().len(), 31);
}

/// What `checkrune` says of a parameter given in the other view is what a call would meet.
#[tokio::test]
async fn checkrune_knows_the_nodes_commands() {
    let node = FakeNode::start().await;
    node.on("help", Answer::result(json!({"help": [{"command": "listinvoices [label] [invstring]"}]})));
    node.on("listinvoices", Answer::result(json!({"invoices": []})));
    let (gateway, admin) = Gateway::before(&node).await;
    let rune = gateway.rune(&["pnameinvstring!"]).await;
    let mut client = Client::connect(&gateway).await;
    client.result("listinvoices", json!(["a"]), &rune).await;
    let mut check = async |params: Value| {
        let check = json!({"rune": rune, "method": "listinvoices", "params": params});
        client.call("checkrune", check, &admin).await
    };
    assert_eq!(check(json!(["a"])).await["result"]["valid"], true);
    let refused = check(json!(["a", "b"])).await;
    assert_eq!(refused["error"]["message"], "Not permitted: parameter invstring is present");
}
