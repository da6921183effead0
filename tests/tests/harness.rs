//! The harness itself: a test that could not fail proves nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use runeward_noise::{Reader, Writer, accept};
use runeward_tests::client::{self, EMPTY_INIT, REPLY_LAST, REPLY_MORE, identity};
use runeward_tests::{Answer, Client, End, FakeNode, Gateway};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;

async fn ask(stream: &mut UnixStream, request: &Value) -> Value {
    stream.write_all(request.to_string().as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"\n\n") {
        text.push(stream.read_u8().await.unwrap());
    }
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn the_fake_node_answers_and_counts() {
    let mut node = FakeNode::start().await;
    node.on("sum", Answer::result(json!(3)));
    node.on("echo", Answer::Echo);
    let mut stream = UnixStream::connect(node.socket()).await.unwrap();
    let request = json!({"jsonrpc": "2.0", "id": "a", "method": "sum", "params": {}});
    let expected = json!({"jsonrpc": "2.0", "id": "a", "result": 3});
    assert_eq!(ask(&mut stream, &request).await, expected);
    let request = json!({"id": 7, "method": "echo", "params": [1, {"b": "x".repeat(5000)}]});
    let reply = ask(&mut stream, &request).await;
    assert_eq!((&reply["id"], &reply["result"]), (&json!(7), &request["params"]));
    let unknown = ask(&mut stream, &json!({"id": 1, "method": "nosuch"})).await;
    assert_eq!(unknown["error"]["code"], -32601);
    assert_eq!(node.requests_for("echo"), [request.to_string()]);
    assert_eq!((node.calls("sum"), node.calls("nosuch"), node.connections()), (1, 1, 1));

    node.stop().await;
    assert_eq!(stream.read(&mut [0; 10]).await.unwrap_or(0), 0);
    assert!(UnixStream::connect(node.socket()).await.is_err());
    node.restart().await;
    let mut stream = UnixStream::connect(node.socket()).await.unwrap();
    ask(&mut stream, &json!({"id": 1, "method": "getinfo"})).await;
}

#[tokio::test]
async fn the_fake_node_misbehaves() {
    let node = FakeNode::start().await;
    node.on("half", Answer::Half("{\"id\":$ID,".into()));
    node.on("reset", Answer::Reset);
    node.on("huge", Answer::Huge(1_000_000));
    let mut stream = UnixStream::connect(node.socket()).await.unwrap();
    stream.write_all(b"{\"method\":\"half\",\"id\":5}").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "{\"id\":5,");

    let mut stream = UnixStream::connect(node.socket()).await.unwrap();
    let padding = "x".repeat(1000);
    let request = format!("{{\"method\":\"reset\",\"params\":[\"{padding}\"]}}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let mut stream = UnixStream::connect(node.socket()).await.unwrap();
    let huge = ask(&mut stream, &json!({"id": 1, "method": "huge"})).await;
    assert_eq!(huge["result"].as_str().unwrap().len(), 1_000_000);
}

/// A gateway's end of a connection, to say what no gateway should.
async fn answered_with(messages: Vec<Vec<u8>>) -> Client {
    let (ours, mut theirs): (DuplexStream, _) = tokio::io::duplex(1 << 20);
    let gateway = identity();
    let node_id = gateway.node_id().to_string();
    tokio::spawn(async move {
        let (_, transport) = accept(&mut theirs, &gateway).await.unwrap();
        let (from, to) = tokio::io::split(theirs);
        let mut reader = Reader::new(from, transport.opener);
        let mut writer = Writer::new(to, transport.sealer);
        writer.send(&[&EMPTY_INIT]).await.unwrap();
        for _ in 0..2 {
            reader.next().await.unwrap();
        }
        for message in messages {
            writer.send(&[&message]).await.unwrap();
        }
    });
    let mut client = Client::over(ours, &node_id, &identity()).await;
    client.init().await;
    client
}

fn part(kind: u16, id: u64, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &id.to_be_bytes(), bytes].concat()
}

#[tokio::test]
async fn the_client_puts_parts_together() {
    let mut client = answered_with(vec![
        part(REPLY_MORE, 1, b"{\"a\""),
        part(REPLY_MORE, 2, b"[1"),
        vec![0, 19, 0, 2, 0, 0],
        part(REPLY_LAST, 2, b"]"),
        part(REPLY_LAST, 1, b":1}"),
        part(REPLY_MORE, 3, b"cut"),
    ])
    .await;
    client.request(1, "x").await;
    let first = client.reply(1).await;
    assert_eq!((first.json(), first.parts), (json!({"a": 1}), vec![4, 3]));
    assert_eq!(client.pong().await, 2);
    let second = client.next_reply().await.unwrap();
    assert_eq!((second.id, second.text()), (2, "[1]"));
    assert_eq!(client.next_reply().await.unwrap_err(), End::Clean);
    assert_eq!(client.begun(3), 1);
}

#[tokio::test]
#[should_panic(expected = "the gateway's log")]
async fn a_panic_of_the_gateway_fails_the_test() {
    let (gateway, _) = Gateway::demo().await;
    let log = gateway.setup().path("stderr.log");
    std::fs::write(log, "ERROR panicked: a fault of this program place=x.rs:1:1").unwrap();
}

#[test]
fn requests_are_json() {
    let text = client::request(&json!("a\"b"), "m", &json!([1]), "r\n");
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["id"], "a\"b");
    assert_eq!(value["rune"], "r\n");
}
