//! The port: what a connection's first bytes make of it, and the limits before any cryptography.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use runeward_tests::client::{identity, tcp};
use runeward_tests::{Client, Gateway, Setup, eventually, http, stream, within};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What comes back, to the end of the connection.
async fn answer(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut stream = tcp(gateway.address()).await;
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn http_gets_an_answer() {
    let (gateway, _) = Gateway::demo().await;
    for request in [
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET /favicon.ico HTTP/1.1\nHost: x\nAccept: */*\n\n",
        "HEAD / HTTP/1.1\nHost: x\n\n",
        "POST /v1/getinfo HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
        "OPTIONS * HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.0\n\n",
        "NONSENSE\n\n",
        "GET / HTTP/1.1\nno colon\n\n",
    ] {
        let (head, _) = http::exchange(gateway.address(), request).await;
        assert!((200..500).contains(&head.status), "{request}: {head:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_no_burden() {
    let (gateway, rune) = Gateway::demo().await;
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(200_000));
    let answer = answer(&gateway, long.as_bytes()).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &rune).await;
}

#[tokio::test]
async fn what_is_neither_is_closed() {
    let (gateway, rune) = Gateway::demo().await;
    // A TLS hello among them: without a certificate there is no TLS.
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"\x01", b"\xff\xff", b"\n", b" GET"] {
        assert_eq!(answer(&gateway, bytes).await, "", "{bytes:02x?}");
    }
    let mut client = Client::connect(&gateway).await;
    client.result("getinfo", json!({}), &rune).await;
}

/// What a browser's page on another site, or under a name made to point here, may do.
#[tokio::test]
async fn hosts_and_origins() {
    const UPGRADE: &str = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";
    let setup = Setup::demo().arg("--advertise").arg("node.example:443");
    let open = Gateway::start(setup.clone()).await;
    let setup =
        Setup::demo().config("allow_host = ['node.example']\nallow_origin = ['https://wallet.example']\n");
    let closed = Gateway::start(setup).await;
    for (gateway, headers, status) in [
        (&open, "Host: node.example\n", 200),
        (&open, "Host: 127.0.0.1:9736\nOrigin: http://127.0.0.1:9736\n", 200),
        (&open, "Host: evil.example:9736\n", 421),
        (&open, "Host: localhost\nOrigin: https://evil.example\n", 403),
        (&open, &format!("Host: localhost\nOrigin: https://any.example\n{UPGRADE}"), 101),
        (&closed, "Host: NODE.example:9736\n", 200),
        (&closed, "Host: other.example\n", 421),
        (&closed, &format!("Host: node.example\nOrigin: https://wallet.example\n{UPGRADE}"), 101),
        (&closed, &format!("Host: node.example\n{UPGRADE}"), 101),
        (&closed, &format!("Host: node.example\nOrigin: https://evil.example\n{UPGRADE}"), 403),
        (&closed, &format!("Host: node.example\nOrigin: null\n{UPGRADE}"), 403),
    ] {
        let (head, _) = http::exchange(gateway.address(), &format!("GET / HTTP/1.1\n{headers}\n")).await;
        assert_eq!(head.status, status, "{headers}: {head:?}");
    }
}

/// Browsers offer compression with every upgrade: it is declined, and a compressed frame ends the connection.
#[tokio::test]
async fn compression_is_declined() {
    let (gateway, _) = Gateway::demo().await;
    let request = format!(
        "GET / HTTP/1.1\nHost: x\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\nSec-WebSocket-Key: {}\n\n",
        http::SAMPLE_KEY
    );
    let (head, mut stream) = http::exchange(gateway.address(), &request).await;
    assert_eq!((head.status, head.header("sec-websocket-extensions")), (101, None));
    // Final, RSV1 (compressed), binary; 50 bytes, its mask all zeros: act one's length, so only the bit is wrong.
    let frame = [&[0xc2, 0x80 | 50, 0, 0, 0, 0][..], &[0; 50]].concat();
    stream.write_all(&frame).await.unwrap();
    let mut answer = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut answer)).await;
    assert!(answer.first().is_none_or(|first| *first == 0x88), "a close frame or nothing: {answer:02x?}");
}

/// BOLT 8 in pieces of one byte, over TCP and over WebSocket frames of one byte.
#[tokio::test]
async fn byte_by_byte() {
    let (gateway, rune) = Gateway::demo().await;
    let (socket, _) = stream::websocket(gateway.address(), "/", 1).await;
    let mut client = Client::over(socket, gateway.node_id(), &identity()).await;
    client.init().await;
    client.result("getinfo", json!({}), &rune).await;

    let (ours, theirs) = tokio::io::duplex(4096);
    let (mut from, mut to) = tcp(gateway.address()).await.into_split();
    let (mut back, mut forth) = tokio::io::split(theirs);
    tokio::spawn(async move { tokio::io::copy(&mut from, &mut forth).await });
    tokio::spawn(async move {
        while let Ok(byte) = back.read_u8().await {
            to.write_u8(byte).await.unwrap();
        }
    });
    let mut client = Client::over(ours, gateway.node_id(), &identity()).await;
    client.init().await;
    client.result("getinfo", json!({}), &rune).await;
}

#[tokio::test]
async fn connections_are_limited_and_counted_right() {
    let setup = Setup::demo().config("[limits]\nconnections = 3\n");
    let (gateway, rune) = Gateway::with_rune(setup).await;
    let mut clients = Vec::new();
    eventually("three connections", async || {
        let stream = tcp(gateway.address()).await;
        let client = Client::try_over(stream, gateway.node_id(), &identity(), 100).await;
        clients.extend(client);
        clients.len() == 3
    })
    .await;
    for _ in 0..5 {
        let stream = tcp(gateway.address()).await;
        let fourth = Client::try_over(stream, gateway.node_id(), &identity(), 100).await;
        assert!(fourth.is_err(), "a fourth");
    }
    let mut last = clients.pop().unwrap();
    last.init().await;
    last.result("getinfo", json!({}), &rune).await;
    drop(clients);
    eventually("room again", async || {
        let stream = tcp(gateway.address()).await;
        let client = Client::try_over(stream, gateway.node_id(), &identity(), 100).await;
        client.is_ok()
    })
    .await;
}

#[tokio::test]
async fn handshakes_of_one_address_are_limited() {
    let setup = Setup::demo().config("[limits]\nhandshakes_per_second_per_address = 1\n");
    let gateway = Gateway::start(setup).await;
    let mut done = 0;
    for _ in 0..50 {
        let stream = tcp(gateway.address()).await;
        let client = Client::try_over(stream, gateway.node_id(), &identity(), 100).await;
        done += usize::from(client.is_ok());
    }
    assert!((1..50).contains(&done), "{done}");
}

#[tokio::test]
async fn calls_of_one_connection_are_limited_as_told() {
    let node = runeward_tests::FakeNode::start().await;
    node.on("slow", runeward_tests::Answer::Never);
    let setup = Setup::fake(&node).config("[limits]\ncalls_per_connection = 2\n");
    let (gateway, rune) = Gateway::with_rune(setup).await;
    let mut client = Client::connect(&gateway).await;
    for id in 0..5 {
        let request = runeward_tests::client::request(&json!(id), "slow", &json!({}), &rune);
        client.request(id, request).await;
    }
    eventually("two calls run", async || node.calls("slow") == 2).await;
    client.ping(1).await;
    client.pong().await;
    assert_eq!(node.calls("slow"), 2);
}

/// Several listeners, each with its own port, all of them announced.
#[tokio::test]
async fn several_listeners() {
    let setup = Setup::demo().arg("--listen").arg("127.0.0.1:0");
    let (gateway, rune) = Gateway::with_rune(setup).await;
    assert_eq!(gateway.ready.listen.len(), 2);
    assert_ne!(gateway.ready.listen[0], gateway.ready.listen[1]);
    for address in &gateway.ready.listen {
        let stream = tcp(*address).await;
        let mut client = Client::over(stream, gateway.node_id(), &identity()).await;
        client.init().await;
        client.result("getinfo", json!({}), &rune).await;
    }
}

#[tokio::test]
async fn the_ready_line() {
    let (gateway, _) = Gateway::demo().await;
    let ready = &gateway.ready;
    assert_eq!(ready.node_id.len(), 66);
    assert_eq!(ready.node, "up");
    let address = gateway.address();
    assert_ne!(address.port(), 0);
    assert_eq!(ready.uri, format!("commando+ws://{address}?pubkey={}", ready.node_id));
    let advertised = Setup::demo().arg("--advertise").arg("node.example:443");
    let gateway = Gateway::start(advertised).await;
    let uri = format!("commando+ws://node.example:443?pubkey={}", gateway.node_id());
    assert_eq!(gateway.ready.uri, uri);
}

/// Act one may come right behind the upgrade request, before its answer.
#[tokio::test]
async fn what_follows_the_upgrade_at_once_is_not_lost() {
    let (gateway, _) = Gateway::demo().await;
    let node_id = gateway.node_id().parse().unwrap();
    let (awaiting, act_one) = runeward_noise::Initiator::new(&identity(), node_id).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n",
        http::SAMPLE_KEY
    );
    // A binary frame of 50 bytes, its mask all zeros.
    let frame = [&[0x82, 0x80 | 50, 0, 0, 0, 0][..], &act_one].concat();
    let mut stream = tcp(gateway.address()).await;
    stream.write_all(&[request.as_bytes(), &frame].concat()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("the upgrade", stream.read_u8()).await.unwrap());
    }
    let mut answer = [0; 52];
    within("act two", stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer[..2], [0x82, 50]);
    awaiting.read_act_two(answer[2..].try_into().unwrap()).expect("act two");
}
