//! The rules that real clients impose (each was seen to break one), a test for each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use runeward_tests::client::{self, INIT, PING, REPLY_LAST, identity, kind};
use runeward_tests::{Answer, Client, End, FakeNode, Gateway, Setup, eventually, stream};
use serde_json::{Value, json};

fn get(id: &str, method: &str, rune: &str) -> String {
    client::request(&json!(id), method, &json!({}), rune)
}

/// Rule 1.
#[tokio::test]
async fn act_two_leaves_as_one_write() {
    let (gateway, _) = Gateway::demo().await;
    // A write cut in two would not always be read in two.
    for _ in 0..10 {
        let (tcp, pieces) = stream::tapped_tcp(gateway.address()).await;
        let _client = Client::over(tcp, gateway.node_id(), &identity()).await;
        assert_eq!(pieces.sizes()[0], 50);
    }
}

/// Rule 1.
#[tokio::test]
async fn act_two_leaves_as_one_frame() {
    let (gateway, _) = Gateway::demo().await;
    let (socket, pieces) = stream::websocket(gateway.address(), "/", 65_000).await;
    let _client = Client::over(socket, gateway.node_id(), &identity()).await;
    assert_eq!(pieces.sizes()[0], 50);
}

/// Rule 2: lnmessage waits for our init before it says anything.
#[tokio::test]
async fn init_follows_act_three_unasked() {
    let (gateway, _) = Gateway::demo().await;
    let mut tcp = Client::handshake(&gateway, &identity()).await;
    assert_eq!(kind(&tcp.message().await), INIT);
    let (socket, _) = stream::websocket(gateway.address(), "/", 65_000).await;
    let mut websocket = Client::over(socket, gateway.node_id(), &identity()).await;
    assert_eq!(kind(&websocket.message().await), INIT);
}

/// Rule 3.
#[tokio::test]
async fn any_path_is_a_websocket() {
    let (gateway, rune) = Gateway::demo().await;
    let long = format!("/{}", "x".repeat(1000));
    for path in ["/", "/any/path?x=1", "/%7Ename/..", "//", &long] {
        let (socket, _) = stream::websocket(gateway.address(), path, 65_000).await;
        let mut client = Client::over(socket, gateway.node_id(), &identity()).await;
        client.init().await;
        let info = client.result("getinfo", json!({}), &rune).await;
        assert!(info["id"].is_string(), "{path}");
    }
}

/// Rule 4.
#[tokio::test]
async fn pings_are_answered_while_calls_pend() {
    let node = FakeNode::start().await;
    node.on("waitanyinvoice", Answer::Never);
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    for id in 0..16 {
        client.request(id, get("w", "waitanyinvoice", &rune)).await;
    }
    eventually("16 calls run", async || node.calls("waitanyinvoice") == 16).await;
    for size in [0, 1, 1000, 65_531] {
        client.ping(size).await;
        assert_eq!(client.pong().await, usize::from(size));
    }
}

/// Rule 4: also where more calls are asked for than run side by side.
#[tokio::test]
async fn pings_are_answered_behind_calls_that_wait_their_turn() {
    let node = FakeNode::start().await;
    node.on("slow", Answer::Never);
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    for id in 0..40 {
        client.request(id, get("w", "slow", &rune)).await;
    }
    client.ping(7).await;
    assert_eq!(client.pong().await, 7);
}

/// Rule 5.
#[tokio::test]
async fn own_methods_answer_with_objects() {
    let (gateway, rune) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let other = gateway.rune(&["method=getinfo"]).await;
    for (method, params) in [
        ("createrune", json!({})),
        ("invokerune", json!({"restrictions": [["method=getinfo"]]})),
        ("showrunes", json!({})),
        ("checkrune", json!({"rune": other, "method": "getinfo"})),
        ("blacklistrune", json!({"start": 1, "end": 2})),
        ("blacklistrune", json!({})),
        ("destroyrune", json!({"start": 5})),
    ] {
        let result = client.result(method, params, &rune).await;
        assert!(result.is_object(), "{method}: {result}");
    }
}

/// Rule 6: a daemon that stops in the middle of a long reply ends it at a message's end.
#[tokio::test]
async fn connections_close_between_whole_messages() {
    let node = FakeNode::start().await;
    node.on("listchannels", Answer::Huge(1 << 30));
    let (gateway, rune) = Gateway::before(&node).await;
    let address = gateway.address();
    let tcp = client::tcp(address).await;
    let (websocket, _) = stream::websocket(address, "/", 65_000).await;
    // They read no further than a few messages, so that replies are under way when the daemon stops.
    let mut clients = [
        Client::over_with(tcp, gateway.node_id(), &identity(), 4).await,
        Client::over_with(websocket, gateway.node_id(), &identity(), 4).await,
    ];
    for client in &mut clients {
        client.init().await;
        client.request(1, get("x", "listchannels", &rune)).await;
        client.message().await;
    }
    gateway.terminate().await;
    for client in &mut clients {
        let mut last = false;
        let end = loop {
            match client.next_message().await {
                Ok(message) => last |= kind(&message) == REPLY_LAST,
                Err(end) => break end,
            }
        };
        assert_eq!(end, End::Clean);
        assert!(!last, "a cut reply is never given a last part");
    }
}

/// Rule 7.
#[tokio::test]
async fn calls_in_flight_get_an_error_when_the_daemon_stops() {
    let node = FakeNode::start().await;
    node.on("slow", Answer::Never);
    let (mut gateway, rune) = Gateway::before(&node).await;
    let mut tcp = Client::connect(&gateway).await;
    let mut websocket = Client::websocket(&gateway).await;
    for id in 0..20 {
        let request = client::request(&json!(id), "slow", &json!({}), &rune);
        tcp.request(id, &request).await;
        websocket.request(id, &request).await;
    }
    eventually("32 calls run", async || node.calls("slow") >= 32).await;
    gateway.terminate().await;
    for client in [&mut tcp, &mut websocket] {
        let mut codes = Vec::new();
        let end = loop {
            match client.next_reply().await {
                Ok(reply) => {
                    assert_eq!(reply.json()["id"], json!(reply.id));
                    codes.push(reply.code());
                }
                Err(end) => break end,
            }
        };
        assert_eq!(end, End::Clean);
        // Sent and lost; the rest was never sent.
        let lost = codes.iter().filter(|code| **code == Some(19541)).count();
        let unsent = codes.iter().filter(|code| **code == Some(19543)).count();
        assert_eq!((lost, unsent), (16, 4), "{codes:?}");
    }
    assert_eq!(gateway.exited().await, 0);
}

/// Rule 8.
#[tokio::test]
async fn a_restart_is_back_within_two_seconds() {
    let node = FakeNode::start().await;
    node.on("waitanyinvoice", Answer::Never);
    node.on("listchannels", Answer::Huge(1 << 30));
    let (mut gateway, rune) = Gateway::before(&node).await;
    let (address, node_id) = (gateway.address(), gateway.node_id().to_owned());
    // The best of three: the machine may be busy with other tests.
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let mut waiting = Client::connect(&gateway).await;
        let before = node.calls("waitanyinvoice");
        waiting.request(1, get("w", "waitanyinvoice", &rune)).await;
        eventually("the call runs", async || node.calls("waitanyinvoice") > before).await;
        // Neither those that have said nothing yet hold it up, nor one that does not read.
        let _silent = client::tcp(address).await;
        let _upgraded = stream::websocket(address, "/", 65_000).await;
        let mut slow = Client::over_with(client::tcp(address).await, &node_id, &identity(), 1).await;
        slow.init().await;
        slow.request(1, get("x", "listchannels", &rune)).await;
        slow.message().await;
        let start = Instant::now();
        gateway = gateway.restart().await;
        let mut client = Client::connect(&gateway).await;
        client.result("getinfo", json!({}), &rune).await;
        best = best.min(start.elapsed());
        assert_eq!(gateway.address(), address);
        assert_eq!(gateway.node_id(), node_id);
    }
    assert!(best < Duration::from_secs(2), "{best:?}");
}

/// Rule 9: clients keep half a reply by its id, so what was cut is never continued.
#[tokio::test]
async fn a_cut_reply_is_never_continued() {
    let node = FakeNode::start().await;
    node.on("listchannels", Answer::HalfHuge(500_000));
    let (gateway, rune) = Gateway::before(&node).await;
    let me = identity();
    let mut client = Client::connect_as(&gateway, &me).await;
    client.request(5, get("x", "listchannels", &rune)).await;
    let end = client.next_reply().await.expect_err("no whole reply");
    assert_eq!(end, End::Clean);
    assert!(client.begun(5) > 0);

    node.on("listchannels", Answer::Huge(500_000));
    let mut client = Client::connect_as(&gateway, &me).await;
    client.request(5, get("x", "listchannels", &rune)).await;
    let reply = client.reply(5).await;
    assert_eq!(reply.json()["result"].as_str().unwrap().len(), 500_000);
}

/// Rule 10: lnsocket uses id 0 and JSON id `"d0"` for all it asks.
#[tokio::test]
async fn one_id_may_be_used_again_and_again() {
    let (gateway, rune) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    for method in ["getinfo", "listinvoices", "nosuchmethod", "getinfo"] {
        client.request(0, get("d0", method, &rune)).await;
        let reply = client.reply(0).await.json();
        assert_eq!(reply["id"], "d0");
        assert_eq!(reply["error"].is_object(), method == "nosuchmethod");
    }
}

/// Rule 10: what is asked twice under one id is answered in the order asked, others overtake.
#[tokio::test]
async fn one_id_twice_in_flight_is_answered_in_order() {
    let node = FakeNode::start().await;
    node.on("slow", Answer::result(json!("slow")).after(Duration::from_millis(700)));
    node.on("quick", Answer::result(json!("quick")));
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    client.request(0, get("first", "slow", &rune)).await;
    client.request(0, get("second", "quick", &rune)).await;
    client.request(0, get("third", "nosuchmethod", "AAAA")).await;
    client.request(9, get("other", "quick", &rune)).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        let reply = client.next_reply().await.unwrap();
        let json = reply.json();
        let what = json["id"].as_str().unwrap_or("refused").to_owned();
        order.push((reply.id, what));
    }
    let expected = [(9, "other"), (0, "first"), (0, "second"), (0, "refused")];
    assert_eq!(order, expected.map(|(id, what)| (id, what.to_owned())));
}

/// Rule 10: parts of one reply are never mixed with parts of another under the same id.
#[tokio::test]
async fn parts_under_one_id_are_never_mixed() {
    let node = FakeNode::start().await;
    for letter in ["a", "b", "c"] {
        let answer = Answer::result(json!(letter.repeat(300_000)));
        node.on(&format!("list{letter}"), answer);
    }
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    for letter in ["a", "b", "c"] {
        let request = get(letter, &format!("list{letter}"), &rune);
        client.request(0, request).await;
    }
    for letter in ["a", "b", "c"] {
        let reply = client.reply(0).await;
        assert_eq!(reply.parts[..4], [65_000; 4]);
        let json = reply.json();
        assert_eq!(json["id"], letter);
        assert_eq!(json["result"], Value::from(letter.repeat(300_000)));
    }
}

/// Several runes may be used on one connection, each for what it allows.
#[tokio::test]
async fn several_runes_on_one_connection() {
    let (gateway, _) = Gateway::demo().await;
    let runes = [gateway.rune(&["method=getinfo"]).await, gateway.rune(&["method=listinvoices"]).await];
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        for (at, rune) in runes.iter().enumerate() {
            for (which, method) in ["getinfo", "listinvoices"].into_iter().enumerate() {
                let reply = client.call(method, json!({}), rune).await;
                assert_eq!(reply.get("result").is_some(), at == which, "{reply}");
            }
        }
    }
}

/// Rule 11: Zeus splits replies on newlines.
#[tokio::test]
async fn no_newline_in_replies() {
    let node = FakeNode::start().await;
    let pretty = "{\n  \"jsonrpc\": \"2.0\",\r\n\t\"id\": $ID,\n  \"result\": {\n    \"a\": [\n      1,\n\n      \"x\\ny\"\n    ]\n  }\n}\n\n";
    node.on("pretty", Answer::Text(pretty.into()));
    let failure =
        "{\n  \"error\": {\n    \"code\": -1,\n    \"message\": \"two\\nlines\"\n  },\n  \"id\": $ID\n}\n\n";
    node.on("failure", Answer::Text(failure.into()));
    let (gateway, rune) = Gateway::before(&node).await;
    let mut client = Client::connect(&gateway).await;
    let requests = [
        get("1", "pretty", &rune),
        get("1", "failure", &rune),
        get("1", "getinfo", &rune),
        get("1", "two\nlines", &rune),
        get("1", "showrunes", &rune),
        get("1", "batching", &rune),
        get("1", "getinfo", "AAAA"),
        "\n\n".into(),
    ];
    let mut replies = Vec::new();
    for request in requests {
        let reply = client.ask(request).await;
        let breaks = reply.bytes.iter().filter(|byte| b"\n\r".contains(byte));
        assert_eq!(breaks.count(), 0, "{}", reply.text());
        replies.push(reply.json());
    }
    assert_eq!(replies[0]["result"], json!({"a": [1, "x\ny"]}));
    assert_eq!(replies[1]["error"]["message"], "two\nlines");
    assert_eq!(replies[3]["error"]["code"], -32601);
}

/// A newline counts as any other byte of white space in a request.
#[tokio::test]
async fn requests_may_hold_newlines() {
    let (gateway, rune) = Gateway::demo().await;
    let mut client = Client::connect(&gateway).await;
    let text = get("1", "getinfo", &rune).replace(',', ",\n\t ") + "\n\n";
    assert!(client.ask(text).await.json()["result"].is_object());
}

/// A peer that leaves our pings unanswered, as lnsocket does, is kept while it is otherwise active.
/// (The ping of an idle peer after 60 s is watched in `conformance.rs`.)
#[tokio::test]
async fn a_ping_is_not_answered_with_anything_else() {
    let (gateway, rune) = Gateway::with_rune(Setup::demo()).await;
    let mut client = Client::connect(&gateway).await;
    // 65,532 and above must not be answered.
    client.ping(65_532).await;
    client.ping(u16::MAX).await;
    let mut padded = PING.to_be_bytes().to_vec();
    padded.extend([0, 3, 0, 4, 1, 2, 3, 4]);
    client.send(&padded).await;
    assert_eq!(client.pong().await, 3);
    client.result("getinfo", json!({}), &rune).await;
}
