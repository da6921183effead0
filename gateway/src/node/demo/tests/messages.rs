use super::*;

/// What the recorded node, whose id this is, signed "hello" with.
const RECORDED_ID: &str = "03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc";
const RECORDED: &str = "rdys3971oimphbhyj1phanwhetpqhznzx7mqhdia794jk6izckyzcs8xw16rmjzmo68gurtfxbzdik4\
    wdxtzotrxub8whhxer38xu6n9";

#[tokio::test]
async fn the_recorded_signature_is_of_the_recorded_key() {
    let (_dir, _node, mut client) = demo().await;
    for (message, key) in [
        ("hello", RECORDED_ID),
        ("hullo", "039f7136ac83c977ccb08452c9153fff731f642f6bf8e32ab2c83fc13862c9fe56"),
    ] {
        assert_eq!(
            client.error("checkmessage", json!([message, RECORDED])).await,
            json!({
                "code": 1301,
                "message": "pubkey not found in the graph",
                "data": {"claimed_key": key},
            })
        );
        assert_eq!(
            client.result("checkmessage", json!([message, RECORDED, RECORDED_ID])).await,
            json!({"pubkey": RECORDED_ID, "verified": message == "hello"})
        );
    }
}

#[tokio::test]
async fn what_the_node_signs_it_recognises() {
    let (_dir, node, mut client) = demo().await;
    for message in ["", "hello", "Grüße, \u{1f980}"] {
        let signed = client.result("signmessage", json!([message])).await;
        assert_eq!(keys(&signed), ["signature", "recid", "zbase"]);
        assert_eq!(signed["signature"].as_str().unwrap().len(), 128);
        assert_eq!(signed["zbase"].as_str().unwrap().len(), 104);
        assert_eq!(
            client.result("checkmessage", json!([message, signed["zbase"]])).await,
            json!({"pubkey": id(&node), "verified": true})
        );
    }
    for nonsense in ["", "y", "0", &RECORDED[1..], "yyyy"] {
        assert_eq!(client.error("checkmessage", json!(["hello", nonsense])).await["code"], -32602);
    }
}
