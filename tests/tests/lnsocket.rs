//! The lnsocket crate, a client others wrote, against the demo node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lnsocket::bitcoin::secp256k1::{PublicKey, SecretKey, rand};
use lnsocket::ln::{msgs, wire::Message};
use lnsocket::{CallOpts, CommandoClient, Error, LNSocket};
use runeward_tests::{Answer, FakeNode, Gateway, within};
use serde_json::json;

async fn connect(gateway: &Gateway) -> LNSocket {
    let key = SecretKey::new(&mut rand::thread_rng());
    let node_id: PublicKey = gateway.node_id().parse().unwrap();
    let address = gateway.address().to_string();
    let connected = LNSocket::connect_and_init(key, node_id, &address);
    within("lnsocket connects", connected).await.unwrap()
}

#[tokio::test]
async fn commands_and_their_errors() {
    let (gateway, rune) = Gateway::demo().await;
    let client = CommandoClient::spawn(connect(&gateway).await, rune);
    let info = client.call("getinfo", json!({})).await.unwrap();
    assert!(info["version"].is_string());

    let filter = CallOpts::new().filter(json!({"id": true}));
    let id = client.call_with_opts("getinfo", json!({}), filter).await;
    assert_eq!(id.unwrap(), json!({"id": info["id"]}));

    let params = json!({"amount_msat": 1000, "label": "one", "description": "tea"});
    let invoice = client.call("invoice", params.clone()).await.unwrap();
    let bolt11 = invoice["bolt11"].as_str().unwrap();
    let decoded = client.call("decode", json!([bolt11])).await.unwrap();
    assert_eq!(decoded["amount_msat"], 1000);
    assert_eq!(decoded["payee"], info["id"]);

    let Err(Error::Rpc(error)) = client.call("invoice", params).await else {
        panic!("a label may be used once");
    };
    assert_eq!((error.code, &*error.message), (900, "Duplicate label 'one'"));
    let Err(Error::Rpc(error)) = client.call("nosuchmethod", json!({})).await else {
        panic!("there is no such method");
    };
    assert_eq!(error.code, -32601);
}

#[tokio::test]
async fn refusals() {
    let (gateway, _) = Gateway::demo().await;
    let rune = gateway.rune(&["method=getinfo"]).await;
    let client = CommandoClient::spawn(connect(&gateway).await, rune);
    let Err(Error::Rpc(error)) = client.call("listinvoices", json!({})).await else {
        panic!("the rune allows getinfo alone");
    };
    assert_eq!(error.code, 19537);
    assert_eq!(error.message, "Invalid rune: Not permitted: method is not equal to getinfo");
    let other = CallOpts::new().rune("AAAA".into());
    let Err(Error::Rpc(error)) = client.call_with_opts("getinfo", json!({}), other).await else {
        panic!("no rune at all");
    };
    assert_eq!((error.code, &*error.message), (19536, "Invalid rune"));
    assert!(client.call("getinfo", json!({})).await.is_ok());
}

#[tokio::test]
async fn a_long_reply_and_many_calls() {
    let node = FakeNode::start().await;
    node.on("listchannels", Answer::Huge(2_000_000));
    let (gateway, rune) = Gateway::before(&node).await;
    let client = CommandoClient::spawn(connect(&gateway).await, rune);
    let long = client.call("listchannels", json!({})).await.unwrap();
    assert_eq!(long.as_str().unwrap().len(), 2_000_000);
    // Over the rotation of keys, which comes every 500 messages.
    for _ in 0..600 {
        client.call("getinfo", json!({})).await.unwrap();
    }
}

#[tokio::test]
async fn pings() {
    let (gateway, _) = Gateway::demo().await;
    let mut socket = connect(&gateway).await;
    for size in [0, 4, 1000] {
        let ping = msgs::Ping { ponglen: size, byteslen: 8 };
        socket.write(&ping).await.unwrap();
        let Message::Pong(pong) = within("a pong", socket.read()).await.unwrap() else {
            panic!("not a pong");
        };
        assert_eq!(pong.byteslen, size);
    }
}

/// It sends again by itself what was in flight when the gateway went away.
#[tokio::test]
async fn it_reconnects_after_a_restart() {
    let (gateway, rune) = Gateway::demo().await;
    let client = CommandoClient::spawn(connect(&gateway).await, rune);
    client.call("getinfo", json!({})).await.unwrap();
    let _gateway = gateway.restart().await;
    assert!(client.call("getinfo", json!({})).await.is_ok());
}
