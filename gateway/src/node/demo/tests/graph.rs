use super::*;

#[tokio::test]
async fn funds_peers_and_channels_agree() {
    let (_dir, node, mut client) = demo().await;
    let peers = client.result("listpeers", json!({})).await;
    let funds = client.result("listfunds", json!({})).await;
    let own = json!({"source": id(&node)});
    let own = client.result("listchannels", own).await;
    assert_eq!(own["channels"].as_array().unwrap().len(), 4);
    for (i, channel) in own["channels"].as_array().unwrap().iter().enumerate() {
        assert_eq!(channel["destination"], peers["peers"][i]["id"]);
        assert_eq!(channel["destination"], funds["channels"][i]["peer_id"]);
        assert_eq!(channel["amount_msat"], funds["channels"][i]["amount_msat"]);
        let scid = &channel["short_channel_id"];
        assert_eq!(scid, &funds["channels"][i]["short_channel_id"]);
        let both = client.result("listchannels", json!([scid])).await;
        assert_eq!(both["channels"].as_array().unwrap().len(), 2);
        assert_eq!(both["channels"][1]["direction"], 1);
        let id = &channel["destination"];
        let peer = client.result("listpeers", json!([id])).await;
        assert_eq!(peer["peers"], json!([peers["peers"][i]]));
    }
    let none = client.result("listchannels", json!(["1x1x1"])).await;
    assert_eq!(none, json!({"channels": []}));
}

#[tokio::test]
async fn filters_apply_to_whole_and_streamed_results() {
    let (_dir, node, mut client) = demo().await;
    let mut filtered = async |method: &str, filter: Value| {
        let request = json!({
            "id": 1, "jsonrpc": "2.0", "method": method, "params": {}, "filter": filter,
        });
        client.send(&request.to_string()).await;
        let mut reply: Value = serde_json::from_str(&client.reply().await).unwrap();
        reply["result"].take()
    };
    let info = filtered("getinfo", json!({"id": true})).await;
    assert_eq!(info, json!({"id": id(&node)}));
    let binding = filtered("getinfo", json!({"binding": [{"port": true}]})).await;
    assert_eq!(binding, json!({"binding": [{"port": 19735}]}));
    let some = filtered("listchannels", json!({"channels": [{"direction": true}]})).await;
    assert_eq!(some["channels"].as_array().unwrap().len(), 16);
    assert_eq!(some["channels"][1], json!({"direction": 1}));
    let all = filtered("listchannels", json!({"channels": true})).await;
    assert_eq!(keys(&all["channels"][0]).len(), 16);
    assert_eq!(filtered("listchannels", json!({"x": true})).await, json!({}));
    assert_eq!(
        filtered("listchannels", json!({"channels": {"x": true}})).await,
        json!({"channels": [], "warning_parameter_filter": ".channels is an array"})
    );
}

#[tokio::test]
async fn a_large_graph_streams() {
    let dir = TempDir::new().unwrap();
    let node = start(&dir, 100_000).await;
    let mut client = Client::new(&node).await;
    let request = json!({"id": 1, "jsonrpc": "2.0", "method": "listchannels", "params": []});
    client.send(&request.to_string()).await;
    let mut reply = Vec::new();
    while !reply.ends_with(b"\n\n") {
        assert!(client.0.read_buf(&mut reply).await.unwrap() > 0);
    }
    #[derive(serde::Deserialize)]
    struct Reply {
        result: Channels,
    }
    #[derive(serde::Deserialize)]
    struct Channels {
        channels: Vec<Edge>,
    }
    #[derive(serde::Deserialize)]
    struct Edge {
        source: String,
        destination: String,
        direction: u8,
    }
    let Reply { result } = serde_json::from_slice(&reply).unwrap();
    assert_eq!(result.channels.len(), 200_000);
    for edge in result.channels {
        assert_eq!(edge.source > edge.destination, edge.direction == 1);
    }
    // A reader that leaves in the middle takes nothing with it.
    client.send(&request.to_string()).await;
    client.0.read_u8().await.unwrap();
    drop(client);
    Client::new(&node).await.result("getinfo", json!({})).await;
}
