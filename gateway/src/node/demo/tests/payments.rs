use std::collections::BTreeMap;

use super::*;

/// `invoice` of the recorded node, which is not part of our graph.
const FOREIGN: &str = "lnbcrt1230n1p4sqc9psp5e96k0gxrla0p603jf5qahgps29svevw3fkhm5ldz9evlqlkr07sqpp5f3z0z\
    aw75qhercfdsl2n5548k6apjtyxg0l7neney9hskfara78sdqgvysxxatsxqyjw5qcqp29qxpqysgqck8y7wkpynnw3gg99r29ntv\
    z305ujvjyj0fy76a82vq5sgl4mdp9uyza7axqldtnw8h5syh7z3fg69zfzn3fka7kqnh5qgn6qysgfqqpm4q6ht";

/// The recorded node itself.
const STRANGER: &str = "03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc";

/// What is ours of each channel, in msat, by its short channel id. The three lists of channels agree.
async fn balances(client: &mut Client) -> BTreeMap<String, u64> {
    let funds = client.result("listfunds", json!({})).await;
    let peers = client.result("listpeers", json!({})).await;
    let channels = client.result("listpeerchannels", json!({})).await;
    let channels = channels["channels"].as_array().unwrap();
    assert_eq!(channels.len(), 4);
    let mut ours = BTreeMap::new();
    for (i, channel) in channels.iter().enumerate() {
        let fund = &funds["channels"][i];
        for (name, same) in [
            ("peer_id", "peer_id"),
            ("state", "state"),
            ("channel_id", "channel_id"),
            ("short_channel_id", "short_channel_id"),
            ("to_us_msat", "our_amount_msat"),
            ("total_msat", "amount_msat"),
            ("funding_txid", "funding_txid"),
            ("funding_outnum", "funding_output"),
        ] {
            assert_eq!(channel[name], fund[same], "{name}");
        }
        assert_eq!(channel["peer_id"], peers["peers"][i]["id"]);
        let msat = |name: &str| channel[name].as_u64().unwrap();
        let (us, total) = (msat("to_us_msat"), msat("total_msat"));
        assert_eq!(msat("spendable_msat"), us.saturating_sub(msat("our_reserve_msat")));
        assert_eq!(msat("receivable_msat"), (total - us).saturating_sub(msat("their_reserve_msat")));
        assert!(msat("min_to_us_msat") <= us && us <= msat("max_to_us_msat"));
        let funding = &channel["funding"];
        assert_eq!(
            funding["local_funds_msat"].as_u64().unwrap() + funding["remote_funds_msat"].as_u64().unwrap(),
            total
        );
        ours.insert(channel["short_channel_id"].as_str().unwrap().to_owned(), us);
    }
    ours
}

async fn total(client: &mut Client) -> u64 {
    balances(client).await.values().sum()
}

#[tokio::test]
async fn channels_are_selected() {
    let (_dir, _node, mut client) = demo().await;
    let all = client.result("listpeerchannels", json!({})).await;
    let third = &all["channels"][2];
    for name in ["short_channel_id", "channel_id"] {
        let one = client.result("listpeerchannels", json!({name: third[name]})).await;
        assert_eq!(one["channels"], json!([third]));
    }
    let one = client.result("listpeerchannels", json!([third["peer_id"]])).await;
    assert_eq!(one["channels"], json!([third]));
    let scid = json!({"short_channel_id": third["short_channel_id"]});
    let graph = client.result("listchannels", scid).await;
    let ours = graph["channels"].as_array().unwrap().iter();
    let ours = ours.clone().find(|half| half["direction"] == third["direction"]).unwrap();
    assert_eq!(ours["destination"], third["peer_id"]);
    assert_eq!(ours["base_fee_millisatoshi"], third["fee_base_msat"]);
    assert_eq!(ours["fee_per_millionth"], third["fee_proportional_millionths"]);
}

#[tokio::test]
async fn nodes_are_those_of_the_graph() {
    let (_dir, node, mut client) = demo().await;
    let nodes = client.result("listnodes", json!({})).await;
    let nodes = nodes["nodes"].as_array().unwrap();
    assert_eq!(nodes[0]["nodeid"], id(&node));
    assert_eq!(nodes[0]["alias"], "runeward-demo");
    let channels = client.result("listchannels", json!({})).await;
    for channel in channels["channels"].as_array().unwrap() {
        assert!(nodes.iter().any(|node| node["nodeid"] == channel["source"]));
    }
    let one = client.result("listnodes", json!([nodes[3]["nodeid"]])).await;
    assert_eq!(one["nodes"], json!([nodes[3]]));
    assert_eq!(client.result("listnodes", json!([STRANGER])).await["nodes"], json!([]));
}

#[tokio::test]
async fn a_payment_to_a_peer_moves_its_channel() {
    let (_dir, _node, mut client) = demo().await;
    let before = balances(&mut client).await;
    let peer = client.result("listpeers", json!({})).await["peers"][0]["id"].take();
    let made = client.result("dev-peerinvoice", json!([250_000, "tea", peer])).await;
    let decoded = client.result("decode", json!([made["bolt11"]])).await;
    assert_eq!((&decoded["payee"], &decoded["description"]), (&peer, &json!("tea")));

    let paid = client.result("pay", json!({"invstring": made["bolt11"], "label": "for tea"})).await;
    assert_eq!(
        keys(&paid),
        [
            "payment_preimage",
            "amount_msat",
            "amount_sent_msat",
            "parts",
            "destination",
            "payment_hash",
            "status",
            "created_at"
        ]
    );
    assert_eq!(paid["amount_sent_msat"], 250_000);
    assert_eq!(paid["payment_hash"], made["payment_hash"]);
    let preimage = state::from_hex(paid["payment_preimage"].as_str().unwrap()).unwrap();
    let hash = <bitcoin::hashes::sha256::Hash as bitcoin::hashes::Hash>::hash(&preimage);
    assert_eq!(made["payment_hash"], hash.to_string());

    let after = balances(&mut client).await;
    let moved: Vec<u64> =
        before.iter().map(|(scid, msat)| msat - after[scid]).filter(|msat| *msat > 0).collect();
    assert_eq!(moved, [250_000]);

    // Again it changes nothing.
    assert_eq!(client.result("pay", json!([made["bolt11"]])).await, paid);
    let again = client.result("xpay", json!([made["bolt11"]])).await;
    assert_eq!(
        keys(&again),
        ["payment_preimage", "amount_msat", "amount_sent_msat", "failed_parts", "successful_parts"]
    );
    assert_eq!(again["payment_preimage"], paid["payment_preimage"]);
    assert_eq!(balances(&mut client).await, after);

    let pays = client.result("listpays", json!({"payment_hash": made["payment_hash"]})).await;
    assert_eq!(pays["pays"].as_array().unwrap().len(), 1);
    assert_eq!(pays["pays"][0]["status"], "complete");
    assert_eq!(pays["pays"][0]["label"], "for tea");
    assert_eq!(pays["pays"][0]["preimage"], paid["payment_preimage"]);
    let parts = client.result("listsendpays", json!({"bolt11": made["bolt11"]})).await;
    assert_eq!(parts["payments"][0]["amount_sent_msat"], 250_000);
}

#[tokio::test]
async fn a_large_payment_takes_several_channels() {
    let (_dir, _node, mut client) = demo().await;
    let before = total(&mut client).await;
    let channels = client.result("listpeerchannels", json!({})).await;
    let spendable = channels["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|channel| channel["spendable_msat"].as_u64().unwrap());
    let most: u64 = spendable.sum();
    let amount = most / 10 * 9;
    // Not a peer: every part costs something.
    let far = client.result("listnodes", json!({})).await["nodes"][6]["nodeid"].take();
    let made = client.result("dev-peerinvoice", json!({"amount_msat": amount, "id": far})).await;
    let cheap = json!({"invstring": made["bolt11"], "maxfee": 1});
    let refused = client.error("xpay", cheap).await;
    assert_eq!(refused["code"], 205);
    assert_eq!(total(&mut client).await, before);

    let paid = client.result("xpay", json!([made["bolt11"]])).await;
    assert_eq!(paid["amount_msat"], amount);
    assert!(paid["successful_parts"].as_u64().unwrap() > 1);
    let sent = paid["amount_sent_msat"].as_u64().unwrap();
    assert!(sent > amount);
    assert_eq!(before - total(&mut client).await, sent);

    let again = client.result("dev-peerinvoice", json!({"amount_msat": amount, "id": far})).await;
    let error = client.error("pay", json!([again["bolt11"]])).await;
    assert_eq!(error, json!({"code": 205, "message": "Failed: We could not find a usable set of paths."}));
    let pays = client.result("listpays", json!({"status": "complete"})).await;
    assert_eq!(pays["pays"][0]["number_of_parts"], paid["successful_parts"]);
    assert_eq!(client.result("listpays", json!({"status": "failed"})).await["pays"], json!([]));
}

#[tokio::test]
async fn receiving_moves_channels_too() {
    let (_dir, _node, mut client) = demo().await;
    let before = total(&mut client).await;
    client.result("invoice", json!([777_000, "in", "d"])).await;
    assert!(client.peer_pays("in").await);
    assert_eq!(total(&mut client).await, before + 777_000);
    let traffic = client.result("listpeerchannels", json!({})).await;
    let received = traffic["channels"].as_array().unwrap().iter();
    assert_eq!(received.map(|channel| channel["in_fulfilled_msat"].as_u64().unwrap()).sum::<u64>(), 777_000);

    // Until there is no room left.
    let channels = client.result("listpeerchannels", json!({})).await;
    let receivable = channels["channels"].as_array().unwrap().iter();
    let room: u64 = receivable.map(|channel| channel["receivable_msat"].as_u64().unwrap()).sum();
    client.result("invoice", json!([room + 1, "too much", "d"])).await;
    assert!(!client.peer_pays("too much").await);
    client.result("invoice", json!([room, "all", "d"])).await;
    assert!(client.peer_pays("all").await);
    let made = client.result("invoice", json!([1, "full", "d"])).await;
    assert_eq!(made["warning_capacity"], "Insufficient incoming channel capacity to pay invoice");
}

#[tokio::test]
async fn our_own_invoices_need_no_channel() {
    let (_dir, _node, mut client) = demo().await;
    let before = balances(&mut client).await;
    let made = client.result("invoice", json!([5000, "own", "d"])).await;
    let paid = client.result("pay", json!([made["bolt11"]])).await;
    assert_eq!(paid["status"], "complete");
    let listed = client.result("listinvoices", json!({"label": "own"})).await;
    assert_eq!(listed["invoices"][0]["status"], "paid");
    assert_eq!(listed["invoices"][0]["payment_preimage"], paid["payment_preimage"]);
    assert_eq!(balances(&mut client).await, before);

    let unknown = json!({
        "code": 203,
        "message": "Destination said it doesn't know invoice: Malformed error reply",
    });
    let made = client.result("invoice", json!([5000, "gone", "d"])).await;
    client.result("delinvoice", json!(["gone", "unpaid"])).await;
    for method in ["pay", "xpay"] {
        assert_eq!(client.error(method, json!([made["bolt11"]])).await, unknown);
    }
    let failed = client.result("listpays", json!({"status": "failed"})).await;
    assert_eq!(failed["pays"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_paid() {
    let (_dir, _node, mut client) = demo().await;
    let own = client.result("invoice", json!(["any", "any", "d"])).await;
    let fixed = client.result("dev-peerinvoice", json!([1000])).await;
    let mainnet = "lnbc20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygshp58yjmdan79s6qqdhdzgynm4\
        zwqd5d7xmw5fk98klysy043l2ahrqspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqfp4qrp33k0q5c5txsnaq9\
        qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tz\
        tugp9lfyql";
    for (params, code, message) in [
        (json!(["nonsense"]), -32602, "Invalid bolt11 invoice: Bad bech32 string"),
        (json!([own["bolt11"]]), -32602, "amount_msat required"),
        (json!([fixed["bolt11"], 1000]), -32602, "amount_msat unnecessary"),
        (json!([FOREIGN]), 205, &format!("Failed: Unknown destination node {STRANGER}")),
        (json!([]), -32602, "missing required parameter: invstring"),
    ] {
        for method in ["pay", "xpay"] {
            let error = json!({"code": code, "message": message});
            assert_eq!(client.error(method, params.clone()).await, error, "{method} {params}");
        }
    }
    let error = client.error("pay", json!([mainnet])).await;
    assert_eq!(error["code"], -32602);
    let partial = json!({"invstring": fixed["bolt11"], "partial_msat": 1});
    assert_eq!(client.error("xpay", partial).await["code"], -32602);
    let both = json!({"invstring": fixed["bolt11"], "maxfee": 1, "maxfeepercent": 1});
    assert_eq!(client.error("pay", both).await["code"], -32602);

    client.result("invoice", json!([1000, "late", "d", 0])).await;
    let late = client.result("listinvoices", json!({"label": "late"})).await["invoices"][0]["bolt11"].take();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(client.error("pay", json!([late])).await["code"], 207);
    assert!(!client.peer_pays("late").await);
}
