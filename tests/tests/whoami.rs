//! `runeward-whoami` and `runeward-peer`: what a caller may know of itself, and of nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use runeward_tests::client::identity;
use runeward_tests::{Answer, Client, FakeNode, Gateway, Setup, eventually, runes};
use serde_json::{Value, json};

fn refused(reply: &Value) {
    assert_eq!(reply["error"]["code"], 19537, "{reply}");
}

fn methods(whoami: &Value) -> Vec<&str> {
    whoami["methods"].as_array().unwrap().iter().map(|method| method.as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_valid_rune_may_ask_what_it_is() {
    let (gateway, admin) = Gateway::demo().await;
    let key = identity();
    let id = key.node_id().to_string();
    let mut client = Client::connect_as(&gateway, &key).await;
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    let restrictions = [
        &format!("id={id}"),
        "method=getinfo|method=pay|method=nosuch|method^runeward-p",
        &format!("time<{end}"),
        "rate=1",
    ];
    let rune = gateway.rune(&restrictions).await;
    let who = client.result("runeward-whoami", json!({}), &rune).await;
    assert_eq!(methods(&who), ["getinfo", "pay", "runeward-pair", "runeward-peer"]);
    assert_eq!(who["unique_id"], runes::unique_id(&rune));
    assert_eq!((&who["node_id"], &who["name"]), (&json!(id), &Value::Null));
    assert_eq!(who["expires_at"], end);
    assert_eq!(who["network"], "regtest");
    assert_eq!(who["version"], env!("CARGO_PKG_VERSION"));
    let english = who["restrictions_as_english"].as_str().unwrap();
    assert!(english.starts_with(&format!("id equal to {id} AND method equal to getinfo OR ")), "{english}");
    // It is no use of the rune, of which this one allows one a minute; nor does that limit it.
    client.result("getinfo", json!({}), &rune).await;
    refused(&client.call("getinfo", json!({}), &rune).await);
    client.result("runeward-whoami", json!({}), &rune).await;

    // A rune that allows everything tells everything, but what is never forwarded.
    let who = client.result("runeward-whoami", json!([]), &admin).await;
    for method in ["getinfo", "pay", "createrune", "runeward-offer", "runeward-whoami"] {
        assert!(methods(&who).contains(&method), "{method} of {who}");
    }
    assert!(!methods(&who).contains(&"batching"), "{who}");
    assert_eq!(who["expires_at"], Value::Null);
    let made = gateway.setup().rune(&["create", "--name", "till", "--restrict", "method=getinfo"]).await;
    eventually("it is known", async || {
        client.call("runeward-whoami", json!({}), made.line()).await["result"]["name"] == "till"
    })
    .await;
}

#[tokio::test]
async fn no_other_rune_may() {
    let (gateway, admin) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let whoami =
        async |client: &mut Client, rune: &str| client.call("runeward-whoami", json!({}), rune).await;
    let id = runes::unique_id(&admin);
    let bound = runes::narrow(&admin, &format!("id={}", identity().node_id()));
    for rune in
        [&runes::foreign(id), &bound, &runes::narrow(&admin, "time<5"), &runes::narrow(&admin, "nosuch=1")]
    {
        refused(&whoami(&mut client, rune).await);
    }
    let rune = gateway.rune(&["method=getinfo"]).await;
    assert!(whoami(&mut client, &rune).await.get("result").is_some());
    client.result("blacklistrune", json!({"start": runes::unique_id(&rune)}), &admin).await;
    let reply = whoami(&mut client, &rune).await;
    assert_eq!(reply["error"]["message"], "Invalid rune: Not authorized: Blacklisted rune");
    let reply = client.call("runeward-whoami", json!({"id": 5}), &admin).await;
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
}

/// The worst rune that can be made costs little more than a call.
#[tokio::test]
async fn whoami_is_no_burden() {
    let (gateway, admin) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    // Each restriction is met by its last alternative alone.
    let mut worst = admin.clone();
    let restriction = format!("{}method/x", "method=x|".repeat(220));
    for _ in 0..3 {
        worst = runes::narrow(&worst, &restriction);
    }
    let begun = Instant::now();
    for _ in 0..20 {
        client.result("runeward-whoami", json!({}), &worst).await;
    }
    println!("the worst whoami took {:?}", begun.elapsed() / 20);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// A node that tells of everybody, whatever it is asked.
fn gossip(node: &FakeNode, own: &str, other: &str) {
    let peer = |id: &str| json!({"id": id, "connected": true, "netaddr": [format!("{}:9735", &id[2..10])]});
    let channel = |id: &str| json!({"peer_id": id, "to_us_msat": 5000, "short_channel_id": "1x2x3"});
    node.on("listpeers", Answer::result(json!({"peers": [peer(other), peer(own)]})));
    node.on("listpeerchannels", Answer::result(json!({"channels": [channel(own), channel(other)]})));
}

#[tokio::test]
async fn a_peer_sees_itself_alone() {
    let node = FakeNode::start().await;
    let (gateway, admin) = Gateway::before(&node).await;
    let made = gateway.setup().rune(&["create", "--preset", "public"]).await;
    let public = made.line();
    let (key, other) = (identity(), identity().node_id().to_string());
    let own = key.node_id().to_string();
    gossip(&node, &own, &other);
    let mut client = Client::connect_as(&gateway, &key).await;
    for rune in [public, &admin] {
        let mut seen = Value::Null;
        eventually("the daemon knows the rune", async || {
            seen = client.call("runeward-peer", json!({}), rune).await;
            seen.get("result").is_some()
        })
        .await;
        let seen = &seen["result"];
        assert_eq!((&seen["node_id"], &seen["connected"]), (&json!(own), &json!(true)));
        assert_eq!(seen["peers"].as_array().unwrap().len(), 1);
        assert_eq!(seen["channels"].as_array().unwrap().len(), 1);
        assert!(!seen.to_string().contains(&other), "{seen}");
        // Whom to look at is nobody's to say.
        for params in [json!({"id": other}), json!([other]), json!({"node_id": own}), json!([null])] {
            let before = node.calls("listpeers");
            let reply = client.call("runeward-peer", params, rune).await;
            assert_eq!(reply["error"]["code"], -32602, "{reply}");
            assert_eq!(node.calls("listpeers"), before);
        }
    }
    for method in ["listpeers", "listpeerchannels"] {
        for request in node.requests_for(method) {
            let request: Value = serde_json::from_str(&request).unwrap();
            assert_eq!(request["params"], json!({"id": own}), "the node is asked for nobody else");
        }
    }
    // The preset allows this, getinfo and nothing else.
    client.result("getinfo", json!({}), public).await;
    for method in ["listpeers", "listpeerchannels", "listfunds", "runeward-grants"] {
        refused(&client.call(method, json!({}), public).await);
    }
}

#[tokio::test]
async fn what_the_node_says_of_a_look_is_passed_on() {
    let node = FakeNode::start().await;
    let (gateway, admin) = Gateway::with_rune(Setup::fake(&node)).await;
    let mut client = Client::connect(&gateway).await;
    node.on("listpeers", Answer::result(json!({"peers": []})));
    node.on("listpeerchannels", Answer::result(json!({"channels": []})));
    let seen = client.result("runeward-peer", json!({}), &admin).await;
    assert_eq!((&seen["connected"], &seen["peers"]), (&json!(false), &json!([])));
    node.on("listpeerchannels", Answer::Error(-5, "not now".into()));
    let reply = client.call("runeward-peer", json!({}), &admin).await;
    assert_eq!((&reply["error"]["code"], &reply["error"]["message"]), (&json!(-5), &json!("not now")));
    node.on("listpeerchannels", Answer::Huge(2_000_000));
    let reply = client.call("runeward-peer", json!({}), &admin).await;
    assert_eq!(reply["error"]["code"], 19542, "{reply}");
    // A socket left in the middle of a reply serves nobody else.
    node.on("listpeerchannels", Answer::result(json!({"channels": []})));
    client.result("runeward-peer", json!({}), &admin).await;
    node.on("listpeers", Answer::Close);
    let reply = client.call("runeward-peer", json!({}), &admin).await;
    assert_eq!(reply["error"]["code"], 19541, "{reply}");
}
