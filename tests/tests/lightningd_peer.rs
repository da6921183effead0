//! A real lightningd as the peer: it connects, gossips, keeps its storage with us, and then sends a command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use runeward_tests::client::{self, INIT, identity, kind};
use runeward_tests::{Client, End, Gateway, stream};
use serde_json::json;

const REGTEST: &str = "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f";

fn hex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// lightningd's init: features, its chain, and over TCP the address it sees us at.
fn init(over_tcp: bool) -> Vec<u8> {
    let mut text = format!("0010000211000008800898880a8a59a10120{REGTEST}");
    if over_tcp {
        text.push_str("0307017f0000019c8e");
    }
    hex(&text)
}

/// Handshake done and init received, ours not yet sent.
async fn before_init(gateway: &Gateway) -> Client {
    let mut client = Client::handshake(gateway, &identity()).await;
    assert_eq!(kind(&client.message().await), INIT);
    client
}

/// What a lightningd sends of its own accord, type by type; bodies as long as real ones.
fn chatter() -> Vec<Vec<u8>> {
    let message = |kind: u16, size: usize| {
        let mut message = kind.to_be_bytes().to_vec();
        message.extend((0..size).map(|at| at as u8));
        message
    };
    vec![
        hex(&format!("0109{REGTEST}00000000ffffffff")),
        message(256, 430),
        message(257, 440),
        message(258, 138),
        message(261, 40),
        message(262, 33),
        message(263, 46),
        message(264, 60),
        message(265, 40),
        hex("0007000461626364"),
        message(513, 1400),
        message(0x8001, 20),
        message(0x9999, 65_533),
    ]
}

async fn commands_work(client: &mut Client, rune: &str) {
    // As its `commando` plugin builds one.
    let request = format!(
        r#"{{ "method": "getinfo", "params":{{}}, "rune": "{rune}", "id": "commando:commando#1/cln:getinfo#2" }}"#
    );
    client.request(0x1122_3344_5566_7788, request).await;
    let reply = client.reply(0x1122_3344_5566_7788).await.json();
    assert_eq!(reply["id"], "commando:commando#1/cln:getinfo#2");
    assert!(reply["result"]["id"].is_string(), "{reply}");
}

#[tokio::test]
async fn a_lightningd_connects_gossips_and_commands() {
    let (gateway, rune) = Gateway::demo().await;
    let mut client = before_init(&gateway).await;
    client.send(&init(true)).await;
    for message in chatter() {
        client.send(&message).await;
        commands_work(&mut client, &rune).await;
    }
    client.ping(1).await;
    assert_eq!(client.pong().await, 1);
    // All of it again, at once, then a command.
    for message in chatter() {
        client.send(&message).await;
    }
    commands_work(&mut client, &rune).await;
}

#[tokio::test]
async fn a_lightningd_over_a_websocket() {
    let (gateway, rune) = Gateway::demo().await;
    // Frames of 50 bytes: a frame may hold part of a message.
    let (socket, _) = stream::websocket(gateway.address(), "/", 50).await;
    let mut client = Client::over(socket, gateway.node_id(), &identity()).await;
    assert_eq!(kind(&client.message().await), INIT);
    client.send(&init(false)).await;
    commands_work(&mut client, &rune).await;
}

/// Gossip and the like may also come before init; even types may not.
#[tokio::test]
async fn odd_messages_before_init_are_ignored() {
    let (gateway, rune) = Gateway::demo().await;
    let mut client = before_init(&gateway).await;
    client.send(&hex("0007000461626364")).await;
    client.send(&hex("9999")).await;
    let early = client::request(&json!("early"), "getinfo", &json!({}), &rune);
    client.request(1, early).await;
    client.send(&init(true)).await;
    commands_work(&mut client, &rune).await;
    assert_eq!(client.unclaimed(), 0, "the early command was ignored");

    let mut client = before_init(&gateway).await;
    client.send(&hex("9998")).await;
    assert_eq!(client.end().await, End::Clean);
}

#[tokio::test]
async fn unknown_even_types_are_warned_of_and_close() {
    let (gateway, _) = Gateway::demo().await;
    for message in ["999868656c6c6f", "00200000", "0026", "fffe"] {
        let mut client = Client::connect(&gateway).await;
        client.send(&hex(message)).await;
        client.warned_and_closed("").await;
    }
}

#[tokio::test]
async fn a_second_init_and_a_malformed_ping_close() {
    let (gateway, _) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    client.send(&init(true)).await;
    client.warned_and_closed("").await;
    for malformed in ["0012", "001200", "00120001", "0012000100", "001200010005ff"] {
        let mut client = Client::connect(&gateway).await;
        client.send(&hex(malformed)).await;
        client.warned_and_closed("").await;
    }
}

#[tokio::test]
async fn an_error_closes_a_warning_does_not() {
    let (gateway, rune) = Gateway::demo().await;
    let text = format!("{}000568656c6c6f", "00".repeat(32));
    let mut client = Client::connect(&gateway).await;
    client.send(&hex(&format!("0001{text}"))).await;
    commands_work(&mut client, &rune).await;
    client.send(&hex(&format!("0011{text}"))).await;
    assert_eq!(client.end().await, End::Clean);
}

#[tokio::test]
async fn messages_too_short_for_a_type_are_ignored() {
    let (gateway, rune) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    for message in ["", "4c", "00", "0013", "001300020000"] {
        client.send(&hex(message)).await;
    }
    commands_work(&mut client, &rune).await;
}

#[tokio::test]
async fn a_malformed_init_closes() {
    let (gateway, _) = Gateway::demo().await;
    let networks = format!("0120{REGTEST}");
    let address = "0307017f0000019c8e";
    for (what, body) in [
        ("no body", String::new()),
        ("truncated", "00".into()),
        ("features cut", "00000008ff".into()),
        ("a TLV without a length", "0000000001".into()),
        ("a TLV cut", "000000000120ff".into()),
        ("networks of 31 bytes", format!("00000000011f{}", "01".repeat(31))),
        ("an unknown even TLV", format!("00000000{networks}36020102")),
        ("out of order", format!("00000000{address}{networks}")),
        ("one twice", format!("00000000{networks}{networks}")),
    ] {
        let mut client = before_init(&gateway).await;
        client.send(&hex(&format!("0010{body}"))).await;
        assert_eq!(client.end().await, End::Clean, "{what}");
    }
}

#[tokio::test]
async fn inits_of_every_client_are_taken() {
    let (gateway, rune) = Gateway::demo().await;
    for text in [
        "001000000000".to_owned(),
        // lnmessage
        "0010000000080000000000000000".into(),
        // lnsocket
        "00100002000000050000000000".into(),
        // An unknown odd TLV, an unknown odd feature
        format!("0010000000000120{REGTEST}37020102"),
        format!("00100000001a02{}", "00".repeat(25)),
    ] {
        let mut client = before_init(&gateway).await;
        client.send(&hex(&text)).await;
        commands_work(&mut client, &rune).await;
    }
}
