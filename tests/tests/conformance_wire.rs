//! What a real node was seen to do on the wire, replayed: the groups wire, init, ws and idle of `conformance/observed.json`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use runeward_noise::Initiator;
use runeward_tests::client::{self, INIT, PING, PONG, REPLY_LAST, identity, kind, tcp};
use runeward_tests::recorded::{self, Case, Observed};
use runeward_tests::stream::{self, Frames};
use runeward_tests::{Client, Gateway, http, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

fn cases(group: &str) -> Vec<Case> {
    let observed: Observed = recorded::read("observed.json");
    let mut cases = observed.cases;
    cases.retain(|case| case.group == group);
    assert!(!cases.is_empty());
    cases
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Sends a case's messages, then a command. Compares the types that come back, and whether the connection lives.
async fn dialogue(client: &mut Client, case: &Case, rune: &str) {
    const ID: u64 = 0xcafe;
    let expected = case.expected();
    let closes = expected["closed"].as_bool().unwrap();
    let messages = case.messages.as_ref().unwrap();
    for (at, text) in messages.iter().enumerate() {
        let mut message = hex(text);
        if let Some(bytes) = case.message_bytes.filter(|_| at + 1 == messages.len()) {
            message.resize(bytes, 0);
        }
        client.send(&message).await;
    }
    if !closes {
        let request = client::request(&json!("x"), "getinfo", &json!({}), rune);
        client.request(ID, request).await;
    }
    let mut types = Vec::new();
    let closed = loop {
        match client.next_message().await {
            Err(_) => break true,
            Ok(message) if kind(&message) == REPLY_LAST => {
                assert_eq!(message[2..10], ID.to_be_bytes(), "{}", case.name);
                break false;
            }
            Ok(message) => {
                if kind(&message) == PONG {
                    assert_eq!(expected["pong_bytes"], message.len() - 4);
                }
                types.push(kind(&message));
            }
        }
    };
    assert_eq!(closed, closes, "{}", case.name);
    assert_eq!(json!(types), expected["types"], "{}", case.name);
}

#[tokio::test]
async fn messages() {
    let (gateway, rune) = Gateway::demo().await;
    for case in cases("wire") {
        let mut client = Client::connect(&gateway).await;
        dialogue(&mut client, &case, &rune).await;
    }
}

#[tokio::test]
async fn inits() {
    let (gateway, rune) = Gateway::demo().await;
    for case in cases("init") {
        if case.messages.is_none() {
            act_one(&gateway, &case).await;
            continue;
        }
        let mut client = Client::handshake(&gateway, &identity()).await;
        assert_eq!(kind(&client.message().await), INIT);
        dialogue(&mut client, &case, &rune).await;
    }
}

/// First bytes that are no act one for us.
async fn act_one(gateway: &Gateway, case: &Case) {
    let node_id = gateway.node_id().parse().unwrap();
    let (_, good) = Initiator::new(&identity(), node_id).unwrap();
    let (_, other) = Initiator::new(&identity(), identity().node_id()).unwrap();
    let mut bytes = good.to_vec();
    match case.name.as_str() {
        "act1 version 1" => bytes[0] = 1,
        "act1 bad tag" => bytes[49] ^= 1,
        "act1 for wrong node id" => bytes = other.to_vec(),
        "act1 invalid pubkey" => bytes[1] = 5,
        "act1 truncated, then silence 2s" => bytes.truncate(20),
        "plain HTTP GET on peer port" => {
            let (head, _) = http::exchange(gateway.address(), "GET / HTTP/1.1\nHost: x\n\n").await;
            assert!((200..500).contains(&head.status));
            assert_eq!(*case.expected(), "an HTTP answer");
            return;
        }
        other => panic!("a case nobody replays: {other}"),
    }
    let mut stream = tcp(gateway.address()).await;
    stream.write_all(&bytes).await.unwrap();
    let mut received = Vec::new();
    let reading = stream.read_to_end(&mut received);
    let state = match tokio::time::timeout(Duration::from_secs(2), reading).await {
        // A close with bytes of ours unread is a reset.
        Ok(_) => "closed (EOF)",
        Err(_) => "still open after 2s",
    };
    assert_eq!(case.expected(), state, "{}", case.name);
    assert!(received.is_empty(), "{}", case.name);
}

#[tokio::test]
async fn websockets() {
    let (gateway, rune) = Gateway::demo().await;
    for case in cases("ws") {
        match &case.request {
            Some(request) => upgrade(&gateway, &case, request).await,
            None => websocket(&gateway, &case, &rune).await,
        }
    }
}

async fn upgrade(gateway: &Gateway, case: &Case, request: &str) {
    let address = gateway.address();
    let request = request.replace("ADDRESS", &address.to_string());
    let (head, mut stream) = http::exchange(address, &request).await;
    // Of a refusal the status is ours to choose.
    let upgraded = *case.expected() == json!(101);
    assert_eq!(head.status == 101, upgraded, "{}: {head:?}", case.name);
    if !upgraded {
        assert!((200..500).contains(&head.status), "{head:?}");
        return;
    }
    if request.contains(http::SAMPLE_KEY) {
        let accept = head.header("sec-websocket-accept");
        assert_eq!(accept, Some(http::SAMPLE_ACCEPT));
    }
    assert_eq!(head.header("sec-websocket-extensions"), None);
    // Open, and silent until the handshake.
    let silence = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(silence.is_err(), "{}: {silence:?}", case.name);
}

async fn websocket(gateway: &Gateway, case: &Case, rune: &str) {
    let frames = match case.name.as_str() {
        "ws: client splits every message into 7-byte ws frames" => Frames::Of(7),
        "ws: after a fragmented message" => Frames::Fragmented,
        "ws: text frame junk before command" => Frames::AfterText,
        "ws: close frame (opcode 8) before command" => return close_frame(gateway, case).await,
        "ws: init received" | "ws: client frames masked (normal)" => Frames::Of(65_000),
        other => panic!("a case nobody replays: {other}"),
    };
    let (stream, _) = stream::websocket_with(gateway.address(), "/", frames).await;
    let mut client = Client::over(stream, gateway.node_id(), &identity()).await;
    let init = client.message().await;
    if case.name == "ws: init received" {
        let hex: String = init.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(*case.expected(), hex);
        return;
    }
    client.send(&client::EMPTY_INIT).await;
    let request = client::request(&json!("ws"), "listinvoices", &json!({}), rune);
    client.request(1, request).await;
    let reply = client.next_reply().await.map(|reply| reply.json());
    match case.expected() {
        Value::String(end) if end == "closed" => assert!(reply.is_err(), "{}", case.name),
        expected => {
            let expected: Value = serde_json::from_str(expected.as_str().unwrap()).unwrap();
            assert_eq!(reply.as_ref(), Ok(&expected), "{}", case.name);
        }
    }
}

/// Ping and close frames are answered, before the handshake and after it.
async fn close_frame(gateway: &Gateway, case: &Case) {
    assert_eq!(*case.expected(), "closed");
    for handshake in [false, true] {
        let stream = tcp(gateway.address()).await;
        let url = format!("ws://{}/", gateway.address());
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        if handshake {
            let node_id = gateway.node_id().parse().unwrap();
            let (awaiting, act_one) = Initiator::new(&identity(), node_id).unwrap();
            socket.send(Message::Binary(act_one.to_vec().into())).await.unwrap();
            let act_two = within("act two", socket.next()).await.unwrap().unwrap();
            let act_two: [u8; 50] = act_two.into_data().as_ref().try_into().unwrap();
            let (act_three, _) = awaiting.read_act_two(&act_two).unwrap();
            socket.send(Message::Binary(act_three.to_vec().into())).await.unwrap();
            let init = within("init", socket.next()).await.unwrap().unwrap();
            assert!(init.is_binary());
        }
        socket.send(Message::Ping(vec![1, 2].into())).await.unwrap();
        let pong = within("a pong", socket.next()).await.unwrap().unwrap();
        assert_eq!(pong, Message::Pong(vec![1, 2].into()));
        socket.send(Message::Close(None)).await.unwrap();
        let close = within("a close frame", socket.next()).await.unwrap();
        assert!(close.is_ok_and(|close| close.is_close()), "after the handshake: {handshake}");
        assert!(within("the end", socket.next()).await.is_none_or(|end| end.is_err()));
    }
}

#[tokio::test]
async fn handshakes_have_five_seconds() {
    let (gateway, _) = Gateway::demo().await;
    for case in cases("idle") {
        let bytes = match case.name.as_str() {
            "act1 only, never send act3" => {
                let node_id = gateway.node_id().parse().unwrap();
                let (_, act_one) = Initiator::new(&identity(), node_id).unwrap();
                act_one.to_vec()
            }
            "TCP connect to peer port, send nothing" => Vec::new(),
            "idle connection, pings answered" => continue,
            other => panic!("a case nobody replays: {other}"),
        };
        let mut stream = tcp(gateway.address()).await;
        let start = Instant::now();
        stream.write_all(&bytes).await.unwrap();
        let mut received = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut received)).await;
        assert_eq!(received.len(), bytes.len(), "act two for act one");
        let expected = case.expected().as_f64().unwrap();
        let elapsed = start.elapsed().as_secs_f64();
        assert!((expected - 1.0..expected + 10.0).contains(&elapsed), "{elapsed}");
    }
}

/// The five seconds are for the HTTP upgrade and the handshake together.
#[tokio::test]
async fn slow_websockets_have_five_seconds() {
    let (gateway, _) = Gateway::demo().await;
    let upgrade = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n",
        http::SAMPLE_KEY
    );
    let mut streams = Vec::new();
    for bytes in ["G", "GET / HTTP/1.1\r\nHost:", &upgrade] {
        let mut stream = tcp(gateway.address()).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let start = Instant::now();
    for mut stream in streams {
        let mut received = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut received)).await;
        let elapsed = start.elapsed();
        assert!(elapsed > Duration::from_secs(4) && elapsed < Duration::from_secs(15), "{elapsed:?}");
    }
}

/// An idle peer is pinged after 60 s, and kept though it never answers.
#[tokio::test]
async fn idle_peers_are_pinged() {
    let (gateway, rune) = Gateway::demo().await;
    let case = &cases("idle")[2];
    assert_eq!(case.name, "idle connection, pings answered");
    assert_eq!(*case.expected(), "ping at 62 s");
    let mut clients = [Client::connect(&gateway).await, Client::websocket(&gateway).await];
    let start = Instant::now();
    for client in &mut clients {
        client.patience = Duration::from_secs(80);
        assert_eq!(kind(&client.message().await), PING);
        assert!(start.elapsed() > Duration::from_secs(50));
        client.result("getinfo", json!({}), &rune).await;
    }
}
