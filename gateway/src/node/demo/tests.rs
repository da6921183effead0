//! Over a real UNIX socket, against what a real lightningd v26.06.6 was recorded to answer.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::frame::MAX_REQUEST;
use super::*;

mod datastore;
mod graph;
mod invoices;
mod messages;
mod offers;
mod payments;
mod restart;
mod runes;
mod waiting;
mod wallet;

struct Client(UnixStream);

impl Client {
    async fn new(node: &DemoNode) -> Self {
        Self(UnixStream::connect(node.socket()).await.unwrap())
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next reply, to the byte.
    async fn reply(&mut self) -> String {
        let mut reply = Vec::new();
        while !reply.ends_with(b"\n\n") {
            reply.push(self.0.read_u8().await.unwrap());
        }
        reply.truncate(reply.len() - 2);
        String::from_utf8(reply).unwrap()
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(&request.to_string()).await;
        serde_json::from_str(&self.reply().await).unwrap()
    }

    async fn result(&mut self, method: &str, params: Value) -> Value {
        let mut reply = self.call(method, params).await;
        assert_eq!(reply["error"], Value::Null);
        reply["result"].take()
    }

    /// Has a simulated peer pay the invoice; whether it could.
    async fn peer_pays(&mut self, label: &str) -> bool {
        self.call("dev-peerpays", json!([label])).await["result"].is_object()
    }

    async fn error(&mut self, method: &str, params: Value) -> Value {
        self.call(method, params).await["error"].take()
    }
}

async fn start(dir: &TempDir, channels: usize) -> DemoNode {
    DemoNode::start(options(dir, channels)).await.unwrap()
}

fn options(dir: &TempDir, channels: usize) -> Options {
    Options { dir: dir.path().to_owned(), channels, payers: false }
}

fn id(node: &DemoNode) -> &str {
    node.node.id()
}

async fn demo() -> (TempDir, DemoNode, Client) {
    let dir = TempDir::new().unwrap();
    let node = start(&dir, 8).await;
    let client = Client::new(&node).await;
    (dir, node, client)
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn getinfo_has_the_recorded_members() {
    let (_dir, node, mut client) = demo().await;
    let info = client.result("getinfo", json!({})).await;
    assert_eq!(
        keys(&info),
        [
            "id",
            "alias",
            "color",
            "num_peers",
            "num_pending_channels",
            "num_active_channels",
            "num_inactive_channels",
            "address",
            "binding",
            "version",
            "blockheight",
            "network",
            "fees_collected_msat",
            "lightning-dir",
            "our_features"
        ]
    );
    assert_eq!(info["id"], id(&node));
    assert_eq!(info["network"], "regtest");
}

#[tokio::test]
async fn help_shows_signatures() {
    let (_dir, _node, mut client) = demo().await;
    let command = "invoice amount_msat label description [expiry] [fallbacks] [preimage] \
                   [exposeprivatechannels] [cltv] [deschashonly] [dev-routes]";
    assert_eq!(
        client.result("help", json!(["invoice"])).await,
        json!({"help": [{"command": command}], "format-hint": "simple"})
    );
    assert_eq!(
        client.error("help", json!(["nosuch"])).await,
        json!({"code": -32601, "message": "Unknown command nosuch"})
    );
    let all = client.result("help", json!({})).await;
    assert!(all["help"].as_array().unwrap().contains(&json!({"command": "getinfo "})));
}

#[tokio::test]
async fn ids_come_back_as_they_were_written() {
    let (_dir, _node, mut client) = demo().await;
    for id in [
        "\"abc\"",
        "42",
        "0",
        "-7",
        "1.50",
        "1e3",
        "123456789012345678901234567890",
        "true",
        "null",
        "\"\"",
        "\"a\\\"b\\\\c\\nd\\/e\"",
        "\"é中😀\"",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"a\\u0000b\"",
    ] {
        let call = |method| {
            format!("{{\"jsonrpc\":\"2.0\",\"id\" : {id} ,\"method\":\"{method}\",\"params\":{{}}}}")
        };
        client.send(&call("listinvoices")).await;
        assert_eq!(
            client.reply().await,
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"invoices\":[]}}}}")
        );
        client.send(&call("nosuchmethod")).await;
        assert_eq!(
            client.reply().await,
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32601,\
                 \"message\":\"Unknown command 'nosuchmethod'\"}}}}"
            )
        );
    }
}

#[tokio::test]
async fn malformed_requests_are_answered_and_forgotten() {
    let (_dir, _node, mut client) = demo().await;
    for (request, id, message) in [
        ("[]", "null", "Expected {} for json command"),
        (r#"{"jsonrpc":"2.0","method":"getinfo","params":[]}"#, "null", "No id"),
        (
            r#"{"id":{},"jsonrpc":"2.0","method":"getinfo","params":[]}"#,
            "null",
            "Expected string/primitive for id",
        ),
        (
            r#"{"id":1,"method":"getinfo","params":[]}"#,
            "null",
            "jsonrpc: \"2.0\" must be specified in the request",
        ),
        (r#"{"id":1,"jsonrpc":"2.0","params":[]}"#, "1", "No method"),
        (r#"{"id":1,"jsonrpc":"2.0","method":"getinfo"}"#, "1", "No params"),
        (r#"{"id":1,"jsonrpc":"2.0","method":12,"params":[]}"#, "1", "Expected string for method"),
    ] {
        client.send(request).await;
        let error = json!({"code": -32600, "message": message});
        assert_eq!(client.reply().await, format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}"));
    }
    client.result("getinfo", json!({})).await;
}

#[tokio::test]
async fn invalid_json_ends_the_connection() {
    let (_dir, node, _client) = demo().await;
    let too_long = format!("{{\"a\":\"{}", "x".repeat(MAX_REQUEST));
    for bytes in ["nonsense", "{\"id\":1,}", too_long.as_str()] {
        let mut client = Client::new(&node).await;
        // The node may close before it has read everything.
        let _ = client.0.write_all(bytes.as_bytes()).await;
        let reply: Value = serde_json::from_str(&client.reply().await).unwrap();
        assert_eq!(reply["id"], Value::Null);
        assert_eq!(reply["error"]["code"], -32600);
        let message = match bytes.len() {
            ..MAX_REQUEST => format!("Invalid token in json input: '{}'", state::hex(bytes.as_bytes())),
            _ => "Request too long".to_owned(),
        };
        assert_eq!(reply["error"]["message"], message);
        assert!(!matches!(client.0.read(&mut [0]).await, Ok(1..)));
    }
}

#[tokio::test]
async fn arguments_are_refused_in_the_recorded_words() {
    let (_dir, _node, mut client) = demo().await;
    let unknown = |name| {
        format!(
            "unknown parameter: {name}, this may be caused by a failure to autodetect \
             key=value-style parameters. Please try using the -k flag and explicit key=value \
             pairs of parameters."
        )
    };
    let invalid = |what| format!("{what}: invalid token (see logs for details)");
    let full = json!({"amount_msat": 1, "label": "l", "description": "d", "nosuch": 1});
    for (method, params, message) in [
        ("getinfo", json!([1]), "too many parameters: got 1, expected 0".to_owned()),
        ("getinfo", json!([1, 2]), "too many parameters: got 2, expected 0".to_owned()),
        ("getinfo", json!({"x": 1}), unknown("x")),
        ("invoice", full, unknown("nosuch")),
        ("invoice", json!({"label": "l"}), "missing required parameter: amount_msat".to_owned()),
        (
            "invoice",
            json!({"amount_msat": "x", "label": "l", "description": "d"}),
            invalid("amount_msat: should be positive msat or 'any'"),
        ),
        ("listpeers", json!({"id": "zz"}), invalid("id: should be a node id")),
        ("decode", json!(["nonsense"]), invalid("string: Unparsable string")),
        ("decode", json!([]), "missing required parameter: string".to_owned()),
    ] {
        let error = json!({"code": -32602, "message": message});
        assert_eq!(client.error(method, params).await, error, "{method}");
    }
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let (_dir, node, mut client) = demo().await;
    let mut text = String::new();
    for id in 0..200 {
        let (method, params) = match id {
            3 => ("waitanyinvoice", json!({"timeout": 1})),
            _ if id % 2 == 0 => ("getinfo", json!({})),
            _ => ("listchannels", json!({})),
        };
        let request = json!({"id": id, "jsonrpc": "2.0", "method": method, "params": params});
        text.push_str(&request.to_string());
    }
    client.send(&text).await;
    for id in 0..200 {
        let reply: Value = serde_json::from_str(&client.reply().await).unwrap();
        assert_eq!(reply["id"], id);
    }
    drop(node);
    assert!(client.0.read_u8().await.is_err());
}

#[tokio::test]
async fn a_request_may_come_in_pieces() {
    let (_dir, _node, mut client) = demo().await;
    let request = "{\"id\":\"}{\",\"jsonrpc\":\"2.0\",\"method\":\"listinvoices\",\"params\":[]} \n";
    for byte in request.chars() {
        client.send(&byte.to_string()).await;
        tokio::task::yield_now().await;
    }
    assert!(client.reply().await.ends_with("\"result\":{\"invoices\":[]}}"));
    let label = "x".repeat(MAX_REQUEST / 2);
    let listed = client.result("listinvoices", json!({ "label": label })).await;
    assert_eq!(listed, json!({"invoices": []}));
}

#[tokio::test]
async fn the_node_id_outlives_the_process() {
    let dir = TempDir::new().unwrap();
    let node = start(&dir, 8).await;
    let before = id(&node).to_owned();
    for (file, mode) in [("lightning-rpc", 0o600), ("demo-node-key", 0o600)] {
        let metadata = std::fs::metadata(dir.path().join(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
    }
    let options = options(&dir, 8);
    let busy = DemoNode::start(options.clone()).await.unwrap_err();
    assert_eq!(busy.kind(), io::ErrorKind::AddrInUse);
    // A process that dies leaves its socket behind.
    let socket = node.socket().to_owned();
    drop(node);
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let node = DemoNode::start(options.clone()).await.unwrap();
    assert_eq!(id(&node), before);
    Client::new(&node).await.result("getinfo", json!({})).await;
    drop(node);
    let key = dir.path().join("demo-node-key");
    std::fs::write(&key, "nonsense").unwrap();
    let set_mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o640);
    let loose = DemoNode::start(options.clone()).await.unwrap_err();
    assert_eq!(loose.kind(), io::ErrorKind::PermissionDenied);
    set_mode(0o600);
    let broken = DemoNode::start(options).await.unwrap_err();
    assert_eq!(broken.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn many_connections_at_once() {
    let (_dir, node, _client) = demo().await;
    let mut clients = Vec::new();
    for _ in 0..300 {
        clients.push(Client::new(&node).await);
    }
    for round in 0..3 {
        for (i, client) in clients.iter_mut().enumerate() {
            let request = format!(
                "{{\"id\":{i},\"jsonrpc\":\"2.0\",\"method\":\"invoice\",\
                 \"params\":[1,\"{round}-{i}\",\"\"]}}"
            );
            client.send(&request).await;
        }
        for (i, client) in clients.iter_mut().enumerate() {
            let reply: Value = serde_json::from_str(&client.reply().await).unwrap();
            assert_eq!(reply["id"], i);
            assert!(reply["result"]["bolt11"].is_string());
        }
    }
}
