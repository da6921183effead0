//! The node absent, gone, restarted, or answering what no node should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use runeward_tests::client::{self, identity};
use runeward_tests::fake_node::{NODE_ID, getinfo};
use runeward_tests::{Answer, Client, End, FakeNode, Gateway, Setup, eventually};
use serde_json::{Value, json};

const UNREACHABLE: i64 = 19540;
const OUTCOME_UNKNOWN: i64 = 19541;

fn get(method: &str, rune: &str) -> String {
    client::request(&json!("x"), method, &json!({}), rune)
}

/// What a call ends in: its error's code, `None` for a success, or the end of the connection.
async fn outcome(gateway: &Gateway, method: &str, rune: &str) -> Result<Option<i64>, End> {
    let mut client = Client::connect(gateway).await;
    client.request(1, get(method, rune)).await;
    let reply = client.next_reply().await?;
    let json = reply.json();
    assert_eq!(json["id"], "x", "{json}");
    assert_eq!(json["jsonrpc"], "2.0", "{json}");
    Ok(reply.code())
}

#[tokio::test]
async fn an_absent_node_is_awaited() {
    let mut node = FakeNode::absent();
    let (gateway, rune) = Gateway::with_rune(Setup::fake(&node)).await;
    assert_eq!(gateway.ready.node, "down");
    let mut client = Client::connect(&gateway).await;
    let reply = client.call("getinfo", json!({}), &rune).await;
    assert_eq!(reply["error"]["code"], UNREACHABLE, "{reply}");
    // What is ours to answer needs no node.
    client.result("showrunes", json!({}), &rune).await;

    node.restart().await;
    let start = Instant::now();
    eventually("the node is found", async || {
        let reply = client.call("getinfo", json!({}), &rune).await;
        reply.get("result").is_some()
    })
    .await;
    // It tries again at most 5 s apart.
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_node_that_is_up_is_said_to_be() {
    let node = FakeNode::start().await;
    let gateway = Gateway::start(Setup::fake(&node)).await;
    assert_eq!(gateway.ready.node, "up");
}

#[tokio::test]
async fn a_node_gone_amid_a_call_and_back() {
    let mut node = FakeNode::start().await;
    node.on("waitanyinvoice", Answer::Never);
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    for id in 0..3 {
        client.request(id, get("waitanyinvoice", &rune)).await;
    }
    eventually("the calls run", async || node.calls("waitanyinvoice") == 3).await;
    node.stop().await;
    for id in 0..3 {
        assert_eq!(client.reply(id).await.code(), Some(OUTCOME_UNKNOWN));
    }
    let reply = client.call("getinfo", json!({}), &rune).await;
    assert_eq!(reply["error"]["code"], UNREACHABLE, "{reply}");

    node.restart().await;
    let start = Instant::now();
    eventually("the node is found again", async || {
        let reply = client.call("getinfo", json!({}), &rune).await;
        reply.get("result").is_some()
    })
    .await;
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// A node that was restarted between two calls costs at most an error that says `not sent`.
#[tokio::test]
async fn a_restart_between_calls_loses_nothing_silently() {
    let mut node = FakeNode::start().await;
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    for _ in 0..5 {
        client.result("getinfo", json!({}), &rune).await;
        node.restart().await;
        let mut code = Some(0);
        eventually("the node is found again", async || {
            let reply = client.call("getinfo", json!({}), &rune).await;
            code = client::error_code(&reply);
            assert!(matches!(code, None | Some(UNREACHABLE | OUTCOME_UNKNOWN)), "{reply}");
            code.is_none()
        })
        .await;
    }
}

/// The node's end of a call, whatever is wrong with it, is an error or the end of the connection: never an answer.
#[tokio::test]
async fn broken_answers() {
    let node = FakeNode::start().await;
    let half = |text: &str| Answer::Half(text.into());
    let text = |text: &str| Answer::Text(text.into());
    let scripts = [
        ("closes", Answer::Close),
        ("half", half(r#"{"jsonrpc":"2.0","id":$ID,"resu"#)),
        ("half-result", half(r#"{"jsonrpc":"2.0","id":$ID,"result":{"a":[1,2"#)),
        ("half-string", half(r#"{"jsonrpc":"2.0","id":$ID,"result":"abc\"#)),
        ("unclosed", half(r#"{"jsonrpc":"2.0","id":$ID,"result":{}"#)),
        ("garbage", text("HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("binary", text("\u{0}\u{1}\u{2}")),
        ("no-object", text("[1,2]\n\n")),
        ("wrong-id", text("{\"jsonrpc\":\"2.0\",\"id\":\"another\",\"result\":{\"secret\":1}}\n\n")),
        (
            "null-id",
            text("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"x\"}}\n\n"),
        ),
    ];
    for (method, answer) in &scripts {
        node.on(method, answer.clone());
    }
    let (gateway, rune) = Gateway::before(&node).await;
    for (method, _) in &scripts {
        match outcome(&gateway, method, &rune).await {
            Ok(code) => assert_eq!(code, Some(OUTCOME_UNKNOWN), "{method}"),
            Err(end) => assert_eq!(end, End::Clean, "{method}"),
        }
        // And nothing is left of it for the next.
        eventually("the node answers again", async || outcome(&gateway, "getinfo", &rune).await == Ok(None))
            .await;
    }
}

#[tokio::test]
async fn a_reset_connection() {
    let node = FakeNode::start().await;
    node.on("resets", Answer::Reset);
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    let params = json!({"padding": "x".repeat(100_000)});
    let reply = client.call("resets", params, &rune).await;
    assert_eq!(reply["error"]["code"], OUTCOME_UNKNOWN, "{reply}");
    client.result("getinfo", json!({}), &rune).await;
}

/// Calls on the node's other connections go on.
#[tokio::test]
async fn one_broken_call_leaves_the_others() {
    let node = FakeNode::start().await;
    node.on("slow", Answer::Echo.after(Duration::from_millis(500)));
    node.on("closes", Answer::Close);
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    for id in 0..8 {
        client.request(id, get("slow", &rune)).await;
    }
    client.request(100, get("closes", &rune)).await;
    assert_eq!(client.reply(100).await.code(), Some(OUTCOME_UNKNOWN));
    for id in 0..8 {
        assert_eq!(client.reply(id).await.code(), None);
    }
}

/// The envelope is recognised whatever its key order and spacing; what is inside is nobody's business.
#[tokio::test]
async fn envelopes_of_every_shape() {
    let node = FakeNode::start().await;
    let inner = r#"{"id":7,"jsonrpc":"1.0","result":{"error":[]},"s":"}{\"\\","e":"\u00e9"}"#;
    let shapes = [
        format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{inner}}}"#),
        format!(r#"{{"id":$ID,"jsonrpc":"2.0","result":{inner}}}"#),
        format!(r#"{{"id":$ID,"result":{inner},"jsonrpc":"2.0"}}"#),
        format!(r#"{{"result":{inner},"id":$ID,"jsonrpc":"2.0"}}"#),
        format!(r#"{{"result":{inner},"jsonrpc":"2.0","id":$ID}}"#),
        format!("  {{ \"jsonrpc\" : \"2.0\" ,\n\t\"id\" :\r\n $ID , \"result\" : {inner}\n }}  "),
        format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{inner},"extra":{{"id":1,"result":2}}}}"#),
    ];
    for (at, shape) in shapes.iter().enumerate() {
        node.on(&format!("shape{at}"), Answer::Text(format!("{shape}\n\n")));
        // And one with no blank line after it, which is the end of the object all the same.
        node.on(&format!("bare{at}"), Answer::Text(shape.clone()));
    }
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    let expected: Value = serde_json::from_str(inner).unwrap();
    for at in 0..shapes.len() {
        for name in ["shape", "bare"] {
            let method = format!("{name}{at}");
            let id = r#""\u0041/1""#;
            let request = format!(r#"{{"method":"{method}","id":{id},"rune":"{rune}"}}"#);
            let reply = client.ask(request).await;
            let (text, json) = (reply.text(), reply.json());
            assert_eq!(json["result"], expected, "{method}: {text}");
            assert_eq!(json["id"], "A/1", "{method}: {text}");
            assert!(text.contains(id), "{method}: {text}");
            assert!(!text.contains('\n'), "{method}: {text}");
        }
    }
}

/// The id may come after a result so long that most of it has left already.
#[tokio::test]
async fn an_id_behind_a_long_result() {
    let node = FakeNode::start().await;
    let long = "x".repeat(500_000);
    let text = format!(r#"{{"result":"{long}","jsonrpc":"2.0","id":$ID}}"#);
    node.on("last", Answer::Text(text));
    let wrong = format!(r#"{{"result":"{long}","jsonrpc":"2.0","id":"another"}}"#);
    node.on("wrong", Answer::Text(wrong));
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    client.request(1, get("last", &rune)).await;
    let json = client.reply(1).await.json();
    assert_eq!((&json["id"], &json["result"]), (&json!("x"), &json!(long)));
    // Found out too late for an error: the connection ends, and no last part was sent.
    match outcome(&gateway, "wrong", &rune).await {
        Ok(code) => assert_eq!(code, Some(OUTCOME_UNKNOWN)),
        Err(end) => assert_eq!(end, End::Clean),
    }
}

/// Long replies keep their bytes, and leave in parts of 65,000.
#[tokio::test]
async fn long_replies_in_parts() {
    let node = FakeNode::start().await;
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    let frame = r#"{"jsonrpc":"2.0","id":"x","result":""}"#.len();
    for size in [64_999, 65_000, 65_001, 130_000, 130_001, 300_000] {
        node.on("list", Answer::Huge(size - frame));
        client.request(1, get("list", &rune)).await;
        let reply = client.reply(1).await;
        assert_eq!(reply.bytes.len(), size);
        assert!(reply.json()["result"].is_string());
        let full = (size - 1) / 65_000;
        let mut parts = vec![65_000; full];
        parts.push(size - full * 65_000);
        assert_eq!(reply.parts, parts);
    }
}

/// A reply of 40 MB streams: the gateway never holds it, even where the client does not read.
#[tokio::test]
async fn huge_replies_are_not_held() {
    const SIZE: usize = 40 << 20;
    let node = FakeNode::start().await;
    node.on("listchannels", Answer::Huge(SIZE));
    let (gateway, rune) = Gateway::before(&node).await;
    let stream = client::tcp(gateway.address()).await;
    let mut client = Client::over_with(stream, gateway.node_id(), &identity(), 1).await;
    client.init().await;
    client.request(1, get("getinfo", &rune)).await;
    client.reply(1).await;
    let before = gateway.memory();
    client.request(2, get("listchannels", &rune)).await;
    eventually("the reply begins", async || client.next_message().await.is_ok()).await;
    let mut size = 0;
    let mut most = gateway.memory();
    loop {
        let message = client.message().await;
        size += message.len() - 10;
        most = most.max(gateway.memory());
        if client::kind(&message) == client::REPLY_LAST {
            break;
        }
    }
    assert!(size > SIZE - 65_000, "{size}");
    let grown = most.saturating_sub(before);
    assert!(grown < 8 << 20, "grew by {grown} bytes");
}

/// Trouble behind costs nobody his connection or his ping.
#[tokio::test]
async fn a_silent_node_hangs_nothing_else() {
    let node = FakeNode::start().await;
    node.on("silent", Answer::Never);
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    client.request(1, get("silent", &rune)).await;
    for _ in 0..5 {
        client.result("getinfo", json!({}), &rune).await;
    }
    client.ping(1).await;
    assert_eq!(client.pong().await, 1);
}

/// A node that takes calls and answers none is as good as down, and said to be so in bounded time.
#[tokio::test]
async fn a_node_that_hangs_from_the_start() {
    let node = FakeNode::start().await;
    node.on("getinfo", Answer::Never);
    node.on("echo", Answer::Echo);
    let (gateway, rune) = Gateway::with_rune(Setup::fake(&node)).await;
    assert_eq!(gateway.ready.node, "down");
    let mut client = Client::connect(&gateway).await;
    let reply = client.call("echo", json!({}), &rune).await;
    assert_eq!(reply["error"]["code"], UNREACHABLE, "{reply}");
    assert_eq!(node.calls("echo"), 0);
    node.on("getinfo", Answer::result(getinfo(NODE_ID)));
    eventually("the node is found", async || {
        let reply = client.call("echo", json!({}), &rune).await;
        reply.get("result").is_some()
    })
    .await;
}

/// What the gateway asks for itself may be answered at any length, and spoils no call.
#[tokio::test]
async fn an_endless_help() {
    let node = FakeNode::start().await;
    node.on("help", Answer::Huge(20_000_000));
    node.on("listinvoices", Answer::result(json!({"invoices": []})));
    let (gateway, rune) = Gateway::before(&node).await;
    assert_eq!(gateway.ready.node, "up");
    for _ in 0..20 {
        assert_eq!(outcome(&gateway, "listinvoices", &rune).await, Ok(None));
    }
}

/// The socket's path leads to another node, and nobody has told us.
#[tokio::test]
async fn another_node_is_never_asked() {
    let (ours, other) = (FakeNode::start().await, FakeNode::start().await);
    let other_id = format!("02{}", &NODE_ID[2..]);
    other.on("getinfo", Answer::result(getinfo(&other_id)));
    other.on("listinvoices", Answer::result(json!({"invoices": ["another's"]})));
    ours.on("listinvoices", Answer::result(json!({"invoices": []})));
    let path = ours.dir().join("link");
    std::os::unix::fs::symlink(ours.socket(), &path).unwrap();
    let (gateway, rune) = Gateway::with_rune(Setup::cln(&path)).await;
    let mut client = Client::connect(&gateway).await;
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(other.socket(), &path).unwrap();
    // More at once than there are sockets from before.
    for id in 0..16 {
        client.request(id, get("listinvoices", &rune)).await;
    }
    let mut refused = 0;
    for id in 0..16 {
        let reply = client.reply(id).await;
        match reply.code() {
            None => assert_eq!(reply.json()["result"]["invoices"], json!([])),
            Some(code) => {
                assert_eq!(code, 19540, "{}", reply.text());
                assert!(reply.text().contains("now leads to node"), "{}", reply.text());
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "no new socket was needed");
    assert_eq!(other.calls("listinvoices"), 0);
}
