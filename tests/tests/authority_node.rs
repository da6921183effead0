//! `--authority node`: the runes are the node's own, its secret and its revocations hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use runeward_policy::{MasterSecret, Restriction};
use runeward_tests::{Answer, Client, FakeNode, Gateway, Setup, eventually, recorded, runes};
use serde_json::{Value, json};

/// A node that has a rune secret and revokes runes.
struct RuneNode {
    node: FakeNode,
    master: MasterSecret,
    revoked: Arc<Mutex<Vec<u64>>>,
}

impl RuneNode {
    /// With the recorded node's secret.
    async fn start() -> Self {
        let mut node = Self::absent();
        node.node.restart().await;
        node
    }

    fn absent() -> Self {
        let node = FakeNode::absent();
        let secret = recorded::read::<recorded::Observed>("observed.json").rune_master_secret;
        node.on("makesecret", Answer::result(json!({ "secret": secret })));
        node.on("help", Answer::result(json!({"help": [{"command": "listinvoices [label] [invstring]"}]})));
        node.on("listinvoices", Answer::result(json!({"invoices": []})));
        let revoked: Arc<Mutex<Vec<u64>>> = Arc::default();
        let list = Arc::clone(&revoked);
        let blacklist = Answer::By(Arc::new(move |request: &Value| {
            let mut list = list.lock().unwrap();
            if let Some(start) = request["params"]["start"].as_u64() {
                list.push(start);
            }
            let ranges: Vec<_> = list.iter().map(|id| json!({"start": id, "end": id})).collect();
            Answer::result(json!({ "blacklist": ranges }))
        }));
        node.on("blacklistrune", blacklist);
        let secret = (0..secret.len()).step_by(2).map(|i| u8::from_str_radix(&secret[i..i + 2], 16).unwrap());
        let master = MasterSecret::new(&secret.collect::<Vec<u8>>()).unwrap();
        Self { node, master, revoked }
    }

    /// A rune as the node makes it.
    fn rune(&self, unique_id: u64, restrictions: &[&str]) -> String {
        let restrictions: Vec<_> =
            restrictions.iter().map(|text| Restriction::parse(text).unwrap()).collect();
        self.master.issue(unique_id, &restrictions).unwrap().encode()
    }

    fn setup(&self) -> Setup {
        Setup::fake(&self.node).arg("--authority").arg("node")
    }
}

async fn message(client: &mut Client, method: &str, params: Value, rune: &str) -> String {
    let reply = client.call(method, params, rune).await;
    reply["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_rune_the_node_gave_out_works() {
    let node = RuneNode::start().await;
    let gateway = Gateway::start(node.setup()).await;
    assert_eq!(gateway.ready.node, "up");
    let mut client = Client::connect(&gateway).await;
    // The recorded rune, byte for byte: unique id 0 and no restriction.
    let recorded = "7bF1izjdnQkZSbvDxstwJ2UcsFjN09_k545oX7y_sRE9MA==";
    assert_eq!(node.rune(0, &[]), recorded);
    client.result("listinvoices", json!({}), recorded).await;
    let narrow = node.rune(410, &["method=getinfo|method^list"]);
    client.result("listinvoices", json!({}), &narrow).await;
    assert_eq!(
        message(&mut client, "pay", json!({}), &narrow).await,
        "Invalid rune: Not permitted: method is not equal to getinfo AND method does not start with list"
    );
    let other = MasterSecret::new(&[7; 32]).unwrap().issue(0, &[]).unwrap().encode();
    assert_eq!(
        message(&mut client, "listinvoices", json!({}), &other).await,
        "Invalid rune: Not authorized: Not derived from master"
    );
    // Fields that only we know are none of the node's: refused, as by the node itself.
    for field in ["quota=600/hour", "quota=60/hour/peer", "rows=1000/day"] {
        let (name, _) = field.split_once('=').unwrap();
        let refused = message(&mut client, "listinvoices", json!({}), &node.rune(411, &[field])).await;
        assert_eq!(refused, format!("Invalid rune: Not permitted: {name} not present"));
    }
    // Rune commands go to the node.
    node.node.on("createrune", Answer::result(json!({"rune": "made by the node", "unique_id": "1"})));
    assert_eq!(client.result("createrune", json!({}), recorded).await["rune"], "made by the node");
}

#[tokio::test]
async fn a_revocation_through_us_holds_at_the_next_call() {
    let node = RuneNode::start().await;
    let gateway = Gateway::start(node.setup()).await;
    let mut client = Client::connect(&gateway).await;
    let (admin, rune) = (node.rune(1, &[]), node.rune(2, &[]));
    client.result("listinvoices", json!({}), &rune).await;
    client.result("blacklistrune", json!({"start": 2}), &admin).await;
    for rune in [rune.clone(), runes::narrow(&rune, "method=getinfo")] {
        assert_eq!(
            message(&mut client, "listinvoices", json!({}), &rune).await,
            "Invalid rune: Not authorized: Blacklisted rune"
        );
    }
    client.result("listinvoices", json!({}), &admin).await;
}

#[tokio::test]
async fn a_revocation_on_the_node_is_followed() {
    let node = RuneNode::start().await;
    let gateway = Gateway::start(node.setup()).await;
    let mut client = Client::connect(&gateway).await;
    let rune = node.rune(3, &[]);
    client.result("listinvoices", json!({}), &rune).await;
    node.revoked.lock().unwrap().push(3);
    eventually("the gateway reads the node's revocations again", async || {
        message(&mut client, "listinvoices", json!({}), &rune).await.ends_with("Blacklisted rune")
    })
    .await;
}

/// Calls in flight end with the revocation: at once where it goes through us, else when it is read.
#[tokio::test]
async fn calls_in_flight_end_with_the_revocation() {
    let node = RuneNode::start().await;
    node.node.on("wait", Answer::Never);
    let gateway = Gateway::start(node.setup()).await;
    let mut owner = Client::connect(&gateway).await;
    for (round, id) in [6, 7].into_iter().enumerate() {
        let rune = runes::narrow(&node.rune(id, &[]), "method=wait");
        let mut user = Client::connect(&gateway).await;
        user.request(1, runeward_tests::client::request(&json!(1), "wait", &json!({}), &rune)).await;
        eventually("the call is under way", async || node.node.calls("wait") > round).await;
        match round {
            0 => drop(owner.result("blacklistrune", json!({"start": id}), &node.rune(1, &[])).await),
            _ => node.revoked.lock().unwrap().push(id),
        }
        let reply = user.reply(1).await;
        assert_eq!(reply.code(), Some(19544), "{}", reply.text());
    }
}

/// The node keeps no grants, and the gateway keeps none for it.
#[tokio::test]
async fn grants_are_the_nodes_own() {
    let node = RuneNode::start().await;
    let gateway = Gateway::start(node.setup()).await;
    let mut client = Client::connect(&gateway).await;
    for method in ["runeward-grants", "runeward-revoke"] {
        let reply = client.call(method, json!({}), &node.rune(1, &[])).await;
        assert_eq!(reply["error"]["code"], -32601, "{reply}");
        assert!(reply["error"]["message"].as_str().unwrap().contains("showrunes"), "{reply}");
    }
    let state_dir = gateway.setup().state().display().to_string();
    let rotate = gateway.cli(&["rotate-secret", "--yes", "--state-dir", &state_dir]).await;
    rotate.assert_refused(1, &["authority node"]);
}

#[tokio::test]
async fn without_the_node_nothing_is_allowed_and_nothing_lost() {
    let mut node = RuneNode::absent();
    let gateway = Gateway::start(node.setup()).await;
    assert_eq!(gateway.ready.node, "down");
    let mut client = Client::connect(&gateway).await;
    let rune = node.rune(4, &[]);
    let reply = client.call("listinvoices", json!({}), &rune).await;
    assert_eq!(reply["error"]["code"], 19540, "{reply}");
    node.revoked.lock().unwrap().push(5);
    node.node.restart().await;
    eventually("the node is found", async || {
        client.call("listinvoices", json!({}), &rune).await["result"].is_object()
    })
    .await;
    let revoked = node.rune(5, &[]);
    assert!(message(&mut client, "listinvoices", json!({}), &revoked).await.ends_with("Blacklisted rune"));
    // Revoked while the node was away from us: known as soon as it is back.
    node.node.stop().await;
    node.revoked.lock().unwrap().push(4);
    node.node.restart().await;
    eventually("the node is found again", async || {
        // A call during which the revocation is read ends with its connection.
        let mut client = Client::connect(&gateway).await;
        message(&mut client, "listinvoices", json!({}), &rune).await.ends_with("Blacklisted rune")
    })
    .await;
}

#[tokio::test]
async fn one_use_left_is_one_use_whatever_happens() {
    let node = RuneNode::start().await;
    let gateway = Gateway::start(node.setup().crowd()).await;
    let rune = node.rune(6, &["per=1day"]);
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(Client::connect(&gateway).await);
    }
    let calls = clients.into_iter().map(|mut client| {
        let rune = rune.clone();
        tokio::spawn(async move { client.call("listinvoices", json!({}), &rune).await["result"].is_object() })
    });
    let mut passed = 0;
    for call in calls.collect::<Vec<_>>() {
        passed += usize::from(call.await.unwrap());
    }
    assert_eq!(passed, 1);
    let mut gateway = gateway;
    gateway.kill().await;
    let gateway = gateway.restart().await;
    let mut client = Client::connect(&gateway).await;
    assert_eq!(
        message(&mut client, "listinvoices", json!({}), &rune).await,
        "Invalid rune: Not permitted: too soon"
    );
}

#[tokio::test]
async fn what_is_absent_is_absent_in_both_views() {
    let node = RuneNode::start().await;
    let gateway = Gateway::start(node.setup()).await;
    let mut client = Client::connect(&gateway).await;
    let no_label = node.rune(7, &["pnamelabel!"]);
    client.result("listinvoices", json!({"invstring": "x"}), &no_label).await;
    client.result("listinvoices", json!([]), &no_label).await;
    for params in [json!({"label": "x"}), json!(["x"]), json!(["x", "y"])] {
        let message = message(&mut client, "listinvoices", params, &no_label).await;
        assert_eq!(message, "Invalid rune: Not permitted: parameter label is present");
    }
    let no_second = node.rune(8, &["parr1!"]);
    client.result("listinvoices", json!(["x"]), &no_second).await;
    client.result("listinvoices", json!({"label": "x"}), &no_second).await;
    for params in [json!(["x", "y"]), json!({"invstring": "y"})] {
        let message = message(&mut client, "listinvoices", params, &no_second).await;
        assert_eq!(message, "Invalid rune: Not permitted: parameter #1 is present");
    }
    // Of a command that `help` does not know nobody can tell.
    let message = message(&mut client, "getinfo", json!(["x"]), &no_label).await;
    assert_eq!(message, "Invalid rune: Not permitted: parameter label is present");
}

#[tokio::test]
async fn the_command_line_sends_people_to_the_node() {
    let node = RuneNode::start().await;
    let mut gateway = Gateway::start(node.setup()).await;
    for args in [&["create"][..], &["list"], &["revoke", "1"]] {
        gateway.setup().rune(args).await.assert_refused(1, &["node's own", "createrune"]);
    }
    let setup = gateway.setup().clone();
    gateway.kill().await;
    Setup::fake(&node.node)
        .state_dir(setup.state())
        .refused()
        .await
        .assert_refused(1, &["belongs to authority node"]);
}
