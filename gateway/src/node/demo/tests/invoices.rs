use super::*;

/// What `invoice` made on the recorded node, and what `decode` said of it.
const RECORDED: &str = "lnbcrt1230n1p4sqc9psp5e96k0gxrla0p603jf5qahgps29svevw3fkhm5ldz9evlqlkr07sq\
    pp5f3z0zaw75qhercfdsl2n5548k6apjtyxg0l7neney9hskfara78sdqgvysxxatsxqyjw5qcqp29qxpqysgqck8y7wk\
    pynnw3gg99r29ntvz305ujvjyj0fy76a82vq5sgl4mdp9uyza7axqldtnw8h5syh7z3fg69zfzn3fka7kqnh5qgn6qysg\
    fqqpm4q6ht";

#[tokio::test]
async fn a_recorded_invoice_decodes_as_recorded() {
    let (_dir, _node, mut client) = demo().await;
    let decoded = client.result("decode", json!([RECORDED])).await;
    let recorded = json!({
        "type": "bolt11 invoice",
        "currency": "bcrt",
        "created_at": 1_795_186_849,
        "expiry": 604_800,
        "payee": "03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc",
        "amount_msat": 123_000,
        "description": "a cup",
        "min_final_cltv_expiry": 10,
        "payment_secret": "c97567a0c3ff5e1d3e324d01dba0305160ccb1d14dafba7da22e59f07ec37fa0",
        "features": "02024100",
        "payment_hash": "4c44f175dea02f91e12d87d53a52a7b6ba192c8643ffe9e679216f0b27a3ef8f",
        "signature": "3045022100c58e4f3ac124e6e8a10528d459ad828be9c9324493d24f6ba753014823f5db42\
                      02205e105df74c0fb57371ef4812fe14528d144914e29b77d604ef40227a01208480",
        "valid": true,
    });
    assert_eq!(decoded.to_string(), recorded.to_string());
    let prefixed = json!([format!("LIGHTNING:{RECORDED}")]);
    assert_eq!(client.result("decode", prefixed).await, recorded);
}

#[tokio::test]
async fn an_invoice_is_signed_by_the_node_and_decodes_to_itself() {
    let (_dir, node, mut client) = demo().await;
    let made = client.result("invoice", json!(["123sat", 7, "a cup"])).await;
    assert_eq!(keys(&made), ["payment_hash", "expires_at", "bolt11", "payment_secret", "created_index"]);
    let bolt11 = made["bolt11"].as_str().unwrap();
    let parsed: lightning_invoice::Bolt11Invoice = bolt11.parse().unwrap();
    parsed.check_signature().unwrap();
    assert_eq!(parsed.recover_payee_pub_key().to_string(), id(&node));

    let decoded = client.result("decode", json!({"string": bolt11})).await;
    assert_eq!(decoded["payee"], id(&node));
    assert_eq!(decoded["amount_msat"], 123_000);
    assert_eq!(decoded["description"], "a cup");
    assert_eq!(decoded["expiry"], 604_800);
    assert_eq!(decoded["features"], "02024100");
    assert_eq!(decoded["min_final_cltv_expiry"], 10);
    assert_eq!(decoded["payment_hash"], made["payment_hash"]);
    assert_eq!(decoded["payment_secret"], made["payment_secret"]);

    let listed = client.result("listinvoices", json!({"label": 7})).await;
    let invoice = json!({
        "label": "7",
        "bolt11": bolt11,
        "payment_hash": made["payment_hash"],
        "amount_msat": 123_000,
        "status": "unpaid",
        "description": "a cup",
        "expires_at": made["expires_at"],
        "created_index": 1,
    });
    assert_eq!(listed.to_string(), json!({"invoices": [invoice]}).to_string());
}

#[tokio::test]
async fn invoice_honours_its_options() {
    let (_dir, _node, mut client) = demo().await;
    let preimage = "01".repeat(32);
    let hash = "72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793";
    let params = json!({
        "amount_msat": "any",
        "label": "options",
        "description": "d".repeat(1000),
        "deschashonly": true,
        "expiry": 60,
        "cltv": 40,
        "preimage": preimage,
        "fallbacks": ["bcrt1qtc9c92y6gsk6c4rj5nh8qfjr503e423tge56zc"],
        "exposeprivatechannels": null,
    });
    let made = client.result("invoice", params.clone()).await;
    assert_eq!(made["payment_hash"], hash);
    let decoded = client.result("decode", json!([made["bolt11"]])).await;
    assert_eq!(decoded["amount_msat"], Value::Null);
    assert_eq!(decoded["description_hash"].as_str().unwrap().len(), 64);
    assert_eq!(decoded["expiry"], 60);
    assert_eq!(decoded["min_final_cltv_expiry"], 40);
    assert_eq!(decoded["fallbacks"][0]["type"], "P2WPKH");
    assert_eq!(decoded["fallbacks"][0]["addr"], params["fallbacks"][0]);

    assert_eq!(
        client.error("invoice", params).await,
        json!({"code": 900, "message": "Duplicate label 'options'"})
    );
    let again = json!({"amount_msat": 1, "label": "b", "description": "", "preimage": preimage});
    assert_eq!(client.error("invoice", again).await["code"], 901);
    let most = json!([u64::MAX, "most", ""]);
    assert_eq!(client.error("invoice", most).await["code"], -32602);
    let huge = client.result("invoice", json!(["1btc", "huge", ""])).await;
    assert_eq!(huge["warning_capacity"], "Insufficient incoming channel capacity to pay invoice");
}

#[tokio::test]
async fn listinvoices_selects_and_pages() {
    let (_dir, _node, mut client) = demo().await;
    let mut made = Vec::new();
    for label in ["a", "b", "c"] {
        made.push(client.result("invoice", json!([1, label, ""])).await);
    }
    assert!(client.peer_pays("c").await && client.peer_pays("a").await);
    assert!(!client.peer_pays("a").await && !client.peer_pays("nosuch").await);
    for (params, labels) in [
        (json!({}), vec!["a", "b", "c"]),
        (json!({"payment_hash": made[1]["payment_hash"]}), vec!["b"]),
        (json!({"invstring": made[2]["bolt11"]}), vec!["c"]),
        (json!({"label": "nosuch"}), vec![]),
        (json!({"index": "created", "start": 2}), vec!["b", "c"]),
        (json!({"index": "created", "start": 1, "limit": 1}), vec!["a"]),
        (json!({"index": "updated"}), vec!["c", "a"]),
    ] {
        let listed = client.result("listinvoices", params).await;
        let found = listed["invoices"].as_array().unwrap();
        let found: Vec<_> = found.iter().map(|i| i["label"].as_str().unwrap()).collect();
        assert_eq!(found, labels);
    }
}

#[tokio::test]
async fn delinvoice_wants_the_right_status() {
    let (_dir, _node, mut client) = demo().await;
    for label in ["rec-1", "rec-2"] {
        client.result("invoice", json!([1000, label, "d"])).await;
    }
    let listed = client.result("listinvoices", json!({"label": "rec-2"})).await;
    let unpaid = json!({"label": "rec-2", "status": "unpaid"});
    assert_eq!(client.result("delinvoice", unpaid.clone()).await, listed["invoices"][0]);
    assert_eq!(client.error("delinvoice", unpaid).await, json!({"code": 905, "message": "Unknown invoice"}));
    assert_eq!(
        client.error("delinvoice", json!({"label": "rec-1", "status": "paid"})).await,
        json!({
            "code": 906,
            "message": "Invoice status is unpaid not paid",
            "data": {"current_status": "unpaid", "expected_status": "paid"},
        })
    );
    let description = json!({"label": "rec-1", "status": "unpaid", "desconly": true});
    let shown = client.result("delinvoice", description.clone()).await;
    assert_eq!(shown["description"], Value::Null);
    assert_eq!(client.error("delinvoice", description).await["code"], 908);
    client.result("delinvoice", json!(["rec-1", "unpaid"])).await;
    assert_eq!(client.result("listinvoices", json!({})).await, json!({"invoices": []}));
    // Labels are free again; indexes go on.
    assert_eq!(client.result("invoice", json!([1000, "rec-1", "d"])).await["created_index"], 3);
}
