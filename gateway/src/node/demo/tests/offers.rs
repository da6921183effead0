use super::*;

/// Its records are those of the recorded offer, whose id is its hash.
#[tokio::test]
async fn the_recorded_offer_decodes() {
    let (_dir, _node, mut client) = demo().await;
    let recorded = "lno1qgsqvgnwgcg35z6ee2h3yczraddm72xrfua9uve2rlrm9deu7xyfzrcgqvq7yws2pdnxjmn9yp3k7enx\
                    v4j3vggr4txpuj9rhlwmj2x7d4qvw29qs3s5cpsdkndzzxtk62525ggeqtxq";
    let decoded = client.result("decode", json!([recorded])).await;
    assert_eq!(
        decoded,
        json!({
            "type": "bolt12 offer",
            "offer_id": "fdfa79d1f4c8ad135a5d442c1c925506f3d1d7690d3c951b5da1ee5d73273cd8",
            "offer_chains": ["06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"],
            "offer_amount_msat": 123_450,
            "offer_description": "fine coffee",
            "offer_issuer_id": "03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc",
            "valid": true,
        })
    );
}

#[tokio::test]
async fn offers_are_listed_in_the_recorded_shape() {
    let (_dir, node, mut client) = demo().await;
    let params = json!({"amount": 123_450, "description": "fine coffee"});
    let made = client.result("offer", params.clone()).await;
    assert_eq!(keys(&made), ["offer_id", "active", "single_use", "bolt12", "force_paths", "used", "created"]);
    assert_eq!(made["created"], true);
    assert_eq!(client.result("offer", params).await["created"], false);
    let decoded = client.result("decode", json!([made["bolt12"]])).await;
    assert_eq!(decoded["offer_id"], made["offer_id"]);
    assert_eq!(decoded["offer_issuer_id"], id(&node));

    let any = json!({"amount": "any", "issuer": "i", "absolute_expiry": 2_000_000_000, "quantity_max": 0});
    let any = client.result("offer", any).await;
    let decoded = client.result("decode", json!([any["bolt12"]])).await;
    assert_eq!(decoded["offer_quantity_max"], 0);
    assert_eq!(decoded["offer_absolute_expiry"], 2_000_000_000);

    let listed = client.result("listoffers", json!({})).await;
    assert_eq!(listed["offers"].as_array().unwrap().len(), 2);
    assert_eq!(
        keys(&listed["offers"][0]),
        ["offer_id", "active", "single_use", "bolt12", "force_paths", "used", "description"]
    );
    let one = client.result("listoffers", json!({"offer_id": made["offer_id"]})).await;
    assert_eq!(one["offers"], json!([listed["offers"][0]]));
    for params in [
        json!({"amount": 5}),
        json!({"amount": 0, "description": "d"}),
        json!({"amount": 5, "description": "d", "recurrence": "1day"}),
    ] {
        assert_eq!(client.error("offer", params).await["code"], -32602);
    }
}

#[tokio::test]
async fn the_recorded_bolt12_invoice_decodes_as_recorded() {
    let (_dir, _node, mut client) = demo().await;
    let text = "lni1qqg8esfgyyjlttgu2vaflxv5ulafwq3qqc3xu3s3rg94nj40zfsy866mhu5vxne6tcej5878k2mneuvgjy8ssq\
    cpugaq5zmxd9hx2grrdanxvet9zcss82kvrey2807ahy5dum2qcu52pprpfsrqmdx6yyvhd54g4gs3jqkv2qsqvgnw\
    gcg35z6ee2h3yczraddm72xrfua9uve2rlrm9deu7xyfzr65qpvzzq62h46pudj7ekcglgz0uww42ryrw848pf6g2g\
    eqnjr4frpmvk03azsfsqa2es0y3galmkuj3hndgrrj3gyyv9xqvrd5mgs3jakj4z4zzxgzespwy4jrnmdf55p4jvur\
    0mha9vpl4m5fk0l3p7v0qatrnc9me6cqr2qpqtvtmvnpzfscj2n7y6yyfe0xgv6msscssnwy8zectqlam34fvjfwuq\
    pj4rkwzlgva945z863f75tzwe8k0u65pw0z8dck7r4kny305ng3ms833rjpwcyjrznf5rm3c72u77lsp8x5gwqqqqq\
    qqqqqqqqqq9qqqqqqqqqqqqqr5jt9hav2gqqqqqq5szxkqrq5x5zp7e43wkq2s0ce8xekva86h5jnpls437a9zh5m3\
    u8zqssjpqswne34gpsrc364cpsyqqqkqss82kvrey2807ahy5dum2qcu52pprpfsrqmdx6yyvhd54g4gs3jqkv7pq0\
    sq3mer8zv4ehllxwu0mrfm2gxcsy68uht60dk9gkzc8vmxx6emvg96rtnwstanhaxzdfl8hqvwcx0gh0plwt5lpday\
    xwctuppshqgg";
    let recorded = r#"{"type":"bolt12 invoice","offer_id":"fdfa79d1f4c8ad135a5d442c1c925506f3d1d7690d3c951b5da1ee5d73273cd8","offer_chains":["06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"],"offer_amount_msat":123450,"offer_description":"fine coffee","offer_issuer_id":"03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc","invreq_metadata":"7cc1282125f5ad1c533a9f9994e7fa97","invreq_payer_id":"034abd741e365ecdb08fa04fe39d550c8371ea70a748523209c87548c3b659f1e8","invreq_chain":"06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f","invreq_features":"","invoice_paths":[{"first_node_id":"03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc","first_path_key":"02e256439eda9a5035933837eefd2b03faee89b3ff10f98f075639e0bbceb001a8","payinfo":{"fee_base_msat":0,"fee_proportional_millionths":0,"cltv_expiry_delta":10,"htlc_minimum_msat":0,"htlc_maximum_msat":2100000000000000000,"features":""},"path":[{"blinded_node_id":"02d8bdb2611261892a7e268844e5e64335b8431084dc438b38583fddc6a96492ee","encrypted_recipient_data":"a8ece17d0ce96b411f514fa8b13b27b3f9aa05cf11db8b7875b4c917d2688ee078c4720bb0490c534d07b8e3cae7bdf804e6"}]}],"invoice_created_at":1795186849,"invoice_relative_expiry":7200,"invoice_payment_hash":"fb358bac0541f8c9cd9b33a7d5e92987f0ac7dd28af4dc787102109041074f31","invoice_amount_msat":123450,"invoice_features":"020000","invoice_node_id":"03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc","signature":"f8023bc8ce265737ffccee3f634ed4836204d1f975e9edb1516160ecd98daced882e86b9ba0becefd309a9f9ee063b067a2ef0fdcba7c2de90cec2f810c2e042","valid":true}"#;
    let decoded = client.result("decode", json!([text])).await;
    assert_eq!(decoded.to_string(), recorded);
    let upper = format!("LIGHTNING:{}", text.to_ascii_uppercase());
    assert_eq!(client.result("decode", json!([upper])).await, decoded);
    // The last bytes are the signature's.
    let forged = format!("{}qqqq", &text[..text.len() - 4]);
    assert_eq!(client.error("decode", json!([forged])).await["code"], -32602);
}
