//! Requests: read once and strictly, refused in a fixed order, passed on as they were checked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use runeward_tests::invoices::{LIMIT, answered, before_invoices, listinvoices, refusal};
use runeward_tests::{Answer, Client};
use serde_json::{Value, json};

/// The refusals are tested in this order: each request below has every later fault too.
#[tokio::test]
async fn refusals_in_order() {
    let (_node, gateway, rune) = before_invoices().await;
    let narrow = gateway.rune(&["method=getinfo"]).await;
    let mut client = Client::connect(&gateway).await;
    let cases = [
        ("{", 19536, "Invalid JSON"),
        ("[]", 19536, "Not a JSON object"),
        ("5", 19536, "Not a JSON object"),
        (r#"{"params":5}"#, 19536, "No method"),
        (r#"{"method":"x","params":5}"#, 19536, "Params must be object or array"),
        (r#"{"method":"x"}"#, 19536, "missing id field"),
        (r#"{"method":"x","id":{},"rune":"AAAA"}"#, 19536, "missing id field"),
        (r#"{"method":"x","id":[1],"rune":"AAAA"}"#, 19536, "missing id field"),
        (r#"{"method":"x","id":1}"#, 19536, "Missing rune"),
        (r#"{"method":"x","id":1,"rune":"AAAA"}"#, 19536, "Invalid rune"),
        (r#"{"method":"x","id":1,"rune":[]}"#, 19536, "Invalid rune"),
    ];
    for (request, code, message) in cases {
        let reply = client.ask(request).await;
        assert_eq!(reply.text(), refusal(code, message), "{request}");
    }
    // A rune's refusal, and only then the filter's.
    let filtered = |rune: &str| format!(r#"{{"method":"listinvoices","id":1,"rune":"{rune}","filter":"x"}}"#);
    let refused = "Invalid rune: Not permitted: method is not equal to getinfo";
    assert_eq!(client.ask(filtered(&narrow)).await.text(), refusal(19537, refused));
    let reply = client.ask(filtered(&rune)).await;
    assert_eq!(reply.json()["error"]["code"], -32602);
    assert_eq!(reply.json()["id"], 1);
}

/// Stricter than the node: none of these is JSON.
#[tokio::test]
async fn strictly_json() {
    let (node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    let params =
        |params: &str| format!(r#"{{"method":"listinvoices","id":1,"rune":"{rune}","params":{params}}}"#);
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        params(&format!("{open}{close}"))
    };
    let good = params("{}");
    let cases = [
        format!("{good}x"),
        format!("{good}{good}"),
        format!("{good},"),
        good.replace("{}}", "{},}"),
        params("[1,]"),
        params(r#"{"a":1,}"#),
        params(r#"{"a":1,"a":1}"#),
        params(r#"{"a":1,"\u0061":2}"#),
        params(r#"[{"b":{"c":[{"d":1,"d":2}]}}]"#),
        good.replace("\"id\":1", "\"id\":1,\"id\":1"),
        good.replace("\"id\":1", "\"id\":1,\"unknown\":{\"x\":1,\"x\":1}"),
        good.replace("\"id\":1", "\"id\":1,\"method\":\"getinfo\""),
        good.replace("\"id\":1", "\"id\":1,\"\\u006dethod\":\"getinfo\""),
        deep(64),
        "[".repeat(1_000_000),
        "{\"a\":".repeat(100_000),
        params("[01]"),
        params("[+1]"),
        params("[0x10]"),
        params("[.5]"),
        params("[1.]"),
        params("[NaN]"),
        params("['a']"),
        params("[\"\t\"]"),
        params(r#"["\x41"]"#),
        params(r#"["\ud800"]"#),
        params("[True]"),
        params("[nul]"),
        params("/**/{}"),
        good.replace(':', "="),
        format!("\u{feff}{good}"),
        String::new(),
        "\0".into(),
    ];
    for request in cases {
        let reply = client.ask(&request).await;
        assert_eq!(reply.text(), refusal(19536, "Invalid JSON"), "{request}");
    }
    let mut not_utf8 = good.clone().into_bytes();
    let at = not_utf8.iter().position(|byte| *byte == b'l').unwrap();
    not_utf8[at] = 0xff;
    let reply = client.ask(not_utf8).await;
    assert_eq!(reply.text(), refusal(19536, "Invalid JSON"));
    assert_eq!(node.calls("listinvoices"), 0);

    // The object itself is the first of 64 levels.
    for request in [deep(63), format!(" \r\n\t{good} \r\n\t")] {
        let reply = client.ask(&request).await;
        assert_eq!(reply.json()["result"], json!({"invoices": []}), "{request}");
    }
}

/// A method that is no name is unknown, and its text comes back escaped.
#[tokio::test]
async fn methods_that_are_no_names() {
    let (node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    let before = node.requests().len();
    let long = "a".repeat(65);
    for method in ["", "get info", "GetInfo", "a/b", "a\"b\\c\n\u{1}", "é", &long] {
        let reply = client.call(method, json!({}), &rune).await;
        assert_eq!(reply["error"]["code"], -32601, "{reply}");
        assert_eq!(reply["jsonrpc"], "2.0");
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("Unknown command '"), "{message}");
    }
    for method in ["5", "null", "true", "[]", "{}", "1e3"] {
        let request = format!(r#"{{"method":{method},"id":1,"rune":"{rune}"}}"#);
        let reply = client.ask(request).await;
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32601,"message":"Unknown command '{method}'"}}}}"#
        );
        assert_eq!(reply.text(), text);
    }
    let known_to_the_node: Vec<String> =
        node.requests()[before..].iter().filter(|text| !text.contains("\"getinfo\"")).cloned().collect();
    assert_eq!(known_to_the_node, Vec::<String>::new());
    // The longest name there can be is the node's to know.
    let reply = client.call(&"a".repeat(64), json!({}), &rune).await;
    assert_eq!(reply["error"]["code"], -32601);
    assert_eq!(node.calls(&"a".repeat(64)), 1);
}

#[tokio::test]
async fn what_is_never_forwarded() {
    let (node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    for method in ["batching", "notifications", "deprecations"] {
        node.on(method, Answer::result(json!({})));
        let reply = client.call(method, json!({"enable": true}), &rune).await;
        assert_eq!(reply["error"]["code"], 19546, "{reply}");
        assert!(reply["error"]["message"].is_string());
        assert_eq!(reply["jsonrpc"], "2.0");
        assert_eq!(node.calls(method), 0);
    }
    let narrow = gateway.rune(&["method=getinfo"]).await;
    let reply = client.call("batching", json!({}), &narrow).await;
    assert_eq!(reply["error"]["code"], 19537, "the rune comes first");
}

/// The node gets the serialisation of what was checked, never the client's bytes.
#[tokio::test]
async fn the_node_gets_what_was_checked() {
    let (node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    let params = r#"{ "labe\u006c" : "\u0061\/\u00e9\ud83d\ude00\"\\\n\u0000" ,
        "n" : [ 1e3 , 1.50, -0, 1E+2, 123456789012345678901234567890, 0.1000 ] , "o" : { "z":null,"a":true } }"#;
    let request = format!(
        r#"{{"rune":"{rune}","extra":[1],"params":{params},"filter":{{"invoices":[{{"label":true}}]}},"id":"x","method":"list\u0069nvoices"}}"#
    );
    assert_eq!(client.ask(request).await.text(), r#"{"jsonrpc":"2.0","id":"x","result":{"invoices":[]}}"#);
    let sent = node.requests_for("listinvoices");
    assert_eq!(sent.len(), 1);
    let sent = &sent[0];
    // Numbers keep their text; keys keep their order; nothing is spaced.
    for piece in [
        r#""method":"listinvoices""#,
        r#""params":{"label":"a/"#,
        r#""n":[1e3,1.50,-0,1E+2,123456789012345678901234567890,0.1000]"#,
        r#""o":{"z":null,"a":true}"#,
        r#""filter":{"invoices":[{"label":true}]}"#,
    ] {
        assert!(sent.contains(piece), "no {piece} in {sent}");
    }
    let value: Value = serde_json::from_str(sent).unwrap();
    assert_eq!(value["params"]["label"], "a/é😀\"\\\n\0");
    // Neither the rune nor what we do not know goes to the node.
    for member in ["rune", "extra"] {
        assert!(value.get(member).is_none(), "{member} in {sent}");
    }
    assert_ne!(value["id"], "x");
}

/// Params in an array reach the node as an array; absent ones as none.
#[tokio::test]
async fn params_keep_their_shape() {
    let (node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    client.call("listinvoices", json!(["a", null, 3]), &rune).await;
    let request = format!(r#"{{"method":"listinvoices","id":1,"rune":"{rune}"}}"#);
    client.ask(request).await;
    let sent: Vec<Value> =
        node.requests_for("listinvoices").iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(sent[0]["params"], json!(["a", null, 3]));
    let none = &sent[1]["params"];
    assert!(*none == json!({}) || *none == json!([]) || none.is_null(), "{none}");
}

/// The id comes back as it was written, in successes, node errors and refusals that carry one.
#[tokio::test]
async fn the_id_comes_back_verbatim() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    let long = format!("\"{}\"", "x".repeat(10_000));
    let ids = [
        "0",
        "-7",
        "1.50",
        "1e3",
        "1E+2",
        "-0",
        "null",
        "true",
        "\"\"",
        r#""\u00e9\/\n\u0000""#,
        "123456789012345678901234567890",
        "\"é中😀\"",
        &long,
    ];
    for id in ids {
        for (method, end) in [
            ("listinvoices", r#""result":{"invoices":[]}}"#),
            ("nosuchmethod", r#""error":{"code":-32601,"message":"Unknown command 'nosuchmethod'"}}"#),
        ] {
            let request = format!(r#"{{"id":{id},"method":"{method}","rune":"{rune}"}}"#);
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},{end}"#);
            assert_eq!(client.ask(request).await.text(), text);
        }
        let request = format!(r#"{{"id":{id},"method":"batching","rune":"{rune}"}}"#);
        let text = client.ask(request).await.text().to_owned();
        assert!(text.contains(&format!("\"id\":{id},")), "{text}");
    }
}

/// What takes long to read would hold up everyone: the worst requests are judged in no time.
#[tokio::test]
async fn the_worst_requests_are_read_fast() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    // Keys are compared with each other, escapes read one by one.
    let keys: Vec<String> = (0..19_000).map(|key| format!("\"\\u006b{key:05}\":1")).collect();
    for params in [format!("{{{}}}", keys.join(",")), format!("[\"{}\"]", "\\n".repeat(500_000))] {
        let request = format!(r#"{{"id":"1","method":"listinvoices","rune":"{rune}","params":{params}}}"#);
        assert!(request.len() < LIMIT);
        let start = std::time::Instant::now();
        assert_eq!(client.ask(request).await.text(), answered("1"));
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

/// A rune is at most 8 KiB; what is longer is none.
#[tokio::test]
async fn giant_runes_are_refused() {
    let (_node, gateway, rune) = before_invoices().await;
    let mut client = Client::connect(&gateway).await;
    for bytes in [8_193, 100_000, 900_000] {
        let giant = rune.trim_end_matches('=').to_owned() + &"A".repeat(bytes);
        let reply = client.ask(listinvoices("1", &giant)).await;
        assert_eq!(reply.text(), refusal(19536, "Invalid rune"));
    }
}
