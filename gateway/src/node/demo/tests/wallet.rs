use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;

use super::*;

#[tokio::test]
async fn feerates_have_the_recorded_shape() {
    let (_dir, _node, mut client) = demo().await;
    let recorded = r#"{"perkb":{"opening":1012,"mutual_close":1012,"unilateral_close":1012,"unilateral_anchor_close":5000,"penalty":1012,"splice":1032,"min_acceptable":1012,"max_acceptable":10120,"floor":1012,"estimates":[{"blockcount":2,"feerate":1012,"smoothed_feerate":1012},{"blockcount":6,"feerate":1012,"smoothed_feerate":1012},{"blockcount":12,"feerate":1012,"smoothed_feerate":1012},{"blockcount":100,"feerate":1012,"smoothed_feerate":1012}]},"onchain_fee_estimates":{"opening_channel_satoshis":177,"mutual_close_satoshis":170,"unilateral_close_satoshis":1390,"unilateral_close_nonanchor_satoshis":151,"htlc_timeout_satoshis":167,"htlc_success_satoshis":177}}"#;
    assert_eq!(client.result("feerates", json!(["perkb"])).await.to_string(), recorded);
    let perkw = client.result("feerates", json!(["perkw"])).await;
    assert_eq!(perkw["perkw"]["opening"], 253);
    assert_eq!(client.error("feerates", json!(["nosuch"])).await["code"], -32602);
    assert_eq!(client.error("feerates", json!([])).await["message"], "missing required parameter: style");
}

#[tokio::test]
async fn addresses_are_new_and_real() {
    let (_dir, _node, mut client) = demo().await;
    let first = client.result("newaddr", json!({})).await;
    let second = client.result("newaddr", json!(["all"])).await;
    assert_eq!(keys(&first), ["bech32", "p2tr"]);
    for kind in ["bech32", "p2tr"] {
        assert_ne!(first[kind], second[kind]);
        let text = first[kind].as_str().unwrap();
        let address: Address<NetworkUnchecked> = text.parse().unwrap();
        assert!(address.is_valid_for_network(bitcoin::Network::Regtest), "{text}");
        assert_eq!(keys(&client.result("newaddr", json!([kind])).await), [kind]);
    }
    assert_eq!(client.error("newaddr", json!(["p2sh"])).await["code"], -32602);
}

#[tokio::test]
async fn secrets_are_the_same_every_time() {
    let (_dir, _node, mut client) = demo().await;
    let secret = client.result("makesecret", json!({"string": "commando"})).await;
    assert_eq!(keys(&secret), ["secret"]);
    assert_eq!(secret["secret"].as_str().unwrap().len(), 64);
    let same = client.result("makesecret", json!({"hex": "636f6d6d616e646f"})).await;
    assert_eq!(same, secret);
    assert_ne!(client.result("makesecret", json!({"string": "other"})).await, secret);
    for params in [json!({}), json!({"hex": "00", "string": "x"}), json!({"hex": "0"})] {
        assert_eq!(client.error("makesecret", params).await["code"], -32602);
    }
}
