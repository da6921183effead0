use super::*;

/// Everything a client can see that should outlive the process.
async fn seen(client: &mut Client) -> Vec<Value> {
    let mut seen = Vec::new();
    for method in [
        "getinfo",
        "listinvoices",
        "listpays",
        "listsendpays",
        "listfunds",
        "listpeerchannels",
        "listoffers",
        "listdatastore",
        "showrunes",
        "blacklistrune",
    ] {
        seen.push(client.result(method, json!({})).await);
    }
    seen.push(client.result("makesecret", json!({"string": "commando"})).await);
    for index in ["created", "updated", "deleted"] {
        seen.push(client.result("wait", json!(["invoices", index, 0])).await);
        seen.push(client.result("wait", json!(["sendpays", index, 0])).await);
    }
    seen
}

async fn do_something(client: &mut Client) {
    for label in ["a", "b", "c"] {
        client.result("invoice", json!([1000, label, "d"])).await;
    }
    assert!(client.peer_pays("b").await);
    client.result("delinvoice", json!(["a", "unpaid"])).await;
    let made = client.result("dev-peerinvoice", json!([5000])).await;
    client.result("pay", json!([made["bolt11"]])).await;
    client.result("offer", json!([5000, "tea"])).await;
    client.result("datastore", json!({"key": ["x", "y"], "hex": "00ff"})).await;
    client.result("newaddr", json!([])).await;
    let rune = client.result("createrune", json!({"restrictions": [["rate=1"]]})).await;
    client.result("checkrune", json!([rune["rune"]])).await;
    client.result("createrune", json!({})).await;
    client.result("blacklistrune", json!([1])).await;
}

#[tokio::test]
async fn all_of_it_survives() {
    let dir = TempDir::new().unwrap();
    let node = start(&dir, 8).await;
    let mut client = Client::new(&node).await;
    do_something(&mut client).await;
    let before = seen(&mut client).await;
    let address = client.result("newaddr", json!([])).await;
    drop(node);

    let path = dir.path().join("demo-state.json");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let node = start(&dir, 8).await;
    let mut client = Client::new(&node).await;
    assert_eq!(seen(&mut client).await, before);
    // What comes next goes on from there.
    assert_ne!(client.result("newaddr", json!([])).await, address);
    assert_eq!(client.error("invoice", json!([1000, "b", "d"])).await["code"], 900);
    assert_eq!(client.result("invoice", json!([1000, "d", "d"])).await["created_index"], 4);
    assert_eq!(client.result("createrune", json!({})).await["unique_id"], "2");
    assert!(client.peer_pays("c").await);
    assert_eq!(client.result("waitanyinvoice", json!([1])).await["label"], "c");
}

#[tokio::test]
async fn it_is_written_soon_without_a_shutdown() {
    let dir = TempDir::new().unwrap();
    let node = start(&dir, 8).await;
    let mut client = Client::new(&node).await;
    client.result("invoice", json!([1000, "a", "d"])).await;
    let path = dir.path().join("demo-state.json");
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if path.exists() {
            break;
        }
    }
    let state: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(state["invoices"]["invoices"]["1"]["label"], "a");
    // Looking changes nothing, and refusals do not either.
    let modified = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let before = modified();
    client.error("invoice", json!([1000, "a", "d"])).await;
    client.result("listinvoices", json!({})).await;
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(modified(), before);
}

#[tokio::test]
async fn a_state_that_cannot_be_read_stops_it() {
    let dir = TempDir::new().unwrap();
    for text in ["", "nonsense", "5", r#"{"invoices":5}"#] {
        std::fs::write(dir.path().join("demo-state.json"), text).unwrap();
        let error = DemoNode::start(options(&dir, 8)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text}");
    }
}

#[tokio::test]
async fn a_graph_of_another_size() {
    let dir = TempDir::new().unwrap();
    for channels in [8, 2, 0, 100] {
        let node = start(&dir, channels).await;
        let mut client = Client::new(&node).await;
        let funds = client.result("listfunds", json!({})).await;
        assert_eq!(funds["channels"].as_array().unwrap().len(), channels.min(4));
        client.result("invoice", json!([1000, channels, "d"])).await;
        assert_eq!(client.peer_pays(&channels.to_string()).await, channels > 0);
    }
}
